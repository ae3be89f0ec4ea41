/**
 * e^x, 2^x and erf for the loops that run a model in the clear, where ir/real.ts, whose values they take at nodes, is
 * six times slower. Only + − × ÷ in one order, so the same bits everywhere; within two units in the last place.
 *
 * e^x = 2^(k/64)·e^r with |r| ≤ ln 2/128, and erf near each multiple of 1/8 by its Taylor series: the coefficients of
 * g(c + d) = e^−(c + d)² follow from g′ = −2x·g, as (n + 1)·gₙ₊₁ = −2·(c·gₙ + gₙ₋₁).
 */
import * as real from "../real.js";

const PARTS = 64;
const PART = Float64Array.from({ length: PARTS }, (_, i) => real.exp2(i / PARTS));
/** 2^n from the least double on, at n + LEAST. */
const LEAST = 1074;
const POWER = Float64Array.from({ length: LEAST + 1024 }, (_, i) => 2 ** (i - LEAST));
const LN2 = Math.LN2;
/** ln 2/64 in two parts; products of the first with a k are exact. */
const STEP = Math.fround(LN2) / PARTS;
/** ln 2 − fround(ln 2): the double and what lies below it. */
const STEP_REST = (LN2 - Math.fround(LN2) + 2.3190468138462996e-17) / PARTS;

/** 2^(k/64)·e^r. */
function scaled(k: number, r: number): number {
  const part = PART[k & (PARTS - 1)];
  const more = r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r / 120))));
  return (part + part * more) * POWER[(k >> 6) + LEAST];
}

/** e^x. */
export function exp(x: number): number {
  if (!(x > -708 && x < 709)) {
    return real.exp(x);
  }
  const k = Math.round(x * (PARTS / LN2));
  return scaled(k, x - k * STEP - k * STEP_REST);
}

/** 2^x. */
export function exp2(x: number): number {
  if (!(x > -1022 && x < 1023)) {
    return real.exp2(x);
  }
  const k = Math.round(x * PARTS);
  return scaled(k, (x - k / PARTS) * LN2);
}

/** 1/(1 + e^−x). */
export function sigmoid(x: number): number {
  const power = exp(-Math.abs(x));
  return (x >= 0 ? 1 : power) / (1 + power);
}

const NODES_PER_UNIT = 8;
const TERMS = 12;
/** From here on erf rounds to 1. */
const ONE_FROM = 6;
const SERIES = seriesOfErf();

function seriesOfErf(): Float64Array {
  const series = new Float64Array((ONE_FROM * NODES_PER_UNIT + 1) * TERMS);
  for (let node = 0; node * TERMS < series.length; node++) {
    const c = node / NODES_PER_UNIT;
    let [before, g] = [0, (2 / Math.sqrt(Math.PI)) * real.exp(-c * c)];
    series[node * TERMS] = real.erf(c);
    for (let n = 0; n + 1 < TERMS; n++) {
      series[node * TERMS + n + 1] = g / (n + 1);
      [before, g] = [g, (-2 * (c * g + before)) / (n + 1)];
    }
  }
  return series;
}

/** erf x. */
export function erf(x: number): number {
  const magnitude = Math.abs(x);
  if (!(magnitude < ONE_FROM)) {
    return real.erf(x);
  }
  const node = Math.round(magnitude * NODES_PER_UNIT);
  const d = magnitude - node / NODES_PER_UNIT;
  const c = SERIES;
  const at = node * TERMS;
  const dd = d * d;
  const low = c[at] + c[at + 1] * d + (c[at + 2] + c[at + 3] * d) * dd;
  const middle = c[at + 4] + c[at + 5] * d + (c[at + 6] + c[at + 7] * d) * dd;
  const high = c[at + 8] + c[at + 9] * d + (c[at + 10] + c[at + 11] * d) * dd;
  const sum = low + (middle + high * (dd * dd)) * (dd * dd);
  return x < 0 ? -sum : sum;
}
