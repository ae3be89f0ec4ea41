/** Outputs as answers: every kind is told by the outputs' names and shapes, and said as people read it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { numbersOf, writerFor } from "../../client/answered-rows.js";
import { answersOf, describeAnswer, labelsBeside, type Reading, readLabels } from "../../client/answers.js";
import type { Encoder } from "../../formats/text.js";
import type { TensorValue } from "../../ir/tensor/value.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-answers-"));
afterAll(() => rmSync(folder, { recursive: true }));

const WORDS = ["<pad>", "[CLS]", "Ada", "lives", "in", "Paris", "[MASK]", "[SEP]"];
const encoder: Encoder = {
  encode: () => Promise.reject(new Error("not asked")),
  decode: (ids) => Promise.resolve(ids.map((id) => WORDS[id]).join(" ")),
  paddingId: 0,
  endIds: [],
  maskId: 6,
};

function tensor(shape: readonly number[], data: readonly number[]): TensorValue {
  return { dtype: "f32", shape, data: Float64Array.from(data) };
}

/** A row of `length` numbers that are small but for these. */
function peaks(length: number, at: Readonly<Record<number, number>>): number[] {
  return Array.from({ length }, (_, i) => at[i] ?? -20);
}

async function said(
  outputs: Readonly<Record<string, TensorValue>>,
  reading: Reading = {},
  inputs: Readonly<Record<string, TensorValue>> = {},
): Promise<readonly string[]> {
  const answers = await answersOf(new Map(Object.entries(outputs)), new Map(Object.entries(inputs)), reading);
  return answers.map(describeAnswer);
}

const labels = { names: ["negative", "positive"], several: false };
const IDS = { input_ids: tensor([1, 6], [1, 2, 3, 4, 5, 0]), attention_mask: tensor([1, 6], [1, 1, 1, 1, 1, 0]) };

describe("an answer", () => {
  it("is a class's name with its probability, a row for each sentence", async () => {
    const logits = tensor([2, 2], [-3, 3, 0, 0]);
    expect(await said({ logits }, { labels })).toEqual(["positive 0.9975", "negative 0.5000"]);
    expect(await said({ probabilities: tensor([1, 2], [0.25, 0.75]) })).toEqual(["class 1 0.7500"]);
  });
  it("is all classes that hold, where several may", async () => {
    const several = { names: ["toxic", "rude", "kind"], several: true };
    expect(await said({ logits: tensor([1, 3], [0, 2, -2]) }, { labels: several })).toEqual([
      "rude 0.8808, toxic 0.5000",
    ]);
    expect(await said({ logits: tensor([1, 3], [-1, -2, -2]) }, { labels: several })).toEqual(["none (toxic 0.2689)"]);
  });
  it("is a number, or an embedding", async () => {
    expect(await said({ logits: tensor([2, 1], [0.5, -1]) })).toEqual(["0.5000", "-1.0000"]);
    const [line] = await said({ sentence_embedding: tensor([1, 64], new Array(64).fill(0.125)) });
    expect(line).toBe("embedding of 64 numbers, length 1.0000: 0.1250 0.1250 0.1250 0.1250 0.1250 …");
    expect(await said({ output_0: tensor([1, 64], new Array(64).fill(0.125)) })).toEqual([line]);
  });
  it("is a span of the text, never one that ends before it begins", async () => {
    const start_logits = tensor([1, 6], peaks(6, { 2: 5, 4: 4 }));
    const end_logits = tensor([1, 6], peaks(6, { 1: 6, 5: 5 }));
    const ids = { ...IDS, input_ids: tensor([1, 6], [1, 2, 3, 4, 5, 7]) };
    const spans = await said({ start_logits, end_logits }, { encoder }, ids);
    expect(spans).toEqual(['"lives in Paris [SEP]", tokens 2 to 5, 0.1966']);
    expect(await said({ start_logits, end_logits })).toEqual(["tokens 2 to 5 0.1966"]);
  });
  it("is a label for every token that is no padding", async () => {
    const names = { names: ["O", "B-PER", "B-LOC"], several: false };
    const rows = [0, 1, 0, 0, 2, 1].flatMap((label) => peaks(3, { [label]: 10 }));
    const [text] = await said({ logits: tensor([1, 6, 3], rows) }, { labels: names, encoder }, IDS);
    expect(text.split("\n")).toEqual([
      "[CLS]\tO 1.0000",
      "Ada\tB-PER 1.0000",
      "lives\tO 1.0000",
      "in\tO 1.0000",
      "Paris\tB-LOC 1.0000",
    ]);
  });
  it("is the words for a gap, or the next word", async () => {
    const words = (id: number): number[] => peaks(40, { [id]: 10, 3: 8 });
    const decoding = { encoder };
    const logits = tensor([1, 3, 40], [...words(1), ...words(5), ...words(2)]);
    const gap = { input_ids: tensor([1, 3], [1, 6, 7]) };
    const [text] = await said({ logits }, decoding, gap);
    expect(text).toMatch(/^gap at 1: "Paris" 0\.880\d, "lives" 0\.119\d/);
    const [next] = await said({ logits }, decoding, { input_ids: tensor([1, 3], [1, 5, 0]) });
    expect(next).toMatch(/^next: "Paris" 0\.880\d/);
  });
  it("is nothing where nothing says what the outputs are", async () => {
    expect(await said({ last_hidden_state: tensor([1, 2, 3], [1, 2, 3, 4, 5, 6]) })).toEqual([]);
    expect(await said({ token: tensor([1], [3]) })).toEqual([]);
  });
});

describe("labels", () => {
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  it.each([
    ["config.json", '{"id2label":{"0":"no","1":"yes\\u001b[2J"},"problem_type":"multi_label_classification"}', true],
    ["list.json", '["no","yes[2J"]', false],
    ["object.json", '{"0":"no","1":"yes[2J"}', false],
    ["labels.txt", "no\nyes[2J\n", false],
  ])("are read from %s, and write nothing on a terminal but words", (name, text, several) => {
    expect(readLabels(file(name, text))).toEqual({ names: ["no", "yes[2J"], several });
  });
  it("are found beside a model, and are none where the config has none", () => {
    expect(labelsBeside(join(folder, "model.onnx"))?.names).toEqual(["no", "yes[2J"]);
    file("config.json", '{"hidden_size":128}');
    expect(labelsBeside(join(folder, "model.onnx"))).toBeUndefined();
    expect(() => readLabels(join(folder, "config.json"))).toThrow(/E0301.*no labels/);
  });
});

describe("answers in a file", () => {
  const answer = { kind: "class", best: [{ name: 'good, "very"', score: 0.75 }] } as const;
  const values = numbersOf(new Map([["y", tensor([2, 2], [1, 2, 3, 4])]]), 1, 2);
  const rows = [
    { row: 1, withheld: false, answer, label: 1 },
    { row: 2, withheld: true, answer, label: undefined },
    { row: 3, withheld: false, answer: values, label: undefined },
  ];
  it("are JSON lines or CSV, and a withheld one is said but not shown", () => {
    const lines = writerFor("a.jsonl")(rows).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { row: 1, ...answer, label: 1 },
      { row: 2, withheld: true },
      { row: 3, kind: "outputs", values: { y: [3, 4] } },
    ]);
    expect(writerFor("a.csv")(rows).split("\r\n")).toEqual([
      "row,answer,score,label,withheld",
      '1,"good, ""very""",0.750000,1,',
      "2,,,,yes",
      '3,"{""y"":[3,4]}",,,',
      "",
    ]);
  });
  it("have a form that the file's name says", () => {
    expect(() => writerFor("answers")).toThrow(/E0201/);
  });
});
