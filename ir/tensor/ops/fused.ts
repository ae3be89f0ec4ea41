/** The functions that transformers are made of, as one op each, so that passes and lowering can speak about them. */
import { ln } from "../../real.js";
import { sameShape } from "../../shape.js";
import { type Arithmetic, PLAIN } from "../arithmetic.js";
import { exp, exp2 } from "../quick.js";
import { ROWWISE, type Traits } from "../traits.js";
import {
  around,
  axisOf,
  broadcastData,
  broadcastShapes,
  doublesOf,
  integer,
  refuse,
  type TensorOp,
  tensorOf,
} from "../types.js";
import type { TensorType, TensorValue } from "../value.js";

function checkMasks(x: TensorType, masks: readonly TensorType[]): void {
  refuse(
    !masks.every((mask) => sameShape(broadcastShapes(x.shape, mask.shape), x.shape)),
    "the mask does not broadcast to the scores",
  );
}

/** base^(x − most) of a line's elements. */
type Powers = (to: Float64Array, x: Float64Array, line: Line, most: number) => void;

/** Elements of a tensor that lie `step` apart. */
interface Line {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

const powersOfE: Powers = (to, x, { start, end, step }, most) => {
  for (let at = start; at < end; at += step) {
    to[at] = exp(x[at] - most);
  }
};

const powersOf2: Powers = (to, x, { start, end, step }, most) => {
  for (let at = start; at < end; at += step) {
    to[at] = exp2(x[at] - most);
  }
};

/** Powers normalised along an axis over the kept elements; rows with none give 0, or what shares evenly in them. */
function softmaxOf(args: readonly TensorValue[], axis: number, powers: Powers, { room }: Arithmetic): Float64Array {
  const [x, keep, , even] = args;
  const { outer, length, inner } = around(x.shape, axis);
  const spread = (mask: TensorValue | undefined) => mask && doublesOf(broadcastData(mask, x.shape));
  const [kept, sharing] = [spread(keep), spread(even)];
  const data = room(x.data.length);
  data.set(x.data);
  for (let i = 0; kept !== undefined && i < data.length; i++) {
    data[i] = kept[i] !== 0 ? data[i] : Number.NEGATIVE_INFINITY;
  }
  for (let each = 0; each < outer * inner; each++) {
    const start = Math.floor(each / inner) * length * inner + (each % inner);
    const line = { start, end: start + length * inner, step: inner };
    if (!softmaxLine(data, line, powers) && sharing !== undefined) {
      shareLine(data, sharing, line);
    }
  }
  return data;
}

/** The softmax of one line; false where nothing is kept. */
function softmaxLine(data: Float64Array, line: Line, powers: Powers): boolean {
  const { start, end, step } = line;
  let largest = Number.NEGATIVE_INFINITY;
  for (let at = start; at < end; at += step) {
    largest = Math.max(largest, data[at]);
  }
  // Nothing is kept: −∞ − 0 gives 0.
  const isEmpty = largest === Number.NEGATIVE_INFINITY;
  powers(data, data, line, isEmpty ? 0 : largest);
  let sum = 0;
  for (let at = start; at < end; at += step) {
    sum += data[at];
  }
  for (let at = start; at < end && sum > 0; at += step) {
    data[at] /= sum;
  }
  return !isEmpty;
}

/** Equal shares for what is marked. */
function shareLine(data: Float64Array, marked: Float64Array, { start, end, step }: Line): void {
  let count = 0;
  for (let at = start; at < end; at += step) {
    count += marked[at];
  }
  for (let at = start; at < end && count > 0; at += step) {
    data[at] = marked[at] / count;
  }
}

const BOUNDED_ROWS: Traits = { ...ROWWISE, image: "interval" };

const softmax: TensorOp = {
  traits: BOUNDED_ROWS,
  doc:
    "e^x normalised along an axis, over the elements that the boolean second argument keeps. " +
    "Rows with nothing kept, which the third marks where there may be such, give 0, or equal shares to what the " +
    "fourth marks in them.",
  arity: [1, 4],
  attributes: { axis: "integer" },
  infer: ([x, ...masks], attributes) => {
    axisOf(attributes, x.shape);
    checkMasks(x, masks);
    return x;
  },
  evaluate: (args, attributes, type, arithmetic = PLAIN) =>
    tensorOf(type, softmaxOf(args, integer(attributes, "axis"), powersOfE, arithmetic)),
};

const softmaxBase2: TensorOp = {
  traits: BOUNDED_ROWS,
  doc: "2^x normalised along the last axis, as softmax: what the suite computes (NUMERICS.md, softmax).",
  arity: [1, 4],
  attributes: {},
  infer: ([x, ...masks]) => {
    refuse(x.shape.length === 0, "softmax of a scalar");
    checkMasks(x, masks);
    return x;
  },
  evaluate: (args, _, type, arithmetic = PLAIN) =>
    tensorOf(type, softmaxOf(args, args[0].shape.length - 1, powersOf2, arithmetic)),
};

const logSoftmax: TensorOp = {
  traits: ROWWISE,
  doc: "ln of softmax along an axis.",
  arity: [1, 1],
  attributes: { axis: "integer" },
  infer: ([x], attributes) => {
    axisOf(attributes, x.shape);
    return x;
  },
  evaluate: ([x], attributes, type) => {
    const { outer, length, inner } = around(x.shape, integer(attributes, "axis"));
    const data = new Float64Array(x.data.length);
    for (let line = 0; line < outer * inner; line++) {
      const at = (k: number) => (Math.floor(line / inner) * length + k) * inner + (line % inner);
      let largest = Number.NEGATIVE_INFINITY;
      for (let k = 0; k < length; k++) {
        largest = Math.max(largest, x.data[at(k)]);
      }
      let sum = 0;
      for (let k = 0; k < length; k++) {
        sum += exp(x.data[at(k)] - largest);
      }
      for (let k = 0; k < length; k++) {
        data[at(k)] = x.data[at(k)] - largest - ln(sum);
      }
    }
    return tensorOf(type, data);
  },
};

/** (x - mean) / √(mean((x - mean)²) + ε) of every row, with mean 0 where not centred. */
function normaliseRows(x: TensorValue, epsilon: number, centred: boolean, { room }: Arithmetic): Float64Array {
  const n = x.shape.at(-1)!;
  const data = room(x.data.length);
  data.set(x.data);
  for (let start = 0; start < data.length; start += n) {
    const { mean, variance } = momentsOf(data, start, n, centred);
    const scale = 1 / Math.sqrt(variance + epsilon);
    for (let i = start; i < start + n; i++) {
      data[i] = (data[i] - mean) * scale;
    }
  }
  return data;
}

/** Mean (0 where not centred) and variance (mean square) of `count` elements. */
export function momentsOf(
  x: Float64Array,
  start: number,
  count: number,
  centred: boolean,
): { readonly mean: number; readonly variance: number } {
  let sum = 0;
  for (let i = start; centred && i < start + count; i++) {
    sum += x[i];
  }
  const mean = sum / count;
  let squares = 0;
  for (let i = start; i < start + count; i++) {
    squares += (x[i] - mean) * (x[i] - mean);
  }
  return { mean, variance: squares / count };
}

function norm(doc: string, centred: boolean): TensorOp {
  return {
    traits: ROWWISE,
    doc,
    arity: [1, 1],
    attributes: { epsilon: "number" },
    infer: ([x]) => {
      refuse(x.shape.length === 0, "a norm needs an axis");
      return x;
    },
    evaluate: ([x], attributes, type, arithmetic = PLAIN) =>
      tensorOf(type, normaliseRows(x, attributes.epsilon as number, centred, arithmetic)),
  };
}

const plainRms = norm("", false);

/** RMSNorm, with its scale where somebody knows that. */
const scaledNorm: TensorOp = {
  ...plainRms,
  doc:
    "x/√(mean of squares + ε) over the last axis, without γ (Zhang & Sennrich 2019). A second argument [..., 1] is " +
    "1/√(mean of squares + ε), where that is known by other means.",
  arity: [1, 2],
  infer: (args, attributes) => {
    const [x, scale] = args;
    const expected = [...x.shape.slice(0, -1), 1];
    refuse(scale !== undefined && scale.shape.join() !== expected.join(), "a norm's scale has one element a row");
    return plainRms.infer(args, attributes);
  },
  evaluate: (args, attributes, type, arithmetic = PLAIN) => {
    const [x, scale] = args;
    if (scale === undefined) {
      return plainRms.evaluate(args, attributes, type, arithmetic);
    }
    const n = x.shape.at(-1)!;
    const data = arithmetic.room(x.data.length);
    for (let i = 0; i < data.length; i++) {
      data[i] = x.data[i] * scale.data[Math.floor(i / n)];
    }
    return tensorOf(type, data);
  },
};

export const FUSED = {
  softmax,
  softmaxBase2,
  logSoftmax,
  layerNorm: norm("(x - mean)/√(variance + ε) over the last axis, without γ and β (Ba et al. 2016).", true),
  rmsNorm: scaledNorm,
} as const satisfies Record<string, TensorOp>;
