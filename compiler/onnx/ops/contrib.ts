/**
 * onnxruntime's fused operators (domain com.microsoft), as its optimiser and its generative exporters write them, each
 * expanded into what it fused. Schemas: onnxruntime, docs/ContribOperators.md. The attention family is apart
 * (contrib-attention.ts).
 */
import { ln } from "../../../ir/real.js";
import { type Call, type Convert, type OperatorFamily, rule } from "../call.js";
import type { Emitter, Value } from "../emitter.js";
import { CONTRIB_ATTENTION } from "./contrib-attention.js";
import { swish } from "./elementwise.js";
import { INDEXING } from "./indexing.js";
import { gemm, LINEAR } from "./linear.js";
import { layerNorm, moments, NORM, rmsNorm } from "./norm.js";

function added(emitter: Emitter, values: readonly (Value | undefined)[]): Value {
  const present = values.filter((value) => value !== undefined);
  return present.slice(1).reduce((sum, next) => emitter.add(sum, next), present[0]);
}

function gelu(approximation: "erf" | "tanh"): Convert {
  return (call) => {
    const x = added(call.emitter, [call.input(0), call.optional(1)]);
    return [call.emitter.emit("gelu", [x], { approximation })];
  };
}

function gemmFastGelu(call: Call): readonly Value[] {
  const { emitter } = call;
  const x = added(emitter, [emitter.matmul(call.input(0), call.input(1)), call.optional(2)]);
  return [emitter.emit("gelu", [x], { approximation: "tanh" })];
}

/** Output 3 is the residual sum, which the next layer reads. */
function skipLayerNorm(call: Call): readonly (Value | undefined)[] {
  const { emitter } = call;
  const epsilon = call.number("epsilon", 1e-12);
  const sum = added(emitter, [call.input(0), call.input(1), call.optional(4)]);
  const y = layerNorm(emitter, sum, call.input(2), call.optional(3), epsilon);
  const wantsMoments = call.wants(1) || call.wants(2);
  const statistics = wantsMoments ? moments(emitter, sum, sum.type.shape.length - 1, epsilon) : [undefined, undefined];
  return [y, ...statistics, sum];
}

function skipSimplifiedLayerNorm(call: Call): readonly (Value | undefined)[] {
  const { emitter } = call;
  const sum = added(emitter, [call.input(0), call.input(1), call.optional(3)]);
  return [rmsNorm(emitter, sum, call.input(2), call.number("epsilon", 1e-12)), undefined, undefined, sum];
}

/** Words, positions and segments looked up, added and normalised; also the row lengths that its mask says. */
function embedLayerNorm(call: Call): readonly (Value | undefined)[] {
  const { emitter } = call;
  const ids = call.input(0);
  const [batch, length] = ids.type.shape;
  const [words, positions, segments] = [call.input(2), call.input(3), call.optional(4)];
  const segmentIds = call.optional(1);
  const positionIds = call.optional(8);
  const rows =
    positionIds === undefined
      ? emitter.reshape(emitter.sliceAxis(positions, 0, 0, length), [1, length, positions.type.shape[1]])
      : emitter.gather(positions, positionIds, 0);
  const segment =
    segments === undefined || segmentIds === undefined ? undefined : emitter.gather(segments, segmentIds, 0);
  const sum = added(emitter, [emitter.gather(words, ids, 0), segment, rows]);
  const y = layerNorm(emitter, sum, call.input(5), call.optional(6), call.number("epsilon", 1e-12));
  const mask = call.optional(7);
  const lengths =
    mask === undefined ? emitter.filled(0, [batch], "i32") : emitter.reduce("reduceSum", mask, [1], false);
  return [y, lengths, sum];
}

/** Moves the first axis before the last: the layout of an operand whose batch was transposed. */
function fusedOperand(call: Call, index: number, letter: "A" | "B"): Value {
  const { emitter } = call;
  const x = call.input(index);
  const rank = x.type.shape.length;
  const batchMoved = call.flag(`transBatch${letter}`, false);
  const axes = [...Array(rank).keys()];
  const moved = batchMoved ? emitter.transpose(x, [...axes.slice(1, -1), 0, rank - 1]) : x;
  return call.flag(`trans${letter}`, false) && rank > 1 ? emitter.transposeLast(moved) : moved;
}

function fusedMatMul(call: Call): readonly Value[] {
  const product = call.emitter.matmul(fusedOperand(call, 0, "A"), fusedOperand(call, 1, "B"));
  return [call.emitter.weigh(product, call.number("alpha", 1))];
}

const ACTIVATIONS: Readonly<Record<string, string>> = {
  Relu: "relu",
  Tanh: "tangentHyperbolic",
  Sigmoid: "sigmoid",
  Softplus: "softplus",
};

