/**
 * StableHLO's gather and scatter. A gather takes slices of `slice_sizes` at start positions read from the last axis
 * (`index_vector_dim`) of an index tensor. Almost all that JAX writes is a lookup of whole rows, which becomes
 * `embedding` or `gather`; the general case becomes `gatherND` over explicit positions.
 */
import { sameShape } from "../../ir/shape.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { axes, type Call, field, flatten, integers, malformed, type Rule, unsupported } from "./context.js";
import { constantStarts, sliceValue, updateAnywhere, updateAt } from "./ops-movement.js";
import {
  constantOf,
  type Emitter,
  fromNode,
  isConstant,
  range,
  splatOf,
  type TensorNode,
  type Value,
} from "./values.js";

export const LOOKUP: Readonly<Record<string, Rule>> = {
  "stablehlo.gather": gather,
  "stablehlo.scatter": scatter,
};

interface GatherNumbers {
  /** Axes of the result that come from the slice. */
  readonly offset: readonly number[];
  /** Operand axes of slice size 1 that the result does not have. */
  readonly collapsed: readonly number[];
  readonly operandBatch: readonly number[];
  readonly indexBatch: readonly number[];
  /** The operand axis that each component of an index vector is for. */
  readonly start: readonly number[];
  readonly vectorAxis: number;
  readonly sizes: readonly number[];
}

function readNumbers(call: Call, x: Value, indices: Value): GatherNumbers {
  const read = (name: string, rank: number): readonly number[] =>
    axes(call, name, field(call, "dimension_numbers", name), rank);
  const rank = x.shape.length;
  const [vectorAxis = 0] = field(call, "dimension_numbers", "index_vector_dim");
  const numbers: GatherNumbers = {
    offset: field(call, "dimension_numbers", "offset_dims"),
    collapsed: read("collapsed_slice_dims", rank),
    operandBatch: read("operand_batching_dims", rank),
    indexBatch: read("start_indices_batching_dims", indices.shape.length),
    start: read("start_index_map", rank),
    vectorAxis,
    sizes: integers(call, "slice_sizes"),
  };
  const components = vectorAxis === indices.shape.length ? 1 : indices.shape[vectorAxis];
  const gone = [...numbers.collapsed, ...numbers.operandBatch];
  const good =
    vectorAxis >= 0 &&
    components === numbers.start.length &&
    numbers.sizes.length === rank &&
    numbers.sizes.every((size, i) => size >= 0 && size <= x.shape[i]) &&
    new Set(gone).size === gone.length &&
    gone.every((axis) => numbers.sizes[axis] === 1) &&
    numbers.operandBatch.length === numbers.indexBatch.length &&
    !numbers.indexBatch.includes(vectorAxis) &&
    numbers.offset.length === rank - gone.length;
  if (!good) {
    throw malformed(call, "the dimension numbers contradict each other or the operands");
  }
  return numbers;
}

function gather(call: Call, [x, indices]: readonly Value[]): readonly Value[] {
  const { emitter, exact } = call.context;
  const given = readNumbers(call, x, indices);
  const start = emitter.whole(
    exact ? indices : { node: withoutWrap(emitter, indices.node, x, given), shape: indices.shape },
  );
  const all = moveLast(emitter, start, given.vectorAxis);
  const { numbers, vectors: vectorLast } = withoutIdle(emitter, x, all, given);
  // Axes cut to a part without an index start at 0.
  const cut = range(x.shape.length).map((axis) =>
    numbers.start.includes(axis) || numbers.operandBatch.includes(axis) ? x.shape[axis] : numbers.sizes[axis],
  );
  const source = sliceValue(
    emitter,
    x,
    cut.map(() => 0),
    cut,
  );
  const batch = vectorLast.type.shape.slice(0, -1);
  const rankOut = batch.length + numbers.offset.length;
  axes(call, "offset_dims", numbers.offset, rankOut);
  const rows = wholeRows(call, source, vectorLast, numbers) ?? positions(call, source, vectorLast, numbers);
  return [fromNode(placeOffsets(emitter, rows, batch.length, numbers.offset, rankOut))];
}

