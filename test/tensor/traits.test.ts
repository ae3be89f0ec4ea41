/**
 * The flags of the tensor language's table are true: what an op's flags say of it holds of its meaning, so that whoever
 * filters the table by them may rely on it. A loop over the table, with random arguments for each op.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { opsWhere, TENSOR, TENSOR_OPS, type TensorOpName } from "../../ir/tensor/index.js";
import type { Traits } from "../../ir/tensor/traits.js";
import { isFloat, type TensorValue } from "../../ir/tensor/value.js";
import { parse, print } from "../../ir/text.js";
import { extremes, type Interval, intervalFrom } from "../../passes/intervals.js";
import { narrow } from "../../passes/narrow.js";
import { calibratedRanges } from "../../passes/range.js";
import { apply, graphOf, tensor } from "./apply.js";
import { EXAMPLES, type Example } from "./examples.js";

const ARITIES = new Map(Object.entries(TENSOR_OPS).map(([op, { arity }]) => [op, arity[1]]));

function flagged(holds: (traits: Traits) => boolean, arity?: number): readonly TensorOpName[] {
  const ops = opsWhere(({ traits }) => traits.pattern !== "source" && holds(traits));
  return ops.filter((op) => arity === undefined || ARITIES.get(op) === arity) as TensorOpName[];
}

function always(op: TensorOpName, law: (example: Example) => void): void {
  fc.assert(fc.property(EXAMPLES[op], law), { numRuns: 60 });
}

/** Examples of an op, always the same. */
function examplesOf(op: TensorOpName): readonly Example[] {
  return fc.sample(EXAMPLES[op], { numRuns: 100, seed: 1 });
}

/** The same element at every place, so that a lookup outside is impossible and the number is known. */
function marked(example: Example, indices: readonly number[], mark: number): Example {
  const args = example.args.map((x, i) => (indices.includes(i) ? x : { ...x, data: x.data.map(() => mark) }));
  return { ...example, args };
}

describe("copies: movement and look-ups", () => {
  it.each(flagged(({ pattern }) => pattern === "movement" || pattern === "lookup"))(
    "%s has elements of its arguments only",
    (op) => {
      const { indices } = TENSOR_OPS[op].traits;
      always(op, (example) => {
        const { args, attributes } = marked(example, indices, 7);
        expect(apply(op, args, attributes).data.every((x) => x === 7)).toBe(true);
      });
    },
  );

  it.each(flagged(({ pattern }) => pattern === "filling"))("%s has one number besides", (op) => {
    always(op, (example) => {
      const { args, attributes } = marked(example, [], 7);
      const own = (attributes.value as number | undefined) ?? 0;
      expect(apply(op, args, attributes).data.every((x) => x === 7 || x === own)).toBe(true);
    });
  });
});

describe("rows", () => {
  it.each(flagged(({ pattern }) => pattern === "rowwise"))("%s keeps the shape, and rows apart", (op) => {
    const attributes: Example["attributes"] = { axis: 1, epsilon: 1e-5 };
    const [a, b] = [tensor([1, 3], [1, 2, 4]), tensor([1, 3], [-1, 0, 3])];
    const both = apply(op, [tensor([2, 3], [...a.data, ...b.data])], attributes);
    expect(both.shape).toEqual([2, 3]);
    expect([...both.data]).toEqual([a, b].flatMap((row) => [...apply(op, [row], attributes).data]));
  });

  it.each(flagged(({ pattern }) => pattern === "reduction"))("%s makes one of each row", (op) => {
    const attributes = { axes: [1], keep: true };
    const rows = [tensor([1, 3], [1, 2, 4]), tensor([1, 3], [-1, 0, 3])];
    const both = apply(op, [tensor([2, 3], [1, 2, 4, -1, 0, 3])], attributes);
    expect([...both.data]).toEqual(rows.flatMap((row) => [...apply(op, [row], attributes).data]));
  });
});

describe("arguments", () => {
  it.each(flagged(({ pattern }) => pattern === "elementwise", 2))("%s commutes, or not, as its flag says", (op) => {
    const commutes = examplesOf(op).every(({ args, attributes }) => isSymmetric(op, args, attributes));
    expect(commutes).toBe(TENSOR_OPS[op].traits.commutative);
  });

  it("that are indices are those that the op refuses outside", () => {
    const refusing = flagged(({ pattern }) => pattern === "lookup");
    expect([...refusing, "oneHot"].sort()).toEqual([...flagged(({ indices }) => indices.length > 0)].sort());
    for (const op of refusing) {
      const example = examplesOf(op).find(({ args }) => args[1].data.length > 0 && args[0].data.length > 0)!;
      const args = example.args.map((x, i) => (i === 1 ? { ...x, data: x.data.map(() => 1e6) } : x));
      expect(() => apply(op, args, example.attributes), op).toThrow(/index/);
    }
  });
});

