/**
 * Rows that see no key give what the model file says in float32: a penalty in every place cancels, or drowns the
 * scores so that the keys with the largest one share evenly; minus infinity everywhere gives zeros. For every form of
 * a mask, public and secret, in both profiles.
 */
import { describe, expect, test } from "vitest";
import type { TensorValue } from "../../ir/tensor/value.js";
import { compileText, floats, normal, runText, type TextModel } from "./support.js";

const LOWEST = -3.4028234663852886e38;
const [BATCH, SIZE, WIDTH] = [2, 4, 3];
/** Row 0 is padded on the left; row 1 sees all but one. */
const MASK = [0, 0, 1, 1, 1, 1, 0, 1];

const ints = (shape: readonly number[], data: readonly number[]): TensorValue => ({
  dtype: "i64",
  shape,
  data: Float64Array.from(data),
});

/** A masked score in float32, from the score and whether padding and causality keep it. */
type Meaning = (score: number, kept: boolean, before: boolean) => number;

interface Form {
  readonly name: string;
  /** From scores %3 and mask %5 (bool, [2, 1, 4]), %6 (its float) and %7 (causal, bool) to masked scores %20. */
  readonly lines: string;
  readonly meaning: Meaning;
}

const add = (...terms: readonly number[]) => terms.reduce((sum, term) => Math.fround(sum + term));
const scalar = (place: number, value: number) => `%${place} = constant {value = f32[] [${value}]} : f32[]`;
const shape = `f32[${BATCH},${SIZE},${SIZE}]`;
const both = `%8 = and %7, %5 : bool[${BATCH},${SIZE},${SIZE}]`;

const forms = (level: number): readonly Form[] => [
  {
    name: "added by arithmetic",
    lines: `${scalar(10, 1)}
%11 = subtract %10, %6 : f32[${BATCH},1,${SIZE}]
${scalar(12, level)}
%13 = multiply %11, %12 : f32[${BATCH},1,${SIZE}]
%20 = add %3, %13 : ${shape}`,
    meaning: (score, kept) => add(score, kept ? 0 : level),
  },
  {
    name: "chosen",
    lines: `${both}
${scalar(10, level)}
%20 = select %8, %3, %10 : ${shape}`,
    meaning: (score, kept, before) => (kept && before ? score : level),
  },
  {
    name: "chosen, then added",
    lines: `${both}
${scalar(10, level)}
${scalar(11, 0)}
%12 = select %8, %11, %10 : ${shape}
%20 = add %3, %12 : ${shape}`,
    meaning: (score, kept, before) => add(score, kept && before ? 0 : level),
  },
  {
    name: "two, added to each other",
    lines: `${scalar(10, level)}
${scalar(11, 0)}
%12 = select %7, %11, %10 : f32[${SIZE},${SIZE}]
%13 = select %5, %11, %10 : f32[${BATCH},1,${SIZE}]
%14 = add %12, %13 : ${shape}
%20 = add %3, %14 : ${shape}`,
    meaning: (score, kept, before) => add(score, add(before ? 0 : level, kept ? 0 : level)),
  },
  {
    name: "two, added, held above the least",
    lines: `${scalar(10, level)}
${scalar(11, 0)}
%12 = select %7, %11, %10 : f32[${SIZE},${SIZE}]
%13 = select %5, %11, %10 : f32[${BATCH},1,${SIZE}]
%14 = add %3, %12 : ${shape}
%15 = add %14, %13 : ${shape}
%20 = maximum %15, %10 : ${shape}`,
    meaning: (score, kept, before) => Math.max(level, add(score, before ? 0 : level, kept ? 0 : level)),
  },
  {
    name: "causal chosen, padding added",
    lines: `${scalar(10, level)}
${scalar(11, 0)}
%12 = select %7, %3, %10 : ${shape}
%13 = select %5, %11, %10 : f32[${BATCH},1,${SIZE}]
%20 = add %12, %13 : ${shape}`,
    meaning: (score, kept, before) => add(before ? score : level, kept ? 0 : level),
  },
];

