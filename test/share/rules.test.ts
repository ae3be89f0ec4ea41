/**
 * The refusals of the type rules: what they accept, a party runs without looking again. For every op the first value
 * that must be refused, beside the last one that must not.
 */
import { describe, expect, it } from "vitest";
import type { Attributes, AttributeValue } from "../../ir/graph.js";
import { parseShareType, printShareType, SHARE_OPS, type ShareOpName } from "../../ir/share/index.js";
import { type Rule, SPLITS, type Use, X } from "./split-rules.js";

const SIX_BITS = new Array(6).fill("maskedBits[4]").join(" ");

const whole = (data: readonly number[], shape: readonly number[] = [data.length]): AttributeValue => {
  return { dtype: "i64", shape, data: Float64Array.from(data) };
};
const input = (change: Attributes = {}) => ({ owner: "data", name: "x", ring: 40, fraction: 6, shape: [4], ...change });
const SAFE = Number.MAX_SAFE_INTEGER;

/** The rules of add and subtract. */
const PAIR: Rule = {
  last: [[`${X} ${X}`], [`${X} masked<0,6>[1]`], ["additive<40,6>[2,4] additive<40,6>[4]"]],
  first: [
    [`${X} additive<40,6>[4]`],
    [`${X} masked<40,7>[4]`],
    [`${X} masked<39,6>[4]`],
    [`${X} masked<40,6>[3]`],
    ["bits[4] bits[4]"],
  ],
};

