/**
 * The functions whose accuracy is stated and measured: op, domain, and the largest error in each profile. One table for
 * the test, which holds the measured errors to it, and for docs/accuracy.md, which shows both.
 */
import type { Attributes, Builder, Node } from "../../ir/graph.js";
import { sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";

/** Error as it is, over the value, or over the largest value of the domain. */
export type Distance = "absolute" | "relative" | "of the largest";

export interface InputValues {
  /** Values on the fixed-point grid of this many fractional bits. */
  readonly values: (fraction: number) => TensorValue;
  readonly domain: string;
}

export interface FunctionCase {
  readonly name: string;
  /** One op of the inputs and constants, */
  readonly op?: string;
  readonly attributes?: Attributes;
  /** or several: an expression of the inputs. */
  readonly build?: (emit: Emit, inputs: readonly Node<TensorType>[]) => Node<TensorType>;
  readonly inputs: readonly InputValues[];
  /** Public arguments after the inputs. */
  readonly constants?: readonly number[];
  readonly distance: Distance;
  /** Largest errors: of profile fourier, and of puma where it computes the function otherwise. */
  readonly fourier?: number;
  readonly puma?: number;
  /** For norms: the range of the rows' variance. */
  readonly variance?: { readonly low: number; readonly high: number };
}

/** Emits a tensor op. */
export type Emit = (
  op: string,
  args: readonly Node<TensorType>[],
  attributes?: Attributes,
) => ReturnType<Builder<TensorType>["emit"]>;

const POINTS = 2000;

function onGrid(x: number, fraction: number): number {
  return Math.round(x * 2 ** fraction) / 2 ** fraction;
}

function values(shape: readonly number[], at: (i: number, n: number) => number): (fraction: number) => TensorValue {
  const n = sizeOf(shape);
  return (fraction) => ({
    dtype: "f64",
    shape,
    data: Float64Array.from({ length: n }, (_, i) => onGrid(at(i, n), fraction)),
  });
}

/** Evenly from low to high. */
function linear(low: number, high: number, count = POINTS): InputValues {
  const at = (i: number, n: number) => low + ((high - low) * i) / (n - 1);
  return { values: values([count], at), domain: `[${low}, ${high}]` };
}

/** Evenly in the logarithm: as many points in every power of two. */
function logarithmic(low: number, high: number): InputValues {
  const at = (i: number, n: number) => low * (high / low) ** (i / (n - 1));
  return { values: values([POINTS], at), domain: `[${low}, ${high}]` };
}

/** The same interval in another order, so that two arguments meet in many pairs. */
function scattered(low: number, high: number): InputValues {
  const at = (i: number, n: number) => low + ((high - low) * ((i * 733) % n)) / (n - 1);
  return { values: values([POINTS], at), domain: `[${low}, ${high}]` };
}

/** Few different values, so that equal ones meet. */
function stepped(step: number): InputValues {
  const at = (i: number) => ((((i * step) % 41) - 20) * 3) / 16;
  return { values: values([POINTS], at), domain: "41 values in [-3.75, 3.75]" };
}

/** Rows of values in [-scale, scale], as a fixed sequence without a pattern. */
function rows(count: number, length: number, scale: number): InputValues {
  const at = (i: number) => {
    const noise = Math.sin(i * 12.9898 + 1) * 43758.5453;
    return scale * (2 * (noise - Math.floor(noise)) - 1);
  };
  return { values: values([count, length], at), domain: `rows of ${length} in [-${scale}, ${scale}]` };
}

const activation = (name: string, op: string, fourier: number, extra: Partial<FunctionCase> = {}): FunctionCase => ({
  name, op, fourier, inputs: [linear(-14, 14)], distance: "absolute", ...extra,
}); // biome-ignore format: a row

const ACTIVATION_CASES: readonly FunctionCase[] = [
  activation("GELU (erf)", "gelu", 2e-3, { attributes: { approximation: "erf" }, puma: 0.022 }),
  activation("GELU (tanh)", "gelu", 2e-3, { attributes: { approximation: "tanh" }, puma: 0.022 }),
  activation("GELU (quick)", "gelu", 2.5e-3, { attributes: { approximation: "quick" } }),
  activation("SiLU", "silu", 4e-3, { puma: 0.075 }),
  activation("tanh", "tangentHyperbolic", 2e-3),
  activation("soft cap of 30", "softCap", 4e-3, { attributes: { cap: 30 }, inputs: [linear(-200, 200)] }),
  activation("erf", "errorFunction", 2e-3),
  activation("sigmoid", "sigmoid", 2e-3),
  activation("softplus", "softplus", 3e-3),
  activation("ReLU", "relu", 2e-3),
  activation("|x|", "absolute", 4e-3),
];

const ELEMENTARY_CASES: readonly FunctionCase[] = [
  { name: "e^x", op: "exponential", inputs: [linear(-12, 4)], distance: "of the largest", fourier: 2e-4 },
  { name: "2^x", op: "exponential2", inputs: [linear(-20, 0)], distance: "of the largest", fourier: 4e-4 },
  { name: "e^x - 1", op: "exponentialMinusOne", inputs: [linear(-8, 1)], distance: "of the largest", fourier: 2e-4 },
  { name: "ln(1 + x)", op: "logarithmPlusOne", inputs: [linear(-0.75, 8)], distance: "absolute", fourier: 2e-3 },
  { name: "ln x", op: "logarithm", inputs: [logarithmic(0.25, 256)], distance: "absolute", fourier: 2e-3 },
  { name: "1/x", op: "reciprocal", inputs: [logarithmic(0.5, 256)], distance: "relative", fourier: 1e-3 },
  { name: "1/x, x < 0", op: "reciprocal", inputs: [linear(-32, -0.5)], distance: "relative", fourier: 1e-3 },
  { name: "√x", op: "squareRoot", inputs: [logarithmic(0.25, 1024)], distance: "relative", fourier: 1e-3 },
  { name: "√x from 0", op: "squareRoot", inputs: [linear(0, 16)], distance: "absolute", fourier: 8e-3 },
  { name: "1/√x", op: "reciprocalSquareRoot", inputs: [logarithmic(0.25, 1024)], distance: "relative", fourier: 1e-3 },
  {
    name: "x/y", op: "divide", inputs: [scattered(-8, 8), logarithmic(0.5, 64)], distance: "of the largest",
    fourier: 1e-3,
  }, // biome-ignore format: a row
  { name: "x²", op: "power", constants: [2], inputs: [linear(-8, 8)], distance: "absolute", fourier: 1e-3 },
  { name: "x³", op: "power", constants: [3], inputs: [linear(-4, 4)], distance: "absolute", fourier: 2e-3 },
  {
    name: "x^0.5",
    op: "power",
    constants: [0.5],
    inputs: [logarithmic(0.25, 64)],
    distance: "relative",
    fourier: 1e-3,
  },
  {
    name: "x^1.5",
    op: "power",
    constants: [1.5],
    inputs: [logarithmic(0.25, 16)],
    distance: "relative",
    fourier: 1e-3,
  },
  { name: "sin x", op: "sine", inputs: [linear(-50, 50)], distance: "absolute", fourier: 5e-4 },
  { name: "cos x", op: "cosine", inputs: [linear(-50, 50)], distance: "absolute", fourier: 5e-4 },
];

const rare = (name: string, op: string, low: number, high: number, fourier: number): FunctionCase => ({
  name, op, fourier, inputs: [linear(low, high)], distance: "absolute",
}); // biome-ignore format: a row

const RARE_CASES: readonly FunctionCase[] = [
  rare("tan x", "tangent", -1.2, 1.2, 4e-3),
  { ...rare("sinh x", "hyperbolicSine", -4, 4, 2e-4), distance: "of the largest" },
  { ...rare("cosh x", "hyperbolicCosine", -4, 4, 2e-4), distance: "of the largest" },
  rare("arctan x", "arcTangent", -1.5, 1.5, 1e-3),
  rare("arctan x, wide", "arcTangent", -40, 40, 2e-3),
  // Their slope is infinite at ±1: an argument that is one unit off there is an arc of a hundredth off, or more.
  rare("arcsin x", "arcSine", -1, 1, 5e-2),
  rare("arccos x", "arcCosine", -1, 1, 5e-2),
  rare("arsinh x", "arcHyperbolicSine", -20, 20, 2e-3),
  rare("arcosh x", "arcHyperbolicCosine", 1, 20, 1.2e-2),
  rare("artanh x", "arcHyperbolicTangent", -0.95, 0.95, 2e-3),
  {
    name: "x^y", op: "power", inputs: [logarithmic(0.25, 4), scattered(-2, 3)], distance: "of the largest",
    fourier: 4e-3,
  }, // biome-ignore format: a row
  {
    name: "product of a row", op: "reduceProduct", attributes: { axes: [1], keep: false }, inputs: [rows(60, 5, 2)],
    distance: "absolute", fourier: 6e-3,
  }, // biome-ignore format: a row
  {
    name: "ln of a sum of e^x", inputs: [rows(40, 12, 20)], distance: "absolute", fourier: 4e-3,
    build: (emit, [x]) =>
      emit("logarithm", [emit("reduceSum", [emit("exponential", [x])], { axes: [1], keep: true })]),
  }, // biome-ignore format: a row
];

/** Whole numbers, halves, and what is one unit of the last place beside them. */
function nearSteps(): InputValues {
  const at = (i: number) => (Math.floor(i / 4) - 50) / 2 + [0, 2 ** -13, -(2 ** -13), 0.3][i % 4];
  return { values: values([404], at), domain: "whole numbers, halves and their neighbours in [-25, 25]" };
}

const WHOLE_CASES: readonly FunctionCase[] = [
  ...["floor", "ceiling", "round"].map(
    (op): FunctionCase => ({ name: op, op, inputs: [nearSteps()], distance: "absolute", fourier: 0 }),
  ),
  {
    name: "cast to whole numbers", op: "cast", attributes: { dtype: "i64" }, inputs: [nearSteps()],
    distance: "absolute", fourier: 0,
  }, // biome-ignore format: a row
  ...[false, true].flatMap((fmod) =>
    [2.5, -3].map(
      (divisor): FunctionCase => ({
        name: `remainder by ${divisor}, sign of the ${fmod ? "dividend" : "divisor"}`, op: "modulo",
        attributes: { fmod }, constants: [divisor], inputs: [nearSteps()], distance: "absolute", fourier: 0,
      }),
    ),
  ), // biome-ignore format: rows
  ...["argmax", "argmin"].flatMap((op) =>
    [false, true].map(
      (last): FunctionCase => ({
        name: `${op}, the ${last ? "last" : "first"} of equals`, op, attributes: { axis: 0, keep: true, last },
        inputs: [stepsInRows(7, 60)], distance: "absolute", fourier: 0,
      }),
    ),
  ), // biome-ignore format: rows
  ...["topValues", "topIndices"].flatMap((op) =>
    [true, false].map(
      (largest): FunctionCase => ({
        name: `${op}, 3 ${largest ? "largest" : "smallest"} of 9`, op, attributes: { axis: 1, count: 3, largest },
        inputs: [stepsInRows(50, 9)], distance: "absolute", fourier: 0,
      }),
    ),
  ), // biome-ignore format: rows
  {
    name: "one-hot of the argmax", inputs: [stepsInRows(50, 9)], distance: "absolute", fourier: 0,
    build: (emit, [x]) =>
      emit("oneHot", [emit("argmax", [x], { axis: 1, keep: false, last: false })], { depth: 11 }),
  }, // biome-ignore format: a row
  {
    name: "one-hot of an index or another", inputs: [stepsInRows(200, 5)], distance: "absolute", fourier: 0,
    build: (emit, [x]) => {
      const index = emit("argmax", [x], { axis: 1, keep: false, last: false });
      const other = emit("multiply", [emit("add", [index, integer(emit, 3)]), index]);
      const chosen = emit("select", [emit("less", [index, integer(emit, 2)]), other, index]);
      return emit("oneHot", [emit("maximum", [chosen, integer(emit, 1)])], { depth: 9 });
    },
  }, // biome-ignore format: a row
];

/** A public whole number. */
function integer(emit: Emit, value: number): Node<TensorType> {
  return emit("constant", [], indices([value], []));
}

/** Rows of few different values, so that equal ones meet. */
function stepsInRows(count: number, length: number): InputValues {
  const at = (i: number) => (((i * i + 3 * i) % 11) - 5) / 4;
  return { values: values([count, length], at), domain: `rows of ${length} out of 11 values` };
}

/** A tensor of values in [-scale, scale]. */
function spread(shape: readonly number[], scale: number): InputValues {
  const of = rows(1, sizeOf(shape), scale).values;
  return {
    values: (fraction) => ({ ...of(fraction), shape }),
    domain: `[${shape.join(", ")}] in [-${scale}, ${scale}]`,
  };
}

const CONVOLUTION_CASES: readonly FunctionCase[] = [
  {
    name: "convolution, 3 × 3, padded", inputs: [spread([2, 3, 8, 8], 2), spread([4, 3, 3, 3], 1), spread([4], 1)],
    op: "convolution", distance: "absolute", fourier: 3e-3,
    attributes: { strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1], groups: 1 },
  }, // biome-ignore format: a row
  {
    name: "convolution, depthwise, strided", inputs: [spread([1, 6, 9, 7], 2), spread([12, 1, 3, 2], 1)],
    op: "convolution", distance: "absolute", fourier: 3e-3,
    attributes: { strides: [2, 1], pads: [0, 1, 2, 0], dilations: [1, 1], groups: 6 },
  }, // biome-ignore format: a row
  {
    name: "convolution over time, dilated", inputs: [spread([2, 4, 30], 2), spread([6, 2, 3], 1)],
    op: "convolution", distance: "absolute", fourier: 3e-3,
    attributes: { strides: [1], pads: [8, 0], dilations: [4], groups: 2 },
  }, // biome-ignore format: a row
];