const model = ({ lines }: Form): TextModel => ({
  text: `%0 = input {name = "x", dtype = "f32", shape = [${BATCH}, ${SIZE}, 8]} : f32[${BATCH},${SIZE},8]
%1 = parameter {name = "w", dtype = "f32", shape = [8, ${SIZE}]} : f32[8,${SIZE}]
%2 = parameter {name = "v", dtype = "f32", shape = [${SIZE}, ${WIDTH}]} : f32[${SIZE},${WIDTH}]
%3 = matmul %0, %1 : ${shape}
%4 = input {name = "mask", dtype = "i64", shape = [${BATCH}, 1, ${SIZE}]} : i64[${BATCH},1,${SIZE}]
%5 = cast %4 {dtype = "bool"} : bool[${BATCH},1,${SIZE}]
%6 = cast %4 {dtype = "f32"} : f32[${BATCH},1,${SIZE}]
%7 = constant {value = bool[${SIZE},${SIZE}] [1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1]} : bool[${SIZE},${SIZE}]
${lines}
%30 = softmax %20 {axis = 2} : ${shape}
%31 = matmul %30, %2 : f32[${BATCH},${SIZE},${WIDTH}]
output "weights" = %30
output "rows" = %31`,
  weights: new Map([
    ["w", normal([8, SIZE], 0.5)],
    ["v", normal([SIZE, WIDTH], 1, 3)],
  ]),
  inputs: new Map([
    ["x", normal([BATCH, SIZE, 8])],
    ["mask", ints([BATCH, 1, SIZE], MASK)],
  ]),
});

/** What float32 makes of the masked scores; rows of minus infinity are zero. */
function expected(form: Form): number[] {
  const { inputs, weights } = model(form);
  const [x, w] = [inputs.get("x")!.data, weights!.get("w")!.data];
  return Array.from({ length: BATCH * SIZE }, (_, row) => {
    const batch = Math.floor(row / SIZE);
    const masked = Array.from({ length: SIZE }, (_, key) => {
      const score = Array.from({ length: 8 }, (_, i) => x[row * 8 + i] * w[i * SIZE + key]).reduce((a, b) => a + b);
      return form.meaning(Math.fround(score), MASK[batch * SIZE + key] === 1, key <= row % SIZE);
    });
    const largest = Math.max(...masked);
    const powers = masked.map((each) => (largest === Number.NEGATIVE_INFINITY ? 0 : Math.exp(each - largest)));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((each) => (sum === 0 ? 0 : each / sum));
  }).flat();
}

/** The largest error of the weights, and of the rows that they make of the values. */
async function errors(form: Form, options = {}): Promise<number> {
  const { outputs } = await runText(model(form), options);
  const weights = expected(form);
  const v = model(form).weights!.get("v")!.data;
  const rows = Array.from({ length: BATCH * SIZE * WIDTH }, (_, i) => {
    const [row, column] = [Math.floor(i / WIDTH), i % WIDTH];
    return Array.from({ length: SIZE }, (_, k) => weights[row * SIZE + k] * v[k * WIDTH + column]).reduce(
      (a, b) => a + b,
    );
  });
  const away = (name: string, right: readonly number[]) =>
    right.map((value, i) => Math.abs(value - outputs.get(name)!.data[i]));
  return Math.max(...away("weights", weights), ...away("rows", rows));
}

const LEVELS = [-1e4, -1e9, LOWEST, Number.NEGATIVE_INFINITY].map((level) => [level] as const);

describe.each(LEVELS)("rows that see no key, masked by %d,", (level) => {
  const isMeant = ({ name }: Form) =>
    (level > Number.NEGATIVE_INFINITY || name !== "added by arithmetic") &&
    (level < -1e8 || name !== "two, added, held above the least");
  const given = forms(level).filter(isMeant);
  test.each(given)("$name", async (form) => {
    expect(await errors(form), "public").toBeLessThan(3e-3);
    expect(await errors(form, { secret: ["mask"] }), "secret").toBeLessThan(3e-3);
    expect(await errors(form, { profile: "puma" }), "puma").toBeLessThan(3e-2);
  });
});

// A mask that only lowers scores must lower the largest below the smallest that is kept.
describe.each([0.25, 1, 3, 6, 12])("scores from %d to minus it", (far) => {
  test.each([true, false])("give nothing to a key that is hidden, the mask being secret: %s", async (secret) => {
    for (const form of forms(-1e9)) {
      const base = model({ ...form, lines: form.lines });
      const aligned: TextModel = {
        ...base,
        // Row 0 of a batch reads keys 0 and 2 at +far, 1 and 3 at −far; what the mask hides there are the largest.
        weights: new Map([
          ...base.weights!,
          ["w", floats([8, SIZE], (i) => (i < SIZE ? far * (i % 2 === 0 ? 1 : -1) : 0))],
        ]),
        inputs: new Map([
          ["x", floats([BATCH, SIZE, 8], (i) => (i % 8 === 0 ? 1 : 0))],
          ["mask", ints([BATCH, 1, SIZE], [0, 1, 0, 1, 0, 1, 1, 1])],
        ]),
      };
      const { outputs, expected } = await runText(aligned, secret ? { secret: ["mask"] } : {});
      const [has, wanted] = [outputs, expected].map((each) => each.get("weights")!.data);
      for (const row of [3, 7]) {
        const hidden = row === 3 ? [0, 2] : [0];
        for (const key of hidden) {
          expect(wanted[row * SIZE + key], form.name).toBe(0);
          expect(Math.abs(has[row * SIZE + key]), `${form.name}, row ${row}, key ${key}`).toBeLessThan(2 ** -10);
        }
      }
    }
  });
});

