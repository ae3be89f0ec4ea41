/** A trained language model writes through three party processes that keep its shares: the plain model's tokens. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dataFolder } from "../jax/data.js";
import { pumac, startPumac, temporaryFolder } from "./command.js";
import { documentOf } from "./documents.js";

const STORIES = dataFolder("llama-stories260k");

describe.skipIf(STORIES === undefined)("generate", () => {
  it("writes the reference's tokens, each at the predicted cost", async () => {
    const plan = join(temporaryFolder(), "story.pumac");
    const model = join(STORIES!, "stories260K.dynamo.op18.static32.onnx");
    expect((await pumac("compile", model, "--reveal", "token", "-o", plan)).status).toBe(0);
    const words = ["--tokenizer", join(STORIES!, "tok512.bin"), "--local", "--prompt", "Once upon a", "--json"];
    const { status, stdout, stderr } = await pumac("generate", plan, ...words, "--max-tokens", "4");
    expect(stderr).toContain("no privacy");
    expect(status).toBe(0);
    const { greedy_ids } = JSON.parse(readFileSync(join(STORIES!, "reference.json"), "utf8"));
    const { text, tokens, measured, ended } = JSON.parse(stdout);
    expect(documentOf(stdout).schema).toBe("pumac.generate/1");
    expect(tokens).toEqual(greedy_ids.slice(4, 8));
    expect(text).toBe(" time, there was");
    expect(ended).toBe("length");
    const { cost } = JSON.parse((await pumac("inspect", plan, "--json")).stdout);
    for (const { rounds, bytes } of measured) {
      expect(rounds).toBe(cost.rounds);
      expect(bytes.total).toBe(cost.bytes.total);
    }
  });

  it("writes the same with a cache at the parties, a token at the price of one; Ctrl-C ends it", async () => {
    const plan = join(temporaryFolder(), "story.pumac");
    const model = join(STORIES!, "stories260K.dynamo.op18.static32.onnx");
    const late = await pumac("compile", model, "--context", "33", "-o", plan);
    expect([late.status, late.stderr]).toEqual([4, expect.stringContaining("E0402")]);
    expect((await pumac("compile", model, "--context", "32", "--buckets", "1", "-o", plan)).status).toBe(0);
    const words = ["--tokenizer", join(STORIES!, "tok512.bin"), "--local", "--weights", model];
    const { status, stdout, stderr } = await pumac("generate", plan, ...words, "--max-tokens", "4", "--json");
    expect(status).toBe(0);
    expect(stderr).toMatch(/of this conversation the parties keep .* at each of P1 and P2, however long/);
    const { greedy_ids } = JSON.parse(readFileSync(join(STORIES!, "reference.json"), "utf8"));
    const { tokens, measured } = JSON.parse(stdout);
    expect(documentOf(stdout).schema).toBe("pumac.generate/1");
    expect(tokens).toEqual(greedy_ids.slice(1, 5));
    const { cost } = JSON.parse((await pumac("inspect", plan, "--json")).stdout);
    for (const { rounds, bytes } of measured) {
      expect([rounds, bytes.total]).toEqual([cost.rounds, cost.bytes.total]);
    }
    const { child, finished } = startPumac(["generate", plan, ...words, "--max-tokens", "31"]);
    await new Promise((resolve) => child.stdout!.once("data", resolve));
    const began = performance.now();
    child.kill("SIGINT");
    expect((await finished).status).toBe(130);
    expect(performance.now() - began).toBeLessThan(1000);
  });

  it("wants to know which parties it asks", async () => {
    const plan = join(temporaryFolder(), "none.pumac");
    const { status, stderr } = await pumac("generate", plan, "--tokenizer", "x.json", "--local");
    expect(status).toBe(3);
    expect(stderr).toContain("E0301");
  });
});
