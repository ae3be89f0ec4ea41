/** Operations that move elements: shapes, slices, concatenation, padding. */
import { sameShape } from "../../ir/shape.js";
import { sizeOf } from "../../ir/tensor/value.js";
import {
  attributeOf,
  axes,
  type Call,
  integer,
  integers,
  malformed,
  perAxis,
  type Rule,
  resultType,
  unsupported,
} from "./context.js";
import { decodeDense } from "./dense.js";
import { like } from "./ops-elementwise.js";
import {
  constantOf,
  type Emitter,
  fromNode,
  isConstant,
  paddedShape,
  range,
  splatOf,
  type TensorNode,
  type Value,
  withoutLeadingOnes,
} from "./values.js";

export const MOVEMENT: Readonly<Record<string, Rule>> = {
  "stablehlo.constant": constant,
  "stablehlo.iota": iota,
  "stablehlo.reshape": reshape,
  "stablehlo.broadcast_in_dim": broadcastInDim,
  "stablehlo.transpose": transpose,
  "stablehlo.slice": slice,
  "stablehlo.dynamic_slice": dynamicSlice,
  "stablehlo.dynamic_update_slice": dynamicUpdateSlice,
  "stablehlo.concatenate": concatenate,
  "stablehlo.pad": pad,
  "stablehlo.reverse": reverse,
};

/** A dense constant that is not a weight (the importer has looked). Splats stay one element. */
function constant(call: Call): readonly Value[] {
  const type = resultType(call);
  const attribute = attributeOf(call.operation.attributes, "value");
  if (attribute?.kind !== "dense") {
    throw malformed(call, "attribute 'value' is missing");
  }
  const value = decodeDense(attribute.literal, type, call.where);
  return [{ node: call.context.emitter.fixed(value), shape: type.shape }];
}

/** Numbers count up along one axis: a row, broadcast on paper. */
function iota(call: Call): readonly Value[] {
  const { dtype, shape } = resultType(call);
  const [axis] = axes(call, "iota_dimension", [integer(call, "iota_dimension")], shape.length);
  if (shape[axis] > LONGEST_IOTA) {
    throw unsupported(call, `counts to ${shape[axis]}`);
  }
  const tail = shape.slice(axis + 1).map(() => 1);
  const data = Float64Array.from(range(shape[axis]));
  const node = call.context.emitter.constant({ dtype, shape: [shape[axis], ...tail], data });
  return [{ node, shape }];
}

const LONGEST_IOTA = 2 ** 22;

function reshape(call: Call, [x]: readonly Value[]): readonly Value[] {
  const { shape } = resultType(call);
  if (sizeOf(shape) !== sizeOf(x.shape)) {
    throw malformed(call, `[${x.shape.join(", ")}] cannot become [${shape.join(", ")}]`);
  }
  return [reshapeValue(call.context.emitter, x, shape)];
}

/** Reshapes a value of the same size; one element broadcast on paper stays so. */
function reshapeValue(emitter: Emitter, x: Value, shape: readonly number[]): Value {
  if (sizeOf(x.node.type.shape) === 1 && sizeOf(shape) > 0) {
    return { node: emitter.reshape(x.node, []), shape };
  }
  return fromNode(emitter.reshape(emitter.whole(x), shape));
}

function broadcastInDim(call: Call, [x]: readonly Value[]): readonly Value[] {
  const { shape } = resultType(call);
  const dimensions = axes(call, "broadcast_dimensions", integers(call, "broadcast_dimensions"), shape.length);
  if (dimensions.length !== x.shape.length) {
    throw malformed(call, "'broadcast_dimensions' does not name each axis of the operand");
  }
  if (dimensions.some((axis, i) => x.shape[i] !== 1 && x.shape[i] !== shape[axis])) {
    throw malformed(call, `[${x.shape.join(", ")}] does not broadcast to [${shape.join(", ")}]`);
  }
  return [broadcastValue(call.context.emitter, x, dimensions, shape)];
}

/** Puts axis i of `x` at `dimensions[i]` of `shape`: a reshape (and a transpose where the axes change order). */
function broadcastValue(emitter: Emitter, x: Value, dimensions: readonly number[], shape: readonly number[]): Value {
  const full = paddedShape(x);
  const order = range(dimensions.length).sort((a, b) => dimensions[a] - dimensions[b]);
  const sorted = order.every((axis, i) => axis === i)
    ? x.node
    : emitter.transpose(emitter.reshape(x.node, full), order);
  const target: number[] = shape.map(() => 1);
  dimensions.forEach((axis, i) => {
    target[axis] = full[i];
  });
  return { node: emitter.reshape(sorted, shortest(sorted, target, Math.min(...dimensions, shape.length))), shape };
}