const pair = () => [linear(-10, 10), scattered(-10, 10)];
const EXACT = 6e-4;

const COMPARISON_CASES: readonly FunctionCase[] = [
  { name: "max(x, y)", op: "maximum", inputs: pair(), distance: "absolute", fourier: EXACT },
  { name: "min(x, y)", op: "minimum", inputs: pair(), distance: "absolute", fourier: EXACT },
  {
    name: "clip to [-1, 6]", op: "clamp", attributes: { low: -1, high: 6 }, inputs: [linear(-10, 10)],
    distance: "absolute", fourier: EXACT,
  }, // biome-ignore format: a row
  { name: "sign x", op: "sign", inputs: [stepped(1)], distance: "absolute", fourier: 0 },
  ...["less", "lessOrEqual", "greater", "greaterOrEqual", "equal"].map(
    (op): FunctionCase => ({ name: op, op, inputs: [stepped(1), stepped(7)], distance: "absolute", fourier: 0 }),
  ),
  {
    name: "max of a row", op: "reduceMaximum", attributes: { axes: [1], keep: false }, inputs: [rows(40, 50, 10)],
    distance: "absolute", fourier: EXACT,
  }, // biome-ignore format: a row
  {
    name: "min of a row", op: "reduceMinimum", attributes: { axes: [1], keep: true }, inputs: [rows(40, 7, 10)],
    distance: "absolute", fourier: EXACT,
  }, // biome-ignore format: a row
];

