/** The same model gives the same plan, byte for byte: compiled again, or listed in another order in its file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compileModel } from "../../compiler/compile.js";
import { encodePlan } from "../../ir/plan/codec.js";
import { seededNumbers } from "../../runtime/local-transport.js";

const MODEL = join(import.meta.dirname, "..", "..", "models", "bert-sst2", "bert_sst2.legacy.op14.onnx");
const OPTIONS = { dims: { b: 1, s: 48 } };

interface Field {
  readonly number: number;
  /** The field with its tag. */
  readonly all: Uint8Array;
  readonly content: Uint8Array;
}

/** The fields of a protobuf message: varints and length-delimited ones, which is all that a model has at its top. */
function fieldsOf(message: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++];
      value += (byte & 127) * scale;
      if (byte < 128) {
        return value;
      }
    }
  };
  while (at < message.length) {
    const start = at;
    const tag = varint();
    const length = varint();
    const end = (tag & 7) === 2 ? at + length : at;
    fields.push({ number: tag >> 3, all: message.subarray(start, end), content: message.subarray(at, end) });
    at = end;
  }
  return fields;
}

function message(number: number, content: Uint8Array): Uint8Array {
  const head = [number * 8 + 2];
  let length = content.length;
  for (; length > 127; length = Math.floor(length / 128)) {
    head.push((length % 128) + 128);
  }
  return Buffer.concat([Buffer.of(...head, length), content]);
}

const GRAPH = 7;
const NODE = 1;
const INITIALIZER = 5;

/** The model's file with its nodes in another order that is topological too, and its initialisers in any order. */
function shuffledModel(bytes: Uint8Array, seed: number): Buffer {
  const random = seededNumbers(seed);
  const draw = (fields: Field[]) => fields.splice(Math.floor(random() * fields.length), 1)[0];
  const parts = fieldsOf(bytes);
  const graph = fieldsOf(parts.find(({ number }) => number === GRAPH)!.content);
  const names = ({ content }: Field, which: number) =>
    fieldsOf(content)
      .filter(({ number }) => number === which)
      .map((each) => Buffer.from(each.content).toString());
  const nodes = graph.filter(({ number }) => number === NODE);
  const unmade = new Set(nodes.flatMap((node) => names(node, 2)));
  const shuffled: Field[] = [];
  while (nodes.length > 0) {
    const ready = nodes.filter((node) => names(node, 1).every((input) => !unmade.has(input)));
    const node = draw(ready);
    nodes.splice(nodes.indexOf(node), 1);
    for (const output of names(node, 2)) {
      unmade.delete(output);
    }
    shuffled.push(node);
  }
  const initializers = graph.filter(({ number }) => number === INITIALIZER);
  while (initializers.length > 0) {
    shuffled.push(draw(initializers));
  }
  const rest = graph.filter(({ number }) => number !== NODE && number !== INITIALIZER);
  const content = Buffer.concat([...shuffled, ...rest].map(({ all }) => all));
  return Buffer.concat(parts.map((part) => (part.number === GRAPH ? message(GRAPH, content) : part.all)));
}

test("a model gives one plan: compiled again, and with its nodes and weights in another order", async () => {
  const plan = encodePlan((await compileModel(MODEL, OPTIONS)).plan);
  expect(encodePlan((await compileModel(MODEL, OPTIONS)).plan)).toEqual(plan);
  const folder = mkdtempSync(join(tmpdir(), "pumac-order-"));
  try {
    const bytes = shuffledModel(readFileSync(MODEL), 1);
    expect(bytes.equals(readFileSync(MODEL))).toBe(false);
    const path = join(folder, "bert_sst2.legacy.op14.onnx");
    writeFileSync(path, bytes);
    expect(Buffer.from(encodePlan((await compileModel(path, OPTIONS)).plan)).equals(plan)).toBe(true);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
