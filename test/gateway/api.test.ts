/** OpenAI's own client against a gateway, unchanged; what is refused, and how. */
import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { APIError } from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCertificate } from "../../client/identities.js";
import { fail } from "../../ir/diagnostics.js";
import { alphabet, type Started, startWith, timesEncoded } from "./support.js";

interface Listed {
  readonly data: readonly { readonly index: number; readonly label: string; readonly score: number; scores: object }[];
  readonly usage: object;
  readonly pumac: object;
}

let gateway: Started;
let answer: Parameters<typeof startWith>[0] = alphabet;
beforeAll(async () => {
  gateway = await startWith((asked, signal) => answer(asked, signal));
});
afterAll(() => gateway.close());

/** What a promise rejects with, as the client sees it. */
async function refusal(work: Promise<unknown>) {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(APIError);
  const { status, code, param, message } = error as APIError;
  return { status, code, param, message };
}

const say = (content: string, more: object = {}) =>
  gateway.client.chat.completions.create({ model: "writer", messages: [{ role: "user", content }], ...more });

describe("writing", () => {
  it("answers a chat in one piece, with what it used", async () => {
    const { choices, usage, object, model } = await say("ab", { max_completion_tokens: 3 });
    expect(choices).toMatchObject([
      { index: 0, message: { role: "assistant", content: "cde" }, finish_reason: "length" },
    ]);
    expect([usage, object, model]).toEqual([
      { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
      "chat.completion",
      "writer",
    ]);
  });

  it("streams a chat, token by token, with the cost of each beside the predicted", async () => {
    const stream = await gateway.client.chat.completions.create({
      ...{ model: "writer", stream: true, stream_options: { include_usage: true }, max_tokens: 3 },
      messages: [
        { role: "developer", content: "x" },
        { role: "user", content: [{ type: "text", text: "ab" }] },
      ],
    });
    const parts = [];
    for await (const part of stream) {
      parts.push(part);
    }
    expect(parts[0].choices[0].delta).toEqual({ role: "assistant", content: "" });
    expect(parts.slice(1, 4).map(({ choices }) => choices[0].delta.content)).toEqual(["c", "d", "e"]);
    expect(parts[4].choices[0].finish_reason).toBe("length");
    expect(parts[5]).toMatchObject({ choices: [], usage: { prompt_tokens: 4, completion_tokens: 3 } });
    expect(parts[2]).toMatchObject({ pumac: { tokens: 2, rounds: 20, bytes: 2000, predicted: { rounds: 20 } } });
    expect(new Set(parts.map(({ id }) => id)).size).toBe(1);
  });

  it("goes on with a text, in one piece and as a stream, as often as is asked", async () => {
    const create = gateway.client.completions.create.bind(gateway.client.completions);
    const { choices, usage } = await create({ model: "writer", prompt: "ab", n: 2, max_tokens: 2, temperature: 0 });
    expect(choices.map(({ index, text, finish_reason }) => [index, text, finish_reason])).toEqual([
      [0, "cd", "length"],
      [1, "cd", "length"],
    ]);
    expect(usage).toEqual({ prompt_tokens: 2, completion_tokens: 4, total_tokens: 6 });
    const texts = ["", ""];
    for await (const part of await create({ model: "writer", prompt: ["ab"], n: 2, max_tokens: 2, stream: true })) {
      texts[part.choices[0].index] += part.choices[0].text;
    }
    expect(texts).toEqual(["cd", "cd"]);
    expect((await create({ model: "writer", prompt: "ab" })).choices[0].text).toHaveLength(16);
  });

  it("draws tokens where a plan reveals logits: the likeliest without a temperature, else as a seed says", async () => {
    const draw = (more: object) => say("ab", { model: "sampler", max_tokens: 8, ...more });
    const textOf = async (more: object) => (await draw(more)).choices.map(({ message }) => message.content);
    expect(await textOf({ seed: 1 })).toEqual(["cdefghij"]);
    expect(await textOf({ temperature: 0, n: 2 })).toEqual(["cdefghij", "cdefghij"]);
    const [first, second] = await textOf({ temperature: 1, seed: 1, n: 2 });
    expect(first).not.toBe(second);
    expect(await textOf({ temperature: 1, seed: 1 })).toEqual([first]);
    expect(await textOf({ top_p: 0, seed: 1 })).toEqual(["cdefghij"]);
    expect((await draw({ temperature: 1, n: 2 })).usage).toMatchObject({ completion_tokens: 16 });
    const texts = ["", ""];
    const stream = await gateway.client.chat.completions.create({
      ...{ model: "sampler", stream: true, n: 2, temperature: 1, seed: 1, max_tokens: 8 },
      messages: [{ role: "user", content: "ab" }],
    });
    for await (const { choices } of stream) {
      texts[choices[0].index] += choices[0].delta.content ?? "";
    }
    expect(texts).toEqual([first, second]);
  });

  it("ends with the model's own end, the plan's length, and before a stop, of which nothing is shown", async () => {
    answer = (asked) => [asked.length === 4 ? 1 : 100];
    expect((await say("ab")).choices[0]).toMatchObject({ message: { content: "dd" }, finish_reason: "stop" });
    answer = alphabet;
    const long = "a".repeat(39);
    expect((await say(long)).choices[0]).toMatchObject({ message: { content: "bc" }, finish_reason: "length" });
    const stream = await say("a", { stop: ["ef", "dx"], stream: true, max_tokens: 9 });
    const pieces: string[] = [];
    for await (const part of stream as never as AsyncIterable<{
      readonly choices: readonly { readonly delta: { readonly content?: string }; readonly finish_reason?: string }[];
    }>) {
      pieces.push(part.choices[0].delta.content ?? "", ...[part.choices[0].finish_reason ?? ""]);
    }
    expect(pieces.filter((piece) => piece !== "")).toEqual(["b", "c", "d", "stop"]);
    // What only looked like a stop is shown in the end.
    expect((await say("a", { stop: "dex", max_tokens: 4 })).choices[0].message.content).toBe("bcde");
  });

  it.each([
    [{ temperature: 0.7 }, "temperature", /nothing can be sampled/],
    [{ top_p: 0.5 }, "top_p", /nothing can be sampled.*topk/],
    [{ logprobs: true }, "logprobs", /would reveal/],
    [{ top_logprobs: 2 }, "top_logprobs", /would reveal/],
    [{ frequency_penalty: 1 }, "frequency_penalty", /scores/],
    [{ logit_bias: { 5: 1 } }, "logit_bias", /scores/],
    [{ tools: [{ type: "function", function: { name: "f" } }] }, "tools", /not offered/],
    [{ response_format: { type: "json_object" } }, "response_format", /format/],
    [{ n: 99 }, "n", /expected/],
    [{ max_tokens: 0 }, "max_tokens", /expected/],
    [{ stop: ["a", "b", "c", "d", "e"] }, "stop", /expected/],
    [{ messages: [] }, "messages", /expected/],
    [{ messages: [{ role: "tool", content: "SECRET" }] }, "messages.0.role", /expected/],
  ])("refuses in words what the plan cannot do: %j", async (more, param, message) => {
    const refused = await refusal(say("SECRET", more as object));
    expect(refused).toMatchObject({ status: 400, param });
    expect(refused.message).toMatch(message);
    expect(refused.message).not.toContain("SECRET");
  });

  it("takes what says no more than what is done anyway, and refuses what it does not know", async () => {
    const same = {
      temperature: 0,
      top_p: 0.5,
      n: 1,
      logprobs: false,
      seed: 7,
      user: "me",
      presence_penalty: 0,
      tools: [],
    };
    const { choices } = await say("ab", { ...same, response_format: { type: "text" }, max_tokens: 1, stop: null });
    expect(choices[0].message.content).toBe("c");
    expect(await refusal(say("ab", { colour: 1 }))).toMatchObject({ status: 400, code: "unknown_parameter" });
  });

  it("refuses a prompt that the plan has no room for before anything is asked", async () => {
    const refused = await refusal(say("a".repeat(41)));
    expect(refused).toMatchObject({ status: 400, code: "context_length_exceeded" });
    expect(refused.message).toContain("41 tokens, the plan takes 1 to 40");
    expect(await refusal(say(""))).toMatchObject({ status: 400 });
  });
});

describe("answering", () => {
  it("classifies one text and several, with the model's labels", async () => {
    answer = (asked) => [0, asked[0] === 103 ? 2 : -2];
    const response = await gateway.post("/v1/classify", { model: "judge", input: ["good", "no"] });
    const { data, usage, pumac } = (await response.json()) as Listed;
    expect(data.map(({ label, index }) => [index, label])).toEqual([
      [0, "good"],
      [1, "bad"],
    ]);
    expect(data[0].score).toBeCloseTo(1 / (1 + Math.exp(-2)));
    expect(Object.keys(data[0].scores)).toEqual(["good", "bad"]);
    expect(usage).toEqual({ prompt_tokens: 6, total_tokens: 6 });
    expect(pumac).toMatchObject({ rounds: 20, bytes: 2000, predicted: { rounds: 20, bytes: 2000 } });
  });

  it("embeds, as numbers and in base64, which the client asks for by itself", async () => {
    answer = (asked) => [asked.length, 0.5, -1];
    const create = gateway.client.embeddings.create.bind(gateway.client.embeddings);
    const { data } = await create({ model: "place", input: ["a", "bcd"] });
    expect(data.map(({ embedding }) => embedding)).toEqual([
      [1, 0.5, -1],
      [3, 0.5, -1],
    ]);
    const numbers = await create({ model: "place", input: "ab", encoding_format: "float" });
    expect(numbers.data[0]).toMatchObject({ index: 0, object: "embedding", embedding: [2, 0.5, -1] });
    expect(await refusal(create({ model: "place", input: "a", dimensions: 2 }))).toMatchObject({ param: "dimensions" });
  });

  it("takes a picture where a model looks, scaled as the model was trained, and says which it wants", async () => {
    const seen: (readonly number[])[] = [];
    answer = (asked) => {
      seen.push(asked);
      return [0, 1, 5];
    };
    const rgb = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255];
    const image = Buffer.from(rgb).toString("base64");
    const looked = await gateway.post("/v1/classify", { model: "eye", input: { image } });
    expect(looked.status === 200 ? "" : await looked.text()).toBe("");
    const { data } = (await looked.json()) as Listed;
    expect(data.map(({ label }) => label)).toEqual(["class 2"]);
    expect(seen).toEqual([[1, -1, -1, 1, -1, 1, -1, 1, -1, -1, 1, 1]]);
    const short = await gateway.post("/v1/classify", { model: "eye", input: { image: "AAAA" } });
    expect([short.status, await short.text()]).toEqual([400, expect.stringContaining("2 by 2 pixels")]);
    const text = await gateway.post("/v1/classify", { model: "eye", input: "a cat" });
    expect([text.status, await text.text()]).toEqual([400, expect.stringMatching(/takes a picture.*2 by 2/)]);
    const picture = await gateway.post("/v1/classify", { model: "judge", input: { image } });
    expect([picture.status, await picture.text()]).toEqual([400, expect.stringContaining("no picture")]);
  });

  it("lists its models, and says which endpoint a model is for", async () => {
    const models = [];
    for await (const model of gateway.client.models.list()) {
      models.push(model.id);
    }
    expect(models).toEqual(["writer", "judge", "place", "eye", "sampler"]);
    expect(await gateway.client.models.retrieve("judge")).toMatchObject({ id: "judge", pumac: { kind: "class" } });
    const judge = gateway.client.completions.create({ model: "judge", prompt: "a" });
    expect((await refusal(judge)).message).toContain("/v1/classify");
    expect(await refusal(gateway.client.embeddings.create({ model: "none", input: "a" }))).toMatchObject({
      status: 404,
      code: "model_not_found",
    });
  });
});