/** Index components of axes that are taken whole can only be 0 (they are clamped): they go. */
function withoutIdle(
  emitter: Emitter,
  x: Value,
  vectors: TensorNode,
  numbers: GatherNumbers,
): { readonly numbers: GatherNumbers; readonly vectors: TensorNode } {
  const idle = (axis: number): boolean => numbers.sizes[axis] === x.shape[axis] && !numbers.collapsed.includes(axis);
  const kept = range(numbers.start.length).filter((i) => !idle(numbers.start[i]));
  if (kept.length === numbers.start.length || kept.length === 0) {
    return { numbers, vectors };
  }
  const axis = vectors.type.shape.length - 1;
  const parts = kept.map((i) => {
    const { shape } = vectors.type;
    const starts = shape.map((_, each) => (each === axis ? i : 0));
    const ends = shape.map((n, each) => (each === axis ? i + 1 : n));
    return emitter.emit("slice", [vectors], { starts, ends, steps: shape.map(() => 1) });
  });
  const rest = parts.length === 1 ? parts[0] : emitter.emit("concatenate", parts, { axis });
  return { numbers: { ...numbers, start: kept.map((i) => numbers.start[i]) }, vectors: rest };
}

/** Undoes `select(i < 0, i + n, i)`, numpy's negative indices: the tensor graph's lookups wrap by themselves. */
function withoutWrap(emitter: Emitter, node: TensorNode, x: Value, { start }: GatherNumbers): TensorNode {
  let inner = node;
  while (inner.op === "reshape") {
    inner = inner.args[0];
  }
  if (inner.op !== "select" || start.length !== 1) {
    return node;
  }
  const [condition, wrapped, index] = inner.args;
  const isWrap =
    condition.op === "less" &&
    condition.args[0] === index &&
    splatOf(condition.args[1]) === 0 &&
    wrapped.op === "add" &&
    wrapped.args[0] === index &&
    splatOf(wrapped.args[1]) === x.shape[start[0]] &&
    sameShape(inner.type.shape, index.type.shape);
  return isWrap ? emitter.reshape(index, node.type.shape) : node;
}

/** The index tensor with its vectors along the last axis. */
function moveLast(emitter: Emitter, node: TensorNode, axis: number): TensorNode {
  const { shape } = node.type;
  if (axis === shape.length) {
    return emitter.reshape(node, [...shape, 1]);
  }
  return emitter.transpose(node, [...range(shape.length).filter((i) => i !== axis), axis]);
}

/** One index component for one axis of slice size 1 and everything else whole: a lookup. Result [batch…, slice…]. */
function wholeRows(call: Call, x: Value, indices: TensorNode, numbers: GatherNumbers): TensorNode | undefined {
  const [axis] = numbers.start;
  const { collapsed, operandBatch, sizes } = numbers;
  const isRow = sizes[axis] === 1 && collapsed.every((each) => each === axis);
  if (numbers.start.length !== 1 || operandBatch.length > 0 || !isRow || x.shape[axis] === 0) {
    return undefined;
  }
  const rows = lookedUp(call, x, indices, axis);
  const batch = indices.type.shape.slice(0, -1);
  const slice = x.shape.map((n, i) => (i === axis ? 1 : n));
  return collapsed.length === 1 ? rows : call.context.emitter.reshape(rows, [...batch, ...slice]);
}

/** The rows at the indices of an axis, without that axis. */
function lookedUp(call: Call, x: Value, indices: TensorNode, axis: number): TensorNode {
  const { emitter } = call.context;
  const flat = emitter.reshape(indices, indices.type.shape.slice(0, -1));
  const index = clampStarts(call, flat, x.shape[axis] - 1);
  const source = emitter.whole(x);
  if (axis === 0) {
    const isTable = x.shape.length === 2 && !isConstant(index) && !isConstant(source);
    return isTable ? emitter.emit("embedding", [source, index]) : emitter.emit("gather", [source, index], { axis });
  }
  const node = emitter.emit("gather", [source, index], { axis });
  const rank = index.type.shape.length;
  const batch = range(rank).map((i) => axis + i);
  const rest = range(node.type.shape.length).filter((i) => !batch.includes(i));
  return emitter.transpose(node, [...batch, ...rest]);
}

/**
 * Start indices within bounds. StableHLO clamps; for data we rely on JAX's own bounds check or on the caller, as every
 * front end does, and clamp only constants and where exactness is asked for.
 */
function clampStarts(call: Call, node: TensorNode, high: number): TensorNode {
  const { emitter, exact } = call.context;
  if (!exact && !isConstant(node)) {
    return node;
  }
  if (isConstant(node) && constantOf(node).data.every((i) => i >= 0 && i <= high)) {
    return node;
  }
  return emitter.emit("clamp", [node], { low: 0, high });
}

