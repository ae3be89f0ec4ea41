/** Rescales before the dealing and the opening: the same numbers to a few units, fewer bytes, never a round more. */
import { describe, expect, test } from "vitest";
import { Builder, type Graph, type Node } from "../../ir/graph.js";
import { seededNumbers } from "../../ir/seeded.js";
import { SHARE, type ShareType, type WordType } from "../../ir/share/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { verify } from "../../ir/verify.js";
import { dropEarly } from "../../passes/early.js";
import { costOf, depthsOf, planOf, runPlan } from "../share/harness.js";

type ShareNode = Node<ShareType>;
type Emit = (op: string, args: readonly ShareNode[], attributes?: ShareNode["attributes"]) => ShareNode;

const RING = 50;
const scalar = (value: number): TensorValue => ({ dtype: "i64", shape: [], data: Float64Array.of(value) });

/** A program that ends in an opening whose users rescale it; `make` gives the additive value at 16 fraction bits. */
function programOf(
  make: (emit: Emit, input: (shape: number[], fraction?: number) => ShareNode) => ShareNode,
  bits = [10],
) {
  const builder = new Builder(SHARE);
  const emit: Emit = (op, args, attributes = {}) => builder.emit(op, args, attributes, op);
  let names = 0;
  const input = (shape: number[], fraction = 8) =>
    emit("input", [], { owner: "data", name: `x${names++}`, ring: RING, fraction, shape });
  const opened = emit("remask", [make(emit, input)]);
  const outputs = bits.map((each) => ({ name: `y${each}`, node: emit("rescale", [opened], { bits: each }) }));
  return builder.finish(outputs);
}

const PROGRAMS: Readonly<Record<string, Graph<ShareType>>> = {
  product: programOf((emit, input) => emit("multiply", [input([7]), input([7])], { drop: 0 })),
  "product and bias": programOf((emit, input) => {
    const product = emit("matmul", [input([3, 4]), input([4, 5])], { drop: 0, keep: [] });
    const bias = emit("toAdditive", [emit("shiftLeft", [input([3, 5], 4)], { bits: 12 })]);
    return emit("addConstant", [emit("add", [product, emit("reduce", [bias], { ring: RING })])], { value: scalar(77) });
  }),
  "two products": programOf((emit, input) => {
    const product = (inner: number) =>
      emit("matmul", [input([2, 3, inner]), input([inner, 5])], { drop: 0, keep: [0, 4, 7] });
    return emit("add", [product(4), product(6)]);
  }),
  "moved sums": programOf((emit, input) => {
    const left = emit("reshape", [emit("dot", [input([6, 3]), input([6, 3])], { drop: 0 })], { shape: [2, 3] });
    const right = emit("negate", [emit("multiply", [input([2, 3]), input([3])], { drop: 0 })]);
    return emit("concatenate", [left, right], { axis: 0 });
  }),
  "a bit": programOf((emit, input) => {
    const bit = emit("remaskBits", [emit("topBit", [input([9])], { offset: 0 })]);
    return emit("relabel", [emit("timesBit", [bit, input([9], 16)])], { fraction: 16 });
  }),
  "two users": programOf((emit, input) => emit("multiply", [input([7]), input([7])], { drop: 0 }), [6, 10]),
};

/** The outputs of a program for small random inputs, in units of their last place. */
async function outputsOf(graph: Graph<ShareType>): Promise<number[][]> {
  const random = seededNumbers(5);
  const values = new Map<string, BigUint64Array>();
  const small = (name: string, count: number) => {
    const known =
      values.get(name) ??
      BigUint64Array.from({ length: count }, () => BigInt(Math.floor((random() - 0.5) * 2 ** 12)) & (2n ** 64n - 1n));
    values.set(name, known);
    return known;
  };
  const plan = planOf(graph);
  for (const { op, attributes, type } of plan.steps) {
    if (op === "input") {
      small(
        attributes.name as string,
        type.shape.reduce((product, n) => product * n, 1),
      );
    }
  }
  const outcome = await runPlan(plan, small);
  const numbers = graph.outputs.map(({ node }) => {
    const index = plan.steps.findIndex(
      ({ op, type, attributes }) => op === node.op && type === node.type && attributes === node.attributes,
    );
    const { ring } = node.type as WordType;
    return Array.from(outcome.valueOf(index).value, (word) => Number(BigInt.asIntN(ring, word)));
  });
  outcome.close();
  return numbers;
}