test("rows that see no key cost no round where the mask is public", () => {
  const [, , form] = forms(LOWEST);
  const causal: Form = {
    ...form,
    lines: form.lines.replace("and %7, %5", `broadcast %7 {shape = [${BATCH}, ${SIZE}, ${SIZE}]}`),
  };
  // Nothing measured: both softmaxes have a maximum, whatever their masks are.
  const roundsOf = (each: Form) => compileText(model(each), { weights: false }).plan.rounds;
  expect(roundsOf(form)).toBe(roundsOf(causal));
});

describe("numbers of an input that are added to scores", () => {
  const added = (data: readonly number[]): TextModel => {
    const base = model({
      name: "",
      lines: `%9 = input {name = "bias", dtype = "f32", shape = [${SIZE}, ${SIZE}]} : f32[${SIZE},${SIZE}]
%20 = add %3, %9 : ${shape}`,
      meaning: (score) => score,
    });
    return { ...base, inputs: new Map([...base.inputs, ["bias", floats([SIZE, SIZE], (i) => data[i])]]) };
  };
  const upper = (far: number) =>
    Array.from({ length: SIZE * SIZE }, (_, i) => (i % SIZE > Math.floor(i / SIZE) ? far : 0));

  test.each([-1e4, -1e9, LOWEST, Number.NEGATIVE_INFINITY])("drop those with %d", async (far) => {
    expect((await runText(added(upper(far)))).error).toBeLessThan(3e-3);
  });

  test("and stay a bias where they are not far below zero, beside a mask", async () => {
    const slopes = upper(LOWEST).map((value, i) => (value === 0 ? -(i % SIZE) / 2 : value));
    expect((await runText(added(slopes))).error).toBeLessThan(3e-3);
  });
});

describe("whole numbers that decide what is seen", () => {
  const visible = (lines: string, value: readonly number[]): TextModel => {
    const base = model({ name: "", lines, meaning: (score) => score });
    const data = ints([BATCH], value);
    return { ...base, inputs: new Map([...base.inputs, ["count", data]]) };
  };
  const head = `%9 = input {name = "count", dtype = "i64", shape = [${BATCH}]} : i64[${BATCH}]
%10 = reshape %9 {shape = [${BATCH}, 1, 1]} : i64[${BATCH},1,1]
%11 = constant {value = i64[1,1,${SIZE}] [0, 1, 2, 3]} : i64[1,1,${SIZE}]
%12 = constant {value = i64[] [1]} : i64[]
%13 = constant {value = i64[] [0]} : i64[]
${scalar(14, LOWEST)}`;
  const kept = `bool[${BATCH},1,${SIZE}]`;
  const cases: readonly (readonly [name: string, lines: string])[] = [
    ["a length", `%15 = less %11, %10 : ${kept}`],
    ["a position, one added", `%16 = add %10, %12 : i64[${BATCH},1,1]\n%15 = less %11, %16 : ${kept}`],
    ["a difference below zero", `%16 = subtract %11, %10 : i64[${BATCH},1,${SIZE}]\n%15 = less %16, %13 : ${kept}`],
    [
      "a segment",
      `%16 = subtract %11, %10 : i64[${BATCH},1,${SIZE}]
%17 = cast %16 {dtype = "bool"} : ${kept}
%15 = not %17 : ${kept}`,
    ],
    ["a segment, compared", `%15 = equal %11, %10 : ${kept}`],
    [
      "a segment, compared with one",
      `%16 = equal %10, %12 : bool[${BATCH},1,1]\n%17 = less %11, %10 : ${kept}\n%15 = or %16, %17 : ${kept}`,
    ],
    ["held at one", `%16 = minimum %10, %12 : i64[${BATCH},1,1]\n%15 = lessOrEqual %11, %16 : ${kept}`],
  ];
  test.each(cases)("%s", async (_, lines) => {
    const given = visible(`${head}\n${lines}\n%20 = select %15, %3, %14 : ${shape}`, [2, 3]);
    for (const options of [{}, { secret: ["count"] }]) {
      expect((await runText(given, options)).error).toBeLessThan(3e-3);
    }
  });
});