const LOCAL: Partial<Record<ShareOpName, Rule>> = {
  input: {
    last: [
      ["", input({ ring: 64 })],
      ["", input({ ring: 0 })],
      ["", input({ fraction: 1024 })],
      ["", input({ fraction: -1024 })],
      ["", input({ shape: [2 ** 40] })],
      ["", input({ shape: [] })],
    ],
    first: [
      ["", input({ ring: 65 })],
      ["", input({ ring: -1 })],
      ["", input({ ring: 1.5 })],
      ["", input({ fraction: 1025 })],
      ["", input({ fraction: -1025 })],
      ["", input({ shape: [2 ** 40 + 1] })],
      ["", input({ shape: [2 ** 20, 2 ** 20 + 1] })],
      ["", input({ shape: [-1] })],
      ["", input({ shape: [0.5] })],
      ["", input({ owner: "states" })],
      ["", input({ owner: "nobody" })],
      ["", input({ owner: 3 })],
      ["", input({ name: 3 })],
    ],
  },
  keep: {
    last: [
      [X, { name: "y", ring: 0 }],
      [X, { name: "y", ring: 40 }],
      ["masked<0,6>[4]", { name: "y", ring: 64 }],
    ],
    first: [
      [X, { name: "y", ring: 41 }],
      [X, { name: "y", ring: -1 }],
      ["masked<0,6>[4]", { name: "y", ring: 65 }],
      [X, { name: 3, ring: 0 }],
      ["additive<40,6>[4]", { name: "y", ring: 0 }],
      ["bits[4]", { name: "y", ring: 0 }],
    ],
  },
  constant: {
    last: [["", { value: whole([SAFE, -SAFE]), ring: 40, fraction: 0 }]],
    first: [
      ["", { value: whole([SAFE + 1]), ring: 40, fraction: 0 }],
      ["", { value: whole([0.5]), ring: 40, fraction: 0 }],
      ["", { value: whole([Number.NaN]), ring: 40, fraction: 0 }],
      ["", { value: whole([1, 2], [3]), ring: 40, fraction: 0 }],
      ["", { value: 3, ring: 40, fraction: 0 }],
    ],
  },
  add: PAIR,
  subtract: PAIR,
  negate: { last: [[X], ["additive<1,0>[]"]], first: [["bits[4]"], ["hot<3>[4]"]] },
  sum: {
    last: [["masked<40,6>[2,3]", { axis: 1 }]],
    first: [
      ["masked<40,6>[2,3]", { axis: 2 }],
      [X, { axis: -1 }],
    ],
  },
  addConstant: {
    last: [[X, { value: whole([SAFE]) }]],
    first: [
      [X, { value: whole([SAFE + 1]) }],
      [X, { value: whole([1, 2, 3]) }],
    ],
  },
  multiplyConstant: {
    last: [[X, { value: whole([1]), fraction: 1024 }]],
    first: [
      [X, { value: whole([1]), fraction: 1025 }],
      [X, { value: whole([1, 2]), fraction: 0 }],
    ],
  },
  shiftLeft: {
    last: [
      [X, { bits: 63 }],
      [X, { bits: 0 }],
    ],
    first: [
      [X, { bits: 64 }],
      [X, { bits: -1 }],
    ],
  },
  relabel: { last: [[X, { fraction: -1024 }]], first: [[X, { fraction: -1025 }]] },
  reduce: {
    last: [
      [X, { ring: 40 }],
      [X, { ring: 1 }],
      ["masked<0,6>[4]", { ring: 64 }],
    ],
    first: [
      [X, { ring: 41 }],
      [X, { ring: 0 }],
      ["masked<0,6>[4]", { ring: 65 }],
    ],
  },
  rescale: {
    last: [
      [X, { bits: 39 }],
      [X, { bits: 0 }],
      ["masked<0,6>[4]", { bits: 63 }],
    ],
    first: [
      [X, { bits: 40 }],
      [X, { bits: -1 }],
      ["masked<0,6>[4]", { bits: 64 }],
      ["bits[4]", { bits: 1 }],
    ],
  },
  toAdditive: { last: [[X]], first: [["additive<40,6>[4]"], ["maskedBits[4]"]] },
  reshape: {
    last: [["bits[4]", { shape: [2, 2] }]],
    first: [
      ["bits[4]", { shape: [5] }],
      ["bits[4]", { shape: [3] }],
      ["hot<3>[4]", { shape: [4] }],
    ],
  },
  view: {
    last: [
      [X, { shape: [4], strides: [1], offset: 0 }],
      [X, { shape: [3], strides: [1], offset: 1 }],
      [X, { shape: [4], strides: [-1], offset: 3 }],
      [X, { shape: [9, 2], strides: [0, 3], offset: 0 }],
      [X, { shape: [0], strides: [1], offset: 99 }],
    ],
    first: [
      [X, { shape: [4], strides: [1], offset: 1 }],
      [X, { shape: [5], strides: [1], offset: 0 }],
      [X, { shape: [4], strides: [-1], offset: 2 }],
      [X, { shape: [1], strides: [0], offset: 4 }],
      [X, { shape: [9, 2], strides: [0, 4], offset: 0 }],
      [X, { shape: [1], strides: [], offset: 0 }],
      [X, { shape: [1], strides: [1], offset: -1 }],
    ],
  },
  concatenate: {
    last: [
      ["masked<40,6>[2,4] masked<0,6>[2,1]", { axis: 1 }],
      ["bits[4]", { axis: 0 }],
    ],
    first: [
      ["masked<40,6>[2,4] masked<40,6>[3,1]", { axis: 1 }],
      ["masked<40,6>[4] masked<39,6>[4]", { axis: 0 }],
      ["masked<40,6>[4] masked<40,7>[4]", { axis: 0 }],
      ["masked<40,6>[4] additive<40,6>[4]", { axis: 0 }],
      ["hot<3>[4] hot<3>[4]", { axis: 0 }],
      [X, { axis: 1 }],
    ],
  },
  take: {
    last: [
      [X, { indices: [3, 0, -1], shape: [3] }],
      ["masked<40,6>[2,4]", { indices: [3], shape: [2] }],
      [X, { indices: [], shape: [0] }],
    ],
    first: [
      [X, { indices: [4], shape: [1] }],
      [X, { indices: [-2], shape: [1] }],
      [X, { indices: [0.5], shape: [1] }],
      ["masked<40,6>[2,4]", { indices: [4], shape: [2] }],
      [X, { indices: [0, 1], shape: [3] }],
      ["masked<40,6>[5]", { indices: [0], shape: [2] }],
      [X, { indices: [], shape: [1] }],
    ],
  },
};