const SELECTION_CASES: readonly FunctionCase[] = [
  {
    name: "x < y and not x = y ? x : y", inputs: [stepped(1), stepped(7)], distance: "absolute", fourier: 0,
    build: (emit, [x, y]) =>
      emit("select", [emit("and", [emit("less", [x, y]), emit("not", [emit("equal", [x, y])])]), x, y]),
  }, // biome-ignore format: a row
  {
    name: "x > y or x = y, as numbers", inputs: [stepped(1), stepped(7)], distance: "absolute", fourier: 0,
    build: (emit, [x, y]) =>
      emit("cast", [emit("or", [emit("greater", [x, y]), emit("equal", [x, y])])], { dtype: "f64" }),
  }, // biome-ignore format: a row
  {
    name: "a condition for a whole row", inputs: [rows(40, 48, 8), rows(40, 1, 8)], distance: "absolute",
    fourier: EXACT,
    build: (emit, [x, y]) => {
      const last = emit("slice", [x], { starts: [0, 47], ends: [40, 48], steps: [1, 1] });
      const each = emit("reshape", [emit("less", [y, x])], { shape: [40, 48] });
      const both = emit("xor", [emit("less", [last, y]), each]);
      return emit("select", [both, x, emit("negate", [x])]);
    },
  }, // biome-ignore format: a row
];

