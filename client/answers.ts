/**
 * A model's outputs as the answers that they are: the name of a class, a span of the text, a label for every token, the
 * word in a gap, an embedding. What an output is follows from its name and shape, as exports have them, from the labels
 * in the config.json beside a model, and from the tokenizer.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { folderOf } from "../formats/checkpoint.js";
import { readBytes } from "../formats/files.js";
import { type Encoder, TOP_IDS } from "../formats/text.js";
import { fail } from "../ir/diagnostics.js";
import type { TensorValue } from "../ir/tensor/value.js";

/** What a model's classes are called, and whether several may hold at once. */
export interface Labels {
  readonly names: readonly string[];
  readonly several: boolean;
}

/** What helps to read outputs; all of it may be missing. */
export interface Reading {
  readonly labels?: Labels | undefined;
  readonly encoder?: Encoder | undefined;
}

/** A label or a token, and how probable it is. */
export interface Scored {
  readonly name: string;
  readonly score: number;
}

/** What one row of a batch comes to. `best`: most probable first. */
export type Answer =
  | { readonly kind: "class"; readonly best: readonly Scored[] }
  | { readonly kind: "classes"; readonly best: readonly Scored[] }
  /** The most probable class alone: the plan reveals no score. */
  | { readonly kind: "label"; readonly name: string }
  | { readonly kind: "number"; readonly value: number }
  | {
      readonly kind: "span";
      readonly from: number;
      readonly to: number;
      readonly text?: string;
      readonly score: number;
    }
  | { readonly kind: "tokens"; readonly tokens: readonly (Scored & { readonly token: string })[] }
  | { readonly kind: "gaps"; readonly gaps: readonly { readonly at: number; readonly best: readonly Scored[] }[] }
  | { readonly kind: "next"; readonly best: readonly Scored[] }
  | { readonly kind: "embedding"; readonly values: readonly number[] };

type Tensors = ReadonlyMap<string, TensorValue>;

/** Labels from a file: a config.json with id2label, a JSON list or object, or a name on each line. E0301. */
export function readLabels(path: string): Labels {
  const text = Buffer.from(readBytes(path)).toString("utf8");
  const labels = path.endsWith(".json") ? labelsIn(text) : { names: text.trimEnd().split(/\r?\n/), several: false };
  if (labels === undefined) {
    const fix = 'give a config.json with id2label, a list ["negative", "positive"], or a text file with a name a line';
    throw fail({ code: "E0301", what: "the file has no labels", where: path, fix });
  }
  return { ...labels, names: labels.names.map(printable) };
}

/** The labels in the config.json beside a model, where there are some. */
export function labelsBeside(model: string): Labels | undefined {
  const path = join(folderOf(model), "config.json");
  const labels = existsSync(path) ? labelsIn(readFileSync(path, "utf8")) : undefined;
  return labels && { ...labels, names: labels.names.map(printable) };
}

function labelsIn(text: string): Labels | undefined {
  try {
    const json = JSON.parse(text) as Readonly<Record<string, unknown>> | readonly string[];
    if (Array.isArray(json)) {
      return { names: json.map(String), several: false };
    }
    const { id2label, problem_type: problem } = json as Readonly<Record<string, unknown>>;
    const byId = (id2label ?? json) as Readonly<Record<string, unknown>>;
    const ids = Object.keys(byId);
    const isList = ids.length > 0 && ids.every((_, i) => typeof byId[i] === "string");
    return isList
      ? { names: ids.map((_, i) => byId[i] as string), several: problem === "multi_label_classification" }
      : undefined;
  } catch {
    return undefined;
  }
}

