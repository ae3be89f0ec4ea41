/** Advice that names options, and how it is followed: commands that are told it, and commands that do it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type NodeSource, type ValueSource, writeModel } from "../../formats/onnx/write.js";
import { OWN_FIXTURES } from "../onnx/support.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-advice-"));
export const removeFiles = (): void => rmSync(folder, { recursive: true });
export const at = (name: string): string => join(folder, name);
export const BERT = join(OWN_FIXTURES, "bert_cls.t5.legacy.eager.op11.dyn", "model.onnx");
const TOKENIZER = at("tokenizer.json");
export const BOUND = ["--dim", "batch=1,seq=4"];

interface Small {
  readonly inputs: readonly ValueSource[];
  readonly nodes: readonly NodeSource[];
  readonly output: readonly number[];
  readonly tensors?: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: readonly number[] }>>;
}

/** A model of a few nodes, whose last one gives y. */
function small(name: string, { inputs, nodes, output, tensors = {} }: Small): string {
  const path = at(name);
  writeModel(path, {
    opsets: { "": 17 },
    graph: {
      name: "g",
      inputs,
      outputs: [{ name: "y", dtype: "f32", shape: output }],
      nodes,
      tensors: Object.entries(tensors).map(([tensor, { shape, data }]) => {
        return { name: tensor, dtype: "f32", shape, data: Float64Array.from(data) };
      }),
    },
  });
  return path;
}

const row = (name: string, length = 4): ValueSource => ({ name, dtype: "f32", shape: [1, length] });

/** A data set with these rows for x. */
function rows(name: string, ...values: readonly (readonly number[])[]): string {
  writeFileSync(at(name), values.map((x) => `${JSON.stringify({ x })}\n`).join(""));
  return at(name);
}

/** Advice: the text that names the option, a command that is told so, and commands that follow it. */
export interface Case {
  readonly fix: string;
  readonly wrong: readonly string[];
  readonly right: readonly (readonly string[])[];
}

const input = (...values: readonly string[]): readonly string[] => values.flatMap((each) => ["--input", each]);
const IDS = "input_ids=1x4xi64=1,2,3,4";

/** Options of compile and inspect, and names. */
function ofOptions(): readonly Case[] {
  const compile = (...words: readonly string[]) => ["compile", BERT, ...words, "-o", at("bert.pumac")];
  const bound = (...words: readonly string[]) => compile(...BOUND, ...words);
  const shapes = ["--shape", "input_ids=1x4", "--shape", "attention_mask=1x4,token_type_ids=1x4"];
  return [
    { fix: "--dim ", wrong: compile(), right: [bound()] },
    { fix: "--shape ", wrong: compile("--dim", "batch=1"), right: [compile(...shapes)] },
    { fix: "(--shape, --dim)", wrong: compile("--dim", "batch=1,seq=480"), right: [bound(), compile(...shapes)] },
    { fix: "write --dim batch=1,sequence=128", wrong: compile("--dim", "batch"), right: [bound()] },
    { fix: "write --shape input_ids=1x128", wrong: compile("--shape", "input_ids"), right: [compile(...shapes)] },
    {
      fix: "write --value use_cache_branch=true",
      wrong: bound("--value", "attention_mask"),
      right: [bound("--value", "attention_mask=1")],
    },
    { fix: "write --fraction 8 to 20", wrong: bound("--fraction", "30"), right: [bound("--fraction", "12")] },
    { fix: "leave --weights out", wrong: bound("--weights", TOKENIZER), right: [bound()] },
    { fix: "leave --assume-ranges out", wrong: bound("--assume-ranges"), right: [bound()] },
    {
      fix: "see what costs most with --by node",
      wrong: ["inspect", at("bert.pumac"), "--budget", "bytes<1kB"],
      right: [["inspect", at("bert.pumac"), "--by", "node", "--budget", "bytes<1GB"]],
    },
    {
      fix: "or give --config config.json",
      wrong: ["model", "gpt3", "-o", at("gpt3.onnx")],
      right: [["model", "--config", at("config.json"), "--no-weights", "--sequence", "4", "-o", at("gpt3.onnx")]],
    },
    {
      fix: "give --party P0, P1 or P2, or --owner NAME",
      wrong: ["init", "--folder", at("keys")],
      right: [
        ["init", "--party", "P0", "--address", "localhost:7100", "--folder", at("keys")],
        ["init", "--owner", "clinic", "--folder", at("keys")],
      ],
    },
    {
      fix: "add --address HOST:PORT",
      wrong: ["init", "--party", "P1", "--folder", at("keys")],
      right: [["init", "--party", "P1", "--address", "localhost:7101", "--folder", at("keys")]],
    },
  ];
}

