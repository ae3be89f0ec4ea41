/**
 * A plan is a function of the model and the options alone: two compiles give the same bytes, and the order in which a
 * model file lists its nodes and weights, any that respects arguments, does not show: the second compile is of the same
 * model in another order.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { type CompileOptions, compileModel } from "../../compiler/compile.js";
import { decodeMessage, encodeMessage, type GraphProto } from "../../formats/onnx/schema.js";
import type { ModelSource } from "../../formats/onnx/write.js";
import { encodePlan, planDigest } from "../../ir/plan/codec.js";
import type { Plan } from "../../ir/plan/types.js";
import { seededNumbers } from "../../ir/seeded.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { print } from "../../ir/text.js";
import { architectureModel } from "../../models/architectures/index.js";
import { dataSets, modelFolders, OWN_FIXTURES, readTensors } from "../onnx/support.js";
import { compileSource, shortened } from "./support.js";

/** The nodes in a random order in which every value is made before it is read; `reads` must list all that is read. */
function shuffleNodes<N>(
  nodes: readonly N[],
  reads: (node: N) => readonly string[],
  makes: (node: N) => readonly string[],
  random: () => number,
): N[] {
  const waiting = new Set(nodes.flatMap(makes));
  const pending = [...nodes];
  const order: N[] = [];
  while (pending.length > 0) {
    const ready = pending.filter((node) => reads(node).every((name) => !waiting.has(name)));
    const node = ready[Math.floor(random() * ready.length)];
    pending.splice(pending.indexOf(node), 1);
    for (const name of makes(node)) {
      waiting.delete(name);
    }
    order.push(node);
  }
  return order;
}

function shuffledSource(model: ModelSource, seed: number): ModelSource {
  const random = seededNumbers(seed);
  const nodes = shuffleNodes(
    model.graph.nodes,
    ({ inputs }) => inputs,
    ({ outputs }) => outputs.filter((name) => name !== ""),
    random,
  );
  return {
    ...model,
    graph: { ...model.graph, nodes, tensors: shuffleNodes(model.graph.tensors ?? [], none, none, random) },
  };
}

function none(): readonly string[] {
  return [];
}

/** All that a graph reads from outside, its inner graphs included. */
function readsOf(node: GraphProto["node"][number]): string[] {
  const inner = node.attribute.flatMap(({ g, graphs }) => [...(g === null ? [] : [g]), ...graphs]);
  return [...node.input, ...inner.flatMap((graph) => graph.node.flatMap(readsOf))];
}

/** The bytes of a model file with its nodes and weights in another order. */
function shuffledFile(bytes: Uint8Array, seed: number): Uint8Array {
  const random = seededNumbers(seed);
  const model = decodeMessage("ModelProto", bytes, "model") as ReturnType<typeof decodeMessage<"ModelProto">> & {
    readonly graph: Uint8Array;
  };
  const graph = decodeMessage("GraphProto", model.graph, "graph");
  const node = shuffleNodes(graph.node, readsOf, ({ output }) => output.filter((name) => name !== ""), random);
  const initializer = shuffleNodes(graph.initializer, none, none, random);
  return encodeMessage("ModelProto", { ...model, graph: encodeMessage("GraphProto", { ...graph, node, initializer }) });
}

const TOKEN: CompileOptions = { reveal: ["token"] };

describe("known architectures, two layers", () => {
  test.each([
    ["bert-base", 16, {}],
    ["bert-base", 16, { profile: "puma" }],
    ["roberta-base", 16, {}],
    ["gpt2", 8, TOKEN],
    ["llama-7b", 4, TOKEN],
  ] as const)("%s, %i tokens, %o", async (name, tokens, options) => {
    const model = architectureModel(shortened(name, 2), tokens);
    const { plan } = await compileSource(model, options);
    const other = shuffledSource(model, 1);
    expect(other.graph.nodes).not.toEqual(model.graph.nodes);
    const shuffled = await compileSource(other, options);
    expectSame(shuffled.plan, plan);
  });
});

/** The same bytes; a difference is explained. */
function expectSame(found: Plan, plan: Plan): void {
  expect(planSummary(found)).toEqual(planSummary(plan));
  expect(planDigest(found)).toBe(planDigest(plan));
  expect(Buffer.compare(encodePlan(found), encodePlan(plan))).toBe(0);
}

/** What a difference of digests should be explained with. */
function planSummary(plan: Plan) {
  const { rounds, modelDigest, bindings, origins } = plan;
  const programs = Object.values(plan.owners).map((program) => print(program, TENSOR));
  return { rounds, modelDigest, steps: plan.steps.map(({ op }) => op), bindings, origins, programs };
}

interface FileCase {
  readonly name: string;
  readonly file: string;
  readonly options: CompileOptions;
}

function ownFixtures(): FileCase[] {
  return modelFolders(OWN_FIXTURES).map((name) => {
    const folder = join(OWN_FIXTURES, name);
    const inputs = readTensors(join(folder, dataSets(folder)[0]), "input");
    const shapes = Object.fromEntries(inputs.map(({ name, value }) => [name, value.shape]));
    return { name, file: join(folder, "model.onnx"), options: { shapes } };
  });
}

const TRAINED: FileCase = {
  name: "the trained classifier",
  file: join(OWN_FIXTURES, "../bert-sst2/bert_sst2.legacy.op14.onnx"),
  options: { dims: { b: 1, s: 48 } },
};

describe("model files, their nodes and weights shuffled", () => {
  test.each([...ownFixtures(), TRAINED])("$name", async ({ file, options }) => {
    const folder = mkdtempSync(join(tmpdir(), "pumac-shuffled-"));
    try {
      const path = join(folder, basename(file));
      const bytes = readFileSync(file);
      const other = shuffledFile(bytes, 1);
      expect(bytes.equals(other)).toBe(false);
      const { plan } = await compileModel(file, options);
      writeFileSync(path, other);
      const shuffled = await compileModel(path, options);
      expectSame(shuffled.plan, plan);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