/**
 * The general case: the indexed axes go first, every element of a slice gets its full position along them, and
 * `gatherND` takes the rest whole. The result is [batch…, slice axes in operand order…].
 */
function positions(call: Call, x: Value, indices: TensorNode, numbers: GatherNumbers): TensorNode {
  const { emitter } = call.context;
  const rank = x.shape.length;
  const indexed = range(rank).filter((axis) => numbers.start.includes(axis) || numbers.operandBatch.includes(axis));
  const rest = range(rank).filter((axis) => !indexed.includes(axis));
  const batch = indices.type.shape.slice(0, -1);
  const kept = indexed.filter((axis) => !numbers.collapsed.includes(axis) && !numbers.operandBatch.includes(axis));
  const shape = [...batch, ...kept.map((axis) => numbers.sizes[axis])];
  if (indexed.length === 0) {
    const whole = emitter.whole(x);
    return emitter.emit("broadcast", [whole], { shape: [...batch, ...x.shape] });
  }
  const components = indexed.map((axis) => {
    const base = componentOf(call, x, indices, numbers, axis);
    const spread = emitter.reshape(base, [...base.type.shape, ...kept.map(() => 1)]);
    const at = kept.indexOf(axis);
    const along =
      at === -1
        ? spread
        : emitter.emit("add", [spread, steps(emitter, indices, numbers.sizes[axis], kept.length - at - 1)]);
    return emitter.reshape(emitter.whole({ node: along, shape }), [...shape, 1]);
  });
  const vectors =
    components.length === 1 ? components[0] : emitter.emit("concatenate", components, { axis: shape.length });
  const source = emitter.transpose(emitter.whole(x), [...indexed, ...rest]);
  const node = emitter.emit("gatherND", [source, vectors], { batch: 0 });
  // Slice axes in the operand's order.
  const order = [...kept, ...rest];
  const sorted = range(order.length).sort((a, b) => order[a] - order[b]);
  return emitter.transpose(node, [...range(batch.length), ...sorted.map((i) => i + batch.length)]);
}

/** The start along one operand axis for each batch position. */
function componentOf(call: Call, x: Value, indices: TensorNode, numbers: GatherNumbers, axis: number): TensorNode {
  const { emitter } = call.context;
  const { shape, dtype } = indices.type;
  const batched = numbers.operandBatch.indexOf(axis);
  if (batched !== -1) {
    const own = numbers.indexBatch[batched];
    const at = own > numbers.vectorAxis ? own - 1 : own;
    const data = Float64Array.from(range(x.shape[axis]));
    const tail = shape.slice(at + 1, -1).map(() => 1);
    return emitter.constant({ dtype, shape: [x.shape[axis], ...tail], data });
  }
  const component = numbers.start.indexOf(axis);
  const starts = shape.map((n, i) => (i === shape.length - 1 ? component : n && 0));
  const ends = shape.map((n, i) => (i === shape.length - 1 ? component + 1 : n));
  const part = sliceValue(emitter, fromNode(indices), starts, ends).node;
  const node = emitter.reshape(part, shape.slice(0, -1));
  return clampStarts(call, node, x.shape[axis] - numbers.sizes[axis]);
}

function steps(emitter: Emitter, like: TensorNode, count: number, trailing: number): TensorNode {
  const shape = [count, ...Array.from({ length: trailing }, () => 1)];
  return emitter.constant({ dtype: like.type.dtype, shape, data: Float64Array.from(range(count)) });
}

/** [batch…, slice…] with the slice axes where `offset` says. */
function placeOffsets(
  emitter: Emitter,
  node: TensorNode,
  batchRank: number,
  offset: readonly number[],
  rank: number,
): TensorNode {
  let batch = 0;
  const order = range(rank).map((axis) => {
    const at = offset.indexOf(axis);
    return at === -1 ? batch++ : batchRank + at;
  });
  return emitter.transpose(node, order);
}

interface ScatterNumbers {
  readonly inserted: readonly number[];
  readonly window: readonly number[];
  /** The operand axis that each component of an index vector is for. */
  readonly start: readonly number[];
  readonly vectorAxis: number;
  readonly batched: boolean;
}

