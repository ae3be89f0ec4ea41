/** What several runs did cost together. */
import type { Measured } from "../runtime/measurement.js";

/** The sum of two; memory as of the last. */
export function sumOf(a: Measured, b: Measured): Measured {
  const { links: linksA, ...bytesA } = a.bytes;
  const { links: linksB, ...bytesB } = b.bytes;
  const bytes = { ...sums(bytesA, bytesB), links: sums(linksA, linksB) };
  return { ...b, rounds: a.rounds + b.rounds, bytes, seconds: sums(a.seconds, b.seconds) };
}

/** What nothing did cost, beside a run that did. */
export function nothingBeside(run: Measured): Measured {
  const { links, ...bytes } = run.bytes;
  return { ...run, rounds: 0, bytes: { ...zeros(bytes), links: zeros(links) }, seconds: zeros(run.seconds) };
}

function sums<K extends string>(x: Readonly<Record<K, number>>, y: Readonly<Record<K, number>>): Record<K, number> {
  return Object.fromEntries(Object.keys(x).map((key) => [key, x[key as K] + y[key as K]])) as Record<K, number>;
}

function zeros<K extends string>(x: Readonly<Record<K, number>>): Record<K, number> {
  return Object.fromEntries(Object.keys(x).map((key) => [key, 0])) as Record<K, number>;
}
