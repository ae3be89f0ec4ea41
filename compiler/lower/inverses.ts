/**
 * Powers x^exponent of a positive x by sums of exponentials (PROTOCOL.md, "decays"): completely monotone functions,
 * such as 1/√x and 1/x, are well fitted by few terms c·e^(−a·x) on an interval of any ratio, and a term is one step
 * without a round, in words of up to 128 bits, so that the result comes in as wide a ring as its product needs. One
 * round where buckets take two and a `widen`.
 */
import { ceilLog2, exp, floorLog2, ln, log2, pow } from "../../ir/real.js";
import { fractionOf, type Lowering, type ShareNode } from "./context.js";
import type { Decays } from "./fourier.js";
import { dot, lawson, levenberg, solveCholesky } from "./least-squares.js";
import { addReal } from "./linear.js";
import { powerLabel } from "./power.js";

const POINTS = 200;
const RIDGE = 1e-14;
const STARTS = [0, 0.2];
/** Faster rates than 2^(this/4) serve nobody. */
const FASTEST = 12;

/** A term of a fit at all points, its sum over them, and its products with other terms, each computed once. */
interface Column {
  readonly values: Float64Array;
  readonly sum: number;
  readonly products: Map<Column, number>;
}

function product(a: Column, b: Column): number {
  const known = a.products.get(b);
  if (known !== undefined) {
    return known;
  }
  const sum = dot(a.values, b.values);
  a.products.set(b, sum);
  b.products.set(a, sum);
  return sum;
}

/**
 * The residuals at `points` of the best coefficients for given rates. Of two calls on the way of a fit most rates are
 * the same: their terms, and the products of these, are kept.
 */
function residuals(points: readonly number[], weights: readonly number[]): (rates: readonly number[]) => Float64Array {
  const columns = new Map<number, Column>();
  const columnOf = (rate: number): Column => {
    const known = columns.get(rate);
    if (known !== undefined) {
      return known;
    }
    const values = new Float64Array(points.length);
    let sum = 0;
    for (let i = 0; i < values.length; i++) {
      values[i] = exp(-rate * points[i]) * weights[i];
      sum += values[i];
    }
    const column = { values, sum, products: new Map() };
    columns.set(rate, column);
    return column;
  };
  return (rates) => {
    const terms = rates.map(columnOf);
    const normal = terms.map((a, i) =>
      Float64Array.from(terms, (b, j) => (j > i ? 0 : product(a, b) + (j === i ? RIDGE : 0))),
    );
    const c = solveCholesky(
      normal,
      Float64Array.from(terms, ({ sum }) => sum),
    );
    const errors = new Float64Array(points.length).fill(-1);
    terms.forEach(({ values }, k) => {
      for (let i = 0; i < errors.length; i++) {
        errors[i] += values[i] * c[k];
      }
    });
    return errors;
  };
}