describe("a softmax with its mask, however it is written, is one", () => {
  const rows = `f32[${BATCH},${SIZE},1]`;
  const wide = `f32[${BATCH},${SIZE},${SIZE + 1}]`;
  const head = `${scalar(9, LOWEST)}
%10 = select %5, %3, %9 : ${shape}`;
  const sums = `%10 = softmax %3 {axis = 2} : ${shape}
${scalar(13, 0)}`;
  const product = `${sums}
%11 = multiply %10, %6 : ${shape}
%12 = reduceSum %11 {axes = [2], keep = true} : ${rows}`;
  const guarded = `%14 = greater %12, %13 : bool[${BATCH},${SIZE},1]`;
  const cases: readonly (readonly [name: string, lines: string])[] = [
    [
      "by the logarithm of the sum",
      `${head}
%11 = reduceMaximum %10 {axes = [2], keep = true} : ${rows}
%12 = subtract %10, %11 : ${shape}
%13 = exponential %12 : ${shape}
%14 = reduceSum %13 {axes = [2], keep = true} : ${rows}
%15 = logarithm %14 : ${rows}
%16 = add %11, %15 : ${rows}
%17 = subtract %10, %16 : ${shape}
%20 = exponential %17 : ${shape}`,
    ],
    ["by a log softmax", `${head}\n%11 = logSoftmax %10 {axis = 2} : ${shape}\n%20 = exponential %11 : ${shape}`],
    [
      "renormalised, guarded twice",
      `${product}
${guarded}
${scalar(15, 1)}
%16 = select %14, %12, %15 : ${rows}
%17 = divide %11, %16 : ${shape}
%20 = select %14, %17, %13 : ${shape}`,
    ],
    [
      "renormalised by at least ε",
      `${product}
${scalar(14, 1e-9)}
%15 = maximum %12, %14 : ${rows}
%20 = divide %11, %15 : ${shape}`,
    ],
    [
      "renormalised beside ε, by a choice",
      `${sums}
%11 = select %5, %10, %13 : ${shape}
%12 = reduceSum %11 {axes = [2], keep = true} : ${rows}
${scalar(14, 1e-9)}
%15 = add %12, %14 : ${rows}
%20 = divide %11, %15 : ${shape}`,
    ],
    [
      "with a sink beside the scores",
      `${head}
%11 = parameter {name = "sink", dtype = "f32", shape = [1, ${SIZE}, 1]} : f32[1,${SIZE},1]
%12 = broadcast %11 {shape = [${BATCH}, ${SIZE}, 1]} : ${rows}
%13 = concatenate %10, %12 {axis = 2} : ${wide}
%14 = reduceMaximum %13 {axes = [2], keep = true} : ${rows}
%15 = subtract %13, %14 : ${wide}
%16 = softmax %15 {axis = 2} : ${wide}
%20 = slice %16 {starts = [0, 0, 0], ends = [${BATCH}, ${SIZE}, ${SIZE}], steps = [1, 1, 1]} : ${shape}`,
    ],
    [
      "and a question of what it keeps",
      `${head}
%11 = softmax %10 {axis = 2} : ${shape}
%12 = greater %10, %9 : bool[${BATCH},${SIZE},${SIZE}]
${scalar(13, 0)}
%20 = select %12, %11, %13 : ${shape}`,
    ],
  ];
  const given = (lines: string): TextModel => {
    const { text, weights, inputs } = model({ name: "", lines, meaning: (score) => score });
    const body = text.replace(/%30 = softmax.*\n/, "").replaceAll("%30", "%20");
    return { text: body, inputs, weights: new Map([...weights!, ["sink", normal([1, SIZE, 1], 1, 5)]]) };
  };
  test.each(cases)("%s", async (name, lines) => {
    const { error, plan } = await runText(given(lines));
    expect(error).toBeLessThan(3e-3);
    const plain = compileText(given(`${head}\n%20 = softmax %10 {axis = 2} : ${shape}`)).plan;
    expect(plan.rounds).toBeLessThanOrEqual(plain.rounds + (name.includes("sink") ? 2 : 0));
  });
});
