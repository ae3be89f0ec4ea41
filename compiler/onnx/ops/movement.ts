/**
 * Operators that move values without computing: reshapes, slices, joins, look-ups by position. Their shapes, axes and
 * bounds are attributes in old operator sets and inputs in new ones; as inputs they must be known at compile time.
 */
import { sizeOf } from "../../../ir/tensor/value.js";
import { type Call, type OperatorFamily, rule } from "../call.js";
import type { Value } from "../emitter.js";

/** A list that is an attribute before operator set `moved` and input `index` since. */
export function numbersOf(call: Call, name: string, index: number, moved: number): readonly number[] | undefined {
  return call.opset < moved ? call.integers(name) : call.knownNumbers(index, name);
}

function reshape(call: Call): readonly Value[] {
  const x = call.input(0);
  const wanted = numbersOf(call, "shape", 1, 5) ?? [];
  const keepZero = call.flag("allowzero", false);
  const from = x.type.shape;
  const shape = wanted.map((n, i) => {
    if (n === 0 && !keepZero && i >= from.length) {
      throw call.malformed(`0 at ${i} copies a dimension that [${from.join(", ")}] does not have`);
    }
    return n === 0 && !keepZero ? from[i] : n;
  });
  const open = shape.indexOf(-1);
  if (open >= 0) {
    const rest = shape.reduce((product, n, i) => (i === open ? product : product * n), 1);
    shape[open] = rest === 0 ? 0 : sizeOf(from) / rest;
  }
  if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0) || sizeOf(shape) !== sizeOf(from)) {
    throw call.malformed(`[${from.join(", ")}] cannot become [${wanted.join(", ")}]`);
  }
  return [call.emitter.reshape(x, shape)];
}

function flatten(call: Call): readonly Value[] {
  const x = call.input(0);
  const { shape } = x.type;
  const axis = call.integer("axis", 1);
  const cut = axis < 0 ? axis + shape.length : axis;
  if (cut < 0 || cut > shape.length) {
    throw call.malformed(`axis ${axis} is outside a tensor of ${shape.length} dimensions`);
  }
  return [call.emitter.reshape(x, [sizeOf(shape.slice(0, cut)), sizeOf(shape.slice(cut))])];
}

function squeeze(call: Call): readonly Value[] {
  const x = call.input(0);
  const { shape } = x.type;
  const given = numbersOf(call, "axes", 1, 13);
  const axes = new Set(given ? call.axes(given, shape.length) : shape.flatMap((n, i) => (n === 1 ? [i] : [])));
  for (const axis of axes) {
    if (shape[axis] !== 1) {
      throw call.malformed(`axis ${axis} has ${shape[axis]} elements, not 1`);
    }
  }
  return [
    call.emitter.reshape(
      x,
      shape.filter((_, i) => !axes.has(i)),
    ),
  ];
}

function unsqueeze(call: Call): readonly Value[] {
  const x = call.input(0);
  const given = numbersOf(call, "axes", 1, 13) ?? [];
  const rank = x.type.shape.length + given.length;
  const axes = new Set(call.axes(given, rank));
  const rest = [...x.type.shape];
  const shape = Array.from({ length: rank }, (_, i) => (axes.has(i) ? 1 : (rest.shift() ?? 1)));
  return [call.emitter.reshape(x, shape)];
}

function transpose(call: Call): readonly Value[] {
  const x = call.input(0);
  const rank = x.type.shape.length;
  const permutation = call.integers("perm") ?? [...Array(rank).keys()].reverse();
  if (permutation.length !== rank || call.axes(permutation, rank).length !== rank) {
    throw call.malformed(`perm [${permutation.join(", ")}] is no order of ${rank} axes`);
  }
  return [call.emitter.transpose(x, permutation)];
}

function concatenate(call: Call): readonly Value[] {
  const parts = call.all();
  return [call.emitter.concatenate(parts, call.axis(call.requiredInteger("axis"), call.input(0).type.shape.length))];
}

