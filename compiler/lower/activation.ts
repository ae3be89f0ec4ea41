/**
 * Activation functions, profile `fourier` (NUMERICS.md): a cosine or sine series inside a window, the function's
 * asymptote outside, and coarse bits that say where the value lies. All are one shape,
 *
 *     f(x) = inside·(slope·x + s(x)) + above·(a₁x + a₀) + below·(b₁x + b₀),
 *
 * two rounds: one opens s(x) beside the bits, one the sum. The borders of the window are right up to half a bucket
 * only, so the series is fitted half a bucket wider and the asymptote must already hold half a bucket earlier.
 */

import { fail } from "../../ir/diagnostics.js";
import { erf, exp, tanh } from "../../ir/real.js";
import { fractionOf, type Lowering, type ShareNode, type TensorNode } from "./context.js";
import { coarseBits, sumAdditive } from "./digits.js";
import { describeSeries, type FourierSeries, type Parity, seriesAt } from "./fourier.js";
import { addReal } from "./linear.js";
import { angleOf, fitSeries, seriesOf } from "./series.js";
import { atLeastZero } from "./thresholds.js";

/** An activation function in the shape above. `series` is what the series must give: f(x) − slope·x. */
export interface Piecewise {
  readonly window: number;
  readonly slope: 0 | 0.5;
  readonly parity: Parity;
  readonly series: (x: number) => number;
  /** [a₁, a₀] and [b₁, b₀]; slopes 0 or 1. */
  readonly above: readonly [0 | 1, number];
  readonly below: readonly [0 | 1, number];
  /** Bucket width is 2^bucketExponent. */
  readonly bucketExponent: number;
  readonly tolerance: number;
  /** period / window of the fit. */
  readonly periodRatio: number;
  /** The standard deviation of most arguments, where layers of trained models agree. */
  readonly typical?: number;
}

/** Points at which a function's range is read off, and what is allowed for its fit's error. */
const SAMPLES = 256;
const SERIES_SLACK = 1.01;

const TABLE_BITS = { publicFraction: 13, secretFraction: 13 };

const sigmoid = (x: number) => 1 / (1 + exp(-x));
const geluErf = (x: number) => (x / 2) * erf(x / Math.SQRT2);
const geluTanh = (x: number) => (x / 2) * tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x));

const GATE = { slope: 0.5, parity: "even", above: [1, 0], below: [0, 0], typical: 1.5 } as const;
const STEP = { slope: 0, parity: "odd" } as const;

/** The functions, their windows and asymptotes. Windows are where the asymptote is within the tolerance. */
const ACTIVATIONS: Readonly<Record<string, Piecewise>> = {
  "gelu erf": { ...GATE, window: 4, series: geluErf, bucketExponent: -1, tolerance: 6e-4, periodRatio: 2.78 },
  "gelu tanh": { ...GATE, window: 4, series: geluTanh, bucketExponent: -1, tolerance: 6e-4, periodRatio: 2.78 },
  "gelu quick": {
    ...GATE, window: 6, series: (x) => x * (sigmoid(1.702 * x) - 0.5), bucketExponent: -1, tolerance: 6e-4,
    periodRatio: 2.7,
  }, // biome-ignore format: a row
  silu: {
    ...GATE,
    window: 10,
    series: (x) => x * (sigmoid(x) - 0.5),
    bucketExponent: 0,
    tolerance: 1e-3,
    periodRatio: 2.44,
  }, // biome-ignore format: a row
  tangentHyperbolic: {
    ...STEP, window: 4.5, series: tanh, above: [0, 1], below: [0, -1], bucketExponent: -1, tolerance: 4e-4,
    periodRatio: 2.7,
  }, // biome-ignore format: a row
  errorFunction: {
    ...STEP, window: 3, series: erf, above: [0, 1], below: [0, -1], bucketExponent: -2, tolerance: 3e-4,
    periodRatio: 2.7,
  }, // biome-ignore format: a row
  sigmoid: {
    ...STEP, window: 9, series: (x) => sigmoid(x) - 0.5, above: [0, 1], below: [0, 0], bucketExponent: 0,
    tolerance: 4e-4, periodRatio: 2.7,
  }, // biome-ignore format: a row
};

export function lowerActivation(lowering: Lowering, node: TensorNode): ShareNode {
  const name = node.op === "gelu" ? `gelu ${String(node.attributes.approximation)}` : node.op;
  return piecewise(lowering, node, ACTIVATIONS[name]);
}

/** An activation of a node's argument. */
export function piecewise(lowering: Lowering, node: TensorNode, f: Piecewise): ShareNode {
  const [argument] = node.args;
  const bound = lowering.boundOf(argument);
  if (!(bound < 2 ** 20)) {
    throw fail({ code: "E0404", what: `the argument of ${node.op} has no bound`, where: node.origin });
  }
  const x = lowering.masked(argument);
  const slack = 2 ** f.bucketExponent / 2;
  const reach = f.window + slack;
  const fitted = fitSeries(f.series, [-reach, reach], f.window * f.periodRatio, f.parity, f.tolerance, f.typical);
  const offset = f.parity === "odd" && f.below[1] === 0 ? 0.5 : 0;
  notePiecewise(lowering, node, f, fitted.series);
  const { centre, radius } = rangeOf(f.series, reach);
  const s = seriesOf(lowering, angleOf(lowering, x, fitted.stretch), fitted, TABLE_BITS);
  const centred = lowering.bounded(addReal(lowering, s, -centre), radius);
  const opened = lowering.atFraction(centred, fractionOf(x) + (f.slope === 0 ? 0 : 1));
  const inner = lowering.bounded(addReal(lowering, opened, centre + offset), f.window + 2);
  const inside = f.slope === 0 ? inner : insideGate(lowering, inner, x);
  const [middle, above] = coarseBits(lowering, x, Math.max(bound, reach), f.bucketExponent, [
    [-f.window, f.window],
    [f.window, Number.POSITIVE_INFINITY],
  ]);
  const terms = [lowering.emit("timesBit", [middle, inside])];
  if (f.above[0] === 1) {
    terms.push(lowering.additive(lowering.emit("timesBit", [above, x]), fractionOf(inside)));
  }
  const constants = steps(lowering, f, middle, above, fractionOf(inside));
  return constants === undefined
    ? sumAdditive(lowering, terms)
    : addReal(lowering, sumAdditive(lowering, [...terms, constants]), f.below[1]);
}