/**
 * The target without its leading ones, where that undoes an earlier reshape (`[h] → [1, 1, h]`); else without the new
 * axes in front only, so that a batch of one looks like any batch to the matchers.
 */
function shortest(node: TensorNode, target: readonly number[], added: number): readonly number[] {
  const least = withoutLeadingOnes(target);
  let source = node;
  while (source.op === "reshape") {
    source = source.args[0];
  }
  return sameShape(source.type.shape, least) ? least : target.slice(added);
}

function transpose(call: Call, [x]: readonly Value[]): readonly Value[] {
  const permutation = axes(call, "permutation", integers(call, "permutation"), x.shape.length);
  if (permutation.length !== x.shape.length) {
    throw malformed(call, "'permutation' does not name each axis");
  }
  return [transposeValue(call.context.emitter, x, permutation)];
}

function transposeValue(emitter: Emitter, x: Value, permutation: readonly number[]): Value {
  const shape = permutation.map((axis) => x.shape[axis]);
  if (sizeOf(x.node.type.shape) === 1) {
    return { node: x.node, shape };
  }
  const node = emitter.transpose(emitter.reshape(x.node, paddedShape(x)), permutation);
  return { node, shape };
}

function slice(call: Call, [x]: readonly Value[]): readonly Value[] {
  const rank = x.shape.length;
  const starts = perAxis(call, "start_indices", rank, undefined, 0);
  const ends = perAxis(call, "limit_indices", rank, undefined, 0);
  const steps = perAxis(call, "strides", rank, 1, 1);
  if (ends.some((end, i) => end > x.shape[i] || starts[i] > end)) {
    throw malformed(call, `[${starts.join(", ")}] to [${ends.join(", ")}] is outside [${x.shape.join(", ")}]`);
  }
  return [sliceValue(call.context.emitter, x, starts, ends, steps)];
}

/** A slice; axes that are broadcast on paper only change their declared length. */
export function sliceValue(
  emitter: Emitter,
  x: Value,
  starts: readonly number[],
  ends: readonly number[],
  steps: readonly number[] = starts.map(() => 1),
): Value {
  const shape = starts.map((start, i) => Math.max(0, Math.ceil((ends[i] - start) / steps[i])));
  if (sameShape(shape, x.shape)) {
    return x;
  }
  const offset = x.shape.length - x.node.type.shape.length;
  const paper = x.node.type.shape.map((n, i) => n === 1 && x.shape[i + offset] !== 1 && shape[i + offset] > 0);
  const pick = (values: readonly number[], onPaper: number): number[] =>
    paper.map((skip, i) => (skip ? onPaper : values[i + offset]));
  const [from, to] = [pick(starts, 0), pick(ends, 1)];
  const unchanged =
    from.every((start, i) => start === 0 && to[i] === x.node.type.shape[i]) && steps.every((n) => n === 1);
  const node = unchanged ? x.node : emitter.emit("slice", [x.node], { starts: from, ends: to, steps: pick(steps, 1) });
  return { node, shape };
}

/** The start of each axis if all are constants, clamped as StableHLO says; undefined where any is not. */
export function constantStarts(starts: readonly Value[], limits: readonly number[]): number[] | undefined {
  const known = starts.map((start) => (isConstant(start.node) ? constantOf(start.node).data[0] : undefined));
  return known.every((start) => start !== undefined)
    ? known.map((start, i) => Math.min(Math.max(start, 0), limits[i]))
    : undefined;
}

function checkStarts(call: Call, x: Value, starts: readonly Value[], sizes: readonly number[]): void {
  if (starts.length !== x.shape.length || starts.some((start) => sizeOf(start.shape) !== 1)) {
    throw malformed(call, "needs one start index for each axis");
  }
  if (sizes.length !== x.shape.length || sizes.some((size, i) => size < 0 || size > x.shape[i])) {
    throw malformed(call, `a slice of [${sizes.join(", ")}] does not fit in [${x.shape.join(", ")}]`);
  }
}