/** Bounds were attributes before operator set 10; ends beyond the tensor (INT64_MAX) mean its end. */
function slice(call: Call): readonly Value[] {
  const x = call.input(0);
  const { shape } = x.type;
  const starts = numbersOf(call, "starts", 1, 10) ?? [];
  const ends = numbersOf(call, "ends", 2, 10) ?? [];
  const axes = numbersOf(call, "axes", 3, 10) ?? starts.map((_, i) => i);
  const steps = call.opset < 10 ? starts.map(() => 1) : (call.knownNumbers(4, "steps") ?? starts.map(() => 1));
  if (ends.length !== starts.length || axes.length !== starts.length || steps.length !== starts.length) {
    throw call.malformed("starts, ends, axes and steps have different lengths");
  }
  const result = { starts: shape.map(() => 0), ends: [...shape], steps: shape.map(() => 1) };
  axes.forEach((given, i) => {
    const axis = call.axis(given, shape.length);
    const bounds = sliceBounds(starts[i], ends[i], steps[i], shape[axis]);
    if (bounds === undefined) {
      throw call.malformed("a step is zero");
    }
    [result.starts[axis], result.ends[axis]] = bounds;
    result.steps[axis] = steps[i];
  });
  const whole = shape.every((n, i) => result.starts[i] === 0 && result.ends[i] === n && result.steps[i] === 1);
  return [whole ? x : call.emitter.emit("slice", [x], result)];
}

/** Clamps a slice's bounds to an axis of `n` elements, as numpy does; an end of -1 is "behind index 0". */
function sliceBounds(
  start: number,
  end: number,
  step: number,
  n: number,
): readonly [start: number, end: number] | undefined {
  const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);
  const wrap = (value: number): number => (value < 0 ? value + n : value);
  if (step > 0) {
    const from = clamp(wrap(start), 0, n);
    return [from, Math.max(from, clamp(wrap(end), 0, n))];
  }
  if (step < 0) {
    const from = clamp(wrap(start), -1, n - 1);
    const to = Math.min(from, clamp(wrap(end), -1, n - 1));
    return from < 0 ? [0, 0] : [from, to];
  }
  return undefined;
}

/**
 * Sizes are an attribute before operator set 13; since 18 `num_outputs` may stand for them (the last may be shorter).
 */
function split(call: Call): readonly Value[] {
  const x = call.input(0);
  const axis = call.axis(call.integer("axis", 0), x.type.shape.length);
  const total = x.type.shape[axis];
  const sizes = numbersOf(call, "split", 1, 13) ?? equalParts(total, call);
  if (sizes.reduce((sum, n) => sum + n, 0) !== total || sizes.some((n) => n < 0)) {
    throw call.malformed(`parts of ${sizes.join(", ")} do not make up ${total}`);
  }
  let at = 0;
  return sizes.map((size) => {
    at += size;
    return call.emitter.sliceAxis(x, axis, at - size, at);
  });
}

function equalParts(total: number, call: Call): readonly number[] {
  const count = call.integer("num_outputs", call.node.output.length);
  if (!(count >= 1 && count <= 65536)) {
    throw call.malformed(`${count} outputs`);
  }
  const size = Math.ceil(total / count);
  return Array.from({ length: count }, (_, i) => Math.max(0, Math.min(size, total - i * size)));
}

/** Broadcasts both ways: a 1 in the wanted shape keeps the tensor's own dimension. */
function expand(call: Call): readonly Value[] {
  const x = call.input(0);
  const wanted = call.knownNumbers(1, "shape") ?? [];
  const rank = Math.max(wanted.length, x.type.shape.length);
  const at = (shape: readonly number[], i: number): number => shape[i - rank + shape.length] ?? 1;
  const shape = Array.from({ length: rank }, (_, i) => {
    const [own, other] = [at(x.type.shape, i), at(wanted, i)];
    if (own !== other && own !== 1 && other !== 1) {
      throw call.malformed(`[${x.type.shape.join(", ")}] cannot be expanded to [${wanted.join(", ")}]`);
    }
    return own === 1 ? other : own;
  });
  return [call.emitter.broadcast(x, shape)];
}

