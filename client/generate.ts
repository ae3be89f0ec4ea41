/**
 * Text from a language model, token by token: each token is one question to the parties, and the data owner alone
 * learns the answer. A plan that keeps its cache at the parties (`--context`) reads the prompt once, by the program of
 * the smallest length that holds it, and then takes one token at a time, in one session. Any other plan is of a fixed
 * length and is computed whole for each token. What a token costs is what `inspect` says, whatever is written already.
 */
import {
  type Encoder,
  NOISE,
  PADDED,
  TOP_IDS,
  TOP_LOGITS,
  textInputs,
  WRITTEN,
  windowInputs,
} from "../formats/text.js";
import { fail } from "../ir/diagnostics.js";
import { type Plan, programsOf } from "../ir/plan/types.js";
import type { TensorType, TensorValue } from "../ir/tensor/value.js";
import type { Measured } from "../runtime/measurement.js";
import { hasState } from "../runtime/weight-store.js";
import { checkingOf, type Draft, guessing, isContinued } from "./guesses.js";
import { dataInputs, type OwnerValues, runDataOwner, type SessionResult } from "./owners.js";
import type { Conversation } from "./remote/converse.js";
import { type Draw, drawerOf, noiseOf, type Sampling } from "./sampling.js";
import { Stops } from "./stops.js";
import { sumOf } from "./sums.js";

export interface GenerateOptions {
  readonly plan: Plan;
  readonly encoder: Encoder;
  /** Asks the parties once. */
  readonly ask: (values: OwnerValues) => Promise<SessionResult>;
  /** Begins a conversation with the parties, for a plan that keeps its cache there. */
  readonly converse?: () => Promise<Pick<Conversation, "run" | "close">>;
  readonly prompt: string;
  readonly mostTokens: number;
  /** Texts that end what is written; they are not written themselves. */
  readonly stops: readonly string[];
  /** How the data owner chooses of what the plan reveals; the most probable token unless said otherwise. */
  readonly sampling?: Sampling;
  /** Guesses what follows, for a plan that checks guesses: the same text, in fewer passes. */
  readonly draft?: Draft | undefined;
}

/** A token that was written, the text that it adds, and what it cost. */
export interface Written {
  readonly id: number;
  readonly text: string;
  readonly measured: Measured;
}

/** Why no more is written. */
export type Ending = "length" | "end of text" | "stop" | "context";

/** Writes until there is a reason not to, and returns it. E0202 where the prompt does not fit, E0201 for the plan. */
export async function* generate(options: GenerateOptions): AsyncGenerator<Written, Ending> {
  const { plan, encoder, prompt } = options;
  const context = contextOf(plan);
  const [{ ids: given, closing }] = await encoder.encode([prompt]);
  // What a tokenizer closes a text with would end the answer before it begins.
  const ids = [...given.slice(0, given.length - closing)];
  if (ids.length === 0 || ids.length > context) {
    const what = `the prompt has ${ids.length} tokens, the plan takes 1 to ${context}`;
    throw fail({ code: "E0202", what, where: "--prompt", fix: "compile for longer texts (--dim or --shape)" });
  }
  if (!hasState(plan)) {
    checkDraft(options);
    const inputs = dataInputs(plan);
    return yield* write(options, ids, context, () =>
      options.ask(runDataOwner(plan, valuesFor(encoder, ids, inputs), new Map())),
    );
  }
  const first = programFor(plan, ids.length);
  if (options.converse === undefined) {
    throw fail({ code: "E0201", what: "the plan writes in a conversation with its parties", where: plan.name });
  }
  checkDraft(options);
  const { run, close } = await options.converse();
  const noise = noiseOf(options.sampling ?? {});
  const step = (place: number, read: readonly number[]): Promise<SessionResult> => {
    const program = programsOf(plan)[place];
    const types = dataInputs(program);
    const drawn = types.get(NOISE);
    const inputs = new Map(windowInputs(encoder.paddingId, read, types));
    return run(place, runDataOwner(program, drawn ? inputs.set(NOISE, noise(drawn)) : inputs, new Map()));
  };
  const start = ids.length;
  const told = tellingOf(plan);
  if (told !== undefined) {
    const most = Math.min(options.mostTokens, context - start + 1);
    const runs = atOnce(step, { first: first!, told, prompt: ids, most });
    return yield* ended(close, () => write(options, [...ids], context, runs));
  }
  const next = async (): Promise<SessionResult> => {
    if (ids.length > start || first !== undefined) {
      return step(ids.length === start ? first! : 0, ids);
    }
    // What follows the beginnings of a prompt is of no use.
    let answer = await step(0, ids.slice(0, 1));
    for (let read = 2; read <= start; read++) {
      const { measured } = answer;
      answer = await step(0, ids.slice(0, read));
      answer = { ...answer, measured: sumOf(measured, answer.measured) };
    }
    return answer;
  };
  const guess = options.draft && guessing(plan, { step, draft: options.draft, context });
  const asked = (left: number) => (guess === undefined || ids.length === start ? next() : guess(ids, left));
  return yield* ended(close, () => write(options, ids, context, asked));
}

