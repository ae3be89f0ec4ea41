/** Reductions, scans and selections along axes. */
import { stridesOf } from "../../shape.js";
import { around, axisOf, integer, integers, refuse, type TensorOp, tensorOf, walk } from "../types.js";
import { sizeOf, type TensorType } from "../value.js";

function reducedShape(x: TensorType, axes: readonly number[], keep: boolean): number[] {
  refuse(
    axes.some((axis) => axis < 0 || axis >= x.shape.length),
    `axes [${axes.join(",")}] of rank ${x.shape.length}`,
  );
  return keep ? x.shape.map((n, i) => (axes.includes(i) ? 1 : n)) : x.shape.filter((_, i) => !axes.includes(i));
}

function reduction(
  doc: string,
  start: number,
  step: (accumulated: number, x: number) => number,
  finish: (accumulated: number, count: number) => number = (x) => x,
): TensorOp {
  return {
    doc,
    arity: [1, 1],
    attributes: { axes: "integers", keep: "boolean" },
    infer: ([x], attributes) => ({
      dtype: x.dtype,
      shape: reducedShape(x, integers(attributes, "axes"), attributes.keep === true),
    }),
    evaluate: ([x], attributes, type) => {
      const axes = integers(attributes, "axes");
      const kept = stridesOf(reducedShape(x, axes, true));
      const strides = kept.map((stride, i) => (axes.includes(i) ? 0 : stride));
      const data = new Float64Array(sizeOf(type.shape)).fill(start);
      walk(x.shape, strides, 0, (flat, offset) => {
        data[offset] = step(data[offset], x.data[flat]);
      });
      const count = axes.reduce((product, axis) => product * x.shape[axis], 1);
      return tensorOf(
        type,
        data.map((value) => finish(value, count)),
      );
    },
  };
}

const nanMaximum = (a: number, b: number) => Math.max(a, b);
const nanMinimum = (a: number, b: number) => Math.min(a, b);

const cumulativeSum: TensorOp = {
  doc: "Running sums along an axis, from the other end where `reverse`, without the element itself where `exclusive`.",
  arity: [1, 1],
  attributes: { axis: "integer", exclusive: "boolean", reverse: "boolean" },
  infer: ([x], attributes) => {
    axisOf(attributes, x.shape);
    return x;
  },
  evaluate: ([x], attributes, type) => {
    const { outer, length, inner } = around(x.shape, integer(attributes, "axis"));
    const data = new Float64Array(x.data.length);
    for (let i = 0; i < outer * inner; i++) {
      const base = Math.floor(i / inner) * length * inner + (i % inner);
      let sum = 0;
      for (let k = 0; k < length; k++) {
        const at = base + (attributes.reverse === true ? length - 1 - k : k) * inner;
        data[at] = attributes.exclusive === true ? sum : sum + x.data[at];
        sum += x.data[at];
      }
    }
    return tensorOf(type, data);
  },
};

/** Calls back with every line of x along an axis: its values, and where its first result goes. */
function lines(
  x: { shape: readonly number[]; data: ArrayLike<number> },
  axis: number,
  visit: (values: number[], outer: number, inner: number, innerSize: number) => void,
): void {
  const { outer, length, inner } = around(x.shape, axis);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      visit(
        Array.from({ length }, (_, k) => x.data[(o * length + k) * inner + i]),
        o,
        i,
        inner,
      );
    }
  }
}

function extreme(doc: string, better: (a: number, b: number) => boolean): TensorOp {
  return {
    doc,
    arity: [1, 1],
    attributes: { axis: "integer", keep: "boolean", last: "boolean" },
    infer: ([x], attributes) => {
      const axis = axisOf(attributes, x.shape);
      return { dtype: "i64", shape: reducedShape(x, [axis], attributes.keep === true) };
    },
    evaluate: ([x], attributes, type) => {
      const data = new Float64Array(sizeOf(type.shape));
      lines(x, integer(attributes, "axis"), (values, o, i, inner) => {
        let best = 0;
        values.forEach((value, k) => {
          if (better(value, values[best]) || (attributes.last === true && value === values[best])) {
            best = k;
          }
        });
        data[o * inner + i] = best;
      });
      return tensorOf(type, data);
    },
  };
}

function top(doc: string, pick: (value: number, index: number) => number, indices: boolean): TensorOp {
  return {
    doc,
    arity: [1, 1],
    attributes: { axis: "integer", count: "integer", largest: "boolean" },
    infer: ([x], attributes) => {
      const axis = axisOf(attributes, x.shape);
      const count = integer(attributes, "count");
      refuse(count < 0 || count > x.shape[axis], `${count} of ${x.shape[axis]} elements`);
      return { dtype: indices ? "i64" : x.dtype, shape: x.shape.map((n, i) => (i === axis ? count : n)) };
    },
    evaluate: ([x], attributes, type) => {
      const count = integer(attributes, "count");
      const sign = attributes.largest === true ? -1 : 1;
      const data = new Float64Array(sizeOf(type.shape));
      lines(x, integer(attributes, "axis"), (values, o, i, inner) => {
        const order = values.map((_, k) => k).sort((a, b) => sign * (values[a] - values[b]) || a - b);
        for (let k = 0; k < count; k++) {
          data[(o * count + k) * inner + i] = pick(values[order[k]], order[k]);
        }
      });
      return tensorOf(type, data);
    },
  };
}

export const REDUCE = {
  reduceSum: reduction("The sum over axes.", 0, (a, x) => a + x),
  reduceMean: reduction(
    "The mean over axes.",
    0,
    (a, x) => a + x,
    (a, count) => a / count,
  ),
  reduceMaximum: reduction("The largest element over axes.", Number.NEGATIVE_INFINITY, nanMaximum),
  reduceMinimum: reduction("The smallest element over axes.", Number.POSITIVE_INFINITY, nanMinimum),
  reduceProduct: reduction("The product over axes.", 1, (a, x) => a * x),
  cumulativeSum,
  argmax: extreme("The index of the first (or `last`) largest element along an axis.", (a, b) => a > b),
  argmin: extreme("The index of the first (or `last`) smallest element along an axis.", (a, b) => a < b),
  topValues: top("The `count` largest (or smallest) elements along an axis, in order.", (value) => value, false),
  topIndices: top("Where `topValues` finds them.", (_, index) => index, true),
} as const satisfies Record<string, TensorOp>;
