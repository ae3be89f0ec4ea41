/** Reductions, scans and selections along axes. Reductions take the elements of each result in row-major order. */
import { stridesOf } from "../../shape.js";
import { FOUND, MIXING, REDUCTION, SCAN, type Traits } from "../traits.js";
import { around, axisOf, integer, integers, refuse, type TensorOp, tensorOf, walk } from "../types.js";
import { sizeOf, type TensorType, type TensorValue } from "../value.js";

function reducedShape(x: TensorType, axes: readonly number[], keep: boolean): number[] {
  refuse(
    axes.some((axis) => axis < 0 || axis >= x.shape.length),
    `axes [${axes.join(",")}] of rank ${x.shape.length}`,
  );
  return keep ? x.shape.map((n, i) => (axes.includes(i) ? 1 : n)) : x.shape.filter((_, i) => !axes.includes(i));
}

/** A reduction: what one element adds to a row of results, and to a single one. */
interface Fold {
  readonly start: number;
  /** to[i] = to[i] ∘ x[i]. */
  readonly across: (to: Float64Array, x: Float64Array) => void;
  /** so far ∘ x[0] ∘ x[1] ∘ … */
  readonly along: (sofar: number, x: Float64Array) => number;
}

function fold(start: number, step: (accumulated: number, x: number) => number): Fold {
  return {
    start,
    across: (to, x) => {
      for (let i = 0; i < to.length; i++) {
        to[i] = step(to[i], x[i]);
      }
    },
    along: (sofar, x) => {
      let result = sofar;
      for (let i = 0; i < x.length; i++) {
        result = step(result, x[i]);
      }
      return result;
    },
  };
}

const SUM: Fold = {
  start: 0,
  across: (to, x) => {
    for (let i = 0; i < to.length; i++) {
      to[i] += x[i];
    }
  },
  along: (sofar, x) => {
    let sum = sofar;
    for (let i = 0; i < x.length; i++) {
      sum += x[i];
    }
    return sum;
  },
};

function reduction(
  traits: Traits,
  doc: string,
  { start, across, along }: Fold,
  finish: (accumulated: number, count: number) => number = (x) => x,
): TensorOp {
  return {
    traits,
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
      const length = x.shape.at(-1) ?? 1;
      const isReduced = strides.at(-1) === 0;
      const lineOf = linesOf(x.data, length);
      walk(x.shape.slice(0, -1), strides.slice(0, -1), 0, (row, at) => {
        const line = lineOf(row);
        if (isReduced) {
          data[at] = along(data[at], line);
        } else {
          across(data.subarray(at, at + length), line);
        }
      });
      const count = axes.reduce((product, axis) => product * x.shape[axis], 1);
      return tensorOf(
        type,
        data.map((value) => finish(value, count)),
      );
    },
  };
}

/** Rows of this length as doubles; each holds until the next one is read. */
function linesOf(data: TensorValue["data"], length: number): (row: number) => Float64Array {
  if (data instanceof Float64Array) {
    return (row) => data.subarray(row * length, (row + 1) * length);
  }
  const line = new Float64Array(length);
  return (row) => {
    line.set(data.subarray(row * length, (row + 1) * length));
    return line;
  };
}

const nanMaximum = (a: number, b: number) => Math.max(a, b);
const nanMinimum = (a: number, b: number) => Math.min(a, b);

const cumulativeSum: TensorOp = {
  traits: SCAN,
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
    traits: FOUND,
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
    traits: indices ? FOUND : MIXING,
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
  reduceSum: reduction(REDUCTION, "The sum over axes.", SUM),
  reduceMean: reduction({ ...REDUCTION, whole: false }, "The mean over axes.", SUM, (a, count) => a / count),
  reduceMaximum: reduction(REDUCTION, "The largest element over axes.", fold(Number.NEGATIVE_INFINITY, nanMaximum)),
  reduceMinimum: reduction(REDUCTION, "The smallest element over axes.", fold(Number.POSITIVE_INFINITY, nanMinimum)),
  reduceProduct: reduction(
    REDUCTION,
    "The product over axes.",
    fold(1, (a, x) => a * x),
  ),
  cumulativeSum,
  argmax: extreme("The index of the first (or `last`) largest element along an axis.", (a, b) => a > b),
  argmin: extreme("The index of the first (or `last`) smallest element along an axis.", (a, b) => a < b),
  topValues: top("The `count` largest (or smallest) elements along an axis, in order.", (value) => value, false),
  topIndices: top("Where `topValues` finds them.", (_, index) => index, true),
} as const satisfies Record<string, TensorOp>;
