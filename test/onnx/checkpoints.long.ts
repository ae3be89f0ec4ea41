/** The folders of the trained models give the plans of their exports, share op for share op. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compileModel } from "../../compiler/compile.js";
import type { Plan } from "../../ir/plan/types.js";
import { DATA } from "./support.js";

/** What a plan does, whatever its weights are called. */
function steps({ steps, tables }: Plan): string {
  return JSON.stringify([steps.map(({ origin: _, ...each }) => each), tables], (key, value: unknown) =>
    key === "name" ? "" : value,
  );
}

describe.skipIf(!existsSync(DATA))("the folders of trained models (PUMAC_DATA)", () => {
  it.each([
    ["bert-sst2", "bert_sst2.dynamo.op20.static48.onnx", 48],
    ["llama-stories260k", "stories260K.dynamo.op18.static32.onnx", 32],
  ])("%s equals its export", async (name, exported, sequence) => {
    const folder = join(DATA, name);
    const own = await compileModel(folder, { dims: { batch: 1, sequence } });
    const other = await compileModel(join(folder, exported));
    expect(steps(own.plan)).toBe(steps(other.plan));
  });
});
