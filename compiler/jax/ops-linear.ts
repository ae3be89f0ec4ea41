/** Contractions: `dot_general` becomes a matmul over leading batch axes, a convolution the channels-first one. */
import { sizeOf } from "../../ir/tensor/value.js";
import {
  attributeOf,
  axes,
  type Call,
  field,
  integer,
  integers,
  malformed,
  perAxis,
  type Rule,
  resultType,
  unsupported,
} from "./context.js";
import { padValue } from "./ops-movement.js";
import { type Emitter, fromNode, range, type TensorNode, type Value } from "./values.js";

export const LINEAR: Readonly<Record<string, Rule>> = {
  "stablehlo.dot_general": dotGeneral,
  "stablehlo.dot": (call, [x, y]) => [contract(call, x, y, { batch: [[], []], contract: [[x.shape.length - 1], [0]] })],
  "stablehlo.convolution": convolution,
};

interface DotAxes {
  readonly batch: readonly [readonly number[], readonly number[]];
  readonly contract: readonly [readonly number[], readonly number[]];
}

function dotGeneral(call: Call, [x, y]: readonly Value[]): readonly Value[] {
  const named = (name: string, rank: number): readonly number[] =>
    axes(call, name, field(call, "dot_dimension_numbers", name), rank);
  const [left, right] = [x.shape.length, y.shape.length];
  const dot: DotAxes = {
    batch: [named("lhs_batching_dimensions", left), named("rhs_batching_dimensions", right)],
    contract: [named("lhs_contracting_dimensions", left), named("rhs_contracting_dimensions", right)],
  };
  return [contract(call, x, y, dot)];
}

function contract(call: Call, x: Value, y: Value, { batch, contract: sums }: DotAxes): Value {
  const fits = ([a, b]: readonly [readonly number[], readonly number[]]): boolean =>
    a.length === b.length && a.every((axis, i) => x.shape[axis] === y.shape[b[i]]);
  if (!fits(batch) || !fits(sums) || [...batch[0], ...sums[0]].length !== new Set([...batch[0], ...sums[0]]).size) {
    throw malformed(call, `[${x.shape.join(", ")}] and [${y.shape.join(", ")}] do not contract over these axes`);
  }
  const { emitter } = call.context;
  const { dtype, shape } = resultType(call);
  const [a, b] = [x, y].map((operand) => emitter.cast(operand, dtype));
  const free = (rank: number, side: 0 | 1): number[] =>
    range(rank).filter((axis) => !batch[side].includes(axis) && !sums[side].includes(axis));
  const rows = free(x.shape.length, 0);
  const columns = free(y.shape.length, 1);
  const sizes = (value: Value, which: readonly number[]): number[] => which.map((axis) => value.shape[axis]);
  const depth = sizeOf(sizes(a, sums[0]));
  const batches = sizes(a, batch[0]);
  const left = arrange(
    emitter,
    a,
    [...batch[0], ...rows, ...sums[0]],
    [...batches, ...(batches.length === 0 ? sizes(a, rows) : [sizeOf(sizes(a, rows))]), depth],
  );
  const right = arrange(
    emitter,
    b,
    [...batch[1], ...sums[1], ...columns],
    [...batches, depth, sizeOf(sizes(b, columns))],
  );
  return fromNode(emitter.reshape(emitter.emit("matmul", [left, right]), shape));
}

/** The value with its axes in this order and then in this shape (neighbouring axes joined). */
function arrange(emitter: Emitter, x: Value, order: readonly number[], shape: readonly number[]): TensorNode {
  return emitter.reshape(emitter.transpose(emitter.whole(x), order), shape);
}

interface ConvolutionAxes {
  readonly input: readonly number[];
  readonly kernel: readonly number[];
  readonly output: readonly number[];
}

