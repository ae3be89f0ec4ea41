/**
 * Trained decoders (read from PUMAC_DATA, they may not be copied): the sorter of six letters on all 729 inputs, many in
 * a session, and the story teller on its own story, token by token.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { plainModel, type Values } from "../../analysis/data/evaluation.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { formulasAlone } from "./puma.js";
import { type Item, largestDifference, likeliest, type Profile, prepare, type Task } from "./task.js";

const LETTERS = 6;
const ALPHABET = 3;
/** Inputs in a session. */
const SEQUENCES = 27;

/** Next tokens are what counts; the logits of decoders reach further than a classifier's. */
const LOGITS = 0.1;

/** Inputs of one batch: ids, and a mask where the export has one that keeps everything. */
function inputsOf(shapes: Readonly<Record<string, readonly number[]>>, ids: readonly number[]): Values {
  const value = (name: string, shape: readonly number[]): TensorValue => ({
    dtype: "i64",
    shape,
    data: /mask/.test(name) ? new Float64Array(ids.length).fill(1) : Float64Array.from(ids),
  });
  return new Map(Object.entries(shapes).map(([name, shape]) => [name, value(name, shape)]));
}

/** The scores of each position, in order. */
function positionsOf(outputs: Values): readonly Float64Array[] {
  const { shape, data } = outputs.get("logits")!;
  const vocabulary = shape.at(-1)!;
  return Array.from({ length: data.length / vocabulary }, (_, i) =>
    Float64Array.from(data.subarray(i * vocabulary, (i + 1) * vocabulary)),
  );
}

/**
 * The model reads the letters and then what it has sorted so far. It is fed the sorted letters: it would write them by
 * itself exactly if every one of them is its likeliest next letter.
 */
export async function sortTask(profile: Profile, data: string, sequences = SEQUENCES): Promise<Task> {
  const length = 2 * LETTERS - 1;
  const shapes = { input_ids: [sequences, length], attention_mask: [sequences, length] };
  const prepared = await prepare(join(data, "gpt-nano-sort", "gpt-nano-sort.legacy.op14.onnx"), profile, shapes);
  const plain = plainModel(prepared.model, prepared.plan);
  const formulas = profile === "puma" ? formulasAlone(prepared) : undefined;
  const total = ALPHABET ** LETTERS;
  const run = async (from: number): Promise<readonly Item[]> => {
    const places = Array.from({ length: sequences }, (_, i) => Math.min(from + i, total - 1));
    const inputs = inputsOf(
      shapes,
      places.flatMap((place) => [...lettersOf(place), ...sortedOf(place).slice(0, -1)]),
    );
    const [mine, theirs] = [(await prepared.roles(inputs, from + 1)).outputs, plain(inputs)].map(positionsOf);
    const alone = formulas === undefined ? undefined : positionsOf(formulas(inputs));
    return places.slice(0, total - from).map((place, i): Item => {
      // What follows the last letter and each sorted one.
      const rows = Array.from({ length: LETTERS }, (_, k) => i * length + LETTERS - 1 + k);
      const wordOf = (positions: readonly Float64Array[]) => rows.map((row) => likeliest(positions[row])).join();
      const [plainly, wanted] = [wordOf(theirs), sortedOf(place).join()];
      const compare = (positions: readonly Float64Array[]) => ({
        agreed: wordOf(positions) === plainly,
        right: { privately: wordOf(positions) === wanted, plainly: plainly === wanted },
        error: Math.max(...rows.map((row) => largestDifference(positions[row], theirs[row]))),
      });
      return { place, ...compare(mine), ...(alone && { formulas: compare(alone) }) };
    });
  };
  const { digest, rounds, bytes } = prepared;
  const about = { model: "GPT-2 (3 layers), sorting", unit: "sequences", against: "doubles" } as const;
  const bounds = { agreement: 1, error: LOGITS, accuracy: 0.01 };
  return { set: "sort", profile, ...about, digest, rounds, bytes, total, batch: sequences, bounds, run };
}

/** The letters of an input: its digits to base 3. */
function lettersOf(place: number): readonly number[] {
  return Array.from({ length: LETTERS }, (_, i) => Math.floor(place / ALPHABET ** i) % ALPHABET);
}

function sortedOf(place: number): readonly number[] {
  return [...lettersOf(place)].sort((a, b) => a - b);
}

/** `tokens`: how much of the story; an item is a position of it, and all are of one session. */
export async function storiesTask(profile: Profile, data: string, tokens?: number): Promise<Task> {
  const folder = join(data, "llama-stories260k");
  const { greedy_ids } = JSON.parse(readFileSync(join(folder, "reference.json"), "utf8")) as { greedy_ids: number[] };
  const story = greedy_ids.slice(0, tokens === undefined ? undefined : tokens + 1);
  const count = story.length - 1;
  const shapes = { input_ids: [1, count], attention_mask: [1, count] };
  const prepared = await prepare(join(folder, "stories260K.legacy.op14.onnx"), profile, shapes);
  const plain = plainModel(prepared.model, prepared.plan);
  const formulas = profile === "puma" ? formulasAlone(prepared) : undefined;
  const run = async (): Promise<readonly Item[]> => {
    const inputs = inputsOf(shapes, story.slice(0, count));
    const [mine, theirs] = [(await prepared.roles(inputs, 1)).outputs, plain(inputs)].map(positionsOf);
    const alone = formulas === undefined ? undefined : positionsOf(formulas(inputs));
    return mine.map((scores, place): Item => {
      const [plainly, wanted] = [likeliest(theirs[place]), story[place + 1]];
      const compare = (logits: Float64Array) => ({
        agreed: likeliest(logits) === plainly,
        right: { privately: likeliest(logits) === wanted, plainly: plainly === wanted },
        error: largestDifference(logits, theirs[place]),
      });
      const loss = { privately: lossOf(scores, wanted), plainly: lossOf(theirs[place], wanted) };
      return { place, ...compare(scores), loss, ...(alone && { formulas: compare(alone[place]) }) };
    });
  };
  const { digest, rounds, bytes } = prepared;
  const about = { model: "LLaMA (5 layers), stories", unit: "positions", against: "doubles" } as const;
  const bounds = { agreement: 0.99, error: LOGITS, accuracy: 0.01, perplexity: 0.02 };
  return { set: "stories", profile, ...about, digest, rounds, bytes, total: count, batch: count, bounds, run };
}

/** −ln of the probability of a token. */
function lossOf(scores: Float64Array, token: number): number {
  const most = scores.reduce((a, b) => Math.max(a, b));
  const sum = scores.reduce((total, score) => total + Math.exp(score - most), 0);
  return most + Math.log(sum) - scores[token];
}
