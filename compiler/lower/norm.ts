/**
 * LayerNorm and RMSNorm, profile `fourier`: the variance of x − μ in two passes (never E[x²] − E[x]²), one 1/√v per
 * row,
 * one product per element. Four rounds: v, then two for 1/√v, then the product.
 *
 * Instead of dividing by n the sum is relabelled by the next power of two 2^b; the factor κ = n/2^b stays in the value
 * and cancels: (κ(x−μ)) / √(κ³ var) = (x−μ)/√var · κ^(−1/2), which goes into the series' scale.
 */
import { ceilLog2, exp2, floorLog2, log2 } from "../../ir/real.js";
import { stridesOf } from "../../ir/shape.js";
import { FLOOR_BITS, type VarianceRange } from "../../passes/observed.js";
import type { NormTables } from "../../passes/tabulate.js";
import { inversePower } from "./buckets.js";
import { fractionOf, type Lowering, type ShareNode, shapeOf, type TensorNode } from "./context.js";
import { coarseBits } from "./digits.js";
import { guard } from "./guard.js";
import { addReal } from "./linear.js";
import { broadcastTo, reshapeTo } from "./movement.js";
import type { ScaledRows } from "./scaled.js";

/** Fractional bits of the value whose squares are summed, above what its smallest standard deviation needs. */
const SQUARE_BITS = 7;
/** In so long a row the roundings of the squares cancel; a shorter one needs half a bit more for every halving. */
const MANY = 512;
/** Fractional bits of 1/√v, above what its smallest value needs. */
const SCALE_BITS = 13;

/** (x − μ)/√(var + ε) over the last axis: x − μ and its scale. `range` bounds the row variance (plus ε). */
export function layerNormRows(lowering: Lowering, node: TensorNode, range: VarianceRange): ScaledRows {
  const x = lowering.masked(node.args[0]);
  const n = shapeOf(x).at(-1)!;
  const bits = ceilLog2(n);
  const axis = shapeOf(x).length - 1;
  const sum = reshapeTo(lowering, lowering.emit("sum", [x], { axis }), [...shapeOf(x).slice(0, -1), 1]);
  const factor = { dtype: "i64", shape: [], data: Float64Array.of(n) } as const;
  const multiple = lowering.emit("multiplyConstant", [x], { value: factor, fraction: 0 });
  const difference = lowering.emit("subtract", [multiple, broadcastTo(lowering, sum, shapeOf(x))]);
  const centred = lowering.emit("relabel", [difference], { fraction: fractionOf(x) + bits });
  lowering.bounded(centred, 2 * lowering.boundOf(node.args[0]));
  const kappa = n / 2 ** bits;
  return normalise(lowering, node, centred, range, kappa);
}

/** x/√(mean(x²) + ε) over the last axis: x and its scale. `range` bounds mean(x²) + ε. */
export function rmsNormRows(lowering: Lowering, node: TensorNode, range: VarianceRange): ScaledRows {
  const known = node.args[1];
  if (known !== undefined) {
    const [least, most] = [1 / Math.sqrt(range.high), lowering.boundOf(known)];
    const scale = lowering.remasked(lowering.value(known));
    return { rows: lowering.masked(node.args[0], rowsFraction(lowering, range)), scale, least, most, isKnown: true };
  }
  return normalise(lowering, node, lowering.masked(node.args[0]), range, 1);
}

/**
 * Gives the tables of an embedding's norm the bits that a row needs which is multiplied by its scale: the smallest
 * scale for what all rows are multiplied by, the largest for what is multiplied.
 */
export function refineTables(lowering: Lowering, { rows, scales }: NormTables, range: VarianceRange): void {
  lowering.refine(scales, SCALE_BITS + ceilLog2(Math.sqrt(range.high)));
  for (const table of rows) {
    lowering.refine(table, rowsFraction(lowering, range));
  }
}

/** Fractional bits of rows that are multiplied by a scale as large as 1/√low. */
function rowsFraction(lowering: Lowering, { low }: VarianceRange): number {
  return lowering.precision.activation + Math.max(0, ceilLog2(1 / Math.sqrt(low)));
}

/** y / √(mean(y²)·…) for y = κ·(x − μ) (κ = 1 for RMSNorm): see the file comment. */
function normalise(
  lowering: Lowering,
  node: TensorNode,
  y: ShareNode,
  range: VarianceRange,
  kappa: number,
): ScaledRows {
  const n = shapeOf(y).at(-1)!;
  const bits = ceilLog2(n);
  const meanFactor = n / 2 ** bits;
  const square = kappa * kappa * meanFactor;
  const epsilon = node.attributes.epsilon as number;
  const low = range.low * square;
  const high = range.high * square;
  const few = Math.max(0, Math.ceil(log2(MANY / n) / 2));
  const finest = range.zeros === undefined ? 0 : lowering.precision.activation - 1;
  const squareFraction = Math.max(4, Math.ceil(-log2(Math.sqrt(low))) + SQUARE_BITS + few, finest);
  const small = lowering.atFraction(y, Math.min(fractionOf(y), squareFraction));
  const dot = lowering.emit("dot", [small, small], { drop: 0 });
  const mean = lowering.emit("relabel", [dot], { fraction: fractionOf(dot) + bits });
  const variance = addReal(lowering, mean, epsilon * square);
  const opened = lowering.bounded(lowering.remasked(variance), high);
  const fraction = SCALE_BITS + ceilLog2(Math.sqrt(range.high));
  const scale = Math.sqrt(square) / kappa;
  const bound = lowering.boundOf(node.args[0]);
  const most = Math.min(4 * bound * bound * square + epsilon * square, exp2(VARIANCE_BITS - 2 * squareFraction - bits));
  const edges = { epsilon, most: Math.max(most, 2 * high) };
  const inverse = inverseRoots(lowering, opened, range, edges, square, Math.max(6, fraction), scale);
  const column = reshapeTo(lowering, inverse, [...shapeOf(inverse), 1]);
  return { rows: y, scale: column, least: scale / Math.sqrt(high), most: scale / Math.sqrt(low) };
}

