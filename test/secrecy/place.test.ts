/**
 * Protects: nobody is given in the clear what it may not know. Whatever the graph, P1 and P2 get only what is made of
 * public inputs, the model's owner computes on no input, and the data's owner on no weight.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Graph, Node } from "../../ir/graph.js";
import { TENSOR } from "../../ir/tensor/index.js";
import type { TensorType } from "../../ir/tensor/value.js";
import { parse } from "../../ir/text.js";
import { place } from "../../passes/place.js";
import { randomGraph } from "../passes/graphs.js";

const MIXED = `
%0 = input {name = "x0", dtype = "f32", shape = [2, 2]} : f32[2,2]
%1 = parameter {name = "w", dtype = "f32", shape = [2, 2]} : f32[2,2]
%2 = input {name = "x1", dtype = "f32", shape = [2, 2]} : f32[2,2]
%3 = add %0, %2 : f32[2,2]
%4 = matmul %3, %1 : f32[2,2]
%5 = add %4, %2 : f32[2,2]
output "y" = %5
`;

/** The inputs and weights that a value is made of: "input x", "parameter w". */
function sources(node: Node<TensorType>, seen = new Set<Node<TensorType>>()): string[] {
  if (seen.has(node)) {
    return [];
  }
  seen.add(node);
  const own = node.op === "input" || node.op === "parameter" ? [`${node.op} ${String(node.attributes.name)}`] : [];
  return [...own, ...node.args.flatMap((argument) => sources(argument, seen))];
}

interface Options {
  readonly open: readonly string[];
  readonly shared: readonly string[];
}

/** What somebody is given although it may not know it, a line each. */
function given(graph: Graph<TensorType>, { open, shared }: Options): string[] {
  const isPublic = (name: string) => open.includes(name);
  const placed = place(graph, { isPublic, isShared: (name) => shared.includes(name) });
  return placed.bindings.flatMap(({ owner, output }) => {
    const program = owner === "model" ? placed.model : placed.data;
    const made = sources(program.outputs.find(({ name }) => name === output)!.node);
    const mayKnow = {
      public: (kind: string, name: string) => kind === "input" && isPublic(name),
      model: (kind: string) => kind === "parameter",
      data: (kind: string) => kind === "input",
    }[owner];
    const foreign = made.filter((source) => {
      const [kind, name] = source.split(" ");
      return !mayKnow(kind, name);
    });
    return foreign.map((source) => `${owner} ${output}: ${source}`);
  });
}

describe("place", () => {
  it.each([
    { open: ["x1"], shared: [] },
    { open: ["x1"], shared: ["x0"] },
    { open: [], shared: ["x0", "x1"] },
  ])("gives nobody what it may not know, public $open, shared $shared", (options) => {
    expect(given(parse(MIXED, TENSOR), options)).toEqual([]);
  });

  it("gives nobody what it may not know in any graph, whatever is public and whatever is shared as it is", () => {
    const names = fc.subarray(["x0", "x1", "x2"]);
    let opened = 0;
    const property = fc.property(fc.nat(), names, names, (seed, open, shared) => {
      expect(given(randomGraph(seed).graph, { open, shared })).toEqual([]);
      opened += open.length;
    });
    fc.assert(property, { numRuns: 200 });
    expect(opened).toBeGreaterThan(0);
  });

  it("gives a shared input as it is: its owner computes nothing of it", () => {
    const { data, bindings } = place(parse(MIXED, TENSOR), { isShared: (name) => name === "x0" });
    const bound = bindings.filter(({ owner }) => owner === "data").map(({ output }) => output);
    const nodes = data.outputs.filter(({ name }) => bound.includes(name)).map(({ node }) => node);
    expect(nodes.filter((node) => sources(node).includes("input x0")).map(({ op }) => op)).toEqual(["input"]);
  });
});