/** Σ c·e^(−a·t) for t^exponent on [1, ratio], relative: variable projection over ln a, then Lawson's weights. */
function fitDecays(exponent: number, ratio: number, terms: number, fastest: number): Decays {
  const points = Array.from({ length: POINTS }, (_, i) => exp((ln(ratio) * i) / (POINTS - 1)));
  const weights = points.map((t) => pow(t, -exponent));
  const ones = points.map(() => 1);
  const basis = (rates: readonly number[]) => points.map((t, i) => rates.map((a) => exp(-a * t) * weights[i]));
  const rateOf = (log: number) => Math.min(fastest, exp(log));
  const errorsOf = residuals(points, weights);
  const residual = (logs: readonly number[]) => errorsOf(logs.map(rateOf));
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
/** Fewer terms than one for so many octaves never do. */
const OCTAVES_OF_TERM = 1.7;

/** On a wider interval not even the shortest digit's bucket would hold the span of the fastest rates. */
const FREE_OCTAVES = 8;
/** Wider intervals take more words than anybody pays for. */
const MOST_RATIO_OCTAVES = 12;
const FITS = new Map<string, Decays>();

/**
 * The fewest terms for a tolerance on [1, 2^octaves], of rates up to 2^(fastest/4). Fits depend on nothing else, so
 * that each is made once.
 */
function decaysFor(exponent: number, octaves: number, fastest: number): Decays {
  const key = `${exponent} ${octaves} ${fastest}`;
  const known = FITS.get(key) ?? fewestTerms(exponent, octaves, pow(2, fastest / 4));
  FITS.set(key, known);
  return known;
}

function fewestTerms(exponent: number, octaves: number, fastest: number): Decays {
  const ratio = pow(2, octaves);
  const least = LEAST_TERMS + Math.floor((octaves - 1) / OCTAVES_OF_TERM);
  let best = fitDecays(exponent, ratio, least, fastest);
  for (let terms = least + 1; terms <= MOST_TERMS && best.error > TOLERANCE; terms++) {
    const next = fitDecays(exponent, ratio, terms, fastest);
    best = next.error < best.error ? next : best;
  }
  return best;
}

/** Fractional bits of the argument, above what the low end needs. */
const ARGUMENT_BITS = 11;
/** A fit that is held back by the digits' lengths may be this far off. */
const LARGEST_ERROR = 1e-3;
const SECRET_FRACTION = 14;
/** Fractional bits of the public factors beyond the result's. */
const PUBLIC_BITS = 3;
/** Octaves that a dealt factor may span: the rest of a word of 128 bits. */
const MOST_OCTAVES = 46;
/** Octaves of a bucket that are tried: few long words or more short ones. */
const SPANS = [8, 16, 24, 32, MOST_OCTAVES];
/** Bits of a result in the ring of a product behind it, as words are priced. */
const USUAL_RING = 58;
/** Words of the digit of one term. */
const MOST_DIGIT_BITS = 8;
const RATE_UNIT = 2 ** 48;
const COEFFICIENT_UNIT = 2 ** 30;

/** How a power on an interval is computed in one step. */
export interface DecayPlan {
  readonly bits: number;
  readonly argumentFraction: number;
  readonly buckets: readonly number[];
  /** Octaves that the widest dealt factor spans. */
  readonly span: number;
  /** Dealt words a value, and the bits of each beyond its result's. */
  readonly words: number;
  readonly dropped: number;
  readonly fit: Decays;
}

/** How x^exponent on [low, high] is computed in one step, or undefined where its digits would be too long. */
export function planDecays(x: ShareNode, exponent: number, low: number, high: number): DecayPlan | undefined {
  const argumentFraction = Math.min(fractionOf(x), ARGUMENT_BITS - floorLog2(low));
  const width = (high - low) * 2 ** argumentFraction + 1;
  const octavesOf = (a: number) => (a / low) * Math.LOG2E * 2 ** -argumentFraction;
  const octaves = Math.ceil(2 * log2(high / low)) / 2;
  const shortest = 2 ** Math.max(0, ceilLog2(width) - MOST_DIGIT_BITS);
  const held = Math.floor(4 * log2(MOST_OCTAVES / (octavesOf(1) * shortest)));
  const fastest = octaves > FREE_OCTAVES ? Math.min(FASTEST, held) : FASTEST;
  const fit = octaves > MOST_RATIO_OCTAVES || fastest < 0 ? undefined : decaysFor(exponent, octaves, fastest);
  if (fit === undefined || fit.error > LARGEST_ERROR || fit.rates.some((a, i) => isTooLarge(fit.coefficients[i], a))) {
    return undefined;
  }
  const cost = ({ words, dropped }: DecayPlan) => words * (USUAL_RING + dropped);
  const narrowest = ceilLog2(width + 1);
  const forms = [0, 1, 2].flatMap((more) =>
    SPANS.flatMap((most): DecayPlan[] => {
      const bits = narrowest + more;
      const widest = floorLog2(2 ** bits - width);
      const shortestBucket = Math.max(0, bits - MOST_DIGIT_BITS);
      const bucketOf = (a: number) => Math.max(shortestBucket, Math.min(widest, floorLog2(most / octavesOf(a))));
      const buckets = fit.rates.map(bucketOf);
      const span = Math.ceil(Math.max(...fit.rates.map((a, i) => octavesOf(a) * 2 ** buckets[i])));
      const words = buckets.reduce((sum, bucket) => sum + 2 ** (bits - bucket), 0);
      const dropped = PUBLIC_BITS + span + SECRET_FRACTION;
      return widest >= shortestBucket && span <= MOST_OCTAVES
        ? [{ bits, argumentFraction, buckets, span, words, dropped, fit }]
        : [];
    }),
  );
  return forms.reduce<DecayPlan | undefined>((a, b) => (a === undefined || cost(b) < cost(a) ? b : a), undefined);
}

/** Whether a coefficient would be longer than a step holds, times the largest mantissa of a scale. */
function isTooLarge(coefficient: number, rate: number): boolean {
  return Math.abs(coefficient * exp(-rate)) * Math.SQRT2 * COEFFICIENT_UNIT > 2 ** 32;
}

/** What a sum of exponentials computes: scale·x^exponent at `fraction` bits for x from `low` on. */
interface Scaled {
  readonly exponent: number;
  readonly low: number;
  readonly fraction: number;
  readonly scale: number;
}

/** The power by a plan for x; additive, no round, in any ring. */
export function decaysOn(
  lowering: Lowering,
  x: ShareNode,
  { fit, span, bits, argumentFraction, buckets }: DecayPlan,
  { exponent, low, fraction, scale }: Scaled,
): ShareNode {
  const shift = Math.round(log2(scale * pow(low, exponent)));
  const mantissa = (scale * pow(low, exponent)) / 2 ** shift;
  const units = fraction + shift;
  const publicFraction = Math.max(1, units) + PUBLIC_BITS + span;
  const u = addReal(lowering, lowering.atFraction(x, argumentFraction), -low);
  const sum = lowering.emit("decays", [u], {
    bits,
    rates: fit.rates.map((a) => Math.round((a / low) * Math.LOG2E * 2 ** -argumentFraction * RATE_UNIT)),
    coefficients: fit.coefficients.map((c, i) => Math.round(c * exp(-fit.rates[i]) * mantissa * COEFFICIENT_UNIT)),
    buckets,
    publicFraction,
    secretFraction: SECRET_FRACTION,
    drop: publicFraction + SECRET_FRACTION - units,
    ring: 0,
  });
  return lowering.emit("relabel", [sum], { fraction });
}

/** Says in the plan's report which sum computes a power on [low, high]. */
export function noteDecays(lowering: Lowering, exponent: number, low: number, high: number, fit: Decays): void {
  const label = powerLabel(exponent);
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