/** Bits of a variance, at most, in which it is told from those that are too large; more leave its factors no ring. */
const VARIANCE_BITS = 58;
/** No smaller part of the largest variance is told apart from zero. */
const SMALLEST = 2 ** -24;
/** What a variance may take of the margin that its range has. */
const BLUR = 1 / 8;

/** What the squares of a row may be at all: ε at least, and what values that are in their range make at most. */
interface Edges {
  readonly epsilon: number;
  readonly most: number;
}

/** Guards rows whose variance was measured; rows of zeros, where such were seen, pass. */
function guardVariance(lowering: Lowering, v: ShareNode, range: Guarded, least: number, most: number): void {
  const { low, high, zeros } = range;
  const isCertain = zeros === undefined && low <= least * (1 + BLUR);
  const interval = {
    lowest: isCertain ? Number.NEGATIVE_INFINITY : low,
    low: isCertain ? 0 : (zeros?.floor ?? low * (1 + BLUR)),
    high: high * (1 - BLUR),
    highest: high,
    reach: [0, most],
  } as const;
  guard(lowering, v, interval, { bits: zeros?.moving });
}

interface Guarded {
  readonly low: number;
  readonly high: number;
  /** The least v of rows that are not of zeros, and which rows vary by more than rounding makes them. */
  readonly zeros?: { readonly floor: number; readonly moving: ShareNode };
}

/** Rounding lets rows of zeros vary by less than 2^this units squared. */
const ROUNDED_BITS = 6;
/** From this part of the floor on a row may count as one above it, and its 1/√v is right. */
const FITTED_FLOOR = 3 / 4;

function roundedZeros(fraction: number): number {
  return exp2(ROUNDED_BITS - 2 * fraction);
}

/**
 * The variance, a power of two, that rows have at least which are not of zeros: what varies by less than half of it is
 * rounding, which 1/√ε would make as large as any other row. As small as can be told from rounding, unless ε is
 * smaller still, so that 1/√v would have a wider range. Undefined where rounding hides rows that are not of zeros.
 */
function floorOf({ zeros, high }: VarianceRange, own: number, fraction: number): number | undefined {
  const least = Math.max(exp2(FLOOR_BITS - 2 * fraction), exp2(ceilLog2(high * SMALLEST) + 1));
  if (zeros === undefined || zeros.seen < least) {
    return undefined;
  }
  return own >= least ? least : Math.max(least, exp2(floorLog2(zeros.likely)));
}

/** Masked bits of v ≥ ε + above, right but for above/4 at the border. One round, or two. */
function above(lowering: Lowering, v: ShareNode, epsilon: number, above: number, high: number): ShareNode {
  return coarseBits(lowering, v, high, floorLog2(above) - 1, [[epsilon + above, Number.POSITIVE_INFINITY]])[0];
}

/** Rows that differ so much more together than apart are planned apart. */
const APART = 1.5;

/**
 * scale/√v for every row; the first row (position) by its own interval where samples show that it differs from all
 * others, as the first token of trained models does.
 */
function inverseRoots(
  lowering: Lowering,
  v: ShareNode,
  { classes, ...all }: VarianceRange,
  edges: Edges,
  square: number,
  fraction: number,
  scale: number,
): ShareNode {
  const root = (part: ShareNode, range: VarianceRange) => {
    const interval = { low: range.low * square, high: range.high * square };
    const epsilon = range.epsilon ?? edges.epsilon;
    const v = epsilon > edges.epsilon ? addReal(lowering, part, (epsilon - edges.epsilon) * square) : part;
    const floor = floorOf(range, epsilon, lowering.precision.activation);
    if (floor === undefined) {
      guardVariance(lowering, v, interval, epsilon * square, edges.most);
      return inversePower(lowering, v, { exponent: -0.5, range: interval, fraction, scale }, 1);
    }
    const bitsAbove = (border: number) => above(lowering, v, epsilon * square, border * square, interval.high);
    const fitted = (epsilon + FITTED_FLOOR * floor) * square;
    const moving = { low: Math.max(fitted, interval.high * SMALLEST), high: interval.high };
    const zeros = { floor: (epsilon + floor) * square, moving: bitsAbove(roundedZeros(lowering.precision.activation)) };
    guardVariance(lowering, v, { ...moving, zeros }, epsilon * square, edges.most);
    const inverse = inversePower(lowering, v, { exponent: -0.5, range: moving, fraction, scale }, 1);
    const factor = lowering.emit("timesBit", [bitsAbove(floor / 2), lowering.remasked(inverse)]);
    return lowering.bounded(lowering.remasked(factor), scale / Math.sqrt(moving.low));
  };
  const shape = shapeOf(v);
  const positions = shape.at(-1) ?? 1;
  const isApart =
    classes !== undefined && positions > 1 && (classes.rest.high / classes.rest.low) * APART < all.high / all.low;
  if (!isApart) {
    return root(v, all);
  }
  const rows = (from: number, count: number) =>
    lowering.emit("view", [v], { shape: [...shape.slice(0, -1), count], strides: stridesOf(shape), offset: from });
  const parts = [root(rows(0, 1), classes.first), root(rows(1, positions - 1), classes.rest)];
  const joined = lowering.emit("concatenate", parts, { axis: shape.length - 1 });
  return lowering.bounded(joined, scale / Math.sqrt(all.low * square));
}
