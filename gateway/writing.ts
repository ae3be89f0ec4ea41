/** `/v1/chat/completions` and `/v1/completions`: a language model goes on with a text, token by token. */
import { randomUUID } from "node:crypto";
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import { choicesOf, type Ending, generate, readsTokenByToken } from "../client/generate.js";
import { isGreedy } from "../client/sampling.js";
import type { Encoder } from "../formats/text.js";
import { ApiError, apiErrorOf } from "./errors.js";
import type { Gateway } from "./gateway.js";
import { callerOf } from "./guards.js";
import { checkSampling, type WritingRequest } from "./requests.js";
import type { Served } from "./served.js";

/** A piece of the text, and what everything up to it did cost. */
interface Piece {
  readonly text: string;
  readonly tokens: number;
  readonly rounds: number;
  readonly bytes: number;
}

/** The API's words for why no more is written. */
const REASONS: Readonly<Record<Ending, "stop" | "length">> = {
  length: "length",
  context: "length",
  stop: "stop",
  "end of text": "stop",
};

/** A prompt as its plan reads it. */
interface Prompt {
  readonly text: string;
  readonly encoder: Encoder;
  readonly tokens: number;
}

/** The text that a conversation is to the model; without a template of its own, what was said, one after the other. */
async function promptOf({ reading, template }: Served, prompt: WritingRequest["prompt"]): Promise<Prompt> {
  const encoder = reading.encoder!;
  if (typeof prompt !== "string" && template !== undefined) {
    const bare: Encoder = { ...encoder, encode: (texts) => encoder.encode(texts, "bare") };
    const text = template(prompt);
    return { text, encoder: bare, tokens: (await bare.encode([text]))[0].ids.length };
  }
  const text = typeof prompt === "string" ? prompt : prompt.map(({ content }) => content).join("\n");
  const [{ ids, closing }] = await encoder.encode([text]);
  return { text, encoder, tokens: ids.length - closing };
}

/** Writes one text, the `index`th of a request. */
async function* written(
  gateway: Gateway,
  { loaded, length }: Served,
  { text: prompt, encoder }: Prompt,
  { stops, mostTokens = length, sampling }: WritingRequest,
  { signal, index }: { readonly signal: AbortSignal; readonly index: number },
): AsyncGenerator<Piece, Ending> {
  const { seed } = sampling;
  const asked = generate({
    plan: loaded.plan,
    ...{ encoder, prompt, mostTokens, stops },
    sampling: { ...sampling, seed: seed === undefined ? undefined : seed + index },
    ask: (values) => gateway.ask(loaded, values, signal),
    converse: () => gateway.converse(loaded, signal),
  });
  let spent = { tokens: 0, rounds: 0, bytes: 0 };
  try {
    let step = await asked.next();
    for (; step.done !== true; step = await asked.next()) {
      const { measured, text } = step.value;
      const { tokens, rounds, bytes } = spent;
      spent = { tokens: tokens + 1, rounds: rounds + measured.rounds, bytes: bytes + measured.bytes.total };
      yield { text, ...spent };
    }
    return step.value;
  } finally {
    // Whatever the parties keep of this conversation ends with it.
    await asked.return("stop");
  }
}

/** How the two forms differ. */
interface Form {
  readonly prefix: string;
  readonly whole: string;
  readonly part: string;
  readonly choice: (text: string) => object;
  readonly delta: (text: string, isFirst: boolean) => object;
}

export const CHAT: Form = {
  prefix: "chatcmpl-",
  whole: "chat.completion",
  part: "chat.completion.chunk",
  choice: (content) => ({ message: { role: "assistant", content, refusal: null }, logprobs: null }),
  delta: (content, isFirst) => ({ delta: { ...(isFirst && { role: "assistant" }), content }, logprobs: null }),
};

export const COMPLETION: Form = {
  prefix: "cmpl-",
  whole: "text_completion",
  part: "text_completion",
  choice: (text) => ({ text, logprobs: null }),
  delta: (text) => ({ text, logprobs: null }),
};