/** E0201 for a draft whose guesses the plan cannot check. */
function checkDraft({ plan, draft }: GenerateOptions): void {
  if (draft !== undefined && checkingOf(plan) === undefined) {
    const fix = "compile it with --context and --guesses K, or leave --draft out";
    throw fail({ code: "E0201", what: "the plan checks no guesses of a draft", where: plan.name, fix });
  }
}

/** Ends the conversation whatever ends the writing. */
async function* ended<T, R>(close: () => Promise<void>, writing: () => AsyncGenerator<T, R>): AsyncGenerator<T, R> {
  try {
    return yield* writing();
  } finally {
    await close();
  }
}

type Step = (place: number, read: readonly number[]) => Promise<SessionResult>;

/** Has all tokens written before the first is known, and gives them one by one, as if each had been revealed. */
function atOnce(
  step: Step,
  { first, told, prompt, most }: { first: number; told: number; prompt: readonly number[]; most: number },
): () => Promise<SessionResult> {
  let answers: SessionResult[] | undefined;
  const writeAll = async (): Promise<SessionResult[]> => {
    const runs = [await step(first, prompt)];
    for (let length = prompt.length + 1; runs.length < most; length++) {
      // Places say where the token stands; which it is, nobody knows.
      runs.push(await step(0, new Array<number>(length).fill(0)));
    }
    const { outputs, measured, alarm } = await step(told, []);
    const written = outputs.get(WRITTEN)!.data.slice(-most);
    return runs.map((run, i) => {
      const token = { dtype: "i64", shape: [1], data: Float64Array.of(Math.round(written[i])) } as const;
      const cost = i === most - 1 ? sumOf(run.measured, measured) : run.measured;
      return { alarm: run.alarm || alarm, outputs: new Map([["token", token]]), measured: cost };
    });
  };
  return async () => {
    answers ??= await writeAll();
    return answers.shift()!;
  };
}

/**
 * Asks for token after token, and shows the text of each as soon as it is whole, and certain not to be a stop's
 * beginning: a token that ends with one waits for the next.
 */
async function* write(
  { plan, encoder, mostTokens, stops, sampling = {} }: GenerateOptions,
  ids: number[],
  context: number,
  next: (left: number) => Promise<SessionResult>,
): AsyncGenerator<Written, Ending> {
  const start = ids.length;
  const before = await encoder.decode(ids);
  const draw = drawerOf(sampling, choicesOf(plan), plan.name);
  const held = new Stops(stops);
  let taken = 0;
  let waiting: Written[] = [];
  let ending: Ending = "length";
  for (let count = 0; count < mostTokens; count++) {
    if (ids.length > context) {
      ending = "context";
      break;
    }
    const { outputs, measured } = await next(mostTokens - count);
    const id = tokenIn(outputs, draw);
    if (encoder.endIds.includes(id)) {
      ending = "end of text";
      break;
    }
    ids.push(id);
    // Some characters are several tokens: what is not yet whole is shown with the next one.
    const all = (await shownOf(encoder, ids, start, before)).replace(/\uFFFD+$/, "");
    waiting.push({ id, text: held.push(all.slice(taken)), measured });
    taken = Math.max(taken, all.length);
    if (held.over) {
      ending = "stop";
      break;
    }
    if (!held.holds) {
      yield* waiting;
      waiting = [];
    }
  }
  const rest = held.end();
  yield* waiting.map((each, i) => (i === waiting.length - 1 ? { ...each, text: each.text + rest } : each));
  return ending;
}

