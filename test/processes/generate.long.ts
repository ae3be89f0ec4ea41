/** The whole of the reference's text, through three party processes that keep the cache which the compiler made. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dataFolder } from "../jax/data.js";
import { pumac, temporaryFolder } from "./command.js";

const STORIES = dataFolder("llama-stories260k");

describe.skipIf(STORIES === undefined)("stories260K", () => {
  it.each([
    ["the dynamic export", "stories260K.legacy.op14.onnx", 65, 64],
    ["the static one", "stories260K.dynamo.op18.static32.onnx", 32, 31],
  ])("writes the reference's tokens from %s", async (_, file, context, count) => {
    const plan = join(temporaryFolder(), "story.pumac");
    const model = join(STORIES!, file);
    expect((await pumac("compile", model, "--context", `${context}`, "--buckets", "1", "-o", plan)).status).toBe(0);
    const words = ["--tokenizer", join(STORIES!, "tok512.bin"), "--local", "--weights", model, "--json"];
    const { status, stdout } = await pumac("generate", plan, ...words, "--max-tokens", `${count}`);
    expect(status).toBe(0);
    const { greedy_ids } = JSON.parse(readFileSync(join(STORIES!, "reference.json"), "utf8"));
    expect(JSON.parse(stdout).tokens).toEqual(greedy_ids.slice(1, count + 1));
  });
});