/** Inputs and weights of a run. */
function ofRuns(): readonly Case[] {
  const simulate = (plan: string, ...words: readonly string[]) => ["simulate", at(plan), ...words];
  const text = ["--input", "text:one two three four five six", "--tokenizer", TOKENIZER];
  const moved = simulate("moved.pumac", "--input", "text:one", "--tokenizer", TOKENIZER);
  const longer = ["compile", BERT, "--dim", "batch=1,seq=12", "-o", at("long.pumac")];
  const ids = input(
    "input_ids=1x5xi64=1,2,3,4,5",
    "attention_mask=1x5xi64=1,1,1,1,1",
    "token_type_ids=1x5xi64=0,0,0,0,0",
  );
  const whole = ["compile", at("bert.onnx"), "--assume-ranges", "-o", at("cost.pumac")];
  return [
    {
      fix: "add --truncate to cut it",
      wrong: simulate("short.pumac", ...text),
      right: [simulate("short.pumac", ...text, "--truncate"), longer, simulate("long.pumac", ...text)],
    },
    {
      fix: "add --tokenizer path/to/tokenizer.json",
      wrong: simulate("long.pumac", "--input", "text:one"),
      right: [simulate("long.pumac", "--input", "text:one", "--tokenizer", TOKENIZER)],
    },
    {
      fix: "add --tokenizer path/to/tokenizer.json",
      wrong: simulate("long.pumac", "--data", at("texts.csv")),
      right: [simulate("long.pumac", "--data", at("texts.csv"), "--tokenizer", TOKENIZER)],
    },
    {
      fix: "or compile for this one (--shape)",
      wrong: simulate("short.pumac", ...ids),
      right: [
        ["compile", BERT, "--dim", "batch=1", "--shape", "input_ids=1x5", "-o", at("five.pumac")],
        simulate("five.pumac", ...ids),
      ],
    },
    {
      fix: 'or --input text:"…" --tokenizer FILE',
      wrong: simulate("long.pumac", "--input", "token_type_ids=1x12xi64=0,0,0,0,0,0,0,0,0,0,0,0"),
      right: [simulate("long.pumac", "--input", "text:one", "--tokenizer", TOKENIZER)],
    },
    {
      fix: "give --input NAME=@FILE",
      wrong: simulate("double.pumac", "--input", "text:one", "--tokenizer", TOKENIZER),
      right: [simulate("double.pumac", "--input", `x=@${at("x.json")}`)],
    },
    {
      fix: "add --data FILE",
      wrong: simulate("double.pumac", "--count", "1"),
      right: [simulate("double.pumac", "--data", at("few.jsonl"), "--count", "1", "--output", at("few.csv"))],
    },
    { fix: "add --weights MODEL", wrong: moved, right: [[...moved, "--weights", BERT]] },
    {
      fix: "or with --assume-ranges to run it all the same",
      wrong: simulate("cost.pumac", ...input(IDS)),
      right: [["model", "--config", at("config.json"), "--sequence", "4", "-o", at("bert.onnx")], whole],
    },
  ];
}

