/**
 * Small share programs for the tests of plans: random ones whose ops are exact (so that two runs agree to the last
 * bit), the same program with its nodes listed in another order, and the rest of a plan.
 */
import { emit, NO_MEANING, type PlanHeader } from "../../compiler/emit.js";
import { Builder, type Graph, type Node } from "../../ir/graph.js";
import type { Plan } from "../../ir/plan/types.js";
import { seededNumbers } from "../../ir/seeded.js";
import { SHARE, type ShareOpName, type ShareType, type WordType } from "../../ir/share/index.js";
import { TENSOR } from "../../ir/tensor/index.js";

export type ShareNode = Node<ShareType>;

const RING = 56;

/** A program of about `size` ops over vectors of random lengths, with products, comparisons, digits and series. */
export function randomProgram(seed: number, size = 25): Graph<ShareType> {
  const random = seededNumbers(seed);
  const pick = (count: number) => Math.floor(random() * count);
  const builder = new Builder(SHARE);
  const emitOp = (op: ShareOpName, args: readonly ShareNode[], attributes = {}) =>
    builder.emit(op, args, attributes, `/layer.${pick(3)}/node${pick(size)}/${op} (${op})`);
  const length = 1 + pick(40);
  const pool: ShareNode[] = [];
  const input = (owner: string) =>
    emitOp("input", [], { owner, name: `${owner}${pool.length}`, ring: RING, fraction: 0, shape: [length] });
  pool.push(input("data"), input("model"), input("public"));
  const any = () => pool[pick(pool.length)];
  /** The sign of the low 8 bits, exactly: the top bits and one digit below them. */
  const sign = (value: ShareNode) => {
    const x = emitOp("reduce", [value], { ring: 8 });
    const borrow = emitOp("less", [emitOp("digits", [x], { at: 0, width: 7 }), x], { at: 0, offset: 0 });
    return emitOp("remaskBits", [emitOp("exclusiveOr", [emitOp("topBit", [x], { offset: 0 }), borrow])]);
  };
  const both = (a: ShareNode, b: ShareNode) => emitOp("remaskBits", [emitOp("conjunction", [sign(a), sign(b)])]);
  const makers: (() => ShareNode)[] = [
    () => input("model"),
    () => emitOp("add", [any(), any()]),
    () => emitOp("negate", [emitOp("reshape", [any()], { shape: [length] })]),
    () => emitOp("remask", [emitOp("multiply", [any(), any()], { drop: 0 })]),
    () =>
      emitOp("remask", [
        emitOp("add", [emitOp("multiply", [any(), any()], { drop: 0 }), emitOp("toAdditive", [any()])]),
      ]),
    () => emitOp("remask", [emitOp("timesBit", [sign(any()), any()])]),
    () => emitOp("remask", [emitOp("toArithmetic", [sign(any())], { ring: RING, fraction: 0 })]),
    () => emitOp("remask", [emitOp("timesBit", [both(any(), any()), any()])]),
  ];
  for (let i = 0; i < size; i++) {
    pool.push(makers[pick(makers.length)]());
  }
  const outputs = [pool.at(-1)!, any()].map((node, i) => ({
    name: `y${i}`,
    node: emitOp("reveal", [node], { name: `y${i}` }),
  }));
  return builder.finish(outputs);
}

/** The same program: new nodes, listed in a random order that respects arguments. Outputs keep theirs. */
export function shuffled(graph: Graph<ShareType>, seed: number): Graph<ShareType> {
  const random = seededNumbers(seed);
  const copies = new Map<ShareNode, ShareNode>();
  const pending = [...graph.nodes];
  while (pending.length > 0) {
    const ready = pending.filter((node) => node.args.every((argument) => copies.has(argument)));
    const node = ready[Math.floor(random() * ready.length)];
    pending.splice(pending.indexOf(node), 1);
    copies.set(node, { ...node, args: node.args.map((argument) => copies.get(argument)!) });
  }
  const outputs = graph.outputs.map(({ name, node }) => ({ name, node: copies.get(node)! }));
  return { nodes: [...copies.values()], outputs };
}

/** A header whose owners give every input of the program as it is. */
function headerFor(graph: Graph<ShareType>): PlanHeader {
  const inputs = graph.nodes.filter(({ op, attributes }) => op === "input" && attributes.owner !== "state");
  const named = inputs.map(({ attributes, type }) => ({
    owner: attributes.owner as "model" | "data" | "public",
    name: attributes.name as string,
    shape: (type as WordType).shape,
  }));
  const program = (op: "input" | "parameter", owners: readonly string[]) => {
    const builder = new Builder(TENSOR);
    const outputs = named
      .filter(({ owner }) => owners.includes(owner))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, shape }) => ({ name, node: builder.emit(op, [], { name, dtype: "f32", shape }) }));
    return builder.finish(outputs);
  };
  const shapes = named.filter(({ owner }) => owner === "data").map(({ name, shape }) => [name, shape] as const);
  return {
    name: "example",
    profile: "fourier",
    modelDigest: "0".repeat(64),
    shapes: Object.fromEntries(shapes),
    owners: { model: program("parameter", ["model"]), data: program("input", ["data", "public"]) },
    bindings: named
      .map(({ name, owner }) => ({ input: name, owner, output: name }))
      .sort((a, b) => (a.input < b.input ? -1 : 1)),
    record: "{}",
    published: [{ name: "causal", shape: [4, 4], why: "a mask" }],
    ranges: { method: "synthetic inputs", inputs: 4, margin: 4 },
    disclosed: named
      .filter(({ owner }) => owner === "public")
      .map(({ name, shape }) => ({ name, shape, why: "a mask" })),
    choices: [
      {
        node: "norm",
        what: "1/√x",
        forms: [
          { form: "one sum", seconds: 0.001 },
          { form: "buckets", seconds: 0.002 },
        ],
      },
    ],
    formulas: [
      {
        function: "gelu",
        profile: "fourier",
        window: "[-4, 4]",
        form: "7 cosines of period 11.6",
        maxError: 5e-4,
        distance: "absolute",
        outside: "0 below, x above",
        section: "Profile `fourier`",
        digest: "0123456789abcdef",
      },
    ],
  };
}

export function planFor(graph: Graph<ShareType>): Plan {
  return emit(graph, NO_MEANING, headerFor(graph));
}