/** A file's words on a terminal: without control characters. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, "");
}

/** An answer for each row of the batch; none where nothing says what the outputs are. */
export async function answersOf(outputs: Tensors, inputs: Tensors, reading: Reading): Promise<readonly Answer[]> {
  const named = (pattern: RegExp): TensorValue | undefined =>
    [...outputs].find(([name, { shape }]) => pattern.test(name) && shape.length === 2)?.[1];
  const [start, end] = [named(/^start|start_logits/i), named(/^end|end_logits/i)];
  if (start !== undefined && end !== undefined) {
    return Promise.all(rowsOf(start).map((row, i) => spanOf(row, rowsOf(end)[i], idsOf(inputs)?.[i], reading)));
  }
  const scores = [...outputs].find(([name]) => /logit|score|prob/i.test(name)) ?? [...outputs][0];
  const label = outputs.get("label");
  if (label !== undefined && (scores === undefined || scores[0] === "label")) {
    const names = reading.labels?.names ?? [];
    return [...label.data].map((i) => ({ kind: "label", name: names[i] ?? `class ${i}` }));
  }
  if (scores === undefined || scores[0] === "token" || outputs.has(TOP_IDS)) {
    return [];
  }
  const [name, value] = scores;
  const rows = value.shape.length === 1 ? [value] : rowsAsTensors(value);
  const answers = rows.map((row, i) =>
    row.shape.length === 1
      ? wholeOf(name, [...row.data], reading)
      : row.shape.length === 2 && /logit|score|prob/i.test(name)
        ? byToken(row, idsOf(inputs)?.[i], maskOf(inputs)?.[i], reading)
        : undefined,
  );
  return (await Promise.all(answers)).filter((answer) => answer !== undefined);
}

/** A row of numbers that is about the whole text or picture. */
function wholeOf(name: string, row: readonly number[], { labels }: Reading): Answer {
  const isLabelled = labels?.names.length === row.length;
  if (row.length === 1 && !isLabelled) {
    return { kind: "number", value: row[0] };
  }
  if (
    /embed|pool|vector|hidden/i.test(name) ||
    !(isLabelled || row.length <= FEW || /logit|score|prob|class/i.test(name))
  ) {
    return { kind: "embedding", values: row };
  }
  const several = isLabelled && labels.several;
  const scores = several ? row.map((x) => 1 / (1 + Math.exp(-x))) : probabilities(row);
  return { kind: several ? "classes" : "class", best: best(scores, (i) => nameOf(i, row.length, labels)) };
}

/** Without a name that says so, longer rows are no scores of classes. */
const FEW = 32;
/** Of candidates, the most that an answer keeps. */
const KEPT = 5;

function nameOf(i: number, count: number, labels: Labels | undefined): string {
  return labels?.names.length === count ? labels.names[i] : `class ${i}`;
}

/** Scores for every token: words of a vocabulary, or labels. */
async function byToken(
  value: TensorValue,
  ids: readonly number[] | undefined,
  mask: readonly number[] | undefined,
  { labels, encoder }: Reading,
): Promise<Answer | undefined> {
  const rows = rowsOf(value);
  const count = value.shape[1];
  const isReal = (i: number): boolean => (mask === undefined ? ids?.[i] !== encoder?.paddingId : mask[i] === 1);
  const places = rows.map((_, i) => i).filter((i) => ids === undefined || isReal(i));
  const word = async (id: number): Promise<string> => (encoder === undefined ? `token ${id}` : encoder.decode([id]));
  if (labels?.names.length === count || count <= FEW) {
    const tokens = places.map(async (i) => {
      const [first] = best(probabilities(rows[i]), (label) => nameOf(label, count, labels));
      return { ...first, token: ids === undefined ? `token ${i}` : await word(ids[i]) };
    });
    return { kind: "tokens", tokens: await Promise.all(tokens) };
  }
  const words = async (i: number): Promise<readonly Scored[]> => {
    const found = best(probabilities(rows[i]), String);
    return Promise.all(found.map(async ({ name, score }) => ({ name: await word(Number(name)), score })));
  };
  const gaps = places.filter((i) => encoder?.maskId !== undefined && ids?.[i] === encoder.maskId);
  if (gaps.length > 0) {
    return { kind: "gaps", gaps: await Promise.all(gaps.map(async (at) => ({ at, best: await words(at) }))) };
  }
  const last = places.at(-1);
  return last === undefined ? undefined : { kind: "next", best: await words(last) };
}

/** The most probable span, of at most this many tokens. */
const LONGEST_SPAN = 30;