const indices = (data: readonly number[], shape: readonly number[]): Attributes => ({
  value: { dtype: "i64", shape, data: Float64Array.from(data) },
});

const MOVEMENT_CASES: readonly FunctionCase[] = [
  {
    name: "triangle", op: "triangular", attributes: { upper: false, diagonal: 1 }, inputs: [rows(40, 48, 8)],
    distance: "absolute", fourier: 0,
  }, // biome-ignore format: a row
  {
    name: "gather elements", inputs: [rows(40, 48, 8)], distance: "absolute", fourier: 0,
    build: (emit, [x]) => {
      const places = Array.from({ length: 40 * 48 }, (_, i) => ((i * 5) % 48) - 20);
      return emit("gatherElements", [x, emit("constant", [], indices(places, [40, 48]))], { axis: 1 });
    },
  }, // biome-ignore format: a row
  {
    name: "scatter", inputs: [rows(4, 16, 8), rows(2, 16, 8)], distance: "absolute", fourier: 0,
    build: (emit, [x, y]) => emit("scatterND", [x, emit("constant", [], indices([3, 1], [2, 1])), y]),
  }, // biome-ignore format: a row
  {
    name: "running sum", op: "cumulativeSum", attributes: { axis: 0, exclusive: false, reverse: false },
    inputs: [rows(13, 8, 8)], distance: "absolute", fourier: 0,
  }, // biome-ignore format: a row
  {
    name: "running sum from the end", op: "cumulativeSum", attributes: { axis: 1, exclusive: true, reverse: true },
    inputs: [rows(8, 21, 8)], distance: "absolute", fourier: 0,
  }, // biome-ignore format: a row
];

