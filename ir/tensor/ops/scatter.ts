/** Look-ups and updates by index tensors, as ONNX defines them (GatherElements, GatherND, ScatterND, Trilu). */
import { stridesOf } from "../../shape.js";
import { FILLING, LOOKUP } from "../traits.js";
import { axisOf, integer, mapData, refuse, type TensorOp, tensorOf, walk } from "../types.js";
import { sizeOf, type TensorValue } from "../value.js";
import { wrapIndex } from "./movement.js";

/** Flat position in x of the element that `indices` names along `axis`, for every element of `indices`. */
function alongAxis(x: TensorValue, indices: TensorValue, axis: number, visit: (i: number, at: number) => void): void {
  const strides = stridesOf(x.shape);
  const others = strides.map((stride, i) => (i === axis ? 0 : stride));
  walk(indices.shape, others, 0, (i, offset) => {
    visit(i, offset + wrapIndex(indices.data[i], x.shape[axis]) * strides[axis]);
  });
}

const gatherElements: TensorOp = {
  traits: LOOKUP,
  doc: "result[i][j] = x[indices[i][j]][j] for axis 0, likewise for other axes.",
  arity: [2, 2],
  attributes: { axis: "integer" },
  infer: ([x, indices], attributes) => {
    axisOf(attributes, x.shape);
    refuse(x.shape.length !== indices.shape.length, "indices have another rank than the tensor");
    return { dtype: x.dtype, shape: indices.shape };
  },
  evaluate: ([x, indices], attributes, type) => {
    const data = new Float64Array(indices.data.length);
    alongAxis(x, indices, integer(attributes, "axis"), (i, at) => {
      data[i] = x.data[at];
    });
    return tensorOf(type, data);
  },
};

const scatterElements: TensorOp = {
  traits: LOOKUP,
  doc: "x with result[indices[i][j]][j] = updates[i][j] for axis 0, likewise for other axes.",
  arity: [3, 3],
  attributes: { axis: "integer" },
  infer: ([x, indices, updates], attributes) => {
    axisOf(attributes, x.shape);
    refuse(sizeOf(indices.shape) !== sizeOf(updates.shape), "indices and updates differ in shape");
    return x;
  },
  evaluate: ([x, indices, updates], attributes, type) => {
    const data = Float64Array.from(x.data);
    alongAxis(x, indices, integer(attributes, "axis"), (i, at) => {
      data[at] = updates.data[i];
    });
    return tensorOf(type, data);
  },
};

/** Where the slice of x starts that the `row`-th index tuple names, and how long it is. */
function tupleOffset(x: TensorValue, indices: TensorValue, row: number, batch: number): { at: number; inner: number } {
  const depth = indices.shape.at(-1)!;
  const strides = stridesOf(x.shape);
  const perBatch = sizeOf(indices.shape.slice(batch, -1));
  let at = batch === 0 ? 0 : Math.floor(row / perBatch) * strides[batch - 1];
  for (let i = 0; i < depth; i++) {
    at += wrapIndex(indices.data[row * depth + i], x.shape[batch + i]) * strides[batch + i];
  }
  return { at, inner: sizeOf(x.shape.slice(batch + depth)) };
}

const gatherND: TensorOp = {
  traits: LOOKUP,
  doc: "Slices of x at index tuples, the last axis of `indices`; the first `batch` axes are shared.",
  arity: [2, 2],
  attributes: { batch: "integer" },
  infer: ([x, indices], attributes) => {
    const batch = integer(attributes, "batch");
    const depth = indices.shape.at(-1) ?? 0;
    refuse(
      indices.shape.length === 0 || batch + depth > x.shape.length,
      "index tuples are longer than the tensor's rank",
    );
    return { dtype: x.dtype, shape: [...indices.shape.slice(0, -1), ...x.shape.slice(batch + depth)] };
  },
  evaluate: ([x, indices], attributes, type) => {
    const data = new Float64Array(sizeOf(type.shape));
    const rows = sizeOf(indices.shape.slice(0, -1));
    for (let row = 0; row < rows; row++) {
      const { at, inner } = tupleOffset(x, indices, row, integer(attributes, "batch"));
      data.set(x.data.subarray(at, at + inner), row * inner);
    }
    return tensorOf(type, data);
  },
};

const scatterND: TensorOp = {
  traits: LOOKUP,
  doc: "x with slices replaced at index tuples.",
  arity: [3, 3],
  attributes: {},
  infer: ([x, indices]) => {
    refuse((indices.shape.at(-1) ?? 0) > x.shape.length, "index tuples are longer than the tensor's rank");
    return x;
  },
  evaluate: ([x, indices, updates], _, type) => {
    const data = Float64Array.from(x.data);
    const rows = sizeOf(indices.shape.slice(0, -1));
    for (let row = 0; row < rows; row++) {
      const { at, inner } = tupleOffset(x, indices, row, 0);
      data.set(updates.data.subarray(row * inner, (row + 1) * inner), at);
    }
    return tensorOf(type, data);
  },
};

const triangular: TensorOp = {
  traits: FILLING,
  doc: "The upper or lower triangle of the last two axes, from a diagonal; zero elsewhere.",
  arity: [1, 1],
  attributes: { upper: "boolean", diagonal: "integer" },
  infer: ([x]) => {
    refuse(x.shape.length < 2, "a triangle needs two axes");
    return x;
  },
  evaluate: ([x], attributes, type) => {
    const [rows, columns] = x.shape.slice(-2);
    const diagonal = integer(attributes, "diagonal");
    const keep = (row: number, column: number) =>
      attributes.upper === true ? column - row >= diagonal : column - row <= diagonal;
    const kept = mapData(x.data, (value, i) => (keep(Math.floor(i / columns) % rows, i % columns) ? value : 0));
    return tensorOf(type, kept);
  },
};

export const SCATTER = {
  gatherElements, scatterElements, gatherND, scatterND, triangular,
} as const satisfies Record<string, TensorOp>; // biome-ignore format: a list
