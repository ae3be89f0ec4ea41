/**
 * Softmax without a maximum, through the three roles: heads of different spread, padding, causal masks; and when a
 * maximum is found all the same.
 */
import { describe, expect, test } from "vitest";
import type { TensorValue } from "../../ir/tensor/value.js";
import { compileText, floats, normal, runText, type TextModel } from "./support.js";

const [HEADS, ROWS, DEPTH] = [3, 12, 4];
const SHAPE = [1, HEADS, ROWS, DEPTH];
const text = (shape: readonly number[]) => `f32[${shape.join(",")}]`;

/** softmax(q·k)·v of heads whose scores differ by these factors; `mask` gives %5, the kept keys. */
function attention(
  scales: readonly number[],
  mask = "",
  values: ReadonlyMap<string, TensorValue> = new Map(),
): TextModel {
  const input = (name: string, place: number) =>
    `%${place} = input {name = "${name}", dtype = "f32", shape = [${SHAPE.join(", ")}]} : ${text(SHAPE)}`;
  const weight = `%3 = parameter {name = "w", dtype = "f32", shape = [${HEADS}, 1, 1]} : ${text([HEADS, 1, 1])}`;
  const scores = text([1, HEADS, ROWS, ROWS]);
  return {
    text: `${input("q", 0)}
${input("k", 1)}
${input("v", 2)}
${weight}
%4 = multiply %0, %3 : ${text(SHAPE)} @ "queries"
${mask}
%6 = transpose %1 {permutation = [0, 1, 3, 2]} : ${text([1, HEADS, DEPTH, ROWS])}
%7 = matmul %4, %6 : ${scores} @ "scores"
%8 = softmax %7${mask === "" ? "" : ", %5"} {axis = 3} : ${scores} @ "softmax"
%9 = matmul %8, %2 : ${text(SHAPE)} @ "context"
output "y" = %9`,
    weights: new Map([["w", floats([HEADS, 1, 1], (i) => scales[i % scales.length])]]),
    inputs: new Map([["q", normal(SHAPE, 1, 1)], ["k", normal(SHAPE, 1, 2)], ["v", normal(SHAPE, 1, 3)], ...values]),
  };
}

const opsOf = (model: TextModel) => new Set(compileText(model).plan.steps.map(({ op }) => op));
const KEEP = "attention_mask";
const PADDING = `%5 = input {name = "${KEEP}", dtype = "bool", shape = [1, 1, 1, ${ROWS}]} : bool[1,1,1,${ROWS}]`;
const kept = (count: number): ReadonlyMap<string, TensorValue> =>
  new Map([
    [
      KEEP,
      {
        dtype: "bool",
        shape: [1, 1, 1, ROWS],
        data: Float64Array.from({ length: ROWS }, (_, i) => (i < count ? 1 : 0)),
      },
    ],
  ]);
const CAUSAL = `%5 = constant {value = bool[${ROWS},${ROWS}] [${Array.from({ length: ROWS * ROWS }, (_, i) =>
  i % ROWS <= Math.floor(i / ROWS) ? 1 : 0,
).join(", ")}]} : bool[${ROWS},${ROWS}]`;