async function spanOf(
  starts: readonly number[],
  ends: readonly number[],
  ids: readonly number[] | undefined,
  { encoder }: Reading,
): Promise<Answer> {
  const [from, to] = [probabilities(starts), probabilities(ends)];
  let found = { from: 0, to: 0, score: 0 };
  for (const [i, p] of from.entries()) {
    for (let j = i; j < Math.min(to.length, i + LONGEST_SPAN); j++) {
      found = p * to[j] > found.score ? { from: i, to: j, score: p * to[j] } : found;
    }
  }
  const isKnown = encoder !== undefined && ids !== undefined;
  const text = isKnown ? { text: await encoder.decode(ids.slice(found.from, found.to + 1)) } : {};
  return { kind: "span", ...found, ...text };
}

/** Softmax, or the row itself where it is one already. */
function probabilities(row: readonly number[]): readonly number[] {
  const sum = row.reduce((all, x) => all + x, 0);
  if (row.every((x) => x >= -0.01 && x <= 1.01) && Math.abs(sum - 1) < 0.02) {
    return row;
  }
  const most = row.reduce((a, b) => Math.max(a, b));
  const powers = row.map((x) => Math.exp(x - most));
  const all = powers.reduce((a, b) => a + b);
  return powers.map((x) => x / all);
}

function best(scores: readonly number[], name: (i: number) => string): readonly Scored[] {
  const places = [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, KEPT);
  return places.map((i) => ({ name: name(i), score: scores[i] }));
}

function rowsOf({ shape, data }: TensorValue): readonly (readonly number[])[] {
  const length = shape[shape.length - 1];
  return Array.from({ length: data.length / length }, (_, i) => [...data.subarray(i * length, (i + 1) * length)]);
}

function rowsAsTensors({ shape: [, ...shape], data, dtype }: TensorValue): readonly TensorValue[] {
  const length = shape.reduce((a, b) => a * b, 1);
  return Array.from({ length: data.length / length }, (_, i) => ({
    dtype,
    shape,
    data: data.subarray(i * length, (i + 1) * length),
  }));
}

function inputRows(inputs: Tensors, pattern: RegExp): readonly (readonly number[])[] | undefined {
  const found = [...inputs].find(([name, { shape }]) => pattern.test(name) && shape.length <= 2 && shape.length > 0);
  return found && rowsOf(found[1]);
}

function idsOf(inputs: Tensors): readonly (readonly number[])[] | undefined {
  return inputRows(inputs, /^(input_?)?ids$|^tokens$|^input$/i);
}

function maskOf(inputs: Tensors): readonly (readonly number[])[] | undefined {
  return inputRows(inputs, /mask/i);
}

/** One line for people. */
export function describeAnswer(answer: Answer): string {
  const scored = ({ name, score }: Scored): string => `${name} ${score.toFixed(4)}`;
  const word = ({ name, score }: Scored): string => `${JSON.stringify(name)} ${score.toFixed(4)}`;
  switch (answer.kind) {
    case "class":
      return scored(answer.best[0]);
    case "classes": {
      const held = answer.best.filter(({ score }) => score >= 0.5);
      return held.length === 0 ? `none (${scored(answer.best[0])})` : held.map(scored).join(", ");
    }
    case "label":
      return answer.name;
    case "number":
      return answer.value.toFixed(4);
    case "span": {
      const place = `tokens ${answer.from} to ${answer.to}`;
      const found = answer.text === undefined ? place : `${JSON.stringify(answer.text)}, ${place},`;
      return `${found} ${answer.score.toFixed(4)}`;
    }
    case "tokens":
      return answer.tokens.map(({ token, name, score }) => `${token}\t${name} ${score.toFixed(4)}`).join("\n");
    case "gaps":
      return answer.gaps.map(({ at, best: words }) => `gap at ${at}: ${words.map(word).join(", ")}`).join("\n");
    case "next":
      return `next: ${answer.best.map(word).join(", ")}`;
    case "embedding": {
      const { values } = answer;
      const size = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
      const first = values.slice(0, KEPT).map((x) => x.toFixed(4));
      return `embedding of ${values.length} numbers, length ${size.toFixed(4)}: ${first.join(" ")} …`;
    }
  }
}
