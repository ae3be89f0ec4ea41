/**
 * For every op of the tensor language, arguments and attributes that it accepts, at random. The table is exhaustive: an
 * op without an entry does not compile. Numbers are multiples of 1/8, so that single precision holds them exactly.
 */
import fc from "fast-check";
import type { Attributes } from "../../ir/graph.js";
import type { TensorOpName } from "../../ir/tensor/index.js";
import { doublesOf } from "../../ir/tensor/types.js";
import { DTYPES, type DType, isFloat, sizeOf, type TensorValue } from "../../ir/tensor/value.js";

export interface Example {
  readonly args: readonly TensorValue[];
  readonly attributes: Attributes;
}

type Shape = readonly number[];

/** Shapes of few axes and elements; by default empty tensors too. */
function shapes(least = 0, most = 3, smallest = 0): fc.Arbitrary<number[]> {
  return fc.array(fc.integer({ min: smallest, max: 4 }), { minLength: least, maxLength: most });
}

/** Shapes that broadcast to this one. */
function under(shape: Shape): fc.Arbitrary<number[]> {
  return fc
    .tuple(fc.nat(shape.length), fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }))
    .map(([dropped, single]) => shape.map((n, i) => (single[i] ? 1 : n)).slice(dropped));
}

/** A tensor of a shape; whole numbers for integer types. */
function tensors(shape: Shape, dtype: DType = "f32", most = 10): fc.Arbitrary<TensorValue> {
  const scale = isFloat(dtype) ? 8 : 1;
  const least = dtype === "bool" || dtype.startsWith("u") ? 0 : -most * scale;
  const count = sizeOf(shape);
  return fc
    .array(fc.integer({ min: least, max: dtype === "bool" ? 1 : most * scale }), { minLength: count, maxLength: count })
    .map((numbers) => ({ dtype, shape, data: Float64Array.from(numbers, (n) => n / scale) }));
}

const types: fc.Arbitrary<DType> = fc.constantFrom("f32", "f64", "f16", "i64", "i32", "u8");
const anyType = fc.constantFrom(...DTYPES);

function example(
  args: readonly fc.Arbitrary<TensorValue>[],
  attributes: { readonly [name: string]: fc.Arbitrary<Attributes[string]> } = {},
): fc.Arbitrary<Example> {
  return fc.record({ args: fc.tuple(...args), attributes: fc.record(attributes) });
}

const fixed = fc.constant;

function unary(dtypes: fc.Arbitrary<DType> = fc.constantFrom("f32", "f64")): fc.Arbitrary<Example> {
  return fc.tuple(shapes(), dtypes).chain(([shape, dtype]) => example([tensors(shape, dtype)]));
}

/** Two shapes that broadcast, one of them the result's. */
const pairs = shapes().chain((shape) =>
  fc.tuple(under(shape), fc.boolean()).map(([part, swap]) => (swap ? [part, shape] : [shape, part])),
);

function binary(dtypes: fc.Arbitrary<DType> = types, attributes = {}): fc.Arbitrary<Example> {
  return fc
    .tuple(pairs, dtypes)
    .chain(([[x, y], dtype]) => example([tensors(x, dtype), tensors(y, dtype)], attributes));
}

const booleans = fixed<DType>("bool");

/** A tensor with at least one axis, no axis empty, and one of its axes. */
function alongAxis(
  make: (shape: Shape, axis: number) => fc.Arbitrary<Example>,
  least = 1,
  most = 3,
): fc.Arbitrary<Example> {
  return shapes(least, most, 1).chain((shape) => fc.nat(shape.length - 1).chain((axis) => make(shape, axis)));
}

function indicesBelow(count: number, shape: Shape): fc.Arbitrary<TensorValue> {
  return fc
    .array(fc.integer({ min: -count, max: count - 1 }), { minLength: sizeOf(shape), maxLength: sizeOf(shape) })
    .map((numbers) => ({ dtype: "i64", shape, data: Float64Array.from(numbers) }));
}

const reduction = shapes(0, 3, 1).chain((shape) =>
  example([tensors(shape)], {
    axes: fc.subarray(shape.map((_, axis) => axis)),
    keep: fc.boolean(),
  }),
);

const extreme = alongAxis((shape, axis) =>
  example([tensors(shape)], { axis: fixed(axis), keep: fc.boolean(), last: fc.boolean() }),
);