/** The activation that a fused product ends with, by the name in its attribute. */
function activate(call: Call, x: Value): Value {
  const name = call.string("activation", "");
  const op = ACTIVATIONS[name];
  if (op !== undefined) {
    return call.emitter.emit(op, [x]);
  }
  if (name === "LeakyRelu") {
    const slope = call.number("activation_alpha", call.numbers("activation_params")?.[0] ?? 0.01);
    const positive = call.emitter.emit("greater", [x, call.emitter.scalar(0, x.type.dtype)]);
    return call.emitter.select(positive, x, call.emitter.scale(x, slope));
  }
  if (name === "" || name === "Identity") {
    return x;
  }
  throw call.refuse(`activation '${name}'`, `${Object.keys(ACTIVATIONS).join(", ")} and LeakyRelu are known`);
}

function biasSoftmax(call: Call): readonly Value[] {
  const { emitter } = call;
  const x = call.input(0);
  const rank = x.type.shape.length;
  const axis = call.axis(call.integer("axis", 1), rank);
  const bias = call.input(1);
  const inner = call.flag("is_inner_broadcast", true);
  const repeated = inner ? bias : outerBroadcast(emitter, bias, rank);
  const sum = emitter.add(x, repeated);
  if (axis === rank - 1) {
    return [emitter.emit("softmax", [sum], { axis })];
  }
  const cut = sum.type.shape.slice(0, axis).reduce((n, m) => n * m, 1);
  const matrix = emitter.reshape(sum, [cut, sum.type.shape.slice(axis).reduce((n, m) => n * m, 1)]);
  return [emitter.reshape(emitter.emit("softmax", [matrix], { axis: 1 }), sum.type.shape)];
}

/** A bias that lacks axes of the data repeats along inner ones: its own axes are the outer. */
function outerBroadcast(emitter: Emitter, bias: Value, rank: number): Value {
  const { shape } = bias.type;
  const missing = rank - shape.length;
  return missing <= 0
    ? bias
    : emitter.reshape(bias, [...shape.slice(0, -1), ...Array<number>(missing).fill(1), shape[shape.length - 1]]);
}

/** T5's relative position bias: a table row for the bucket of each distance (Raffel et al. 2020, section 2.1). */
function relativePositionBias(call: Call): readonly Value[] {
  const { emitter } = call;
  const table = call.input(0);
  const buckets = table.type.shape[0];
  const queries = call.known(1, "query length").data[0];
  const keys = call.known(2, "key length").data[0];
  const largest = call.requiredInteger("max_distance");
  const bidirectional = call.flag("is_bidirectional", false);
  if (!(queries >= 0 && keys >= 0 && queries * keys <= 2 ** 24)) {
    throw call.refuse(`lengths ${queries} and ${keys}`, "the bucket of every pair is written out");
  }
  const indices = Array.from({ length: queries * keys }, (_, flat) =>
    bucketOf((flat % keys) - Math.floor(flat / keys), buckets, largest, bidirectional),
  );
  const rows = emitter.gather(table, emitter.integers(indices, [queries, keys]), 0);
  return [emitter.reshape(emitter.transpose(rows, [2, 0, 1]), [1, table.type.shape[1], queries, keys])];
}

function bucketOf(distance: number, buckets: number, largest: number, bidirectional: boolean): number {
  const half = bidirectional ? Math.floor(buckets / 2) : buckets;
  const base = bidirectional && distance > 0 ? half : 0;
  const n = bidirectional ? Math.abs(distance) : Math.max(0, -distance);
  const exact = Math.floor(half / 2);
  if (n < exact) {
    return base + n;
  }
  const ratio = Math.fround(ln(n / exact)) / Math.fround(ln(largest / exact));
  return base + Math.min(half - 1, exact + Math.trunc(ratio * (half - exact)));
}

export const CONTRIB: OperatorFamily = {
  ...CONTRIB_ATTENTION,
  Gelu: rule(1, gelu("erf")),
  BiasGelu: rule(1, gelu("erf")),
  FastGelu: rule(1, gelu("tanh")),
  GemmFastGelu: rule(1, gemmFastGelu),
  QuickGelu: rule(1, (call) => [swish(call.emitter, call.input(0), call.number("alpha", 1.702))]),
  SkipLayerNormalization: rule(1, skipLayerNorm),
  SkipSimplifiedLayerNormalization: rule(1, skipSimplifiedLayerNorm),
  SimplifiedLayerNormalization: NORM.SimplifiedLayerNormalization,
  EmbedLayerNormalization: rule(1, embedLayerNorm),
  FusedMatMul: rule(1, fusedMatMul),
  TransposeMatMul: rule(1, fusedMatMul),
  FusedGemm: rule(1, (call) => [activate(call, gemm(call))]),
  FusedConv: rule(1, (call) => [activate(call, LINEAR.Conv.convert(call)[0] as Value)]),
  BiasSoftmax: rule(1, biasSoftmax),
  BiasAdd: rule(1, (call) => [added(call.emitter, [call.input(0), call.input(1), call.input(2)])]),
  RelativePositionBias: rule(1, relativePositionBias),
  Trilu: INDEXING.Trilu,
  GatherND: INDEXING.GatherND,
};