/** Ranges, and what is public. */
function ofRanges(): readonly Case[] {
  const compile = (model: string, ...words: readonly string[]) => ["compile", at(model), ...words, "-o", at("r.pumac")];
  const calibrate = (...files: readonly string[]) => files.flatMap((file) => ["--calibrate", at(file)]);
  return [
    {
      fix: "calibrate with real inputs (--calibrate), or bound it in the model",
      wrong: compile("inverse.onnx"),
      right: [compile("inverse.onnx", ...calibrate("positive.jsonl"))],
    },
    {
      fix: "calibrate with real inputs (--calibrate), or clip the argument in the model",
      wrong: compile("inverse.onnx", ...calibrate("wide.jsonl")),
      right: [compile("inverse.onnx", ...calibrate("positive.jsonl"))],
    },
    {
      fix: "calibrate with real inputs (--calibrate), or clip it in the model",
      wrong: compile("exponential.onnx", "--assume-ranges"),
      right: [compile("exponential.onnx", ...calibrate("few.jsonl"))],
    },
    {
      fix: "or bound it in the model: clip it, or add an epsilon",
      wrong: compile("mixed.onnx", ...calibrate("even.jsonl")),
      right: [compile("bounded.onnx", ...calibrate("even.jsonl"))],
    },
    {
      fix: "for tighter ranges, or scale the values in the model",
      wrong: compile("far.onnx", "--assume-ranges"),
      right: [compile("near.onnx", "--assume-ranges")],
    },
    {
      fix: "or export the model with a finite mask such as -100",
      wrong: compile("infinite.onnx"),
      right: [compile("near.onnx")],
    },
    {
      fix: "compile with --calibrate and inputs like this one",
      wrong: ["simulate", at("double.pumac"), "--input", "x=1x4xf32=900,900,900,900"],
      right: [
        ["compile", at("double.onnx"), ...calibrate("large.jsonl"), "-o", at("double.pumac")],
        ["simulate", at("double.pumac"), "--input", "x=1x4xf32=900,900,900,900"],
      ],
    },
  ];
}

/** Plans that write a text token by token. */
function ofTexts(): readonly Case[] {
  const compile = (model: string, ...words: readonly string[]) => ["compile", model, ...words, "-o", at("t.pumac")];
  const gpt = (...words: readonly string[]) => compile(at("gpt.onnx"), ...words);
  const right = [gpt("--context", "6", "--buckets", "3")];
  return [
    {
      fix: "give --buckets as lengths up to --context",
      wrong: gpt("--context", "6", "--buckets", "7"),
      right,
    },
    {
      fix: "add a longer one to --buckets",
      wrong: gpt("--context", "6", "--buckets", "1", "--reveal", "text"),
      right: [gpt("--context", "6", "--buckets", "1,3", "--reveal", "text")],
    },
    { fix: "add --reveal token", wrong: gpt("--context", "6", "--reveal", "logits"), right },
    { fix: "or give a shorter --context", wrong: gpt("--context", "12"), right },
    {
      fix: "leave --context out",
      wrong: compile(at("double.onnx"), "--context", "6"),
      right: [compile(at("double.onnx"))],
    },
    {
      fix: "or compile without --context",
      wrong: compile(at("open.onnx"), "--context", "4"),
      right: [compile(at("open.onnx"))],
    },
    {
      fix: "or compile it without --context",
      wrong: compile(at("mixing.onnx"), "--context", "4"),
      right: [compile(at("mixing.onnx"))],
    },
  ];
}