describe("a softmax that samples have shown needs no maximum", () => {
  test.each([
    ["heads alike", [1], ""],
    ["heads of very different spread", [0.1, 0.4, 1.2], ""],
    ["a causal mask", [0.3, 1], CAUSAL],
  ] as const)("%s", async (_, scales, mask) => {
    const { error, plan } = await runText(attention(scales, mask));
    expect(error).toBeLessThan(2e-3);
    const ops = new Set(plan.steps.map(({ op }) => op));
    expect([ops.has("decays"), ops.has("exponential")]).toEqual([true, false]);
  });

  test.each([1, 5, ROWS])("with padding after %d keys", async (count) => {
    const { error, plan } = await runText(attention([0.5, 4], PADDING, kept(count)));
    expect(error).toBeLessThan(3e-3);
    expect(plan.steps.some(({ op }) => op === "decays")).toBe(true);
  });

  test("without samples a maximum is found, as before", () => {
    const model = attention([1]);
    const { plan } = compileText(model, { weights: false });
    expect(plan.steps.some(({ op }) => op === "coarseCount" || op === "topBit")).toBe(true);
  });

  test.each([
    [-1, 90, ROWS],
    [0, 90, ROWS],
    [1, 90, ROWS],
    [-1, 12, 7],
    [1, 12, 7],
  ])("a head that looks %d places behind, scores up to %d, %d keys kept", async (offset, scale, count) => {
    const angle = (place: number) => (2 * Math.PI * place) / ROWS;
    const circle = (radius: number, ahead: number): TensorValue =>
      floats(SHAPE, (i) => {
        const [axis, place] = [i % DEPTH, Math.floor(i / DEPTH) % ROWS];
        return axis > 1 ? 0 : radius * (axis === 0 ? Math.cos(angle(place + ahead)) : Math.sin(angle(place + ahead)));
      });
    const given = attention([1], PADDING, kept(count));
    const inputs = new Map([...given.inputs, ["q", circle(scale, offset)], ["k", circle(1, 0)]] as const);
    // Keys that their owner does not hold in the clear.
    const own = `%30 = multiply %1, %3 : ${text(SHAPE)} @ "keys"\n%6 = transpose %30`;
    const { error, plan } = await runText({ ...given, text: given.text.replace("%6 = transpose %1", own), inputs });
    expect(error).toBeLessThan(4e-3);
    expect([...new Set(plan.steps.map(({ op }) => op))]).not.toContain("exponential");
  });

  test("queries come from their owner in the units of their head", async () => {
    const [width, plain] = [HEADS * DEPTH, attention([0.5, 1, 2])];
    const flat = text([1, ROWS, width]);
    const own = `%20 = input {name = "x", dtype = "f32", shape = [1, ${ROWS}, ${width}]} : ${flat}
%21 = parameter {name = "wq", dtype = "f32", shape = [${width}, ${width}]} : ${text([width, width])}
%22 = matmul %20, %21 : ${flat} @ "queries"
%23 = parameter {name = "bq", dtype = "f32", shape = [${width}]} : ${text([width])}
%24 = add %22, %23 : ${flat} @ "queries"
%25 = reshape %24 {shape = [1, ${ROWS}, ${HEADS}, ${DEPTH}]} : ${text([1, ROWS, HEADS, DEPTH])} @ "queries"
%26 = transpose %25 {permutation = [0, 2, 1, 3]} : ${text(SHAPE)} @ "queries"`;
    const lines = plain.text.split("\n").filter((line) => !/^%[034] /.test(line));
    const model: TextModel = {
      text: [own, ...lines].join("\n").replace("matmul %4,", "matmul %26,"),
      weights: new Map([
        ["wq", floats([width, width], (i) => Math.sin(i * i) * (1 + (i % width) / DEPTH / 2) * 0.4)],
        ["bq", floats([width], (i) => Math.cos(i))],
      ]),
      inputs: new Map(
        [...plain.inputs, ["x", normal([1, ROWS, width], 1, 4)]].filter(([name]) => name !== "q") as never,
      ),
    };
    const { error, plan } = await runText(model);
    expect(error).toBeLessThan(2e-3);
    const scaled = plan.bindings.filter(({ input, output }) => input !== output).map(({ input }) => input);
    expect(scaled.sort()).toEqual(["bq.multiply", "wq.multiply"]);
  });

  test("heads that spread too far keep their maximum, the others do without", async () => {
    const model = attention([0.5, 1, 60]);
    expect([...opsOf(model)]).toEqual(expect.arrayContaining(["decays", "exponential"]));
    expect((await runText(model)).error).toBeLessThan(4e-3);
  });
});