const top = alongAxis((shape, axis) =>
  example([tensors(shape)], { axis: fixed(axis), count: fc.nat(shape[axis]), largest: fc.boolean() }),
);

const norm = shapes(1, 3, 1).chain((shape) => example([tensors(shape)], { epsilon: fc.constantFrom(1e-12, 1e-5, 1) }));

/** A norm whose scale is computed, or known. */
const scaledNorm = fc.oneof(
  norm,
  norm.map(({ args: [x], attributes }) => ({ args: [x, scalesOf(x, Number(attributes.epsilon))], attributes })),
);

/** 1/√(mean of squares + ε) of every row, in single precision and no more than it is. */
function scalesOf({ dtype, shape, data }: TensorValue, epsilon: number): TensorValue {
  const n = shape.at(-1)!;
  const values = doublesOf(data);
  const scales = Float64Array.from({ length: values.length / n }, (_, row) => {
    const squares = values.subarray(row * n, (row + 1) * n).reduce((sum, x) => sum + x * x, 0);
    return Math.fround((1 - 2 ** -22) / Math.sqrt(squares / n + epsilon));
  });
  return { dtype, shape: [...shape.slice(0, -1), 1], data: scales };
}

/** Scores, with a mask or without. */
function masked(attributesOf: (shape: Shape) => Record<string, fc.Arbitrary<number>>): fc.Arbitrary<Example> {
  return shapes(1, 3, 1).chain((shape) =>
    fc.oneof(
      example([tensors(shape)], attributesOf(shape)),
      under(shape).chain((part) => example([tensors(shape), tensors(part, "bool")], attributesOf(shape))),
    ),
  );
}

const declared = fc.record({
  args: fixed([]),
  attributes: fc.record({ name: fc.string({ minLength: 1 }), dtype: anyType, shape: shapes() }),
});

const matmul = fc
  .tuple(shapes(0, 2, 1), fc.tuple(fc.integer({ min: 1, max: 6 }), fc.nat(6), fc.integer({ min: 1, max: 6 })))
  .chain(([batch, [rows, inner, columns]]) =>
    fc
      .tuple(under(batch), fc.boolean(), fc.boolean())
      .chain(([part, leftVector, rightVector]) =>
        example([
          tensors(leftVector ? [inner] : [...batch, rows, inner], "f32"),
          tensors(rightVector ? [inner] : [...part, inner, columns], "f32"),
        ]),
      ),
  );

const convolution = fc
  .record({
    rank: fc.integer({ min: 1, max: 2 }),
    batch: fc.integer({ min: 1, max: 2 }),
    groups: fc.integer({ min: 1, max: 2 }),
    channels: fc.integer({ min: 1, max: 2 }),
    filters: fc.integer({ min: 1, max: 2 }),
    image: fc.integer({ min: 3, max: 6 }),
    kernel: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 2 }),
    pads: fc.array(fc.nat(2), { minLength: 4, maxLength: 4 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    bias: fc.boolean(),
  })
  .filter(({ image, kernel, dilation }) => image > (kernel - 1) * dilation)
  .chain((c) => {
    const all = (n: number) => fixed(new Array<number>(c.rank).fill(n));
    const spatial = (n: number) => new Array<number>(c.rank).fill(n);
    const x = tensors([c.batch, c.channels * c.groups, ...spatial(c.image)]);
    const w = tensors([c.filters * c.groups, c.channels, ...spatial(c.kernel)]);
    return example([x, w, ...(c.bias ? [tensors([c.filters * c.groups])] : [])], {
      strides: all(c.stride),
      dilations: all(c.dilation),
      pads: fixed(c.pads.slice(0, 2 * c.rank)),
      groups: fixed(c.groups),
    });
  });

const reshape = shapes(0, 3).chain((shape) =>
  fc
    .constantFrom([sizeOf(shape)], [...shape].reverse(), [1, ...shape], [...shape, 1])
    .chain((to) => example([tensors(shape)], { shape: fixed(to) })),
);

const concatenate = alongAxis((shape, axis) =>
  fc.array(fc.nat(3), { minLength: 1, maxLength: 4 }).chain((lengths) =>
    example(
      lengths.map((length) => tensors(shape.map((n, i) => (i === axis ? length : n)))),
      { axis: fixed(axis) },
    ),
  ),
);

