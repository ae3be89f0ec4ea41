/**
 * The next token of the largest logits, as the data owner draws it: a temperature, at most so many candidates, and
 * those that make up a part of the probability (nucleus sampling, Holtzman et al., ICLR 2020). The probabilities are
 * over the logits that the plan reveals: what it keeps secret counts as impossible.
 */
import { createHash, randomBytes } from "node:crypto";
import { fail } from "../ir/diagnostics.js";

export interface Sampling {
  /** 0 takes the most probable token; the default, unless another option narrows a choice: then 1. */
  readonly temperature?: number | undefined;
  /** At most so many candidates; as many as the plan reveals unless said otherwise. */
  readonly topK?: number | undefined;
  /** The fewest candidates that have this probability together, above 0 and at most 1. */
  readonly topP?: number | undefined;
  /** The same seed draws the same tokens of the same logits. */
  readonly seed?: number | undefined;
}

/** Draws a token's id, of logits from the largest down and their ids. */
export type Draw = (logits: ArrayLike<number>, ids: ArrayLike<number>) => number;

/** Whether the most probable token is taken, whatever the seed. */
export function isGreedy(sampling: Sampling, revealed: number): boolean {
  return temperatureOf(sampling) === 0 || revealed === 1 || sampling.topK === 1;
}

function temperatureOf({ temperature, topP = 1, topK }: Sampling): number {
  return temperature ?? (topP < 1 || topK !== undefined ? 1 : 0);
}

/** E0201 for options that mean nothing, or that a plan which reveals so many logits cannot follow. */
export function drawerOf(sampling: Sampling, revealed: number, where: string): Draw {
  const { topP = 1, topK = revealed, seed } = sampling;
  const temperature = temperatureOf(sampling);
  const problems = [
    ...(temperature >= 0 && Number.isFinite(temperature) ? [] : [`a temperature of ${temperature}`]),
    ...(topP > 0 && topP <= 1 ? [] : [`a top-p of ${topP}`]),
    ...(Number.isInteger(topK) && topK >= 1 ? [] : [`a top-k of ${topK}`]),
    ...(seed === undefined || Number.isSafeInteger(seed) ? [] : [`a seed of ${seed}`]),
  ];
  if (problems.length > 0) {
    const fix = "give a temperature of 0 or more, a top-p above 0 and at most 1, a top-k of 1 or more, a whole seed";
    throw fail({ code: "E0201", what: `nothing is sampled with ${problems.join(", ")}`, where, fix });
  }
  if (topK > revealed || (revealed === 1 && temperature > 0 && sampling.topK === undefined)) {
    const what = `the plan reveals ${revealed === 1 ? "the most probable token" : `${revealed} logits`}`;
    const fix = `compile it with --reveal topk:${Math.max(topK, 2)}, which shows the data owner more of the weights`;
    throw fail({ code: "E0201", what, where, why: "more of them are to be sampled from", fix });
  }
  const numbers = uniform(seed);
  return (logits, ids) => {
    const count = Math.min(topK, ids.length);
    if (temperature === 0 || count === 1) {
      return ids[0];
    }
    const weights = Array.from({ length: count }, (_, i) => Math.exp((logits[i] - logits[0]) / temperature));
    return ids[placeOf(nucleus(weights, topP), numbers())];
  };
}

/** The first weights that make up this part of all. */
function nucleus(weights: readonly number[], part: number): readonly number[] {
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  const last = weights.findIndex((weight) => {
    sum += weight;
    return sum >= part * all;
  });
  return last < 0 ? weights : weights.slice(0, last + 1);
}

/** Where a number between 0 and 1 falls among weights that lie end to end. */
function placeOf(weights: readonly number[], number: number): number {
  let left = number * weights.reduce((sum, weight) => sum + weight, 0);
  const place = weights.findIndex((weight) => {
    left -= weight;
    return left < 0;
  });
  return place < 0 ? weights.length - 1 : place;
}

/** Numbers in [0, 1), of a seed the same ones everywhere: 48 bits of SHA-256 over the seed and a count. */
function uniform(seed: number | undefined): () => number {
  const key = seed === undefined ? randomBytes(32).toString("hex") : String(seed);
  let count = 0;
  return () => createHash("sha256").update(`${key} ${count++}`).digest().readUIntBE(0, 6) / 2 ** 48;
}