function usageOf(prompt: number, completion: number): object {
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

/** Answers a request in one of the forms, in one piece or as events. */
export async function write(gateway: Gateway, c: Context, request: WritingRequest, form: Form): Promise<Response> {
  const plan = gateway.find(request.model, "text");
  const prompt = await promptOf(plan, request.prompt);
  if (prompt.tokens === 0 || prompt.tokens > plan.longest) {
    const message = `the prompt has ${prompt.tokens} tokens, the plan takes 1 to ${plan.longest}: compile a longer one`;
    throw new ApiError(400, message, { code: "context_length_exceeded" });
  }
  checkSampling(request.sampling, choicesOf(plan.loaded.plan));
  const leaving = new AbortController();
  const signal = AbortSignal.any([c.req.raw.signal, leaving.signal, gateway.signal]);
  const leave = await gateway.queue.enter(signal, callerOf(c, request.user));
  const head = { id: `${form.prefix}${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: plan.id };
  const text = (index: number) => written(gateway, plan, prompt, request, { signal, index });
  const answering: Answering = { plan, prompt, request, form, head, text, began: performance.now() };
  if (!request.stream) {
    return await inOnePiece(c, answering).finally(leave);
  }
  return streamSSE(c, async (stream) => {
    stream.onAbort(() => leaving.abort());
    const send = async (data: object): Promise<void> => stream.writeSSE({ data: JSON.stringify(data) });
    try {
      await inPieces(send, answering);
    } catch (error) {
      await send(apiErrorOf(error).document);
    } finally {
      leaving.abort();
      leave();
    }
    await stream.writeSSE({ data: "[DONE]" });
  });
}

interface Answering {
  readonly plan: Served;
  readonly prompt: Prompt;
  readonly request: WritingRequest;
  readonly form: Form;
  readonly head: object;
  /** A text that goes on with the prompt: of a request for several, which. */
  readonly text: (index: number) => AsyncGenerator<Piece, Ending>;
  readonly began: number;
}

/** What all texts so far did cost, beside what they should have. */
function costOf({ plan, prompt, began }: Answering, pieces: readonly Omit<Piece, "text">[]): object {
  const seconds = (performance.now() - began) / 1000;
  const sum = (each: (piece: Omit<Piece, "text">) => number): number =>
    pieces.reduce((total, piece) => total + each(piece), 0);
  // One token needs no program but the next one's.
  const { prompts, ...next } = plan.predicted;
  const first = (prompt.tokens > 1 && prompts.find((program) => program.length >= prompt.tokens)) || next;
  const read = readsTokenByToken(plan.loaded.plan) ? prompt.tokens - 1 : 0;
  const predicted = {
    rounds: sum(({ tokens }) => first.rounds + next.rounds * (tokens - 1 + read)),
    bytes: sum(({ tokens }) => first.bytes + next.bytes * (tokens - 1 + read)),
  };
  const [tokens, rounds, bytes] = [sum((each) => each.tokens), sum((each) => each.rounds), sum((each) => each.bytes)];
  return { pumac: { tokens, rounds, bytes, seconds, predicted } };
}

/** How many texts are written: of the most probable one, which is the same however often it is asked for, one. */
function textsOf({ plan, request }: Answering): number {
  return isGreedy(request.sampling, choicesOf(plan.loaded.plan)) ? 1 : request.n;
}

async function inOnePiece(c: Context, answering: Answering): Promise<Response> {
  const { text, form, head, request, prompt } = answering;
  const count = textsOf(answering);
  const texts: { readonly choice: object; readonly last: Piece }[] = [];
  for (let index = 0; index < count; index++) {
    const pieces = text(index);
    let last: Piece = { text: "", tokens: 0, rounds: 0, bytes: 0 };
    let step = await pieces.next();
    for (; step.done !== true; step = await pieces.next()) {
      last = { ...step.value, text: last.text + step.value.text };
    }
    texts.push({ choice: { ...form.choice(last.text), finish_reason: REASONS[step.value] }, last });
  }
  const choices = Array.from({ length: request.n }, (_, index) => ({ index, ...texts[index % count].choice }));
  const used = choices.reduce((sum, { index }) => sum + texts[index % count].last.tokens, 0);
  const cost = costOf(
    answering,
    texts.map(({ last }) => last),
  );
  return c.json({ ...head, object: form.whole, choices, usage: usageOf(prompt.tokens, used), ...cost });
}

async function inPieces(send: (data: object) => Promise<void>, answering: Answering): Promise<void> {
  const { text, form, head, request, prompt } = answering;
  const count = textsOf(answering);
  const all = async (choice: object, more: object, index: number): Promise<void> => {
    const shown = count === 1 ? Array.from({ length: request.n }, (_, i) => i) : [index];
    for (const each of shown) {
      await send({ ...head, object: form.part, choices: [{ index: each, ...choice }], ...more });
    }
  };
  const last: Piece[] = [];
  for (let index = 0; index < count; index++) {
    await all({ ...form.delta("", true), finish_reason: null }, {}, index);
    const pieces = text(index);
    last.push({ text: "", tokens: 0, rounds: 0, bytes: 0 });
    let step = await pieces.next();
    for (; step.done !== true; step = await pieces.next()) {
      last[index] = step.value;
      await all({ ...form.delta(step.value.text, false), finish_reason: null }, costOf(answering, last), index);
    }
    await all({ ...form.delta("", false), finish_reason: REASONS[step.value] }, {}, index);
  }
  if (request.usage) {
    const used = last.reduce((sum, { tokens }) => sum + tokens, 0) * (request.n / count);
    await send({ ...head, object: form.part, choices: [], usage: usageOf(prompt.tokens, used) });
  }
}
