/** The next token of a prompt that is shorter than the plan: the one after its last token, wherever the padding is. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { inputValues } from "../../client/inputs.js";
import { dataInputs } from "../../client/owners.js";
import { type CompileOptions, compileModel } from "../../compiler/compile.js";
import { importModel } from "../../compiler/import.js";
import { writeModel } from "../../formats/onnx/write.js";
import { evaluateGraph } from "../../ir/tensor/index.js";
import { architectureModel, configFrom } from "../../models/architectures/index.js";
import { simulateCompiled } from "../fixtures/support.js";

const TOKENS = 8;
const LLAMA = join(import.meta.dirname, "../../models/fixtures/llama_lm.t5.legacy.eager.op14.dyn.ortall/model.onnx");
const TOKENIZER = join(import.meta.dirname, "../../models/bert-sst2/tokenizer.json");
const folder = mkdtempSync(join(tmpdir(), "pumac-token-"));
afterAll(() => rmSync(folder, { recursive: true }));

const gpt2 = join(folder, "gpt2.onnx");
const config = { model_type: "gpt2", n_embd: 32, n_head: 2, n_layer: 1, n_positions: TOKENS, vocab_size: 480 };
writeModel(gpt2, architectureModel(configFrom(config, "gpt2"), TOKENS));

/** The plain model's next token after each row's last one. */
async function plainly(file: string, rows: readonly number[][], lasts: readonly number[], given: CompileOptions) {
  const model = await importModel(file, { dims: {}, shapes: {}, ...given });
  const types = new Map(model.inputs.map(({ name, dtype, shape }) => [name, { dtype, shape }]));
  const value = (name: string, data: readonly number[][]) =>
    types.has(name) ? [[name, { ...types.get(name)!, data: Float64Array.from(data.flat()) }] as const] : [];
  const mask = rows.map((row) => row.map((id) => (id === 0 ? 0 : 1)));
  const inputs = new Map([...value("input_ids", rows), ...value("attention_mask", mask)]);
  const [logits] = evaluateGraph(model.graph, inputs, model.weights).values();
  const words = logits.shape.at(-1)!;
  return lasts.map((last, row) => {
    const scores = [...logits.data.subarray((row * TOKENS + last) * words, (row * TOKENS + last + 1) * words)];
    return scores.indexOf(Math.max(...scores));
  });
}

function padded(ids: readonly number[], side: "left" | "right"): number[] {
  const padding = new Array<number>(TOKENS - ids.length).fill(0);
  return side === "left" ? [...padding, ...ids] : [...ids, ...padding];
}

describe("the token that a plan reveals", () => {
  const short = [5, 17, 40];
  it.each([
    ["one prompt, padded on the left", [padded(short, "left")], [7]],
    ["two of different lengths", [padded(short, "right"), padded([9, 8, 7, 6, 5], "right")], [2, 4]],
  ])("is the one after the last that the mask keeps: %s", async (_, rows, lasts) => {
    const shapes = { input_ids: [rows.length, TOKENS], attention_mask: [rows.length, TOKENS] };
    const mask = rows.map((row) => row.map((id) => (id === 0 ? 0 : 1)));
    for (const secret of lasts[0] === 7 ? [{}, { secret: ["attention_mask"] }] : [{}]) {
      const compiled = await compileModel(LLAMA, { shapes, reveal: ["token"], ...secret });
      const inputs = await inputValues(
        { tensors: { input_ids: rows, attention_mask: mask } },
        dataInputs(compiled.plan),
      );
      const { data } = (await simulateCompiled(compiled, inputs)).get("token")!;
      expect([...data]).toEqual(await plainly(LLAMA, rows, lasts, { shapes }));
    }
  });

  it("is the one after the text where the model has no mask; without a text the last", async () => {
    const ones = { dtype: "i64", shape: [1, TOKENS], data: new Float64Array(TOKENS).fill(1) } as const;
    const values = { attention_mask: ones };
    const compiled = await compileModel(gpt2, { values, reveal: ["token"] });
    const types = dataInputs(compiled.plan);
    expect(compiled.plan.disclosed.map(({ name, why }) => `${name}: ${why}`)).toEqual(["padded_after: positions"]);
    const text = await inputValues({ texts: ["a movie"], tokenizer: TOKENIZER }, types);
    const ids = [...text.get("input_ids")!.data];
    const whole = [1, 2, 3, 4, 5, 6, 7, 8];
    const given = await inputValues({ tensors: { input_ids: [whole] } }, types);
    const tokens = [text, given].map(
      async (inputs) => (await simulateCompiled(compiled, inputs)).get("token")!.data[0],
    );
    const wanted = [
      await plainly(gpt2, [ids], [ids.indexOf(0) - 1], { values }),
      await plainly(gpt2, [whole], [TOKENS - 1], { values }),
    ];
    expect(await Promise.all(tokens)).toEqual(wanted.flat());
  });
});