const DIAGONAL = indices(
  Array.from({ length: 40 * 48 }, (_, i) => (i % 48 === Math.floor(i / 48) ? 1 : 0)),
  [40, 48],
);

/** Below the diagonal, and beside it in the first rows. */
const CAUSAL = indices(
  Array.from({ length: 40 * 48 }, (_, i) => (i % 48 <= Math.floor(i / 48) + 2 ? 1 : 0)),
  [40, 48],
);

const MASKED_CASES: readonly FunctionCase[] = [
  {
    name: "softmax, causal mask", inputs: [rows(40, 48, 10)], distance: "absolute", puma: 4e-2,
    build: (emit, [x]) => {
      const keep = emit("cast", [emit("constant", [], CAUSAL)], { dtype: "bool" });
      return emit("softmax", [x, keep], { axis: 1 });
    },
  }, // biome-ignore format: a row
  {
    name: "softmax, causal and secret mask", inputs: [rows(40, 48, 10), rows(40, 48, 1)], distance: "absolute",
    puma: 4e-2,
    build: (emit, [x, y]) => {
      const keep = emit("cast", [emit("constant", [], CAUSAL)], { dtype: "bool" });
      const some = emit("less", [y, emit("constant", [], indices([0], []))]);
      const self = emit("cast", [emit("constant", [], DIAGONAL)], { dtype: "bool" });
      return emit("softmax", [x, emit("and", [keep, emit("or", [some, self])])], { axis: 1 });
    },
  }, // biome-ignore format: a row
];

const ROW_CASES: readonly FunctionCase[] = [
  {
    name: "softmax, base 2", op: "softmaxBase2", inputs: [rows(40, 48, 10)], distance: "absolute", fourier: 1e-3,
  }, // biome-ignore format: a row
  {
    name: "softmax", op: "softmax", attributes: { axis: 1 }, inputs: [rows(40, 48, 10)], distance: "absolute",
    puma: 4e-2,
  }, // biome-ignore format: a row
  {
    name: "log softmax", op: "logSoftmax", attributes: { axis: 1 }, inputs: [rows(40, 48, 8)], distance: "absolute",
    fourier: 3e-3,
  }, // biome-ignore format: a row
  {
    name: "LayerNorm", op: "layerNorm", attributes: { epsilon: 1e-5 }, inputs: [rows(30, 64, 4)], distance: "absolute",
    variance: { low: 2, high: 12 }, fourier: 8e-3, puma: 8e-3,
  }, // biome-ignore format: a row
  {
    name: "RMSNorm", op: "rmsNorm", attributes: { epsilon: 1e-5 }, inputs: [rows(30, 64, 4)], distance: "absolute",
    variance: { low: 2, high: 12 }, fourier: 8e-3, puma: 8e-3,
  }, // biome-ignore format: a row
];

export const FUNCTION_CASES: readonly FunctionCase[] = [
  ...ACTIVATION_CASES,
  ...ELEMENTARY_CASES,
  ...RARE_CASES,
  ...WHOLE_CASES,
  ...CONVOLUTION_CASES,
  ...COMPARISON_CASES,
  ...SELECTION_CASES,
  ...MOVEMENT_CASES,
  ...ROW_CASES,
  ...MASKED_CASES,
];