/** Repeats along each axis: a broadcast of [r0, n0, r1, n1, …] from [1, n0, 1, n1, …]. */
function tile(call: Call, x: Value, repeats: readonly number[]): Value {
  const { emitter } = call;
  const { shape } = x.type;
  if (repeats.length !== shape.length) {
    throw call.malformed(`${repeats.length} repeats for ${shape.length} dimensions`);
  }
  if (repeats.every((n) => n === 1)) {
    return x;
  }
  const apart = emitter.reshape(
    x,
    shape.flatMap((n, i) => (repeats[i] === 1 ? [n] : [1, n])),
  );
  const wide = emitter.broadcast(
    apart,
    shape.flatMap((n, i) => (repeats[i] === 1 ? [n] : [repeats[i], n])),
  );
  return emitter.reshape(
    wide,
    shape.map((n, i) => n * repeats[i]),
  );
}

function depthToSpace(call: Call): readonly Value[] {
  const { emitter } = call;
  const x = call.input(0);
  const [n, channels, height, width] = x.type.shape;
  const block = call.requiredInteger("blocksize");
  const rest = channels / (block * block);
  const byColumn = call.string("mode", "DCR") === "CRD";
  const apart = byColumn ? [n, rest, block, block, height, width] : [n, block, block, rest, height, width];
  const order = byColumn ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  const moved = emitter.transpose(emitter.reshape(x, apart), order);
  return [emitter.reshape(moved, [n, rest, height * block, width * block])];
}

function spaceToDepth(call: Call): readonly Value[] {
  const { emitter } = call;
  const x = call.input(0);
  const [n, channels, height, width] = x.type.shape;
  const block = call.requiredInteger("blocksize");
  const apart = emitter.reshape(x, [n, channels, height / block, block, width / block, block]);
  const moved = emitter.transpose(apart, [0, 3, 5, 1, 2, 4]);
  return [emitter.reshape(moved, [n, channels * block * block, height / block, width / block])];
}

/**
 * Inference: the identity, with a mask that keeps everything. A model that was exported in training mode says otherwise
 * in an input; pumac infers, so that is a warning.
 */
function dropout(call: Call): readonly (Value | undefined)[] {
  const x = call.input(0);
  if (call.optional(2) !== undefined && call.known(2, "training mode").data[0] !== 0) {
    call.surroundings.warn({
      code: "W0305",
      what: "the model was exported in training mode; its Dropout nodes are left out",
      where: call.label,
      why: "dropout draws random numbers in training and does nothing in inference",
      fix: "call model.eval() before exporting",
    });
  }
  const mask = call.wants(1)
    ? call.emitter.filled(1, x.type.shape, call.opset < 10 ? x.type.dtype : "bool")
    : undefined;
  return [x, mask];
}

export const MOVEMENT: OperatorFamily = {
  Identity: rule(1, (call) => [call.input(0)]),
  Dropout: rule(7, dropout),
  Reshape: rule(5, reshape),
  Flatten: rule(1, flatten),
  Squeeze: rule(1, squeeze),
  Unsqueeze: rule(1, unsqueeze),
  Transpose: rule(1, transpose),
  Concat: rule(4, concatenate),
  Slice: rule(1, slice),
  Split: rule(2, split),
  Expand: rule(8, expand),
  Tile: rule(6, (call) => [tile(call, call.input(0), call.knownNumbers(1, "repeats") ?? [])]),
  DepthToSpace: rule(1, depthToSpace),
  SpaceToDepth: rule(1, spaceToDepth),
};