/** Where batch (or output channel), channel and the spatial axes stand, in the order N, C, spatial…. */
function layouts(call: Call, rank: number): ConvolutionAxes {
  const attribute = attributeOf(call.operation.attributes, "dimension_numbers");
  if (attribute?.kind !== "convolution") {
    throw malformed(call, "attribute 'dimension_numbers' is missing");
  }
  const find = (layout: readonly string[], first: string, second: string): number[] => {
    const wanted = [first, second, ...range(rank - 2).map(String)];
    const found = wanted.map((letter) => layout.indexOf(letter));
    if (layout.length !== rank || found.includes(-1)) {
      throw malformed(call, `[${layout.join(", ")}] does not name the axes of a tensor of rank ${rank}`);
    }
    return found;
  };
  return {
    input: find(attribute.input, "b", "f"),
    kernel: find(attribute.kernel, "o", "i"),
    output: find(attribute.output, "b", "f"),
  };
}

function convolution(call: Call, [x, kernel]: readonly Value[]): readonly Value[] {
  const rank = x.shape.length;
  if (rank < 3 || kernel.shape.length !== rank) {
    throw unsupported(call, `convolutions of rank ${rank} and ${kernel.shape.length}`);
  }
  if (integer(call, "batch_group_count", 1) !== 1) {
    throw unsupported(call, "batch groups");
  }
  const { emitter } = call.context;
  const { dtype } = resultType(call);
  const at = layouts(call, rank);
  const spatial = rank - 2;
  const pads = paddingRows(call, spatial);
  const dilated = perAxis(call, "lhs_dilation", spatial, 1, 1);
  const padded = padValue(emitter, fromNode(emitter.transpose(emitter.whole(emitter.cast(x, dtype)), at.input)), {
    low: [0, 0, ...pads.map(([low]) => Math.min(low, 0))],
    high: [0, 0, ...pads.map(([, high]) => Math.min(high, 0))],
    interior: [0, 0, ...dilated.map((n) => n - 1)],
    value: 0,
  });
  const groups = integer(call, "feature_group_count", 1);
  checkChannels(call, padded.shape, kernel, at, groups);
  const node = emitter.emit("convolution", [emitter.whole(padded), flipped(call, kernel, at.kernel, dtype)], {
    strides: perAxis(call, "window_strides", spatial, 1, 1),
    pads: [...pads.map(([low]) => Math.max(low, 0)), ...pads.map(([, high]) => Math.max(high, 0))],
    dilations: perAxis(call, "rhs_dilation", spatial, 1, 1),
    groups,
  });
  const back = range(rank).map((axis) => at.output.indexOf(axis));
  return [fromNode(emitter.transpose(node, back))];
}

function checkChannels(call: Call, input: readonly number[], kernel: Value, at: ConvolutionAxes, groups: number): void {
  const channels = kernel.shape[at.kernel[1]];
  const outputs = kernel.shape[at.kernel[0]];
  if (groups < 1 || channels * groups !== input[1] || outputs % groups !== 0) {
    throw malformed(call, `${groups} groups of ${channels} channels do not give the input's ${input[1]}`);
  }
}

/** [low, high] for each spatial axis. */
function paddingRows(call: Call, spatial: number): (readonly [number, number])[] {
  const flat = integers(
    call,
    "padding",
    Array.from({ length: 2 * spatial }, () => 0),
  );
  if (flat.length !== 2 * spatial) {
    throw malformed(call, "'padding' does not give two numbers for each spatial axis");
  }
  return range(spatial).map((i) => [flat[2 * i], flat[2 * i + 1]]);
}

/** The kernel in the order output, input, spatial…, with the reversed axes reversed. */
function flipped(
  call: Call,
  kernel: Value,
  order: readonly number[],
  dtype: Value["node"]["type"]["dtype"],
): TensorNode {
  const { emitter } = call.context;
  const ordered = emitter.transpose(emitter.whole(emitter.cast(kernel, dtype)), order);
  const reversal = integers(call, "window_reversal", []);
  const reversed = reversal.flatMap((on, i) => (on === 0 ? [] : [i + 2]));
  return reversed.length === 0
    ? ordered
    : emitter.emit("reverse", [ordered], { axes: axes(call, "window_reversal", reversed, order.length) });
}