/**
 * The middle of what a function takes on [−reach, reach], and how far from it: only the rest is opened, in a bit or two
 * less. Outside, where the series is something else, its bit is 0, and 0 times anything in a ring is 0.
 */
function rangeOf(f: (x: number) => number, reach: number): { readonly centre: number; readonly radius: number } {
  const values = Array.from({ length: SAMPLES + 1 }, (_, i) => f(-reach + (2 * reach * i) / SAMPLES));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return { centre: (low + high) / 2, radius: ((high - low) / 2) * SERIES_SLACK };
}

/** The three pieces; borders are right to half a bucket, so both sides of one hold around it. */
function notePiecewise(lowering: Lowering, node: TensorNode, f: Piecewise, series: FourierSeries): void {
  const kind = node.attributes.approximation;
  const name = kind === undefined ? node.op : `${node.op} (${String(kind)})`;
  const slack = 2 ** f.bucketExponent / 2;
  const [reach, border, far] = [f.window + slack, f.window - slack, 8 * f.window];
  const offset = f.parity === "odd" && f.below[1] === 0 ? 0.5 : 0;
  const exact = (x: number) => f.slope * x + f.series(x) + offset;
  const line =
    ([slope, constant]: readonly [number, number]) =>
    (x: number) =>
      slope * x + constant;
  const text = ([slope, constant]: readonly [number, number]) => (slope === 1 ? "x" : String(constant));
  lowering.formulas.add(name, "", () => ({
    function: name,
    profile: "fourier",
    form: `${f.slope === 0 ? "" : "x/2 + "}${describeSeries(series)}`,
    distance: "absolute",
    outside: `${text(f.below)} below, ${text(f.above)} above`,
    section: "Profile `fourier`",
    window: [-f.window, f.window],
    coefficients: [series.constant, ...series.cosines, ...series.sines],
    pieces: [
      { from: -far, to: -border, value: line(f.below), exact },
      { from: -reach, to: reach, value: (x) => f.slope * x + seriesAt(series, x) + offset, exact },
      { from: border, to: far, value: line(f.above), exact },
    ],
  }));
}

/** x/2 + s at one fraction more: the half costs nothing. */
function insideGate(lowering: Lowering, s: ShareNode, x: ShareNode): ShareNode {
  return lowering.emit("add", [s, lowering.emit("relabel", [x], { fraction: fractionOf(s) })]);
}

/** above·a₀ + below·b₀ = above·(a₀ − b₀) − middle·b₀ + b₀, without the public last term. */
function steps(
  lowering: Lowering,
  f: Piecewise,
  middle: ShareNode,
  above: ShareNode,
  fraction: number,
): ShareNode | undefined {
  const parts: ShareNode[] = [];
  const add = (bit: ShareNode, weight: number) => {
    if (weight !== 0) {
      const one = lowering.emit("toArithmetic", [bit], { ring: 0, fraction: 0 });
      const value = { dtype: "i64", shape: [], data: Float64Array.of(Math.round(weight * 2 ** fraction)) } as const;
      parts.push(lowering.emit("multiplyConstant", [one], { value, fraction }));
    }
  };
  add(above, f.above[1] - f.below[1]);
  add(middle, -f.below[1]);
  return parts.length === 0 ? undefined : sumAdditive(lowering, parts);
}

/** Fractional bits at which signs are decided: values within 2^-SIGN_BITS of a border may fall on either side. */
const SIGN_BITS = 9;

function noteSign(lowering: Lowering): void {
  const near = 2 ** -SIGN_BITS;
  lowering.formulas.add("relu", "", () => ({
    function: "max(x, 0)",
    profile: "fourier",
    form: `sign to ${SIGN_BITS} fractional bits`,
    distance: "absolute",
    outside: "exact",
    section: "Profile `fourier`",
    window: [-near, near],
    coefficients: [SIGN_BITS],
    pieces: [
      { from: -8, to: near, value: () => 0, exact: (x) => Math.max(x, 0) },
      { from: -near, to: 8, value: (x) => x, exact: (x) => Math.max(x, 0) },
    ],
  }));
}

export function lowerRelu(lowering: Lowering, node: TensorNode): ShareNode {
  noteSign(lowering);
  const x = lowering.masked(node.args[0]);
  return lowering.emit("timesBit", [atLeastZero(lowering, x, lowering.boundOf(node.args[0]), SIGN_BITS), x]);
}

/** |x| = 2·relu(x) − x. */
export function lowerAbsolute(lowering: Lowering, node: TensorNode): ShareNode {
  noteSign(lowering);
  const x = lowering.masked(node.args[0]);
  const positive = lowering.emit("timesBit", [atLeastZero(lowering, x, lowering.boundOf(node.args[0]), SIGN_BITS), x]);
  const twice = lowering.emit("relabel", [positive], { fraction: fractionOf(positive) - 1 });
  const fraction = fractionOf(positive);
  return lowering.emit("subtract", [lowering.additive(twice, fraction), lowering.additive(x, fraction)]);
}
