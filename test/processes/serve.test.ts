/** A gateway over three party processes and two real models: OpenAI's client, unchanged, and what the parties see. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dataFolder } from "../jax/data.js";
import { MODEL, pumac, type Running, startPumac, TOKENIZER, temporaryFolder } from "./command.js";

const STORIES = dataFolder("llama-stories260k");

const JSON_BODY = { "content-type": "application/json" };

interface Glimpse {
  readonly at: string;
  readonly from: string;
  readonly words: string;
  readonly bytes: number;
}

interface Labelled {
  readonly data: readonly { readonly label: string }[];
}

describe.skipIf(STORIES === undefined)("serve", () => {
  const folder = temporaryFolder();
  const [story, reviews] = ["story", "reviews"].map((name) => join(folder, `${name}.pumac`));
  let serving: Running;
  let url = "";
  let client: OpenAI;

  beforeAll(async () => {
    const model = join(STORIES!, "stories260K.dynamo.op18.static32.onnx");
    const compiled = await Promise.all([
      pumac("compile", model, "--context", "32", "--buckets", "8,16", "-o", story),
      pumac("compile", MODEL, "--dim", "b=1,s=16", "-o", reviews),
    ]);
    expect(compiled.map(({ status }) => status)).toEqual([0, 0]);
    const tokenizers = ["--tokenizer", join(STORIES!, "tok512.bin"), "--tokenizer", TOKENIZER];
    const trust = compiled.flatMap(({ stdout, stderr }) => [
      "--trust-plan",
      /digest ([0-9a-f]{64})/.exec(stdout + stderr)![1],
    ]);
    serving = startPumac([
      "serve",
      story,
      reviews,
      ...tokenizers,
      "--local",
      "--port",
      "0",
      "--at-once",
      "20",
      ...trust,
    ]);
    url = await new Promise((resolve) => {
      serving.child.stdout!.on("data", (text: string) => resolve(text.trim()));
    });
    client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  }, 120_000);
  afterAll(() => void serving?.child.kill("SIGKILL"));

  it("writes the reference's tokens, streamed, at the predicted cost, and classifies with another model", async () => {
    const { greedy_ids: ids } = JSON.parse(readFileSync(join(STORIES!, "reference.json"), "utf8"));
    expect(ids.length).toBeGreaterThan(8);
    const request = { model: "story", messages: [{ role: "user", content: "Once upon a" }], max_tokens: 3 } as const;
    const pieces: string[] = [];
    let cost: unknown;
    for await (const part of await client.chat.completions.create({
      ...request,
      messages: [...request.messages],
      stream: true,
    })) {
      pieces.push(part.choices[0].delta.content ?? "");
      cost = "pumac" in part ? part.pumac : cost;
    }
    expect(pieces.join("")).toBe(" time, there");
    const { tokens, rounds, bytes, predicted } = cost as Record<string, unknown>;
    expect({ tokens, ...{ rounds, bytes } }).toEqual({ tokens: 3, ...(predicted as object) });
    const body = JSON.stringify({ model: "reviews", input: ["A fine film.", "A dull, bad film."] });
    const response = await fetch(`${url}/v1/classify`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    });
    const { data } = (await response.json()) as { readonly data: readonly { readonly label: string }[] };
    expect(data.map(({ label }) => label)).toEqual(["positive", "negative"]);
  }, 60_000);

  it("reads a prompt by the program of its length, also of an export of one length", async () => {
    const prompt = "Once upon a time, there was a little girl";
    const answer = await client.completions.create({ model: "story", prompt, max_tokens: 2 });
    const { rounds, bytes, predicted } = (answer as unknown as { readonly pumac: Record<string, unknown> }).pumac;
    expect([answer.choices[0].text, { rounds, bytes }]).toEqual([" named Lily", predicted]);
    expect(answer.usage!.prompt_tokens).toBeGreaterThan(8);
    const long = client.completions.create({ model: "story", prompt: prompt.repeat(2), max_tokens: 2 });
    await expect(long).rejects.toMatchObject({ status: 400, code: "context_length_exceeded" });
  }, 60_000);

  /** What the page is shown, while something else goes on. */
  async function watching<T>(work: (seen: readonly Glimpse[]) => Promise<T>): Promise<T> {
    const leaving = new AbortController();
    const { body } = await fetch(`${url}/live`, { signal: leaving.signal });
    const seen: Glimpse[] = [];
    const looking = (async () => {
      for await (const text of body!.pipeThrough(new TextDecoderStream())) {
        seen.push(...[...text.matchAll(/^data: (\{.*\})$/gm)].map(([, json]) => JSON.parse(json)));
      }
    })().catch(() => undefined);
    const result = await work(seen);
    leaving.abort();
    await looking;
    return result;
  }

  it(
    "shows what reached P1 and P2, which differs each time, and that nothing reached P0",
    () =>
      watching(async (seen) => {
        const ask = () => client.completions.create({ model: "story", prompt: "Once", max_tokens: 1 });
        const answers = [await ask(), await ask()];
        expect(answers.map(({ choices }) => choices[0].text)).toEqual([" upon", " upon"]);
        const at = (name: string) => seen.filter((each) => each.at === name);
        await expect.poll(() => at("P2").length).toBeGreaterThan(2);
        expect(at("P0")).toEqual([]);
        const sent = at("sent").map(({ words }) => words);
        expect(sent.length).toBeGreaterThan(1);
        expect(new Set(sent).size).toBe(sent.length);
        // What left here is what arrived there.
        expect(at("P1").map(({ words }) => words)).toContain(sent[0]);
        expect(at("P2").some(({ from }) => from === "P0")).toBe(true);
        expect(Math.max(...at("P1").map(({ bytes }) => bytes))).toBeGreaterThan(100_000);
      }),
    60_000,
  );

  it(
    "answers twenty at once over one set of weights",
    () =>
      watching(async (seen) => {
        let begunBefore = 0;
        const ask = async (text: string): Promise<string> => {
          const body = JSON.stringify({ model: "reviews", input: text });
          const response = await fetch(`${url}/v1/classify`, { method: "POST", body, headers: JSON_BODY });
          begunBefore ||= seen.filter(({ at }) => at === "sent").length;
          return ((await response.json()) as Labelled).data[0].label;
        };
        const texts = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? "A fine film." : "A dull, bad film."));
        const labels = await Promise.all(texts.map(ask));
        expect(labels).toEqual(texts.map((text) => (text.includes("fine") ? "positive" : "negative")));
        // Shares move when the parties have room: before the first answer several had begun.
        expect(begunBefore).toBeGreaterThan(4);
      }),
    60_000,
  );

  it("says that a party is gone in the middle of a text, and writes it again when the party is back", async () => {
    const { pid } = serving.child;
    const [, p1] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
    const write = (most: number) =>
      client.completions.create({ model: "story", prompt: "Once upon a", max_tokens: most, stream: true });
    let text = "";
    const killed = (async () => {
      for await (const { choices } of await write(20)) {
        text += choices[0].text;
        if (text !== "") {
          process.kill(p1, "SIGKILL");
        }
      }
    })();
    await expect(killed).rejects.toMatchObject({ code: "E0601" });
    expect(text).toMatch(/^ time/);
    let again = "";
    await expect
      .poll(
        async () => {
          again = "";
          for await (const { choices } of await write(2)) {
            again += choices[0].text;
          }
          return again;
        },
        { timeout: 20_000 },
      )
      .toBe(" time,");
  }, 60_000);

  it("ends gently when it is told to, and nothing runs on", async () => {
    const hanging = client.completions
      .create({ model: "story", prompt: "Once", max_tokens: 20 })
      .catch((error) => error);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const began = performance.now();
    serving.child.kill("SIGTERM");
    expect((await serving.finished).status).toBe(0);
    expect(performance.now() - began).toBeLessThan(3000);
    expect(await hanging).toBeInstanceOf(OpenAI.APIConnectionError);
    const { stderr } = await serving.finished;
    expect(stderr).toMatch(/story: text, of at most 32 tokens in all/);
    expect(stderr).toMatch(/a prompt of up to 8 tokens: /);
    expect(stderr).toMatch(/reviews: class, of at most 16 tokens/);
    expect(stderr).toContain("no privacy");
    expect(stderr).not.toMatch(/Once|film|bug/);
  }, 30_000);

  it("says what is missing before anything starts", async () => {
    const none = await pumac("serve", story, "--local");
    expect([none.status, none.stderr]).toEqual([2, expect.stringMatching(/E0201.*tokenizer/s)]);
    const open = await pumac(
      "serve",
      story,
      "--tokenizer",
      join(STORIES!, "tok512.bin"),
      "--local",
      "--host",
      "0.0.0.0",
    );
    expect([open.status, open.stderr]).toEqual([2, expect.stringMatching(/E0201.*token and TLS/s)]);
  }, 30_000);
});