/** Writes what the commands read. */
export function writeFiles(): void {
  const config = { model_type: "gpt2", n_layer: 1, n_head: 2, n_embd: 8, n_positions: 8, vocab_size: 16 };
  writeFileSync(at("config.json"), JSON.stringify(config));
  const vocab = Object.fromEntries(
    ["[PAD]", "one", "two", "three", "four", "five", "six", "a", "film"].map((word, i) => [word, i]),
  );
  const model = { type: "WordLevel", vocab, unk_token: "[PAD]" };
  writeFileSync(TOKENIZER, JSON.stringify({ version: "1.0", model, pre_tokenizer: { type: "Whitespace" } }));
  writeFileSync(at("texts.csv"), "text,label\na film,1\n");
  writeFileSync(at("x.json"), "[[0.5, 1, -1, 2]]");
  rows("few.jsonl", [0.5, 1, -1, 2], [1, 1, 1, 1]);
  rows("positive.jsonl", [0.5, 1, 2, 3], [1, 1, 1, 1]);
  rows("wide.jsonl", [1e-6, 1e-6, 1e-6, 1e-6], [1e5, 1e5, 1e5, 1e5]);
  rows("even.jsonl", [1, 1, 1, 1], [2, 2, 2, 2]);
  rows("large.jsonl", [900, 900, 900, 900], [-900, -900, -900, -900]);
  // Through a weight, or everything would be the data owner's own work, in the clear.
  const tensors = { w: { shape: [4, 4], data: Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 2.5 : 0.3)) } };
  const product: NodeSource = { op: "MatMul", inputs: ["x", "w"], outputs: ["p"] };
  const after = (op: string, ...inputs: readonly string[]): readonly NodeSource[] => [
    product,
    { op, inputs, outputs: ["y"] },
  ];
  const x = row("x");
  small("inverse.onnx", { inputs: [x], nodes: after("Reciprocal", "p"), output: [1, 4], tensors });
  small("double.onnx", { inputs: [x], nodes: [{ ...product, outputs: ["y"] }], output: [1, 4], tensors });
  small("exponential.onnx", { inputs: [x], nodes: after("Exp", "p"), output: [1, 4], tensors });
  const bounded: readonly NodeSource[] = [
    product,
    { op: "Relu", inputs: ["p"], outputs: ["q"] },
    { op: "Add", inputs: ["q", "one"], outputs: ["r"] },
    { op: "Reciprocal", inputs: ["r"], outputs: ["y"] },
  ];
  const signs = { w: { shape: [4, 4], data: tensors.w.data.map((each) => (each === 0.3 ? -0.3 : each)) } };
  const one = { one: { shape: [1], data: [1] } };
  small("bounded.onnx", { inputs: [x], nodes: bounded, output: [1, 4], tensors: { ...signs, ...one } });
  for (const [name, far] of Object.entries({ far: -3.4e38, infinite: Number.NEGATIVE_INFINITY, near: -100 })) {
    const mask = { mask: { shape: [1, 4], data: [0, 0, far, 0] } };
    small(`${name}.onnx`, {
      inputs: [x],
      nodes: after("Add", "p", "mask"),
      output: [1, 4],
      tensors: { ...tensors, ...mask },
    });
  }
  const ids: ValueSource = { name: "input_ids", dtype: "i64", shape: [1, 4] };
  const looked: readonly NodeSource[] = [
    { op: "Gather", inputs: ["w", "input_ids"], outputs: ["e"] },
    { op: "Transpose", inputs: ["e"], outputs: ["t"], attributes: { perm: { integers: [0, 2, 1] } } },
    { op: "MatMul", inputs: ["t", "w"], outputs: ["m"] },
    { op: "Transpose", inputs: ["m"], outputs: ["y"], attributes: { perm: { integers: [0, 2, 1] } } },
  ];
  small("mixing.onnx", { inputs: [ids], nodes: looked, output: [1, 4, 4], tensors });
  const seen: readonly NodeSource[] = [
    ...looked.slice(0, 2),
    { op: "MatMul", inputs: ["e", "t"], outputs: ["s"] },
    { op: "Softmax", inputs: ["s"], outputs: ["p"], attributes: { axis: { integer: -1 } } },
    { op: "MatMul", inputs: ["p", "e"], outputs: ["y"] },
  ];
  small("open.onnx", { inputs: [ids], nodes: seen, output: [1, 4, 4], tensors });
  small("mixed.onnx", { inputs: [x], nodes: after("Reciprocal", "p"), output: [1, 4], tensors: signs });
}

/** Every case; a later one may use what an earlier one has made. */
export const CASES: readonly Case[] = [...ofOptions(), ...ofRuns(), ...ofRanges(), ...ofTexts()];
