/**
 * Protects: no input becomes public by its name. What may be known to all is an integer or a truth value that is used
 * as a mask, as positions or as token types and for nothing else; everybody is told which those are, and why.
 */
import { describe, expect, it } from "vitest";
import { disclosureOf, knowledgeOf } from "../../client/knowledge.js";
import { Builder } from "../../ir/graph.js";
import { checkPlan } from "../../ir/plan/check.js";
import type { Plan } from "../../ir/plan/types.js";
import { SHARE } from "../../ir/share/index.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { parse } from "../../ir/text.js";
import { openInputs } from "../../passes/uses.js";
import { planFor } from "../plan/support.js";

/** A graph of scores, a table and one input of some name and type, of which `uses` makes outputs. */
function openIn(name: string, type: string, uses: string): [string, string][] {
  const [dtype, shape] = [type.replace(/\[.*/, ""), type.slice(type.indexOf("["))];
  const text = `
%0 = input {name = "x", dtype = "f32", shape = [4, 4]} : f32[4,4]
%1 = parameter {name = "w", dtype = "f32", shape = [4, 4]} : f32[4,4]
%2 = matmul %0, %1 : f32[4,4]
%3 = input {name = "${name}", dtype = "${dtype}", shape = ${shape}} : ${type}
${uses.trim()}
`;
  return [...openInputs(parse(text, TENSOR))];
}

const AS_MASK = `
%4 = cast %3 {dtype = "bool"} : bool[4]
%5 = softmax %2, %4 {axis = 1} : f32[4,4]
output "y" = %5`;

const AS_INDEX = `
%4 = embedding %1, %3 : f32[4,4]
%5 = add %2, %4 : f32[4,4]
output "y" = %5`;

/** A comparison with a number that chooses what is given out, after another operation with a number, if any. */
function compared(op: string, constant: string, first = "add", by = "i64[] [0]"): string {
  return `
%4 = constant {value = ${by}} : i64[]
%5 = ${first} %3, %4 : i64[4]
%6 = constant {value = ${constant}} : ${constant.split(" ")[0]}
%7 = ${op} ${first === "add" ? "%3" : "%5"}, %6 : bool[4]
%8 = select %7, %2, %0 : f32[4,4]
output "y" = %8`;
}

/** One taken away, and a truth value made of what is left. */
const movedMask = `
%4 = constant {value = i64[] [1]} : i64[]
%5 = subtract %3, %4 : i64[4]
%6 = cast %5 {dtype = "bool"} : bool[4]
%7 = select %6, %2, %0 : f32[4,4]
output "y" = %7`;

const BESIDE_MASK = (more: string) => AS_MASK.replace("output", `${more}\noutput`);

describe("an input is public by what it is used for", () => {
  it.each([
    ["a mask of any name", "lengths", AS_MASK, "a mask"],
    [
      "a bound that positions are compared with",
      "past",
      `
%4 = constant {value = i64[4] [0, 1, 2, 3]} : i64[4]
%5 = less %4, %3 : bool[4]
%6 = select %5, %2, %0 : f32[4,4]
output "y" = %6`,
      "a mask",
    ],
    [
      "positions of a rotation",
      "where",
      `
%4 = cast %3 {dtype = "f32"} : f32[4]
%5 = constant {value = f32[] [0.1]} : f32[]
%6 = multiply %4, %5 : f32[4]
%7 = sine %6 : f32[4]
%8 = multiply %2, %7 : f32[4,4]
output "y" = %8`,
      "positions",
    ],
    ["a mask of any name that is compared with zero", "m", compared("equal", "i64[] [0]"), "a mask"],
    ["the same as not above zero", "m", compared("lessOrEqual", "i64[] [0]"), "a mask"],
    ["the same as at least one", "m", compared("greaterOrEqual", "i64[] [1]"), "a mask"],
    ["what is below one", "m", compared("less", "i64[] [1]"), "a mask"],
    ["segments that are compared with one", "segment_ids", compared("equal", "i64[] [1]"), "a mask"],
    ["lengths that a window ends at", "len", compared("greater", "i64[4] [2, 3, 4, 5]"), "a mask"],
    ["token types", "token_type_ids", AS_INDEX, "token types"],
    ["segments", "segment_ids", AS_INDEX, "token types"],
    ["positions that look up", "position_ids", AS_INDEX, "positions"],
    [
      "a mask that is called one and compared with what masks have",
      "my_mask",
      `
%4 = constant {value = i64[] [1]} : i64[]
%5 = subtract %4, %3 : i64[4]
%6 = constant {value = i64[] [0]} : i64[]
%7 = equal %5, %6 : bool[4]
%8 = select %7, %2, %0 : f32[4,4]
output "y" = %8`,
      "a mask",
    ],
    [
      "a place that positions are compared with",
      "past",
      `
%4 = constant {value = i64[4] [0, 1, 2, 3]} : i64[4]
%5 = equal %4, %3 : bool[4]
%6 = select %5, %2, %0 : f32[4,4]
output "y" = %6`,
      "a mask",
    ],
    [
      "a mask that also averages what it keeps",
      "m",
      BESIDE_MASK(`
%6 = cast %3 {dtype = "f32"} : f32[4]
%7 = multiply %5, %6 : f32[4,4]
output "z" = %7`),
      "a mask",
    ],
    [
      "a mask of which positions are counted",
      "m",
      BESIDE_MASK(`
%6 = cumulativeSum %3 {axis = 0, exclusive = false, reverse = false} : i64[4]
%7 = embedding %1, %6 : f32[4,4]
output "z" = %7`),
      "a mask",
    ],
  ])("%s", (_, name, uses, why) => {
    expect(openIn(name, "i64[4]", uses)).toEqual([[name, why]]);
  });

  it.each([
    ["ids whose name has a mask in it", "maskedids", "i64[4]", AS_INDEX],
    ["ids whose name has types in it", "token_type_ids_of_words", "i64[4]", AS_INDEX],
    ["ids whose name has positions in it", "position_ids_2", "i64[4]", AS_INDEX],
    [
      "a mask that is also looked up",
      "attention_mask",
      "i64[4]",
      `${BESIDE_MASK("%6 = embedding %1, %3 : f32[4,4]")}
output "z" = %6`,
    ],
    [
      "types that are also a number",
      "token_type_ids",
      "i64[4]",
      `${AS_INDEX}
output "z" = %3`,
    ],
    ["real numbers used as a mask", "attention_mask", "f32[4]", AS_MASK],
    [
      "real numbers that a bound makes a mask of",
      "mask",
      "f32[4]",
      `
%4 = constant {value = f32[] [0.5]} : f32[]
%5 = less %3, %4 : bool[4]
%6 = softmax %2, %5 {axis = 1} : f32[4,4]
output "y" = %6`,
    ],
    [
      "a mask that is also a feature",
      "lab_values",
      "i64[4]",
      BESIDE_MASK(`
%6 = cast %3 {dtype = "f32"} : f32[4]
%7 = matmul %6, %1 : f32[4]
output "z" = %7`),
    ],
    [
      "a factor that masks nothing",
      "attention_mask",
      "i64[4]",
      `
%4 = cast %3 {dtype = "f32"} : f32[4]
%5 = multiply %2, %4 : f32[4,4]
output "y" = %5`,
    ],
    [
      "the angle of a sine of what is no position",
      "position_ids",
      "i64[4]",
      `
%4 = cast %3 {dtype = "f32"} : f32[4]
%5 = add %2, %4 : f32[4,4]
%6 = sine %5 : f32[4,4]
output "y" = %6`,
    ],
    [
      "ids of which only the end of the text is looked for, as a mask",
      "attention_mask",
      "i64[4]",
      `
%4 = constant {value = i64[] [102]} : i64[]
%5 = equal %3, %4 : bool[4]
%6 = select %5, %2, %0 : f32[4,4]
output "y" = %6`,
    ],
    [
      "ids of which only the place of the end is looked up, whatever they are called",
      "position_ids",
      "i64[4]",
      `
%4 = constant {value = i64[4] [102, 102, 102, 102]} : i64[4]
%5 = equal %4, %3 : bool[4]
%6 = cast %5 {dtype = "i64"} : i64[4]
%7 = embedding %2, %6 : f32[4,4]
output "y" = %7`,
    ],
    [
      "ids of which a certain one was taken away first",
      "x2",
      "i64[4]",
      `
%4 = constant {value = i64[] [102]} : i64[]
%5 = subtract %3, %4 : i64[4]
%6 = constant {value = i64[] [0]} : i64[]
%7 = equal %5, %6 : bool[4]
%8 = select %7, %2, %0 : f32[4,4]
output "y" = %8`,
    ],
    [
      "ids as real numbers, of which a certain one is looked for",
      "x2",
      "i64[4]",
      `
%4 = cast %3 {dtype = "f32"} : f32[4]
%5 = constant {value = f32[] [102]} : f32[]
%6 = equal %4, %5 : bool[4]
%7 = select %6, %2, %0 : f32[4,4]
output "y" = %7`,
    ],
    ["ids of which padding is looked for, 1 in RoBERTa", "ids", "i64[4]", compared("equal", "i64[] [1]")],
    ["ids that are as large as a number", "x2", "i64[4]", compared("less", "i64[] [5]")],
    ["ids of which those above one are looked for", "x2", "i64[4]", compared("greater", "i64[] [1]")],
    ["ids of which several are looked for", "x2", "i64[4]", compared("equal", "i64[4] [100, 101, 102, 103]")],
    [
      "ids that are compared with the first and the last word",
      "x2",
      "i64[4]",
      compared("equal", "i64[4] [1, 2, 1, 2]"),
    ],
    ["ids that were multiplied first", "x2", "i64[4]", compared("equal", "i64[] [4]", "multiply", "i64[] [2]")],
    ["ids of which one was taken away and what is left asked for", "x2", "i64[4]", movedMask],
    ["a mask's name with more than masks have", "attention_mask", "i64[4]", compared("equal", "i64[] [2]")],
    ["what is not used", "attention_mask", "i64[4]", 'output "y" = %2'],
  ])("but not %s", (_, name, type, uses) => {
    expect(openIn(name, type, uses)).toEqual([]);
  });
});

/** A plan that gives P1 and P2 an input. */
function disclosing(): Plan {
  const input = { ring: 32, fraction: 8, shape: [4] };
  const builder = new Builder(SHARE);
  const one = builder.emit("input", [], { owner: "public", name: "m", ...input });
  const other = builder.emit("input", [], { owner: "data", name: "x", ...input });
  const sum = builder.emit("add", [one, other], {});
  return planFor(builder.finish([{ name: "y", node: builder.emit("reveal", [sum], { name: "y" }) }]));
}

describe("what P1 and P2 are given in the clear", () => {
  it("is said, with the reason, and never beside 'nothing'", () => {
    const plan = disclosing();
    const { name } = plan.disclosed[0];
    expect(disclosureOf(plan)).toEqual([`public: ${name} is given to P1 and P2 in the clear (a mask)`]);
    const learns = knowledgeOf(plan).find(({ who }) => who === "P1, P2")!.learns;
    expect(learns).toContain(`${name} (a mask)`);
    expect(learns).not.toContain("nothing");
  });

  it("cannot be left unsaid by a plan", () => {
    const unsaid = { ...disclosing(), disclosed: [] };
    expect(() => checkPlan(unsaid)).toThrow("to P1 and P2 and does not say so");
  });
});
