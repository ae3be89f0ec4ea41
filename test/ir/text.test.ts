/** Text and graph are the same thing twice: for random graphs of both languages, and for texts that are wrong. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PumacError } from "../../ir/diagnostics.js";
import { Builder } from "../../ir/graph.js";
import { SHARE, SHARE_OPS, type ShareOpName } from "../../ir/share/index.js";
import { evaluateGraph, TENSOR } from "../../ir/tensor/index.js";
import { parse, print } from "../../ir/text.js";
import { verify } from "../../ir/verify.js";
import { programOf } from "../share/programs.js";
import { randomGraphs } from "./random-graphs.js";

describe("a graph", () => {
  it("of the tensor language prints and parses to itself, and computes the same", () => {
    fc.assert(
      fc.property(randomGraphs, ({ graph, values }) => {
        expect(verify(graph, TENSOR).map(String)).toEqual([]);
        const text = print(graph, TENSOR);
        const again = parse(text, TENSOR);
        expect(again).toEqual(graph);
        expect(print(again, TENSOR)).toBe(text);
        const weights = { read: (name: string) => values.get(name)! };
        expect(evaluateGraph(again, values, weights)).toEqual(evaluateGraph(graph, values, weights));
      }),
      { numRuns: 200 },
    );
  });

  it.each(Object.keys(SHARE_OPS) as ShareOpName[])(
    "of the share language with %s prints and parses to itself",
    (op) => {
      fc.assert(
        fc.property(fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), (stream) => {
          const graph = programOf(op, () => stream.next().value as number);
          const text = print(graph, SHARE);
          expect(parse(text, SHARE)).toEqual(graph);
          expect(verify(graph, SHARE).map(String)).toEqual([]);
        }),
        { numRuns: 20 },
      );
    },
  );

  it("keeps numbers that have no plain decimal, in short and in long tensors", () => {
    const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 5e-324, 0.1, 1e300, 2 ** 53];
    for (const repeat of [1, 2, 3]) {
      const data = Float64Array.from(new Array<number[]>(repeat).fill(odd).flat());
      const builder = new Builder(TENSOR);
      const node = builder.emit("constant", [], { value: { dtype: "f64", shape: [repeat, 8], data } });
      const graph = builder.finish([{ name: "y", node: builder.emit("clamp", [node], { low: -0, high: Infinity }) }]);
      const text = print(graph, TENSOR);
      expect(text.includes("NaN")).toBe(repeat <= 2);
      expect(parse(text, TENSOR)).toEqual(graph);
    }
  });

  it("looks like this", () => {
    const builder = new Builder(TENSOR);
    const x = builder.emit("input", [], { name: "x", dtype: "f32", shape: [2, 3] });
    const one = builder.emit("constant", [], { value: { dtype: "f32", shape: [], data: Float64Array.of(1.5) } });
    const sum = builder.emit("add", [x, one], {}, 'layer.0/"Add"');
    const node = builder.emit("reduceSum", [sum], { axes: [1], keep: false }, "layer.0/Sum");
    const text = [
      '%0 = input {name = "x", dtype = "f32", shape = [2, 3]} : f32[2,3]',
      "%1 = constant {value = f32[] [1.5]} : f32[]",
      '%2 = add %0, %1 : f32[2,3] @ "layer.0/\\"Add\\""',
      '%3 = reduceSum %2 {axes = [1], keep = false} : f32[2] @ "layer.0/Sum"',
      'output "y" = %3',
      "",
    ].join("\n");
    expect(print(builder.finish([{ name: "y", node }]), TENSOR)).toBe(text);
  });
});

describe("a text", () => {
  it("may have comments, free names, free blanks and attributes in any order", () => {
    const text = `
      # a graph
      %x = input {shape=[2,  3],dtype = "f32" , name="x"}:f32[2, 3]
      %sum = reduceSum %x { keep = true, axes = [ 1 ] } : f32[2,1]

      output "y" = %sum`;
    const graph = parse(text, TENSOR);
    expect(graph.nodes.map((node) => node.op)).toEqual(["input", "reduceSum"]);
    expect(graph.outputs[0].node).toBe(graph.nodes[1]);
  });

  const x = '%0 = input {name = "x", dtype = "f32", shape = [2]} : f32[2]\n';
  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ["an unknown op", `${x}%1 = frobnicate %0 : f32[2]`, /line 2.*no op 'frobnicate'/s],
    ["a name of Object's own", `${x}%1 = toString %0 : f32[2]`, /no op 'toString'/],
    ["an undefined argument", `${x}%1 = negate %7 : f32[2]`, /%7 is not defined before/],
    ["a node that uses itself", `${x}%1 = negate %1 : f32[2]`, /%1 is not defined before/],
    ["a second definition", x + x, /line 2.*%0 is defined twice/s],
    ["another type than inferred", `${x}%1 = negate %0 : f32[3]`, /of type f32\[2\], not f32\[3\]/],
    ["no type of the language", `${x}%1 = negate %0 : bits[3]`, /not a tensor type/],
    ["too many arguments", `${x}%1 = negate %0, %0 : f32[2]`, /takes 1 to 1 arguments, not 2/],
    ["an unknown attribute", `${x}%1 = negate %0 {axis = 1} : f32[2]`, /takes no attribute 'axis'/],
    ["an attribute twice", `${x}%1 = softmax %0 {axis = 0, axis = 0} : f32[2]`, /no second attribute 'axis'/],
    ["a missing attribute", `${x}%1 = softmax %0 : f32[2]`, /lacks the attribute 'axis'/],
    ["an attribute of another kind", `${x}%1 = softmax %0 {axis = "0"} : f32[2]`, /expected a number/],
    ["a fraction for an integer", `${x}%1 = softmax %0 {axis = 0.5} : f32[2]`, /0.5 is not an integer/],
    ["a run of none", "%1 = constant {value = f32[3] [1 * 3, 2 * 0]} : f32[3]", /a run of 0/],
    [
      "runs that are too long",
      "%1 = constant {value = f32[3] [1 * 2, 2 * 900000000]} : f32[3]",
      /more elements than 3/,
    ],
    ["a tensor of another length", "%1 = constant {value = f32[3] [1, 2]} : f32[3]", /has 2 elements/],
    ["a cut base64", '%1 = constant {value = f32[3] "AAAA"} : f32[3]', /3 bytes are no doubles/],
    ["an open string", `${x}output "y = %0`, /expected a string/],
    ["rest of a line", `${x}output "y" = %0 %0`, /expected the end of the line/],
    ["arguments that the rule refuses", `${x}%1 = softmax %0 {axis = 4} : f32[2]`, /axis 4/],
  ];
  it.each(wrong)("with %s is refused with its line", (_, text, message) => {
    expect(() => parse(text, TENSOR)).toThrow(PumacError);
    expect(() => parse(text, TENSOR)).toThrow(message);
    expect(() => parse(text, TENSOR)).toThrow(/E0301.*line \d/);
  });
});