function tokenIn(outputs: SessionResult["outputs"], draw: Draw): number {
  const token = outputs.get("token")?.data;
  return token === undefined ? draw(outputs.get(TOP_LOGITS)!.data, outputs.get(TOP_IDS)!.data) : draw([0], token);
}

/** Of how many tokens the next one may be: 1 of a plan that reveals the likeliest, all where its parties draw it. */
export function choicesOf(plan: Plan): number {
  return dataInputs(plan).has(NOISE) ? Number.POSITIVE_INFINITY : revealedBy(plan);
}

/** How many logits of the next token the plan reveals: 1 where it reveals a token alone. */
function revealedBy({ reveals }: Plan): number {
  return reveals.find(({ name }) => name === TOP_IDS)?.shape.at(-1) ?? 1;
}

/** The text behind the prompt: words bring their spaces, so both are decoded and the first is cut off. */
async function shownOf(encoder: Encoder, ids: readonly number[], start: number, before: string): Promise<string> {
  const all = await encoder.decode(ids);
  return all.startsWith(before) ? all.slice(before.length) : await encoder.decode(ids.slice(start));
}

function valuesFor(
  encoder: Encoder,
  ids: readonly number[],
  inputs: ReadonlyMap<string, TensorType>,
): ReadonlyMap<string, TensorValue> {
  return textInputs(encoder.paddingId, [{ ids, closing: 0 }], inputs);
}

/** Whether the plan keeps its cache and has no program for prompts: they are read as they are written. */
export function readsTokenByToken(plan: Plan): boolean {
  return hasState(plan) && promptsOf(plan).length === 0;
}

/** The programs that read prompts. */
export function promptsOf(plan: Plan): readonly Plan[] {
  return plan.parts.filter((part) => hasState(part) && !isContinued(part));
}

/** The place of the program that reveals what was written at once; undefined where every token is. */
function tellingOf(plan: Plan): number | undefined {
  const place = plan.parts.findIndex(({ reveals }) => reveals.some(({ name }) => name === WRITTEN));
  return place < 0 ? undefined : place + 1;
}

/**
 * The place of the program of the least length that reads a prompt; one token needs no program but the next one's.
 * Undefined where the plan has that one alone, because its model was exported for one token at a time.
 */
function programFor(plan: Plan, tokens: number): number | undefined {
  // The next one of a text that is written at once is what was written last, and no id.
  if (tokens === 1 && tellingOf(plan) === undefined) {
    return 0;
  }
  if (readsTokenByToken(plan)) {
    return undefined;
  }
  const lengths = promptsOf(plan).map(promptOf);
  const fitting = lengths.filter((length) => length >= tokens);
  if (fitting.length === 0) {
    const what = `the prompt has ${tokens} tokens, the plan's programs take 1, ${lengths.join(", ")}`;
    throw fail({ code: "E0202", what, where: "--prompt", fix: "compile with a longer one in --buckets" });
  }
  return 1 + lengths.indexOf(Math.min(...fitting));
}

/**
 * How many tokens a program for prompts reads: of an export of one length the data owner's program takes the last of
 * its ids, so that what it makes one-hot says it.
 */
export function promptOf(program: Plan): number {
  const rows = program.owners.data.nodes.flatMap(({ op, type }) => (op === "oneHot" ? [type.shape.at(-2) ?? 1] : []));
  return rows.length === 0 ? contextOf({ ...program, parts: [] }) : Math.max(...rows);
}

/** How many tokens the plan reads. E0201 where it is no plan of one next token. */
export function contextOf(plan: Plan): number {
  const inputs = programsOf(plan).flatMap((program) => [...dataInputs(program)]);
  const lengths = inputs
    .filter(([name]) => name !== PADDED && name !== NOISE)
    .map(([, { shape }]) => shape.at(-1) ?? 1);
  if (tellingOf(plan) !== undefined) {
    return Math.max(...lengths);
  }
  const token = plan.reveals.find(({ name }) => name === "token" || name === TOP_IDS);
  const most = revealedBy(plan);
  if (token === undefined || token.shape.reduce((product, size) => product * size, 1) !== most) {
    const what = "the plan does not reveal one next token";
    const fix = "compile it with --reveal token or --reveal topk:K, for one text";
    throw fail({ code: "E0201", what, where: plan.name, fix });
  }
  return Math.max(...lengths);
}