function readScatter(call: Call, x: Value, indices: Value, updates: Value): ScatterNumbers {
  const read = (name: string): readonly number[] => field(call, "scatter_dimension_numbers", name);
  const [vectorAxis = 0] = read("index_vector_dim");
  const rank = x.shape.length;
  const numbers: ScatterNumbers = {
    inserted: axes(call, "inserted_window_dims", read("inserted_window_dims"), rank),
    window: axes(call, "update_window_dims", read("update_window_dims"), updates.shape.length),
    start: axes(call, "scatter_dims_to_operand_dims", read("scatter_dims_to_operand_dims"), rank),
    vectorAxis,
    batched: read("input_batching_dims").length > 0,
  };
  const components = vectorAxis === indices.shape.length ? 1 : indices.shape[vectorAxis];
  const fits = numbers.batched || numbers.window.length + numbers.inserted.length === rank;
  if (vectorAxis < 0 || components !== numbers.start.length || !fits) {
    throw malformed(call, "the dimension numbers contradict each other or the operands");
  }
  return numbers;
}

/** What `x.at[i].set(…)` and `.add(…)` write: one window at one place, or whole rows replaced along leading axes. */
function scatter(call: Call, operands: readonly Value[]): readonly Value[] {
  const [x, indices, updates] = operands;
  if (operands.length !== 3) {
    throw unsupported(call, "several tensors at once");
  }
  const { emitter } = call.context;
  const numbers = readScatter(call, x, indices, updates);
  if (sizeOf(updates.shape) === 0) {
    return [x];
  }
  const vectors = moveLast(emitter, emitter.whole(indices), numbers.vectorAxis);
  if (!numbers.batched && sizeOf(vectors.type.shape.slice(0, -1)) === 1) {
    return [scatterOne(call, x, vectors, updates, numbers)];
  }
  const leading = range(numbers.inserted.length);
  const last = updates.shape.length;
  const trailing = range(numbers.window.length).map((i) => last - numbers.window.length + i);
  const rows =
    !numbers.batched &&
    sameShape(numbers.inserted, leading) &&
    sameShape(numbers.start, leading) &&
    sameShape(numbers.window, trailing) &&
    trailing.every((axis, i) => updates.shape[axis] === x.shape[numbers.inserted.length + i]);
  if (!rows || !replaces(call)) {
    throw unsupported(call, "other than replacing whole rows", "build the array with jnp.where or jnp.concatenate");
  }
  return [fromNode(emitter.emit("scatterND", [emitter.whole(x), vectors, emitter.whole(updates)]))];
}

/** One window, at a place that is a constant (old values are combined with new) or data (they are replaced). */
function scatterOne(call: Call, x: Value, vectors: TensorNode, updates: Value, numbers: ScatterNumbers): Value {
  const { emitter } = call.context;
  const sizes = x.shape.map(() => 1);
  const kept = range(x.shape.length).filter((axis) => !numbers.inserted.includes(axis));
  kept.forEach((axis, i) => {
    sizes[axis] = updates.shape[numbers.window[i]];
  });
  const limits = x.shape.map((n, axis) => n - sizes[axis]);
  if (sizeOf(sizes) !== sizeOf(updates.shape) || limits.some((limit) => limit < 0)) {
    throw malformed(call, "the update does not fit the operand");
  }
  const flat = emitter.reshape(vectors, [numbers.start.length]);
  const zero = fromNode(emitter.scalar(0, flat.type.dtype));
  const starts = x.shape.map((_, axis) => {
    const at = numbers.start.indexOf(axis);
    return at === -1 ? zero : fromNode(emitter.reshape(sliceValue(emitter, fromNode(flat), [at], [at + 1]).node, []));
  });
  const update = fromNode(emitter.reshape(emitter.whole(updates), sizes));
  const known = constantStarts(starts, limits);
  if (known === undefined) {
    if (!replaces(call)) {
      throw unsupported(call, "combining with values at a place that is data");
    }
    return updateAnywhere(emitter, x, update, starts, limits);
  }
  const inside = starts.every((start, axis) => constantOf(start.node).data[0] === known[axis]);
  if (!inside) {
    // StableHLO leaves out updates that are out of bounds.
    return x;
  }
  const old = sliceValue(
    emitter,
    x,
    known,
    known.map((start, axis) => start + sizes[axis]),
  );
  const [combined] = call.context
    .runRegion(call.operation.regions[0], [old, update], call.scope, true)
    .flatMap(flatten);
  if (combined === undefined) {
    throw malformed(call, "the update computation returns nothing");
  }
  return updateAt(emitter, x, { node: combined.node, shape: sizes }, known);
}

/** Does the update computation return its second argument? */
function replaces(call: Call): boolean {
  const [region] = call.operation.regions;
  const [only] = region?.operations ?? [];
  return region?.args.length === 2 && region.operations.length === 1 && only.operands[0] === region.args[1].name;
}
