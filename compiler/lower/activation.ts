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
import { ceilLog2, erf, exp, tanh } from "../../ir/real.js";
import { fractionOf, type Lowering, type ShareNode, type TensorNode } from "./context.js";
import { describeWaves, wavesOn, windowsOf } from "./curves.js";
import { coarseBits, sumAdditive } from "./digits.js";
import type { WaveFit } from "./fourier.js";
import {
  CAP_GRIDS,
  CAP_HEADROOM,
  ERF_GRIDS,
  GELU_GRIDS,
  QUICK_GRIDS,
  SIGMOID_GRIDS,
  SILU_GRIDS,
  TANH_GRIDS,
} from "./grids.js";
import { addReal } from "./linear.js";
import { atLeastZero } from "./thresholds.js";
import { waveAt } from "./waves.js";
import { curveOf, imageOf, type Sloped, windowed } from "./windowed.js";

/** An activation function in the shape above: slope·x + curve(x) + offset inside the window. */
export interface Piecewise extends Sloped {
  /** Inside it by pieces; a multiple of a bucket. Outside, the asymptote holds to about a thousandth. */
  readonly window: number;
  /** [a₁, a₀] and [b₁, b₀]; slopes 0 or 1. */
  readonly above: readonly [0 | 1, number];
  readonly below: readonly [0 | 1, number];
  /** Bucket width is 2^bucketExponent. */
  readonly bucketExponent: number;
}

const sigmoid = (x: number) => 1 / (1 + exp(-x));
const geluErf = (x: number) => (x / 2) * erf(x / Math.SQRT2);
const geluTanh = (x: number) => (x / 2) * tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x));

const GATE = { slope: 0.5, offset: 0, above: [1, 0], below: [0, 0] } as const;
const STEP = { slope: 0, offset: 0, above: [0, 1], below: [0, -1] } as const;

const GELU: Piecewise = {
  ...GATE,
  name: "gelu (erf)",
  curve: { name: "gelu erf", compute: geluErf, parity: "even", headroom: 8, grids: GELU_GRIDS, corner: 3.5 },
  window: 4,
  bucketExponent: -1,
};

/** The functions, their curves, windows and asymptotes. */
const ACTIVATIONS: Readonly<Record<string, Piecewise>> = {
  "gelu erf": GELU,
  "gelu tanh": { ...GELU, name: "gelu (tanh)", curve: { ...GELU.curve, name: "gelu tanh", compute: geluTanh } },
  "gelu quick": {
    ...GATE,
    name: "gelu (quick)",
    curve: {
      name: "gelu quick",
      compute: (x) => x * (sigmoid(1.702 * x) - 0.5),
      parity: "even",
      headroom: 8,
      grids: QUICK_GRIDS,
      corner: 5.5,
    },
    window: 5.5,
    bucketExponent: -1,
  },
  silu: {
    ...GATE,
    name: "silu",
    curve: {
      name: "silu",
      compute: (x) => x * (sigmoid(x) - 0.5),
      parity: "even",
      headroom: 9,
      grids: SILU_GRIDS,
      corner: 9.5,
    },
    window: 9.5,
    bucketExponent: -1,
  },
  tangentHyperbolic: {
    ...STEP,
    name: "tangentHyperbolic",
    curve: { name: "tanh", compute: tanh, parity: "odd", headroom: 8, grids: TANH_GRIDS },
    window: 4.5,
    bucketExponent: -1,
  },
  errorFunction: {
    ...STEP,
    name: "errorFunction",
    curve: { name: "erf", compute: erf, parity: "odd", headroom: 8, grids: ERF_GRIDS },
    window: 2.75,
    bucketExponent: -2,
  },
  sigmoid: {
    ...STEP,
    offset: 0.5,
    below: [0, 0],
    name: "sigmoid",
    curve: { name: "sigmoid", compute: (x) => sigmoid(x) - 0.5, parity: "odd", headroom: 9, grids: SIGMOID_GRIDS },
    window: 9,
    bucketExponent: 0,
  },
};

/** A gate whose curve is also wanted alone: what GELU is without x/2. */
function withoutSlope(f: Piecewise): Sloped {
  return { ...f, name: `${f.name} less x/2`, slope: 0 };
}

export function lowerActivation(lowering: Lowering, node: TensorNode): ShareNode {
  const name = node.op === "gelu" ? `gelu ${String(node.attributes.approximation)}` : node.op;
  return activated(lowering, node, ACTIVATIONS[name]);
}

/** Frequencies of a cap's waves are rounded to so many bits more than those of the grids, or to what an angle holds. */
const CAP_FINER = 2;
const LARGEST_HEADROOM = 20;
/** Where tanh is 1 to 3·10⁻⁵, less half a bucket of a quarter; the widest grid must reach half a bucket further. */
const CAP_REACH = 5.5;

