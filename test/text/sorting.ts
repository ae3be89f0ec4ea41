/** The trained sorter (read from PUMAC_DATA, it may not be copied): six letters, then the same in order. */
import { join } from "node:path";
import { dataFolder } from "../jax/data.js";

const LETTERS = 6;
const KINDS = 3;

const folder = dataFolder("gpt-nano-sort");

export const SORTER = folder && join(folder, "gpt-nano-sort.legacy.op14.onnx");

/** How many different inputs there are. */
export const INPUTS = KINDS ** LETTERS;

export const OPTIONS = { context: 2 * LETTERS - 1, buckets: [LETTERS] };

/** The letters of an input, by its number, and their order. */
export function sortedOf(input: number): { letters: readonly number[]; right: readonly number[] } {
  const letters = Array.from({ length: LETTERS }, (_, i) => Math.floor(input / KINDS ** i) % KINDS);
  return { letters, right: [...letters].sort((a, b) => a - b) };
}
