/** `/v1/embeddings` and `/v1/classify`: texts, as many at a time as the plan takes, and what the model says of each. */
import { randomUUID } from "node:crypto";
import type { Context } from "hono";
import { answersOf } from "../client/answers.js";
import { inputValues } from "../client/inputs.js";
import { runDataOwner, type SessionResult } from "../client/owners.js";
import { type Tokens, textInputs } from "../formats/text.js";
import type { TensorValue } from "../ir/tensor/value.js";
import type { Gateway } from "./gateway.js";
import { classifyRequest, embeddingRequest, type TextsRequest } from "./requests.js";
import { classIn, embeddingIn, embeddingsOf, type Kind, type Served } from "./served.js";

/** A question that was answered: some of the texts, and what came of it. */
interface Answered {
  readonly texts: readonly Tokens[];
  readonly inputs: ReadonlyMap<string, TensorValue>;
  readonly result: SessionResult;
}

/** Asks about all texts, the plan's rows at a time; those that are missing at the end are empty. */
async function* answered(
  gateway: Gateway,
  { reading, loaded, inputs, rows }: Served,
  given: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Answered> {
  const encoder = reading.encoder!;
  const tokens = await encoder.encode(given);
  const padding = tokens.length % rows === 0 ? [] : await encoder.encode([""]);
  const batches = Array.from({ length: Math.ceil(tokens.length / rows) }, (_, i) => {
    const texts = tokens.slice(i * rows, (i + 1) * rows);
    const whole = [...texts, ...Array.from({ length: rows - texts.length }, () => padding[0])];
    return { texts, tensors: textInputs(encoder.paddingId, whole, inputs) };
  });
  for (const { texts, tensors } of batches) {
    const values = await inputValues({ tensors: Object.fromEntries(tensors) }, inputs);
    const owner = runDataOwner(loaded.plan, values, new Map());
    const leave = await gateway.queue.enter(signal);
    const result = await gateway.ask(loaded, owner, signal).finally(leave);
    yield { texts, inputs: values, result };
  }
}

/** Gives what `each` makes of every question, in the form of a list. */
async function list(
  gateway: Gateway,
  c: Context,
  { model, texts }: TextsRequest,
  kind: Kind,
  each: (plan: Served, answered: Answered) => Promise<readonly object[]> | readonly object[],
): Promise<Response> {
  const plan = gateway.find(model, kind);
  const began = performance.now();
  const signal = AbortSignal.any([c.req.raw.signal, gateway.signal]);
  const data: object[] = [];
  let [tokens, rounds, bytes, questions] = [0, 0, 0, 0];
  for await (const batch of answered(gateway, plan, texts, signal)) {
    data.push(...(await each(plan, batch)));
    tokens += batch.texts.reduce((sum, { ids }) => sum + ids.length, 0);
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
  return list(gateway, c, request, "embedding", (_, { texts, result }) => {
    const found = embeddingsOf(
      embeddingIn(result.outputs)!,
      texts.map(({ ids }) => ids.length),
    );
    return found.map((numbers) => ({
      object: "embedding",
      embedding: request.base64 ? Buffer.from(Float32Array.from(numbers).buffer).toString("base64") : [...numbers],
    }));
  });
}

export async function classify(gateway: Gateway, c: Context, body: unknown): Promise<Response> {
  return list(gateway, c, classifyRequest(body), "class", async ({ reading }, { texts, inputs, result }) => {
    const answers = await answersOf(result.outputs, inputs, reading);
    return answers.slice(0, texts.length).map((answer) => ({ id: `classify-${randomUUID()}`, ...classIn(answer) }));
  });
}