/** Start, end and step of a slice of an axis, normalised as the op wants them. */
function slicing(n: number): fc.Arbitrary<readonly [number, number, number]> {
  const up = fc
    .tuple(fc.nat(n), fc.nat(n), fc.integer({ min: 1, max: 3 }))
    .map(([a, b, step]) => [Math.min(a, b), Math.max(a, b), step] as const);
  const down = fc
    .tuple(fc.nat(Math.max(0, n - 1)), fc.integer({ min: -1, max: n }), fc.integer({ min: -3, max: -1 }))
    .map(([start, end, step]) => [start, Math.min(start, end), step] as const);
  return n === 0 ? up : fc.oneof(up, down);
}

const slice = shapes(0, 3).chain((shape) =>
  fc.tuple(...shape.map(slicing)).chain((axes) =>
    example([tensors(shape)], {
      starts: fixed(axes.map(([start]) => start)),
      ends: fixed(axes.map(([, end]) => end)),
      steps: fixed(axes.map(([, , step]) => step)),
    }),
  ),
);

const pad = shapes(0, 3).chain((shape) => {
  const sides = fc.array(fc.nat(2), { minLength: shape.length, maxLength: shape.length });
  return example([tensors(shape)], { low: sides, high: sides, value: fc.constantFrom(0, -1.5, 7) });
});

const gather = alongAxis((shape, axis) =>
  shapes(0, 2).chain((at) => example([tensors(shape), indicesBelow(shape[axis], at)], { axis: fixed(axis) })),
);

/** Indices of the tensor's rank: any length along the axis, at most the tensor's elsewhere. */
function elementwiseIndices(shape: Shape, axis: number): fc.Arbitrary<TensorValue> {
  return fc
    .tuple(...shape.map((n, i) => fc.integer({ min: 1, max: i === axis ? 4 : n })))
    .chain((at) => indicesBelow(shape[axis], at));
}

const gatherElements = alongAxis((shape, axis) =>
  elementwiseIndices(shape, axis).chain((indices) => example([tensors(shape), fixed(indices)], { axis: fixed(axis) })),
);

const scatterElements = alongAxis((shape, axis) =>
  elementwiseIndices(shape, axis).chain((indices) =>
    example([tensors(shape), fixed(indices), tensors(indices.shape)], { axis: fixed(axis) }),
  ),
);

/** Tuples that name slices of a tensor, its first `batch` axes shared. */
function tuples(shape: Shape, batch: number): fc.Arbitrary<TensorValue> {
  return fc
    .tuple(fc.integer({ min: 1, max: shape.length - batch }), fc.integer({ min: 1, max: 3 }))
    .chain(([depth, rows]) => {
      const at = [...shape.slice(0, batch), rows, depth];
      const least = Math.min(...shape.slice(batch, batch + depth));
      return indicesBelow(least, at);
    });
}

const gatherND = shapes(1, 3, 1).chain((shape) =>
  fc
    .nat(shape.length - 1)
    .chain((batch) =>
      tuples(shape, batch).chain((indices) => example([tensors(shape), fixed(indices)], { batch: fixed(batch) })),
    ),
);

const scatterND = shapes(1, 3, 1).chain((shape) =>
  tuples(shape, 0).chain((indices) => {
    const slices = [...indices.shape.slice(0, -1), ...shape.slice(indices.shape.at(-1))];
    return example([tensors(shape), fixed(indices), tensors(slices)]);
  }),
);

