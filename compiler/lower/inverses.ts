/**
 * Powers x^exponent of a positive x by sums of exponentials (PROTOCOL.md, "decays"): completely monotone functions,
 * such as 1/√x and 1/x, are well fitted by few terms c·e^(−a·x) on an interval of any ratio, and a term is one step
 * without a round, in words of up to 128 bits, so that the result comes in as wide a ring as its product needs. One
 * round where buckets take two and a `widen`.
 */
import { ceilLog2, exp, floorLog2, ln, log2, pow } from "../../ir/real.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { fractionOf, type Lowering, type ShareNode, shapeOf } from "./context.js";
import type { Decays } from "./fourier.js";
import { lawson, leastSquares, levenberg } from "./least-squares.js";
import { addReal } from "./linear.js";

const POINTS = 200;
const RIDGE = 1e-14;
const STARTS = [0, 0.2];

/** Σ c·e^(−a·t) for t^exponent on [1, ratio], relative: variable projection over ln a, then Lawson's weights. */
function fitDecays(exponent: number, ratio: number, terms: number, fastest: number): Decays {
  const points = Array.from({ length: POINTS }, (_, i) => exp((ln(ratio) * i) / (POINTS - 1)));
  const weights = points.map((t) => pow(t, -exponent));
  const ones = points.map(() => 1);
  const basis = (rates: readonly number[]) => points.map((t, i) => rates.map((a) => exp(-a * t) * weights[i]));
  const rateOf = (log: number) => Math.min(fastest, exp(log));
  const residual = (logs: readonly number[]) => {
    const rows = basis(logs.map(rateOf));
    const c = leastSquares(rows, ones, RIDGE);
    return rows.map((row) => row.reduce((sum, each, k) => sum + each * c[k], -1));
  };
  const [first, last] = [ln(0.3 / ratio), ln(Math.min(fastest, 2 + 0.4 * terms))];
  let best: Decays = { rates: [], coefficients: [], error: Number.POSITIVE_INFINITY };
  for (const start of STARTS) {
    const logs = Array.from({ length: terms }, (_, i) => first + ((last - first) * i) / (terms - 1) - start);
    const rates = levenberg(residual, logs)
      .map(rateOf)
      .sort((a, b) => a - b);
    const { coefficients, error } = lawson(basis(rates), ones, RIDGE);
    best = error < best.error ? { rates, coefficients, error } : best;
  }
  return best;
}

/** Relative errors up to which another term is not worth its words. */
const TOLERANCE = 1.5e-4;
const LEAST_TERMS = 3;
const MOST_TERMS = 12;

/** The fewest terms for a tolerance; rates up to 2^(fastest/4). */
function decaysFor(lowering: Lowering, exponent: number, ratio: number, fastest: number): Decays {
  const octaves = Math.ceil(2 * log2(ratio)) / 2;
  const most = pow(2, fastest / 4);
  return lowering.decays(`t^${exponent} on 1:2^${octaves} up to ${fastest}`, () => {
    let best = fitDecays(exponent, pow(2, octaves), LEAST_TERMS, most);
    for (let terms = LEAST_TERMS + 1; terms <= MOST_TERMS && best.error > TOLERANCE; terms++) {
      const next = fitDecays(exponent, pow(2, octaves), terms, most);
      best = next.error < best.error ? next : best;
    }
    return best;
  });
}

/** Fractional bits of the argument, above what the low end needs. */
const ARGUMENT_BITS = 11;
/** Faster rates than 2^(this/4) serve nobody. */
const MOST_RATE = 12;
/** A fit that is held back by the digits' lengths may be this far off. */
const LARGEST_ERROR = 1e-3;
const SECRET_FRACTION = 14;
/** Octaves that a dealt factor may span: the rest of a word of 128 bits. */
const MOST_OCTAVES = 46;
/** Words of the digit of one term. */
const MOST_DIGIT_BITS = 8;
const RATE_UNIT = 2 ** 48;
const COEFFICIENT_UNIT = 2 ** 30;

interface DecayPlan {
  readonly bits: number;
  readonly argumentFraction: number;
  readonly buckets: readonly number[];
  /** Octaves that the widest dealt factor spans. */
  readonly span: number;
  readonly words: number;
  readonly fit: Decays;
}