function isSymmetric(op: TensorOpName, [x, y]: readonly TensorValue[], attributes: Example["attributes"]): boolean {
  const [one, two] = [apply(op, [x, y], attributes), apply(op, [y, x], attributes)];
  return one.data.every((value, i) => Object.is(value, two.data[i]) || value === two.data[i]);
}

/** 0 is the only whole number in the domain of artanh. */
const WHOLE = flagged(({ pattern }) => ["elementwise", "reduction", "scan"].includes(pattern)).filter(
  (op) => op !== "arcHyperbolicTangent",
);

describe("numbers", () => {
  it.each(WHOLE)("%s of whole numbers is whole, or not, as its flag says", (op) => {
    const wholes = examplesOf(op).map(({ args, attributes }) => {
      const integers = args.map((x) => ({ ...x, data: x.data.map(Math.round) }));
      const bounds = op === "clamp" ? { low: -3, high: 3 } : attributes;
      return isFloat(args[0].dtype)
        ? apply(op, integers, bounds).data.every((y) => Number.isInteger(y) || !Number.isFinite(y))
        : true;
    });
    expect(wholes.every((whole) => whole)).toBe(TENSOR_OPS[op].traits.whole);
  });

  it.each(flagged(({ image }) => image !== "numbers"))("%s stays in an interval of its own", (op) => {
    for (const { args, attributes } of examplesOf(op)) {
      const graph = graphOf(op, args, attributes);
      const node = graph.outputs[0].node;
      const anything = args.map((): Interval => [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
      const facts = { valueOf: () => undefined, isOneHot: () => false };
      const [low, high] = intervalFrom(node, anything, facts);
      expect(Number.isFinite(low) && Number.isFinite(high)).toBe(true);
      const value = apply(op, args, attributes);
      const [least, most] = extremes({ ...value, data: value.data.filter((x) => !Number.isNaN(x)) });
      expect(least >= low && most <= high).toBe(true);
    }
  });
});

describe("what passes make of the flags", () => {
  it.each(flagged(({ pattern }) => pattern === "elementwise", 1))("%s is computed only where it is read", (op) => {
    const { attributes } = examplesOf(op)[0];
    const x = tensor([4, 3], new Array<number>(12).fill(1), op === "not" ? "bool" : "f32");
    const whole = graphOf(op, [x], attributes);
    const { dtype } = whole.outputs[0].node.type;
    const slice = `slice $1 {starts = [0, 0], ends = [1, 3], steps = [1, 1]} : ${dtype}[1,3]`;
    const text = print(whole, TENSOR).replace(/output "y" = (%\d+)/, `%9 = ${slice}\noutput "y" = %9`);
    const computed = narrow(parse(text, TENSOR)).nodes.find((node) => node.op === op)!;
    expect(computed.type.shape).toEqual([1, 3]);
  });

  it("samples that were all alike do not narrow truth values and indices", () => {
    expect(rangeOf("less %2, %1", "bool[8]")).toEqual([0, 1]);
    expect(rangeOf("isNaN %2", "bool[8]")).toEqual([0, 1]);
    expect(rangeOf("argmax %2 {axis = 0, keep = false, last = false}", "i64[]")).toEqual([0, 7]);
    expect(rangeOf("argmin %2 {axis = 0, keep = false, last = false}", "i64[]")).toEqual([0, 7]);
    expect(rangeOf("topIndices %2 {axis = 0, count = 1, largest = true}", "i64[1]")).toEqual([0, 7]);
  });
});

/** The range of an op on x - w (%2) where every sample was x = 8, 7, … and w (%1) = 0. */
function rangeOf(op: string, type: string): Interval | undefined {
  const text = `%0 = input {name = "x", dtype = "f32", shape = [8]} : f32[8]
%1 = input {name = "w", dtype = "f32", shape = [8]} : f32[8]
%2 = subtract %0, %1 : f32[8]
%3 = ${op} : ${type}
output "y" = %3`;
  const graph = parse(text, TENSOR);
  const values = new Map([
    ["x", tensor([8], [8, 7, 6, 5, 4, 3, 2, 1])],
    ["w", tensor([8], new Array<number>(8).fill(0))],
  ]);
  const facts = { owner: "data", integral: false, oneHot: false } as const;
  const { ranges } = calibratedRanges(graph, [(name) => values.get(name)!], () => facts);
  return ranges.get(graph.outputs[0].node);
}