describe("trouble", () => {
  it("with the parties is told with its code, in a stream too, and a mistake of ours without a word", async () => {
    answer = () => {
      throw fail({ code: "E0601", what: "P1 is gone", where: "P1" });
    };
    expect(await refusal(say("ab"))).toMatchObject({ status: 502, code: "E0601", message: "502 P1 is gone" });
    const stream = await gateway.client.completions.create({ model: "writer", prompt: "ab", stream: true });
    await expect(
      (async () => {
        for await (const _ of stream) {
        }
      })(),
    ).rejects.toMatchObject({ code: "E0601" });
    answer = () => {
      throw new Error("SECRET");
    };
    const { status, message } = await refusal(say("ab"));
    expect([status, message]).toEqual([500, expect.not.stringContaining("SECRET")]);
    expect(gateway.bugs).toHaveLength(1);
    answer = alphabet;
    expect((await say("ab", { max_tokens: 1 })).choices[0].message.content).toBe("c");
  });

  it("with the queue: one runs, one waits, the next is told when to come again; who hangs up leaves", async () => {
    const signals: AbortSignal[] = [];
    answer = (_, signal) => {
      signals.push(signal);
      return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    };
    const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
    const ask = ({ signal }: AbortController, stream: boolean) =>
      gateway.client.completions.create({ model: "writer", prompt: "a", stream }, { signal }).then(async (given) => {
        for await (const _ of given as AsyncIterable<unknown>) {
        }
      });
    const before = timesEncoded();
    ask(first, true).catch(() => undefined);
    await expect.poll(() => signals.length, { timeout: 10_000 }).toBe(1);
    ask(second, false).catch(() => undefined);
    await expect.poll(() => timesEncoded() - before, { timeout: 10_000 }).toBe(3);
    const full = await gateway.post("/v1/completions", { model: "writer", prompt: "a" });
    expect(full.status).toBe(429);
    expect(Number(full.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(((await full.json()) as { readonly error: { readonly type: string } }).error.type).toBe("rate_limit_error");
    // The stream's reader hangs up: what runs ends, and the one that waits has its turn.
    first.abort();
    await expect.poll(() => signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    second.abort();
    await expect.poll(() => signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    answer = alphabet;
    expect((await say("ab", { max_tokens: 1 })).choices[0].message.content).toBe("c");
    await expect(ask(third, false).finally(() => third.abort())).rejects.toThrow();
  });

  it.each([
    ["no JSON", "{", 400],
    ["a list", "[]", 400],
    ["a body that is too long", JSON.stringify({ model: "writer", prompt: "a".repeat(2 ** 20) }), 413],
  ])("%s is refused", async (_, body, status) => {
    const response = await gateway.post("/v1/completions", body);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { type: "invalid_request_error" } });
  });
});

describe("the door", () => {
  const as = (headers: Readonly<Record<string, string>>, path = "/v1/models"): Promise<number> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(gateway.url);
      plainRequest({ hostname, port, path, headers }, (response) => {
        response.resume();
        resolve(response.statusCode!);
      })
        .on("error", reject)
        .end();
    });

  it("is closed to names that were made to point here, and to other sites' pages", async () => {
    expect(await as({ host: "evil.example" })).toBe(403);
    expect(await as({ host: "127.0.0.1.evil.example" })).toBe(403);
    expect(await as({ host: "localhost:8000" })).toBe(200);
    expect(await as({ origin: "https://evil.example" })).toBe(403);
    expect(await as({ origin: "null" })).toBe(403);
    expect(await as({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" })).toBe(403);
    expect(await as({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }, "/")).toBe(200);
    const form = await gateway.post("/v1/completions", "{}", { "content-type": "text/plain" });
    expect(form.status).toBe(415);
    const preflight = await fetch(`${gateway.url}/v1/completions`, { method: "OPTIONS" });
    expect([...preflight.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    expect(await as({}, "/nothing")).toBe(404);
    expect(await as({}, "/healthz")).toBe(200);
  });

  it("wants its token from everybody but who looks whether it is there", async () => {
    const guarded = await startWith(alphabet, { token: "open sesame" });
    const ask = async (authorization?: string, path = "/v1/models") =>
      (await fetch(guarded.url + path, { headers: authorization === undefined ? {} : { authorization } })).status;
    expect(await Promise.all([ask(), ask("Bearer no"), ask("open sesame"), ask("Bearer open sesame")])).toEqual([
      401, 401, 401, 200,
    ]);
    expect([await ask(undefined, "/healthz"), await ask(undefined, "/"), await ask(undefined, "/live")]).toEqual([
      200, 200, 401,
    ]);
    await guarded.close();
  });

  it("answers over TLS beyond this machine, to who has the token", async () => {
    const { key, certificate: cert } = await createCertificate("gateway", 1);
    const open = await startWith(alphabet, { host: "0.0.0.0", token: "sesame", tls: { key, cert } });
    const ask = (authorization: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const headers = { authorization, host: "gateway.example" };
        tlsRequest(`${open.url}/v1/models`, { ca: cert, checkServerIdentity: () => undefined, headers }, (response) => {
          response.resume();
          resolve(response.statusCode!);
        })
          .on("error", reject)
          .end();
      });
    expect(open.url).toMatch(/^https:/);
    expect(await Promise.all([ask("Bearer sesame"), ask("Bearer no")])).toEqual([200, 401]);
    await open.close();
  });

  it("is on this machine only, unless it has a token and TLS; plans have different names", async () => {
    await expect(startWith(alphabet, { host: "0.0.0.0", token: "t" })).rejects.toThrow(/E0201.*token and TLS/s);
    await expect(startWith(alphabet, { port: Number(new URL(gateway.url).port) })).rejects.toThrow(/E1001/);
  });
});