function dynamicSlice(call: Call, [x, ...starts]: readonly Value[]): readonly Value[] {
  const { emitter } = call.context;
  const sizes = integers(call, "slice_sizes");
  checkStarts(call, x, starts, sizes);
  const limits = x.shape.map((n, i) => n - sizes[i]);
  const known = constantStarts(starts, limits);
  if (known !== undefined) {
    return [
      sliceValue(
        emitter,
        x,
        known,
        known.map((start, i) => start + sizes[i]),
      ),
    ];
  }
  let node = emitter.whole(x);
  sizes.forEach((size, axis) => {
    if (limits[axis] > 0) {
      const index = emitter.elementwise("add", [
        clampedStart(emitter, starts[axis], limits[axis]),
        counting(emitter, starts[axis], size),
      ]);
      node = emitter.emit("gather", [node, emitter.whole({ node: index.node, shape: [size] })], { axis });
    }
  });
  return [fromNode(node)];
}

function clampedStart(emitter: Emitter, start: Value, limit: number): Value {
  const node = emitter.emit("clamp", [emitter.reshape(start.node, [])], { low: 0, high: limit });
  return { node, shape: [] };
}

/** 0, 1, … in the dtype of `x`. */
function counting(emitter: Emitter, x: Value, count: number): Value {
  const data = Float64Array.from(range(count));
  return fromNode(emitter.constant({ dtype: x.node.type.dtype, shape: [count], data }));
}

function dynamicUpdateSlice(call: Call, [x, update, ...starts]: readonly Value[]): readonly Value[] {
  const { emitter } = call.context;
  const sizes = update.shape;
  checkStarts(call, x, starts, sizes);
  if (sizeOf(sizes) === 0) {
    return [x];
  }
  const limits = x.shape.map((n, i) => n - sizes[i]);
  const known = constantStarts(starts, limits);
  return [
    known === undefined ? updateAnywhere(emitter, x, update, starts, limits) : updateAt(emitter, x, update, known),
  ];
}

/** At a known place: the parts before and after, axis by axis, concatenated with the update. */
export function updateAt(emitter: Emitter, x: Value, update: Value, starts: readonly number[]): Value {
  const changed = starts.findIndex((_, i) => update.shape[i] !== x.shape[i]);
  if (changed === -1) {
    return update;
  }
  const part = (from: number, to: number): Value =>
    sliceValue(
      emitter,
      x,
      x.shape.map((_, i) => (i === changed ? from : 0)),
      x.shape.map((n, i) => (i === changed ? to : n)),
    );
  const end = starts[changed] + update.shape[changed];
  const middle = updateAt(
    emitter,
    part(starts[changed], end),
    update,
    starts.map((start, i) => (i === changed ? 0 : start)),
  );
  const parts = [part(0, starts[changed]), middle, part(end, x.shape[changed])];
  return fromNode(
    concatenateNodes(
      emitter,
      parts.map((value) => emitter.whole(value)),
      changed,
    ),
  );
}

/** At a place that is data: every element chooses between itself and the update's at its distance from the start. */
export function updateAnywhere(
  emitter: Emitter,
  x: Value,
  update: Value,
  starts: readonly Value[],
  limits: readonly number[],
): Value {
  let moved = emitter.whole(update);
  let inside: Value | undefined;
  limits.forEach((limit, axis) => {
    if (limit === 0) {
      return;
    }
    const start = clampedStart(emitter, starts[axis], limit);
    const distance = emitter.elementwise("subtract", [counting(emitter, start, x.shape[axis]), start]);
    const last = update.shape[axis] - 1;
    const within = emitter.elementwise("and", [
      emitter.elementwise("greaterOrEqual", [distance, like(emitter, distance, 0)]),
      emitter.elementwise("lessOrEqual", [distance, like(emitter, distance, last)]),
    ]);
    if (last > 0) {
      const index = emitter.emit("clamp", [distance.node], { low: 0, high: last });
      moved = emitter.emit("gather", [moved, index], { axis });
    } else {
      moved = emitter.emit("broadcast", [moved], {
        shape: moved.type.shape.map((n, i) => (i === axis ? x.shape[axis] : n)),
      });
    }
    const placed = broadcastValue(emitter, within, [axis], x.shape);
    inside = inside === undefined ? placed : emitter.elementwise("and", [inside, placed]);
  });
  return inside === undefined ? update : emitter.elementwise("select", [inside, fromNode(moved), x]);
}