export const EXAMPLES: Readonly<Record<TensorOpName, fc.Arbitrary<Example>>> = {
  input: declared,
  parameter: declared,
  constant: fc
    .tuple(shapes(), anyType)
    .chain(([shape, dtype]) => tensors(shape, dtype))
    .map((value) => ({ args: [], attributes: { value } })),
  negate: unary(),
  absolute: unary(),
  sign: unary(),
  reciprocal: unary(),
  squareRoot: unary(),
  reciprocalSquareRoot: unary(),
  cubeRoot: unary(),
  exponential: unary(),
  exponential2: unary(),
  exponentialMinusOne: unary(),
  logarithm: unary(),
  logarithmPlusOne: unary(),
  sine: unary(),
  cosine: unary(),
  tangent: unary(),
  arcSine: unary(),
  arcCosine: unary(),
  arcTangent: unary(),
  hyperbolicSine: unary(),
  hyperbolicCosine: unary(),
  arcHyperbolicSine: unary(),
  arcHyperbolicCosine: unary(),
  arcHyperbolicTangent: unary(),
  tangentHyperbolic: unary(),
  softCap: shapes().chain((shape) => example([tensors(shape)], { cap: fc.constantFrom(2, 30, 50) })),
  errorFunction: unary(),
  sigmoid: unary(),
  relu: unary(types),
  silu: unary(),
  softplus: unary(),
  gelu: shapes().chain((shape) =>
    example([tensors(shape)], { approximation: fc.constantFrom("erf", "tanh", "quick") }),
  ),
  geluEven: shapes().chain((shape) =>
    example([tensors(shape)], { approximation: fc.constantFrom("erf", "tanh", "quick") }),
  ),
  floor: unary(),
  ceiling: unary(),
  round: unary(),
  isNaN: unary(),
  isInfinite: unary(),
  not: unary(booleans),
  clamp: fc
    .tuple(shapes(), types)
    .chain(([shape, dtype]) =>
      example([tensors(shape, dtype)], { low: fc.constantFrom(-2, 0), high: fc.constantFrom(1, Infinity) }),
    ),
  cast: fc
    .tuple(shapes(), anyType)
    .chain(([shape, dtype]) => example([tensors(shape, dtype, 300)], { dtype: anyType })),
  add: binary(),
  subtract: binary(),
  multiply: binary(),
  divide: binary(fc.constantFrom("f32", "f64")),
  power: binary(fc.constantFrom("f32", "f64", "u8")),
  maximum: binary(),
  minimum: binary(),
  equal: binary(fc.oneof(types, booleans)),
  less: binary(),
  lessOrEqual: binary(),
  greater: binary(),
  greaterOrEqual: binary(),
  and: binary(booleans),
  or: binary(booleans),
  xor: binary(booleans),
  modulo: binary(fc.constantFrom("f32", "f64"), { fmod: fc.boolean() }),
  select: fc
    .tuple(shapes(), types)
    .chain(([shape, dtype]) =>
      fc
        .tuple(under(shape), under(shape))
        .chain(([c, y]) => example([tensors(c, "bool"), tensors(shape, dtype), tensors(y, dtype)])),
    ),
  matmul,
  convolution,
  reshape,
  transpose: shapes().chain((shape) => {
    const axes = shape.map((_, axis) => axis);
    const permutation = fc.shuffledSubarray(axes, { minLength: axes.length });
    return example([tensors(shape)], { permutation });
  }),
  broadcast: shapes().chain((shape) =>
    under(shape).chain((part) => example([tensors(part)], { shape: fixed([...shape]) })),
  ),
  concatenate,
  slice,
  pad,
  reverse: shapes().chain((shape) => example([tensors(shape)], { axes: fc.subarray(shape.map((_, axis) => axis)) })),
  gather,
  embedding: fc
    .tuple(fc.integer({ min: 1, max: 5 }), fc.nat(4), shapes(0, 2))
    .chain(([count, width, at]) => example([tensors([count, width]), indicesBelow(count, at)])),
  oneHot: fc
    .tuple(fc.integer({ min: 1, max: 5 }), shapes(0, 2))
    .chain(([depth, at]) => example([indicesBelow(depth, at)], { depth: fixed(depth) })),
  gatherElements,
  scatterElements,
  gatherND,
  scatterND,
  triangular: shapes(2, 3).chain((shape) =>
    example([tensors(shape)], { upper: fc.boolean(), diagonal: fc.integer({ min: -3, max: 3 }) }),
  ),
  reduceSum: reduction,
  reduceMean: reduction,
  reduceMaximum: reduction,
  reduceMinimum: reduction,
  reduceProduct: reduction,
  cumulativeSum: alongAxis((shape, axis) =>
    example([tensors(shape)], { axis: fixed(axis), exclusive: fc.boolean(), reverse: fc.boolean() }),
  ),
  argmax: extreme,
  argmin: extreme,
  topValues: top,
  topIndices: top,
  softmax: masked((shape) => ({ axis: fc.nat(shape.length - 1) })),
  softmaxBase2: masked(() => ({})),
  logSoftmax: alongAxis((shape, axis) => example([tensors(shape)], { axis: fixed(axis) })),
  layerNorm: norm,
  rmsNorm: scaledNorm,
};
