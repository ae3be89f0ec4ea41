/** The verifier finds each kind of fault that its header lists, all of them at once, and nothing in right graphs. */
import { describe, expect, it } from "vitest";
import { type Attributes, Builder, type Graph } from "../../ir/graph.js";
import { TENSOR, type TensorNode } from "../../ir/tensor/index.js";
import type { TensorType } from "../../ir/tensor/value.js";
import { verify } from "../../ir/verify.js";

const F32: TensorType = { dtype: "f32", shape: [2] };

function node(op: string, args: readonly TensorNode[] = [], attributes: Attributes = {}, type = F32): TensorNode {
  return { op, args, attributes, type, origin: op === "input" ? "" : `the ${op}` };
}

function input(name: string): TensorNode {
  return node("input", [], { name, dtype: "f32", shape: [2] });
}

function faults(nodes: readonly TensorNode[], last = nodes[nodes.length - 1]): string[] {
  return verify({ nodes, outputs: [{ name: "y", node: last }] }, TENSOR).map(String);
}

const x = input("x");

describe("the verifier", () => {
  it("finds nothing in a right graph", () => {
    expect(faults([x, node("relu", [x])])).toEqual([]);
  });

  it("finds a node that stands twice, and one that stands after its user", () => {
    const y = node("relu", [x]);
    expect(faults([x, y, y])).toEqual(['%2 = relu @ "the relu": is listed twice']);
    expect(faults([y, x], y)).toEqual(['%0 = relu @ "the relu": argument 0 (input @ "") is not listed before it']);
  });

  it("finds unknown ops, also those that every object has, and wrong numbers of arguments", () => {
    expect(faults([node("frobnicate")])[0]).toMatch(/not an op of the tensor language/);
    expect(faults([node("constructor")])[0]).toMatch(/not an op of the tensor language/);
    expect(faults([x, node("add", [x])])[0]).toMatch(/has 1 arguments, not 2/);
    expect(faults([x, node("softmax", [x, x, x, x, x], { axis: 0 })])[0]).toMatch(/has 5 arguments, not 1 to 4/);
  });

  it("finds missing, unknown and mistyped attributes", () => {
    expect(faults([x, node("softmax", [x])])[0]).toMatch(/lacks the attribute 'axis'/);
    expect(faults([x, node("softmax", [x], { axis: 0, odd: 1 })])[0]).toMatch(/unknown attribute 'odd'/);
    expect(faults([x, node("softmax", [x], { axis: 0.5 })])[0]).toMatch(/'axis' is not of kind integer/);
    expect(faults([x, node("layerNorm", [x], { epsilon: "1" })])[0]).toMatch(/'epsilon' is not of kind number/);
    expect(faults([x, node("reshape", [x], { shape: [1, "2"] as unknown as number[] })])[0]).toMatch(/kind integers/);
    expect(faults([x, node("gelu", [x], { approximation: true })])[0]).toMatch(/not of kind string/);
    expect(faults([x, node("reduceSum", [x], { axes: [], keep: 1 })])[0]).toMatch(/not of kind boolean/);
    const short = { dtype: "f32", shape: [3], data: Float64Array.of(1, 2) } as const;
    expect(faults([node("constant", [], { value: short })])[0]).toMatch(/not of kind tensor/);
    expect(faults([node("constant", [], { value: [1] })])[0]).toMatch(/not of kind tensor/);
  });

  it("finds types that the rule does not give, and what the rule refuses", () => {
    expect(faults([x, node("relu", [x], {}, { dtype: "f64", shape: [2] })])[0]).toMatch(
      /is of type f32\[2\], not f64\[2\]/,
    );
    expect(faults([x, node("reshape", [x], { shape: [3] }, { dtype: "f32", shape: [3] })])[0]).toMatch(
      /cannot be read/,
    );
  });

  it("finds inputs and outputs without a name or with another's", () => {
    const twice = [x, input("x"), input("")];
    expect(faults(twice, x)).toEqual(["%1 = input: is a second input 'x'", "%2 = input: has no name"]);
    const outputs = ["y", "y", ""].map((name) => ({ name, node: x }));
    expect(verify({ nodes: [x], outputs }, TENSOR).map(String)).toEqual([
      'output "y": is a second output of that name',
      'output "": has no name',
    ]);
    const graph: Graph<TensorType> = { nodes: [], outputs: [{ name: "y", node: x }] };
    expect(verify(graph, TENSOR).map(String)).toEqual(['output "y": its node (input) is not listed']);
  });

  it("finds nodes that no output needs, but lets inputs be", () => {
    const idle = node("relu", [x]);
    expect(faults([x, input("z"), idle, node("negate", [idle])], x).map((line) => line.slice(0, 10))).toEqual([
      "%2 = relu ",
      "%3 = negat",
    ]);
  });

  it("collects all faults of a graph", () => {
    const bad = node("softmax", [x, input("z"), x, x, x], { axes: 1 });
    expect(faults([x, bad]).length).toBe(4);
  });

  it("agrees with the builder, which refuses the same graphs", () => {
    const builder = new Builder(TENSOR);
    const given = builder.emit("input", [], { name: "x", dtype: "f32", shape: [2] });
    expect(() => builder.emit("add", [given])).toThrow(/takes 2 to 2/);
    expect(() => builder.emit("reshape", [given], { shape: [3] })).toThrow(/cannot be read/);
    expect(() => builder.emit("frobnicate", [])).toThrow(/no op/);
  });
});