/** cap·tanh(x/cap) in the units of x: every error is one of the result, whatever the cap is. */
function softCapOf(cap: number): Piecewise {
  const exponent = ceilLog2(cap);
  const headroom = Math.min(LARGEST_HEADROOM, CAP_HEADROOM + CAP_FINER + exponent);
  const finer = 2 ** (headroom - CAP_HEADROOM) / cap;
  const bucketExponent = exponent - 2;
  const grids = CAP_GRIDS.map(({ window, frequencies }) => ({
    window: window * cap,
    frequencies: frequencies.map((each) => Math.round(each * finer)),
  }));
  const name = `soft cap of ${cap}`;
  const compute = (x: number) => cap * tanh(x / cap);
  return {
    name,
    slope: 0,
    offset: 0,
    above: [0, cap],
    below: [0, -cap],
    curve: { name, compute, parity: "odd", headroom, grids, isSpread: true },
    window: Math.floor((CAP_REACH * cap) / 2 ** bucketExponent) * 2 ** bucketExponent,
    bucketExponent,
  };
}

export function lowerSoftCap(lowering: Lowering, node: TensorNode): ShareNode {
  return activated(lowering, node, softCapOf(node.attributes.cap as number));
}

/** gelu(x) − x/2: where the whole is selected from pieces, the half is subtracted after, for free. */
export function lowerGeluEven(lowering: Lowering, node: TensorNode): ShareNode {
  const f = ACTIVATIONS[`gelu ${String(node.attributes.approximation)}`];
  return activated(lowering, node, f, withoutSlope(f));
}

/** An activation of a node's argument: by windows where that is cheaper, by pieces elsewhere. */
export function activated(lowering: Lowering, node: TensorNode, f: Piecewise, wanted: Sloped = f): ShareNode {
  const [argument] = node.args;
  const bound = lowering.boundOf(argument);
  if (!(bound < 2 ** 20)) {
    throw fail({ code: "E0404", what: `the argument of ${node.op} has no bound`, where: node.origin });
  }
  const x = lowering.masked(argument);
  const pieces = (part: ShareNode): ShareNode => {
    const whole = piecewise(lowering, part, bound, f);
    if (wanted.slope === f.slope) {
      return whole;
    }
    const fraction = fractionOf(whole);
    const half = lowering.emit("relabel", [lowering.additive(part, fraction - 1)], { fraction });
    return lowering.emit("subtract", [whole, half]);
  };
  return windowed(lowering, node, x, wanted, pieces) ?? pieces(x);
}

/** Fractional bits of a value that pieces are selected for. */
const PIECE_FRACTION = 12;

/** An activation of any |x| ≤ bound by pieces. */
function piecewise(lowering: Lowering, value: ShareNode, bound: number, f: Piecewise): ShareNode {
  const x = lowering.atFraction(value, Math.min(fractionOf(value), PIECE_FRACTION));
  const slack = 2 ** f.bucketExponent / 2;
  const reach = f.window + slack;
  const wide = windowsOf(f.curve).find((window) => window >= reach)!;
  const waves = lowering.waves(f.curve.name, wide, () => wavesOn(f.curve, wide));
  notePiecewise(lowering, f, waves);
  const [low, high] = imageOf(waves, reach);
  const centre = (low + high) / 2;
  const s = curveOf(lowering, x, waves, PIECE_FRACTION);
  const centred = lowering.bounded(addReal(lowering, s, waves.constant - centre), (high - low) / 2);
  const opened = lowering.atFraction(centred, fractionOf(x) + (f.slope === 0 ? 0 : 1));
  const inner = lowering.bounded(addReal(lowering, opened, centre + f.offset), f.window + 2);
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

/** The three pieces; borders are right to half a bucket, so both sides of one hold around it. */
function notePiecewise(lowering: Lowering, f: Piecewise, waves: WaveFit): void {
  const slack = 2 ** f.bucketExponent / 2;
  const [reach, border, far] = [f.window + slack, f.window - slack, 8 * f.window];
  const exact = (x: number) => f.slope * x + f.curve.compute(x) + f.offset;
  const line =
    ([slope, constant]: readonly [number, number]) =>
    (x: number) =>
      slope * x + constant;
  const text = ([slope, constant]: readonly [number, number]) => (slope === 1 ? "x" : String(constant));
  lowering.formulas.add(f.name, "", () => ({
    function: f.name,
    profile: "fourier",
    form: `${f.slope === 0 ? "" : "x/2 + "}${describeWaves(waves)}`,
    distance: "absolute",
    outside: `${text(f.below)} below, ${text(f.above)} above`,
    section: "Profile `fourier`",
    window: [-f.window, f.window],
    coefficients: [waves.constant, ...waves.frequencies, ...waves.cosines, ...waves.sines],
    pieces: [
      { from: -far, to: -border, value: line(f.below), exact },
      { from: -reach, to: reach, value: (x) => f.slope * x + waveAt(waves, x) + f.offset, exact },
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
