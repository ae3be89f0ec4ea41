/** Movements: the same elements elsewhere; and the look-ups. */
import { broadcastStrides, sameShape, stridesOf } from "../../shape.js";
import { PLAIN } from "../arithmetic.js";
import { FILLING, FOUND, LOOKUP, MOVING } from "../traits.js";
import {
  around, axisOf, broadcastShapes, integer, integers, refuse, type TensorOp,
  tensorOf, viewOf, walk,
} from "../types.js"; // biome-ignore format: one import
import { sizeOf, type TensorType, type TensorValue } from "../value.js";

const reshape: TensorOp = {
  traits: MOVING,
  doc: "The same elements, row-major, in another shape.",
  arity: [1, 1],
  attributes: { shape: "integers" },
  infer: ([x], attributes) => {
    const shape = integers(attributes, "shape");
    refuse(sizeOf(shape) !== sizeOf(x.shape), `[${x.shape.join(",")}] cannot be read as [${shape.join(",")}]`);
    return { dtype: x.dtype, shape };
  },
  evaluate: ([x], _, type) => tensorOf(type, x.data),
};

const transpose: TensorOp = {
  traits: MOVING,
  doc: "Axis i of the result is axis permutation[i] of x.",
  arity: [1, 1],
  attributes: { permutation: "integers" },
  infer: ([x], attributes) => {
    const permutation = integers(attributes, "permutation");
    const sorted = [...permutation].sort((a, b) => a - b);
    refuse(
      !sameShape(
        sorted,
        x.shape.map((_, i) => i),
      ),
      `[${permutation.join(",")}] is no permutation of the axes`,
    );
    return { dtype: x.dtype, shape: permutation.map((axis) => x.shape[axis]) };
  },
  evaluate: ([x], attributes, type, arithmetic = PLAIN) => {
    const own = stridesOf(x.shape);
    const strides = integers(attributes, "permutation").map((axis) => own[axis]);
    return tensorOf(type, viewOf(x, type.shape, strides, 0, arithmetic));
  },
};

const broadcast: TensorOp = {
  traits: MOVING,
  doc: "numpy's broadcast to a shape.",
  arity: [1, 1],
  attributes: { shape: "integers" },
  infer: ([x], attributes) => {
    const shape = integers(attributes, "shape");
    refuse(
      !sameShape(broadcastShapes(x.shape, shape), shape),
      `[${x.shape.join(",")}] does not broadcast to [${shape.join(",")}]`,
    );
    return { dtype: x.dtype, shape };
  },
  evaluate: ([x], _, type) => tensorOf(type, viewOf(x, type.shape, broadcastStrides(x.shape, type.shape), 0)),
};

const concatenate: TensorOp = {
  traits: MOVING,
  doc: "The arguments one after the other along an axis.",
  arity: [1, 65536],
  attributes: { axis: "integer" },
  infer: (args, attributes) => {
    const axis = axisOf(attributes, args[0].shape);
    const rest = (type: TensorType) => type.shape.filter((_, i) => i !== axis);
    refuse(
      args.some((type) => !sameShape(rest(type), rest(args[0]))),
      "parts differ outside the axis",
    );
    const length = args.reduce((sum, type) => sum + type.shape[axis], 0);
    return { dtype: args[0].dtype, shape: args[0].shape.map((n, i) => (i === axis ? length : n)) };
  },
  evaluate: (args, attributes, type) => {
    const { outer, length, inner } = around(type.shape, integer(attributes, "axis"));
    const data = new Float64Array(sizeOf(type.shape));
    let at = 0;
    for (const part of args) {
      const row = part.shape[integer(attributes, "axis")] * inner;
      for (let i = 0; i < outer; i++) {
        data.set(part.data.subarray(i * row, (i + 1) * row), i * length * inner + at);
      }
      at += row;
    }
    return tensorOf(type, data);
  },
};

const slice: TensorOp = {
  traits: MOVING,
  doc:
    "Elements starts[i], starts[i] + steps[i], … before ends[i] of every axis; a negative step walks down, " +
    "then an end of -1 means past element 0.",
  arity: [1, 1],
  attributes: { starts: "integers", ends: "integers", steps: "integers" },
  infer: ([x], attributes) => {
    const [starts, ends, steps] = ["starts", "ends", "steps"].map((name) => integers(attributes, name));
    refuse(
      [starts, ends, steps].some((list) => list.length !== x.shape.length),
      "slice needs an entry for every axis",
    );
    const shape = x.shape.map((n, i) => {
      refuse(steps[i] === 0, "a slice's step is 0");
      const count = Math.max(0, Math.ceil((ends[i] - starts[i]) / steps[i]));
      const last = starts[i] + (count - 1) * steps[i];
      refuse(
        count > 0 && (starts[i] < 0 || starts[i] >= n || last < 0 || last >= n),
        `slice leaves axis ${i} of length ${n}`,
      );
      return count;
    });
    return { dtype: x.dtype, shape };
  },
  evaluate: ([x], attributes, type) => {
    const own = stridesOf(x.shape);
    const start = integers(attributes, "starts").reduce((sum, s, i) => sum + s * own[i], 0);
    return tensorOf(
      type,
      viewOf(
        x,
        type.shape,
        integers(attributes, "steps").map((step, i) => step * own[i]),
        start,
      ),
    );
  },
};