const PRODUCTS: Partial<Record<ShareOpName, Rule>> = {
  multiply: {
    last: [
      [`${X} masked<39,9>[2,4]`, { drop: 38 }],
      [`${X} masked<0,9>[4]`, { drop: 63 }],
      [`${X} ${X} ${X} ${X}`, { drop: 0 }],
    ],
    first: [
      [`${X} masked<40,6>[3]`, { drop: 0 }],
      [`additive<40,6>[4] ${X}`, { drop: 0 }],
      [`${X} masked<39,9>[4]`, { drop: 39 }],
      [`${X} ${X}`, { drop: -1 }],
      [`${X} masked<0,9>[4]`, { drop: 64 }],
    ],
  },
  timesPublic: {
    last: [["additive<40,6>[2,4] masked<40,0>[4]"]],
    first: [["additive<40,6>[4] masked<40,0>[2,4]"], [`${X} ${X}`], ["additive<40,6>[4] additive<40,6>[4]"]],
  },
  matmul: {
    last: [
      ["masked<40,6>[2,3] masked<40,6>[3,2]", { keep: [3], drop: 0 }],
      ["masked<40,6>[2,3] masked<40,6>[5,3,2]", { keep: [], drop: 0 }],
    ],
    first: [
      ["masked<40,6>[2,3] masked<40,6>[3,2]", { keep: [4], drop: 0 }],
      ["masked<40,6>[2,3] masked<40,6>[3,2]", { keep: [-1], drop: 0 }],
      ["masked<40,6>[2,3] masked<40,6>[2,2]", { keep: [], drop: 0 }],
      ["masked<40,6>[3] masked<40,6>[3,2]", { keep: [], drop: 0 }],
      ["masked<40,6>[2,3] masked<40,6>[3]", { keep: [], drop: 0 }],
      ["masked<40,6>[4,2,3] masked<40,6>[5,3,2]", { keep: [], drop: 0 }],
    ],
  },
  dot: {
    last: [["masked<40,6>[1] masked<40,6>[1]", { drop: 39 }]],
    first: [
      ["masked<40,6>[] masked<40,6>[]", { drop: 0 }],
      [`${X} masked<40,6>[3]`, { drop: 0 }],
      [`${X} ${X}`, { drop: 40 }],
    ],
  },
  timesBit: { last: [[`maskedBits[4] ${X}`]], first: [[`bits[4] ${X}`], [`maskedBits[3] ${X}`]] },
  timesBits: {
    last: [[`maskedBits[4] maskedBits[4] ${X}`], [`${SIX_BITS} ${X}`]],
    first: [
      [`bits[4] maskedBits[4] ${X}`],
      [`maskedBits[4] bits[4] ${X}`],
      [`maskedBits[1] maskedBits[4] ${X}`],
      [`maskedBits[4] maskedBits[4] masked<40,6>[2,4]`],
      ["maskedBits[4] maskedBits[4] additive<40,6>[4]"],
    ],
  },
  toArithmetic: {
    last: [
      ["maskedBits[4]", { ring: 64, fraction: 0 }],
      [SIX_BITS, { ring: 64, fraction: 0 }],
    ],
    first: [
      ["maskedBits[4]", { ring: 65, fraction: 0 }],
      ["maskedBits[4]", { ring: 40, fraction: 1 }],
      ["bits[4]", { ring: 40, fraction: 0 }],
      ["maskedBits[4] bits[4]", { ring: 40, fraction: 0 }],
      ["maskedBits[4] maskedBits[1]", { ring: 40, fraction: 0 }],
    ],
  },
};

const OPENINGS: Partial<Record<ShareOpName, Rule>> = {
  remask: { last: [["additive<40,6>[4]"]], first: [[X], ["bits[4]"]] },
  remaskBits: { last: [["bits[4]"]], first: [["maskedBits[4]"], [X]] },
  widen: {
    last: [
      [X, { ring: 41 }],
      [X, { ring: 64 }],
      ["masked<2,0>[4]", { ring: 3 }],
    ],
    first: [
      [X, { ring: 40 }],
      [X, { ring: 65 }],
      ["masked<1,0>[4]", { ring: 3 }],
      ["additive<40,6>[4]", { ring: 41 }],
    ],
  },
  squares: {
    last: [
      [X, { ring: 64, drop: 0 }],
      [X, { ring: 1, drop: 63 }],
      ["masked<2,0>[4]", { ring: 3, drop: 0 }],
    ],
    first: [
      [X, { ring: 65, drop: 0 }],
      [X, { ring: 2, drop: 63 }],
      [X, { ring: 0, drop: 64 }],
      ["masked<1,0>[4]", { ring: 3, drop: 0 }],
      ["masked<40,6>[]", { ring: 3, drop: 0 }],
      ["additive<40,6>[4]", { ring: 41, drop: 0 }],
    ],
  },
  widenAdditive: {
    last: [
      [X, { ring: 64 }],
      [X, { ring: 40 }],
      ["masked<2,0>[4]", { ring: 3 }],
    ],
    first: [
      [X, { ring: 65 }],
      [X, { ring: -1 }],
      ["masked<1,0>[4]", { ring: 3 }],
      ["additive<40,6>[4]", { ring: 41 }],
    ],
  },
  andPublic: {
    last: [["bits[2,4] masked<1,0>[4]"]],
    first: [["bits[4] masked<40,0>[2,4]"], ["maskedBits[4] masked<40,0>[4]"], ["bits[4] additive<40,0>[4]"]],
  },
  randomCombination: {
    last: [
      ["bits[2,4]", { bits: 1 }],
      ["bits[4]", { bits: 64 }],
    ],
    first: [
      ["bits[2,4]", { bits: 0 }],
      ["bits[4]", { bits: 65 }],
      ["bits[]", { bits: 1 }],
      ["maskedBits[4]", { bits: 1 }],
    ],
  },
  verdict: {
    last: [["bits[4]"], ["bits[4] bits[4]"]],
    first: [["bits[4] bits[1,4]"], ["bits[4] bits[3]"], ["maskedBits[4]"], [X]],
  },
  reveal: {
    last: [[X, { name: "y" }]],
    first: [
      [X, { name: 3 }],
      ["bits[4]", { name: "y" }],
    ],
  },
};

