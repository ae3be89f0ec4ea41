/**
 * `/v1/embeddings` and `/v1/classify`: texts, as many at a time as the plan takes, or a picture, and
 * what the model says of each.
 */
import { randomUUID } from "node:crypto";
import type { Context } from "hono";
import { answersOf } from "../client/answers.js";
import { inputValues } from "../client/inputs.js";
import { runDataOwner, type SessionResult } from "../client/owners.js";
import { pixelsOf } from "../formats/pixels.js";
import { textInputs } from "../formats/text.js";
import type { TensorValue } from "../ir/tensor/value.js";
import { ApiError } from "./errors.js";
import type { Gateway } from "./gateway.js";
import { callerOf } from "./guards.js";
import { type AnswersRequest, classifyRequest, embeddingRequest, type PictureInput } from "./requests.js";
import { classIn, embeddingIn, embeddingsOf, type Kind, type Served } from "./served.js";

/** A question that was answered: how many tokens each text has that it is of, and what came of it. */
interface Answered {
  readonly tokens: readonly number[];
  readonly inputs: ReadonlyMap<string, TensorValue>;
  readonly result: SessionResult;
}

type Question = Pick<Answered, "tokens"> & { readonly tensors: Readonly<Record<string, TensorValue>> };

/** The questions of all texts, the plan's rows at a time; those that are missing at the end are empty. */
async function questionsOf(plan: Served, { input }: AnswersRequest): Promise<readonly Question[]> {
  const { reading, inputs, rows, picture, id } = plan;
  if (!Array.isArray(input)) {
    if (picture === undefined) {
      throw new ApiError(400, `${id} takes texts, and no picture`, { param: "input" });
    }
    const bytes = Buffer.from((input as PictureInput).image, "base64");
    const tensors = { [picture.name]: pixelsOf(picture, bytes, picture.normalisation) };
    return [{ tokens: [0], tensors }];
  }
  if (picture !== undefined) {
    const { width, height } = picture;
    const message = `${id} takes a picture: { image } in base64, ${width} by ${height} pixels of red, green and blue`;
    throw new ApiError(400, message, { param: "input" });
  }
  const given = input as readonly string[];
  const encoder = reading.encoder!;
  const tokens = await encoder.encode(given);
  const padding = tokens.length % rows === 0 ? [] : await encoder.encode([""]);
  return Array.from({ length: Math.ceil(tokens.length / rows) }, (_, i) => {
    const texts = tokens.slice(i * rows, (i + 1) * rows);
    const whole = [...texts, ...Array.from({ length: rows - texts.length }, () => padding[0])];
    const tensors = Object.fromEntries(textInputs(encoder.paddingId, whole, inputs));
    return { tokens: texts.map(({ ids }) => ids.length), tensors };
  });
}

/** Asks one question after the other. */
async function* answered(
  gateway: Gateway,
  plan: Served,
  { caller, ...request }: AnswersRequest & { readonly caller: string },
  signal: AbortSignal,
): AsyncGenerator<Answered> {
  const { loaded, inputs } = plan;
  for (const { tokens, tensors } of await questionsOf(plan, request)) {
    const values = await inputValues({ tensors }, inputs);
    const owner = runDataOwner(loaded.plan, values, new Map());
    const leave = await gateway.queue.enter(signal, caller);
    const result = await gateway.ask(loaded, owner, signal).finally(leave);
    yield { tokens, inputs: values, result };
  }
}

/** Gives what `each` makes of every question, in the form of a list. */
async function list(
  gateway: Gateway,
  c: Context,
  request: AnswersRequest,
  kind: Kind,
  each: (plan: Served, answered: Answered) => Promise<readonly object[]> | readonly object[],
): Promise<Response> {
  const plan = gateway.find(request.model, kind);
  const began = performance.now();
  const signal = AbortSignal.any([c.req.raw.signal, gateway.signal]);
  const data: object[] = [];
  let [tokens, rounds, bytes, questions] = [0, 0, 0, 0];
  for await (const batch of answered(gateway, plan, { ...request, caller: callerOf(c, request.user) }, signal)) {
    data.push(...(await each(plan, batch)));
    tokens += batch.tokens.reduce((sum, count) => sum + count, 0);
    rounds += batch.result.measured.rounds;
    bytes += batch.result.measured.bytes.total;
    questions++;
  }
  const predicted = { rounds: plan.predicted.rounds * questions, bytes: plan.predicted.bytes * questions };
  const seconds = (performance.now() - began) / 1000;
  return c.json({
    object: "list",
    data: data.map((entry, index) => ({ index, ...entry })),
    model: plan.id,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
    pumac: { rounds, bytes, seconds, predicted },
  });
}

export async function embed(gateway: Gateway, c: Context, body: unknown): Promise<Response> {
  const request = embeddingRequest(body);
  return list(gateway, c, request, "embedding", (_, { tokens, result }) => {
    const found = embeddingsOf(embeddingIn(result.outputs)!, tokens);
    return found.map((numbers) => ({
      object: "embedding",
      embedding: request.base64 ? Buffer.from(Float32Array.from(numbers).buffer).toString("base64") : [...numbers],
    }));
  });
}

export async function classify(gateway: Gateway, c: Context, body: unknown): Promise<Response> {
  return list(gateway, c, classifyRequest(body), "class", async ({ reading }, { tokens, inputs, result }) => {
    const answers = await answersOf(result.outputs, inputs, reading);
    return answers.slice(0, tokens.length).map((answer) => ({ id: `classify-${randomUUID()}`, ...classIn(answer) }));
  });
}