const pad: TensorOp = {
  traits: FILLING,
  doc: "x with `low` and `high` more elements of `value` around it on every axis.",
  arity: [1, 1],
  attributes: { low: "integers", high: "integers", value: "number" },
  infer: ([x], attributes) => {
    const [low, high] = [integers(attributes, "low"), integers(attributes, "high")];
    refuse(low.length !== x.shape.length || high.length !== x.shape.length, "pad needs an entry for every axis");
    refuse(
      [...low, ...high].some((n) => n < 0),
      "negative padding: slice instead",
    );
    return { dtype: x.dtype, shape: x.shape.map((n, i) => n + low[i] + high[i]) };
  },
  evaluate: ([x], attributes, type) => {
    const data = new Float64Array(sizeOf(type.shape)).fill(attributes.value as number);
    const strides = stridesOf(type.shape);
    const start = integers(attributes, "low").reduce((sum, n, i) => sum + n * strides[i], 0);
    walk(x.shape, strides, start, (flat, offset) => {
      data[offset] = x.data[flat];
    });
    return tensorOf(type, data);
  },
};

const reverse: TensorOp = {
  traits: MOVING,
  doc: "x backward along the axes.",
  arity: [1, 1],
  attributes: { axes: "integers" },
  infer: ([x]) => x,
  evaluate: ([x], attributes, type) => {
    const own = stridesOf(x.shape);
    const axes = integers(attributes, "axes");
    const start = axes.reduce((sum, axis) => sum + Math.max(0, x.shape[axis] - 1) * own[axis], 0);
    return tensorOf(
      type,
      viewOf(
        x,
        type.shape,
        own.map((stride, i) => (axes.includes(i) ? -stride : stride)),
        start,
      ),
    );
  },
};

/** An index that may count from the end; throws outside. */
export function wrapIndex(index: number, length: number): number {
  const wrapped = index < 0 ? index + length : index;
  refuse(!(wrapped >= 0 && wrapped < length), `index ${index} of an axis of length ${length}`);
  return wrapped;
}

function gatherRows(x: TensorValue, indices: TensorValue, axis: number, type: TensorType): TensorValue {
  const { outer, length, inner } = around(x.shape, axis);
  const count = indices.data.length;
  const data = new Float64Array(sizeOf(type.shape));
  for (let i = 0; i < outer; i++) {
    for (let j = 0; j < count; j++) {
      const from = (i * length + wrapIndex(indices.data[j], length)) * inner;
      data.set(x.data.subarray(from, from + inner), (i * count + j) * inner);
    }
  }
  return tensorOf(type, data);
}

const gather: TensorOp = {
  traits: LOOKUP,
  doc: "The slices of x along an axis at the indices; negative ones count from the end.",
  arity: [2, 2],
  attributes: { axis: "integer" },
  infer: ([x, indices], attributes) => {
    const axis = axisOf(attributes, x.shape);
    return { dtype: x.dtype, shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)] };
  },
  evaluate: ([x, indices], attributes, type) => gatherRows(x, indices, integer(attributes, "axis"), type),
};

const embedding: TensorOp = {
  traits: LOOKUP,
  doc: "Rows of a table [V, H] at the indices: [..., H]. Secret indices become one-hot rows times the table.",
  arity: [2, 2],
  attributes: {},
  infer: ([table, indices]) => {
    refuse(table.shape.length !== 2, "an embedding table has two axes");
    return { dtype: table.dtype, shape: [...indices.shape, table.shape[1]] };
  },
  evaluate: ([table, indices], _, type) => gatherRows(table, indices, 0, type),
};

const oneHot: TensorOp = {
  traits: { ...FOUND, indices: [0] },
  doc: "A last axis of `depth` with 1 at the index and 0 elsewhere (all 0 for an index outside).",
  arity: [1, 1],
  attributes: { depth: "integer" },
  infer: ([indices], attributes) => ({ dtype: "f32", shape: [...indices.shape, integer(attributes, "depth")] }),
  evaluate: ([indices], attributes, type, { room } = PLAIN) => {
    const depth = integer(attributes, "depth");
    const data = room(sizeOf(type.shape)).fill(0);
    indices.data.forEach((raw, i) => {
      const index = raw < 0 ? raw + depth : raw;
      if (index >= 0 && index < depth) {
        data[i * depth + index] = 1;
      }
    });
    return tensorOf(type, data);
  },
};

export const MOVEMENT = {
  reshape, transpose, broadcast, concatenate, slice, pad, reverse, gather, embedding, oneHot,
} as const satisfies Record<string, TensorOp>; // biome-ignore format: a list
