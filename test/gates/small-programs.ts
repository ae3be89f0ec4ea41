/** Small programs that show what `planRings` decides; each is meant to be read beside its golden file. */
import { Builder } from "../../ir/graph.js";
import { SHARE, type ShareOpName } from "../../ir/share/index.js";
import type { LooseProgram, ShareNode } from "./random-rings.js";

const SHAPE = [2, 2];
const FRACTION = 12;

/** A builder that names nodes by what they are for, and knows their bounds. */
function start() {
  const builder = new Builder(SHARE);
  const bounds = new Map<ShareNode, number>();
  const emit = (
    op: ShareOpName,
    args: readonly ShareNode[],
    attributes: ShareNode["attributes"],
    origin: string,
    bound: number,
  ) => {
    const node = builder.emit(op, args, attributes, origin);
    bounds.set(node, bound);
    return node;
  };
  const input = (owner: string, name: string, bound: number) =>
    emit("input", [], { owner, name, ring: 0, fraction: FRACTION, shape: SHAPE }, name, bound);
  /** x·w, opened and back at the fraction of x. */
  const layer = (x: ShareNode, name: string, bound: number) => {
    const product = emit("matmul", [x, input("model", name, 1)], { drop: 0, keep: [] }, `${name} product`, bound);
    const opened = emit("remask", [product], {}, `${name} opening`, bound);
    return emit("rescale", [opened], { bits: FRACTION }, `${name} scaled`, bound);
  };
  const finish = (x: ShareNode): LooseProgram => {
    const node = emit("reveal", [x], { name: "y" }, "answer", bounds.get(x)!);
    return { graph: builder.finish([{ name: "y", node }]), bounds };
  };
  return { emit, input, layer, finish };
}

/** `count` products in a row, each twice as large as the one before. */
function chain(count: number): LooseProgram {
  const { input, layer, finish } = start();
  let x = input("data", "x", 1);
  for (let i = 1; i <= count; i++) {
    x = layer(x, `w${i}`, 2 ** i);
  }
  return finish(x);
}

/** A deep branch and a shallow one of the same value meet in a sum: the widen stands where it adds no round. */
function branches(): LooseProgram {
  const { emit, input, layer, finish } = start();
  const x = layer(input("data", "x", 1), "first", 2);
  let deep = x;
  for (let i = 1; i <= 4; i++) {
    deep = layer(deep, `deep${i}`, 2 ** (i + 1));
  }
  const shallow = layer(x, "shallow", 4);
  return finish(emit("add", [deep, shallow], {}, "sum", 36));
}

/** Rows times the sums of their squares, twice: the squares are dealt, and rows are widened beside their opening. */
function norm(): LooseProgram {
  const { emit, input, layer, finish } = start();
  let x = layer(input("data", "x", 1), "w", 2);
  for (const [name, bound] of [["first", 2] as const, ["second", 16] as const]) {
    const most = 2 * bound * bound;
    const opened = emit(
      "remask",
      [emit("dot", [x, x], { drop: 0 }, `${name} squares`, most)],
      {},
      `${name} sums`,
      most,
    );
    const sums = emit("rescale", [opened], { bits: FRACTION }, `${name} sums`, most);
    const column = emit("reshape", [sums], { shape: [2, 1] }, `${name} sums`, most);
    const scaled = emit("multiply", [x, column], { drop: 0 }, `${name} product`, most * bound);
    x = emit("rescale", [emit("remask", [scaled], {}, name, most * bound)], { bits: FRACTION }, name, most * bound);
  }
  return finish(x);
}

export const PROGRAMS: Readonly<Record<string, () => LooseProgram>> = {
  /** Three rescalings fit a word: no widen. */
  "short-chain": () => chain(3),
  /** Six do not: one widen, where the fewest bits are bought. */
  "long-chain": () => chain(6),
  branches,
  norm,
};
