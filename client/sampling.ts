/**
 * The next token as the data owner has it drawn: by itself of the largest logits, with a temperature, at most so many
 * candidates, and those that make up a part of the probability (nucleus sampling, Holtzman et al., ICLR 2020). The
 * probabilities are over the logits that the plan reveals: what it keeps secret counts as impossible. Or by the parties
 * in secret, among all tokens, with noise that the data owner draws.
 */
import { createHash, randomBytes } from "node:crypto";
import { NOISE_RANGE } from "../formats/text.js";
import { fail } from "../ir/diagnostics.js";
import { sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";

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

/** Parties that draw a token do so at most at this temperature: noise beyond it would leave its range. */
export const HOTTEST = 2;

/** The noise of all scores of a token, drawn anew each time. */
export type Noise = (type: TensorType) => TensorValue;

/** Gumbel's noise, at the temperature that is asked for: none at 0. */
export function noiseOf({ seed, ...sampling }: Sampling): Noise {
  const temperature = temperatureOf(sampling);
  const numbers = uniform(seed);
  const [low, high] = NOISE_RANGE;
  const one = (): number => {
    // Of a number in [0, 1) with 48 bits: never 0 or 1.
    const gumbel = -Math.log(-Math.log(numbers() + 2 ** -49));
    return Math.min(high, Math.max(low, temperature * gumbel));
  };
  return ({ dtype, shape }) => {
    const data = new Float64Array(sizeOf(shape));
    return { dtype, shape, data: temperature === 0 ? data : data.map(one) };
  };
}

/**
 * E0201 for options that mean nothing, or that a plan cannot follow which reveals so many logits; infinity where it
 * reveals none, and its parties draw among all.
 */
export function drawerOf(sampling: Sampling, revealed: number, where: string): Draw {
  const { topP = 1, topK = revealed, seed } = sampling;
  const isSecret = revealed === Number.POSITIVE_INFINITY;
  const temperature = temperatureOf(sampling);
  const problems = [
    ...(temperature >= 0 && Number.isFinite(temperature) ? [] : [`a temperature of ${temperature}`]),
    ...(topP > 0 && topP <= 1 ? [] : [`a top-p of ${topP}`]),
    ...((Number.isInteger(topK) && topK >= 1) || sampling.topK === undefined ? [] : [`a top-k of ${topK}`]),
    ...(seed === undefined || Number.isSafeInteger(seed) ? [] : [`a seed of ${seed}`]),
  ];
  if (problems.length > 0) {
    const fix = "give a temperature of 0 or more, a top-p above 0 and at most 1, a top-k of 1 or more, a whole seed";
    throw fail({ code: "E0201", what: `nothing is sampled with ${problems.join(", ")}`, where, fix });
  }
  if (isSecret && temperature > 0 && (temperature > HOTTEST || topP < 1 || sampling.topK !== undefined)) {
    const what = `the plan's parties draw among all tokens, at a temperature of up to ${HOTTEST}`;
    const fix = "leave --top-k and --top-p out, or compile it with --reveal topk:K";
    throw fail({ code: "E0201", what, where, fix });
  }
  if (topK > revealed || (revealed === 1 && temperature > 0 && sampling.topK === undefined)) {
    const what = `the plan reveals ${revealed === 1 ? "the most probable token" : `${revealed} logits`}`;
    const fix = `compile it with --reveal topk:${Math.max(topK, 2)}, which shows the data owner more of the weights`;
    throw fail({ code: "E0201", what, where, why: "more of them are to be sampled from", fix });
  }
  const numbers = uniform(seed);
  return (logits, ids) => {
    if (isSecret) {
      return ids[0];
    }
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