const bytesOf = (graph: Graph<ShareType>) =>
  graph.nodes.map(costOf).reduce((sum, { online, offline }) => sum + 2 * online + offline, 0);

describe.each(Object.entries(PROGRAMS))("%s", (_, graph) => {
  const bounds = new Map(graph.nodes.map((node, i): [ShareNode, number] => [node, i + 1]));
  const early = dropEarly({ graph, bounds, accepted: bounds });

  test("is valid, sends less and takes no round more", () => {
    expect(verify(early.graph, SHARE)).toEqual([]);
    expect(bytesOf(early.graph)).toBeLessThan(bytesOf(graph));
    expect(Math.max(...depthsOf(early.graph).values())).toBe(Math.max(...depthsOf(graph).values()));
    expect(early.graph.outputs.map(({ node }) => (node.type as WordType).fraction)).toEqual(
      graph.outputs.map(({ node }) => (node.type as WordType).fraction),
    );
  });

  test("keeps every bound with its value", () => {
    graph.outputs.forEach(({ node }, i) => {
      expect(early.bounds.get(early.graph.outputs[i].node)).toBe(bounds.get(node));
      expect(early.accepted.get(early.graph.outputs[i].node)).toBe(bounds.get(node));
    });
  });

  test("gives the same numbers to three units", async () => {
    const [late, soon] = [await outputsOf(graph), await outputsOf(early.graph)];
    soon.forEach((numbers, i) => {
      expect(numbers.length).toBe(late[i].length);
      for (const [k, each] of numbers.entries()) {
        expect(Math.abs(each - late[i][k])).toBeLessThanOrEqual(3);
      }
    });
  });
});

test("an opened value that somebody reads whole is opened whole", () => {
  const builder = new Builder(SHARE);
  const x = builder.emit("input", [], { owner: "data", name: "x", ring: RING, fraction: 8, shape: [4] });
  const opened = builder.emit("remask", [builder.emit("multiply", [x, x], { drop: 0 })]);
  const graph = builder.finish([
    { name: "y", node: builder.emit("rescale", [opened], { bits: 8 }) },
    { name: "z", node: opened },
  ]);
  expect(bytesOf(dropEarly({ graph, bounds: new Map(), accepted: new Map() }).graph)).toBe(bytesOf(graph));
});

test.each([
  [false, 8],
  [true, 5],
])("bits that are dropped one after the other are not opened; the middle being an output: %s", (isOutput, bits) => {
  const builder = new Builder(SHARE);
  const x = builder.emit("input", [], { owner: "data", name: "x", ring: RING, fraction: 8, shape: [4] });
  const opened = builder.emit("remask", [builder.emit("multiply", [x, x], { drop: 0 })]);
  const middle = builder.emit("rescale", [opened], { bits: 5 });
  const outputs = [3, 4].map((each) => ({ name: `y${each}`, node: builder.emit("rescale", [middle], { bits: each }) }));
  const graph = builder.finish([...outputs, ...(isOutput ? [{ name: "z", node: middle }] : [])]);
  const early = dropEarly({ graph, bounds: new Map(), accepted: new Map() }).graph;
  const fractions = early.nodes.filter(({ op }) => op === "remask").map(({ type }) => (type as WordType).fraction);
  expect(fractions).toEqual([16 - bits]);
  expect(early.outputs.map(({ node }) => (node.type as WordType).fraction)).toEqual(
    graph.outputs.map(({ node }) => (node.type as WordType).fraction),
  );
});