function concatenate(call: Call, operands: readonly Value[]): readonly Value[] {
  const rank = operands[0]?.shape.length ?? 0;
  const [axis] = axes(call, "dimension", [integer(call, "dimension")], rank);
  const fits = operands.every(
    ({ shape }) => shape.length === rank && shape.every((n, i) => i === axis || n === operands[0].shape[i]),
  );
  if (!fits) {
    throw malformed(call, `the operands differ in more than axis ${axis}`);
  }
  const { emitter } = call.context;
  return [
    fromNode(
      concatenateNodes(
        emitter,
        operands.map((operand) => emitter.whole(operand)),
        axis,
      ),
    ),
  ];
}

/** Without the empty parts; one part is itself. */
function concatenateNodes(emitter: Emitter, nodes: readonly TensorNode[], axis: number): TensorNode {
  const parts = nodes.filter((node) => node.type.shape[axis] > 0);
  if (parts.length === 0) {
    return nodes[0];
  }
  return parts.length === 1 ? parts[0] : emitter.emit("concatenate", parts, { axis });
}

function pad(call: Call, [x, fill]: readonly Value[]): readonly Value[] {
  const rank = x.shape.length;
  const low = perAxis(call, "edge_padding_low", rank, undefined, -Infinity);
  const high = perAxis(call, "edge_padding_high", rank, undefined, -Infinity);
  const interior = perAxis(call, "interior_padding", rank, 0, 0);
  const { shape } = resultType(call);
  if (x.shape.some((n, i) => low[i] + high[i] + n + Math.max(0, n - 1) * interior[i] !== shape[i])) {
    throw malformed(call, `the padding does not give [${shape.join(", ")}]`);
  }
  const { emitter } = call.context;
  const value = splatOf(fill.node);
  if (value !== undefined) {
    return [padValue(emitter, x, { low, high, interior, value })];
  }
  // Padding with data: zeros first, then the data where a padded one is not one.
  const one: Value = { node: emitter.scalar(1, "bool"), shape: x.shape };
  const inside = padValue(emitter, one, { low, high, interior, value: 0 });
  const padded = padValue(emitter, x, { low, high, interior, value: 0 });
  return [emitter.elementwise("select", [inside, padded, { node: emitter.reshape(fill.node, []), shape: [] }])];
}

export interface Padding {
  readonly low: readonly number[];
  readonly high: readonly number[];
  readonly interior: readonly number[];
  readonly value: number;
}

/** StableHLO's padding: interior first, then the edges, of which negative ones cut off. */
export function padValue(emitter: Emitter, x: Value, { low, high, interior, value }: Padding): Value {
  let padded = x;
  interior.forEach((count, axis) => {
    if (count > 0 && padded.shape[axis] > 1) {
      padded = padInterior(emitter, padded, axis, count, value);
    }
  });
  const positive = (counts: readonly number[]): number[] => counts.map((n) => Math.max(n, 0));
  if ([...low, ...high].some((n) => n > 0)) {
    const attributes = { low: positive(low), high: positive(high), value };
    padded = fromNode(emitter.emit("pad", [emitter.whole(padded)], attributes));
  }
  const starts = low.map((n) => Math.max(-n, 0));
  const ends = padded.shape.map((n, i) => n - Math.max(-high[i], 0));
  return sliceValue(emitter, padded, starts, ends);
}

/** `count` fill elements between neighbours: each element becomes a row with the fill behind it. */
function padInterior(emitter: Emitter, x: Value, axis: number, count: number, value: number): Value {
  const n = x.shape[axis];
  const rows = emitter.reshape(emitter.whole(x), [...x.shape.slice(0, axis + 1), 1, ...x.shape.slice(axis + 1)]);
  const none = rows.type.shape.map(() => 0);
  const high = none.map((_, i) => (i === axis + 1 ? count : 0));
  const padded = emitter.emit("pad", [rows], { low: none, high, value });
  const flat = x.shape.map((size, i) => (i === axis ? n * (count + 1) : size));
  const joined = fromNode(emitter.reshape(padded, flat));
  const ends = flat.map((size, i) => (i === axis ? size - count : size));
  return sliceValue(
    emitter,
    joined,
    flat.map(() => 0),
    ends,
  );
}

function reverse(call: Call, [x]: readonly Value[]): readonly Value[] {
  const reversed = axes(call, "dimensions", integers(call, "dimensions"), x.shape.length);
  const offset = x.shape.length - x.node.type.shape.length;
  const real = reversed.map((axis) => axis - offset).filter((axis) => axis >= 0 && x.node.type.shape[axis] !== 1);
  const node = real.length === 0 ? x.node : call.context.emitter.emit("reverse", [x.node], { axes: real });
  return [{ node, shape: x.shape }];
}