/** How x^exponent on [low, high] is computed in one step, or undefined where its digits would be too long. */
function planDecays(
  lowering: Lowering,
  x: ShareNode,
  exponent: number,
  low: number,
  high: number,
): DecayPlan | undefined {
  const argumentFraction = Math.min(fractionOf(x), ARGUMENT_BITS - floorLog2(low));
  const width = (high - low) * 2 ** argumentFraction + 1;
  const octavesOf = (a: number) => (a / low) * Math.LOG2E * 2 ** -argumentFraction;
  const shortest = 2 ** Math.max(0, ceilLog2(width) - MOST_DIGIT_BITS);
  const fastest = Math.min(MOST_RATE, Math.floor(4 * log2(MOST_OCTAVES / (octavesOf(1) * shortest))));
  const fit = fastest < 0 ? undefined : decaysFor(lowering, exponent, high / low, fastest);
  if (fit === undefined || fit.error > LARGEST_ERROR) {
    return undefined;
  }
  for (let bits = ceilLog2(width + 1); bits <= ceilLog2(width) + 2; bits++) {
    const widest = floorLog2(2 ** bits - width);
    const shortestBucket = Math.max(0, bits - MOST_DIGIT_BITS);
    const bucketOf = (a: number) => Math.max(shortestBucket, Math.min(widest, floorLog2(MOST_OCTAVES / octavesOf(a))));
    const buckets = fit.rates.map(bucketOf);
    const span = Math.ceil(Math.max(...fit.rates.map((a, i) => octavesOf(a) * 2 ** buckets[i])));
    if (widest >= shortestBucket && span <= MOST_OCTAVES) {
      const words = buckets.reduce((sum, bucket) => sum + 2 ** (bits - bucket), 0);
      return { bits, argumentFraction, buckets, span, words, fit };
    }
  }
  return undefined;
}

/** Bits of a dealt word in a ring that a product behind it needs, and of all that buckets or one series deal. */
const BITS_OF_WORD = 112;
const BITS_OTHERWISE = 1500;

/**
 * scale·x^exponent at `fraction` bits for x in [low, high], masked, one round; undefined where `rounds` saved do not
 * pay for the words.
 */
export function powerByDecays(
  lowering: Lowering,
  x: ShareNode,
  exponent: number,
  { low, high }: { readonly low: number; readonly high: number },
  fraction: number,
  scale: number,
  rounds: number,
): ShareNode | undefined {
  const plan = planDecays(lowering, x, exponent, low, high);
  const bytes = ((plan?.words ?? 0) * BITS_OF_WORD - BITS_OTHERWISE) * (sizeOf(shapeOf(x)) / 8);
  if (plan === undefined || lowering.seconds(rounds, 0) < lowering.seconds(0, bytes)) {
    return undefined;
  }
  const { fit, span, bits, argumentFraction } = plan;
  const shift = Math.round(log2(scale * pow(low, exponent)));
  const mantissa = (scale * pow(low, exponent)) / 2 ** shift;
  const units = fraction + shift;
  const publicFraction = Math.max(1, units) + 3 + span;
  const u = addReal(lowering, lowering.atFraction(x, argumentFraction), -low);
  const sum = lowering.emit("decays", [u], {
    bits,
    rates: fit.rates.map((a) => Math.round((a / low) * Math.LOG2E * 2 ** -argumentFraction * RATE_UNIT)),
    coefficients: fit.coefficients.map((c, i) => Math.round(c * exp(-fit.rates[i]) * mantissa * COEFFICIENT_UNIT)),
    buckets: plan.buckets,
    publicFraction,
    secretFraction: SECRET_FRACTION,
    drop: publicFraction + SECRET_FRACTION - units,
    ring: 0,
  });
  noteDecays(lowering, exponent, low, high, fit);
  const value = lowering.emit("relabel", [sum], { fraction });
  return lowering.remasked(lowering.bounded(value, scale * Math.max(pow(low, exponent), pow(high, exponent))));
}

function noteDecays(lowering: Lowering, exponent: number, low: number, high: number, fit: Decays): void {
  const label = exponent === -0.5 ? "1/√x" : exponent === -1 ? "1/x" : `x^${exponent}`;
  const at = (t: number) => fit.rates.reduce((sum, a, i) => sum + fit.coefficients[i] * exp(-a * t), 0);
  lowering.formulas.add(`decays ${label}`, `${low} ${high}`, () => ({
    function: label,
    profile: "fourier",
    form: `${fit.rates.length} exponentials`,
    distance: "relative",
    outside: "noise: ranges keep arguments inside",
    section: "Profile `fourier`",
    coefficients: [low, ...fit.rates, ...fit.coefficients],
    pieces: [
      {
        from: low,
        to: high,
        value: (x) => pow(low, exponent) * at(x / low),
        exact: (x) => pow(x, exponent),
      },
    ],
  }));
}