const digit = (change: Attributes = {}) => ({ at: 0, offset: 0, ...change });
/** What less, equals and within have in common, with the rest of their attributes. */
function comparison(rest: Attributes): Rule {
  const hot = "hot<8>[4]";
  return {
    last: [
      [`${hot} ${X}`, { ...digit({ at: 32, offset: SAFE }), ...rest }],
      [`${hot} masked<0,6>[4]`, { ...digit({ at: 63 }), ...rest }],
    ],
    first: [
      [`${hot} ${X}`, { ...digit({ at: 33 }), ...rest }],
      [`${hot} ${X}`, { ...digit({ at: -1 }), ...rest }],
      [`${hot} ${X}`, { ...digit({ offset: SAFE + 1 }), ...rest }],
      [`${hot} masked<40,6>[1,4]`, { ...digit(), ...rest }],
      [`${hot} masked<40,6>[5]`, { ...digit(), ...rest }],
      [`bits[4] ${X}`, { ...digit(), ...rest }],
      [`${hot} additive<40,6>[4]`, { ...digit(), ...rest }],
    ],
  };
}

const COMPARISONS: Partial<Record<ShareOpName, Rule>> = {
  digits: {
    last: [
      [X, { at: 27, width: 13 }],
      [X, { at: 39, width: 1 }],
    ],
    first: [
      [X, { at: 28, width: 13 }],
      [X, { at: 0, width: 14 }],
      [X, { at: 0, width: 0 }],
      [X, { at: -1, width: 1 }],
      ["additive<40,6>[4]", { at: 0, width: 1 }],
    ],
  },
  less: comparison({}),
  equals: (() => {
    const common = comparison({ difference: 0 });
    return { ...common, first: [...common.first, [`hot<8>[4] ${X}`, digit({ difference: SAFE + 1 })] as const] };
  })(),
  within: (() => {
    const common = comparison({ from: 0, count: 256 });
    const bad = [
      { from: 0, count: 257 },
      { from: 0, count: -1 },
      { from: SAFE + 1, count: 1 },
    ];
    return { ...common, first: [...common.first, ...bad.map((each): Use => [`hot<8>[4] ${X}`, digit(each)])] };
  })(),
  topBit: {
    last: [[X, { offset: -SAFE }]],
    first: [
      [X, { offset: -SAFE - 1 }],
      ["additive<40,6>[4]", { offset: 0 }],
    ],
  },
  conjunction: {
    last: [["maskedBits[4] maskedBits[4]"]],
    first: [["maskedBits[4] maskedBits[3]"], ["bits[4] maskedBits[4]"]],
  },
  exclusiveOr: {
    last: [["bits[4] bits[4]"], ["maskedBits[4] maskedBits[4]"]],
    first: [["bits[4] maskedBits[4]"], ["bits[4] bits[1,4]"], [`${X} ${X}`]],
  },
  complement: { last: [["bits[4]"], ["maskedBits[4]"]], first: [[X], ["hot<3>[4]"]] },
};

const RULES = { ...LOCAL, ...PRODUCTS, ...OPENINGS, ...COMPARISONS, ...SPLITS };

function infer(op: string, [args, attributes = {}]: Use): string {
  const types = args === "" ? [] : args.split(" ").map(parseShareType);
  return printShareType(SHARE_OPS[op as ShareOpName].infer(types, attributes));
}

describe("the type rule", () => {
  it("of every op is tested", () => {
    expect(Object.keys(RULES).sort()).toEqual(Object.keys(SHARE_OPS).sort());
  });

  it.each(Object.entries(RULES))(
    "of %s takes the last value that it may, and not the first that it may not",
    (op, rule) => {
      for (const use of rule.last) {
        expect(infer(op, use)).toMatch(/^(masked|additive|bits|maskedBits|hot)/);
      }
      for (const use of rule.first) {
        expect(() => infer(op, use), `${op} ${JSON.stringify(use)}`).toThrow();
      }
    },
  );
});
