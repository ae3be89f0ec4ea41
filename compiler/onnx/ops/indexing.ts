/**
 * Operators that read or write by index: gathers, scatters, one-hot, order statistics, triangles, padding.
 */
import { NO_PLACE, sizeOf } from "../../../ir/tensor/value.js";
import { type Call, type OperatorFamily, rule } from "../call.js";
import { knownValue, type Value } from "../emitter.js";
import { numbersOf } from "./movement.js";

/** What is looked up in a tensor of one value is that value, wherever it is looked up (RoBERTa's token types). */
function uniform(call: Call, shape: readonly number[]): Value | undefined {
  const known = knownValue(call.input(0));
  return known !== undefined && known.data.length > 0 && known.data.every((value) => value === known.data[0])
    ? call.emitter.filledLike(known, shape)
    : undefined;
}

function gather(call: Call): readonly Value[] {
  const x = call.input(0);
  return [call.emitter.gather(x, call.input(1), call.axis(call.integer("axis", 0), x.type.shape.length))];
}

function gatherElements(call: Call): readonly Value[] {
  const x = call.input(0);
  const axis = call.axis(call.integer("axis", 0), x.type.shape.length);
  return [uniform(call, call.input(1).type.shape) ?? call.emitter.emit("gatherElements", [x, call.input(1)], { axis })];
}

function gatherND(call: Call): readonly Value[] {
  const batch = call.integer("batch_dims", 0);
  return [call.emitter.emit("gatherND", [call.input(0), call.input(1)], { batch })];
}

const REDUCTIONS: Readonly<Record<string, string>> = { add: "add", mul: "multiply", max: "maximum", min: "minimum" };

/**
 * Combines updates [count, …] with the slices of x that constant index rows [count, width] name. Rows that name the
 * same slice go one after the other: in each round every slice is named at most once, gathered, combined and
 * scattered back.
 */
function scatterReduce(call: Call, x: Value, indices: Value, updates: Value): Value {
  const { emitter } = call;
  const reduction = call.string("reduction", "none");
  const op = REDUCTIONS[reduction];
  const known = knownValue(indices);
  if (op === undefined || known === undefined) {
    throw call.refuse(`reduction '${reduction}'`, "an index may repeat, unless the indices are known at compile time");
  }
  const [count, width] = known.shape;
  const rounds: number[][] = [];
  const met = new Map<string, number>();
  for (let row = 0; row < count; row++) {
    const index = Array.from(known.data.subarray(row * width, (row + 1) * width));
    const key = index.map((n, i) => (n < 0 ? n + x.type.shape[i] : n)).join();
    const round = met.get(key) ?? 0;
    met.set(key, round + 1);
    rounds[round] = [...(rounds[round] ?? []), row];
  }
  return rounds.reduce((value, rows) => {
    const chosen = emitter.integers(rows);
    const where = emitter.emit("gather", [indices, chosen], { axis: 0 });
    const old = emitter.emit("gatherND", [value, where], { batch: 0 });
    const next = emitter.emit(op, [old, emitter.emit("gather", [updates, chosen], { axis: 0 })]);
    return emitter.emit("scatterND", [value, where, next]);
  }, x);
}

/** With a reduction, elements are addressed in the flattened tensor. */
function scatterElements(call: Call): readonly Value[] {
  const { emitter } = call;
  const [x, indices, updates] = [call.input(0), call.input(1), call.input(2)];
  const { shape } = x.type;
  const axis = call.axis(call.integer("axis", 0), shape.length);
  if (call.string("reduction", "none") === "none") {
    return [emitter.emit("scatterElements", [x, indices, updates], { axis })];
  }
  const wide = indices.type.shape;
  const strides = shape.map((_, i) => sizeOf(shape.slice(i + 1)));
  const count = sizeOf(wide);
  const positions = Array.from(call.known(1, "indices").data, (index, flat) => {
    const others = wide.map((n, i) => Math.floor(flat / sizeOf(wide.slice(i + 1))) % n);
    others[axis] = index < 0 ? index + shape[axis] : index;
    return others.reduce((sum, n, i) => sum + n * strides[i], 0);
  });
  const rows = emitter.integers(positions, [count, 1]);
  const flat = scatterReduce(call, emitter.reshape(x, [sizeOf(shape)]), rows, emitter.reshape(updates, [count]));
  return [emitter.reshape(flat, shape)];
}

function scatterND(call: Call): readonly Value[] {
  const { emitter } = call;
  const [x, indices, updates] = [call.input(0), call.input(1), call.input(2)];
  if (call.string("reduction", "none") === "none") {
    return [emitter.emit("scatterND", [x, indices, updates])];
  }
  const outer = indices.type.shape.slice(0, -1);
  const width = indices.type.shape[outer.length];
  const rows = emitter.reshape(indices, [sizeOf(outer), width]);
  const flat = emitter.reshape(updates, [sizeOf(outer), ...x.type.shape.slice(width)]);
  return [scatterReduce(call, x, rows, flat)];
}

/** One-hot rows times (on − off) plus off; indices wrap once, those outside give a row of `off`. */
function oneHot(call: Call): readonly Value[] {
  const { emitter } = call;
  const depth = call.known(1, "depth").data[0];
  const values = call.input(2);
  const { dtype } = values.type;
  const whole = emitter.cast(call.input(0), "i64");
  const negative = emitter.emit("less", [whole, emitter.scalar(0, "i64")]);
  const indices = emitter.select(negative, emitter.offset(whole, depth), whole);
  const rank = indices.type.shape.length;
  const axis = call.axis(call.integer("axis", -1), rank + 1);
  const rows = emitter.cast(emitter.emit("oneHot", [indices], { depth }), dtype);
  const order = [...Array(rank).keys()];
  order.splice(axis, 0, rank);
  const hot = emitter.transpose(rows, order);
  const part = (index: number): Value => emitter.reshape(emitter.sliceAxis(values, 0, index, index + 1), []);
  return [emitter.add(emitter.multiply(hot, emitter.subtract(part(1), part(0))), part(0))];
}

/** Behind a change of type, whether two values are equal: what says which places are meant. */
function isComparison(value: Value): boolean {
  return value.op === "equal" || (value.op === "cast" && isComparison(value.args[0]));
}

/** Whether a value is made of inputs and of what is public: its owner can say at which places it is what. */
function isOfInputs(value: Value): boolean {
  const seen = new Set([value]);
  for (const { args } of seen) {
    args.forEach((each) => {
      seen.add(each);
    });
  }
  return [...seen].every(({ op }) => op !== "parameter");
}

/**
 * The places of what is equal to a number, `ids == eos`, in rows [B, S]: one in every row, or the last of as many in
 * every row where nothing else is read. Other rows have the index of no place, which the data owner sees (E0202).
 */
function placesInRows(call: Call, found: Value): readonly Value[] {
  const { emitter } = call;
  const isLastRead = call.surroundings.isLastRead(call.node.output[0]);
  call.surroundings.warn({
    code: "W0309",
    what: isLastRead
      ? "the model finds places in its inputs; the plan takes the last of each row"
      : "the model finds places in its inputs; the plan takes one in each row",
    where: call.label,
    why: `a plan has fixed shapes: ${isLastRead ? "rows must have as many of them" : "each row must have exactly one"}`,
    fix: "nothing need be done: the data owner is told of inputs that are otherwise (E0202), before anything is sent",
  });
  const hits = emitter.cast(found, "i64");
  const counts = emitter.reduce("reduceSum", hits, [1], false);
  const wanted = isLastRead ? emitter.reduce("reduceMaximum", counts, [0], true) : emitter.scalar(1, "i64");
  const isRight = emitter.emit("equal", [counts, wanted]);
  const any = emitter.emit("greater", [counts, emitter.scalar(0, "i64")]);
  const first = emitter.emit("argmax", [hits], { axis: 1, keep: false, last: isLastRead });
  const nowhere = emitter.scalar(NO_PLACE, "i64");
  const place = emitter.select(emitter.emit("and", [isRight, any]), emitter.cast(first, "i64"), nowhere);
  const [rows] = found.type.shape;
  const row = emitter.integers([...new Array(rows).keys()], [1, rows]);
  return [emitter.concatenate([row, emitter.reshape(place, [1, rows])], 0)];
}

/** The output's shape is the number of non-zeros, so the input must be known, or have one in every row. */
function nonZero(call: Call): readonly Value[] {
  const x = call.input(0);
  if (knownValue(x) === undefined && x.type.shape.length === 2 && isComparison(x) && isOfInputs(x)) {
    return placesInRows(call, x);
  }
  const { shape, data } = call.known(0, "input");
  const found: number[] = [];
  data.forEach((value, flat) => {
    if (value !== 0) {
      found.push(flat);
    }
  });
  const strides = shape.map((_, i) => sizeOf(shape.slice(i + 1)));
  const rows = shape.flatMap((n, i) => found.map((flat) => Math.floor(flat / strides[i]) % n));
  return [call.emitter.integers(rows, [shape.length, found.length])];
}

function extreme(op: string) {
  return (call: Call): readonly Value[] => {
    const x = call.input(0);
    const axis = call.axis(call.integer("axis", 0), x.type.shape.length);
    const attributes = { axis, keep: call.flag("keepdims", true), last: call.flag("select_last_index", false) };
    return [call.emitter.emit(op, [x], attributes)];
  };
}

/** The count was an attribute before operator set 10. */
function topK(call: Call): readonly (Value | undefined)[] {
  const x = call.input(0);
  const axis = call.axis(call.integer("axis", -1), x.type.shape.length);
  const count = call.opset < 10 ? call.requiredInteger("k") : call.known(1, "number of values").data[0];
  const attributes = { axis, count, largest: call.flag("largest", true) };
  const wanted = (op: string, index: number): Value | undefined =>
    call.wants(index) ? call.emitter.emit(op, [x], attributes) : undefined;
  return [wanted("topValues", 0), wanted("topIndices", 1)];
}

function triangular(call: Call): readonly Value[] {
  const diagonal = call.optional(1) === undefined ? 0 : call.known(1, "diagonal").data[0];
  const upper = call.flag("upper", true);
  return [call.emitter.emit("triangular", [call.input(0)], { upper, diagonal })];
}

function cumulativeSum(call: Call): readonly Value[] {
  const x = call.input(0);
  const axis = call.axis(call.known(1, "axis").data[0], x.type.shape.length);
  const attributes = { axis, exclusive: call.flag("exclusive", false), reverse: call.flag("reverse", false) };
  return [call.emitter.emit("cumulativeSum", [x], attributes)];
}

/** Pads were attributes before operator set 11. Negative pads cut; other modes than constant gather. */
function pad(call: Call): readonly Value[] {
  const { emitter } = call;
  const x = call.input(0);
  const rank = x.type.shape.length;
  const pads = numbersOf(call, "pads", 1, 11) ?? [];
  const axes = (call.knownNumbers(3, "axes") ?? [...Array(rank).keys()]).map((axis) => call.axis(axis, rank));
  if (pads.length !== 2 * axes.length) {
    throw call.malformed(`${pads.length} pads for ${axes.length} axes`);
  }
  const low = Array<number>(rank).fill(0);
  const high = Array<number>(rank).fill(0);
  axes.forEach((axis, i) => {
    low[axis] = pads[i];
    high[axis] = pads[axes.length + i];
  });
  const mode = call.string("mode", "constant");
  if (mode !== "constant") {
    return [axes.reduce((value, axis) => padByCopies(call, value, axis, low[axis], high[axis], mode), x)];
  }
  const value =
    call.opset < 11 ? call.number("value", 0) : call.optional(2) ? call.known(2, "padding value").data[0] : 0;
  const cut = axes.reduce((part, axis) => {
    const n = part.type.shape[axis];
    return emitter.sliceAxis(part, axis, Math.max(0, -low[axis]), n + Math.min(0, high[axis]));
  }, x);
  const grow = (amounts: readonly number[]): number[] => amounts.map((n) => Math.max(0, n));
  const nothing = low.every((n) => n <= 0) && high.every((n) => n <= 0);
  return [nothing ? cut : emitter.emit("pad", [cut], { low: grow(low), high: grow(high), value })];
}

function padByCopies(call: Call, x: Value, axis: number, low: number, high: number, mode: string): Value {
  const n = x.type.shape[axis];
  const from = (position: number): number => {
    if (mode === "edge") {
      return Math.min(Math.max(position, 0), n - 1);
    }
    if (mode === "wrap") {
      return ((position % n) + n) % n;
    }
    const period = Math.max(1, 2 * (n - 1));
    const folded = ((position % period) + period) % period;
    return folded < n ? folded : period - folded;
  };
  if (!["edge", "wrap", "reflect"].includes(mode) || n + low + high > 2 ** 24) {
    throw call.refuse(`mode '${mode}' by ${low} and ${high}`, "only constant, edge, reflect and wrap are known");
  }
  const positions = Array.from({ length: Math.max(0, low + n + high) }, (_, i) => from(i - low));
  return low === 0 && high === 0 ? x : call.emitter.gather(x, call.emitter.integers(positions), axis);
}

/** Writes `update` into a cache along one axis, from a position on for each batch row (operator set 24). */
function tensorScatter(call: Call): readonly Value[] {
  const { emitter } = call;
  const [cache, update] = [call.input(0), call.input(1)];
  const axis = call.axis(call.integer("axis", -2), cache.type.shape.length);
  const [batch, total, length] = [cache.type.shape[0], cache.type.shape[axis], update.type.shape[axis]];
  const starts = call.knownNumbers(2, "write positions") ?? Array<number>(batch).fill(0);
  const circular = call.string("mode", "linear") === "circular";
  const inner = sizeOf(update.type.shape.slice(axis + 1));
  const { shape } = update.type;
  const perRow = sizeOf(shape.slice(1));
  const indices = Array.from({ length: sizeOf(shape) }, (_, flat) => {
    const position = starts[Math.floor(flat / perRow)] + (Math.floor(flat / inner) % length);
    return circular ? position % total : position;
  });
  if (indices.some((index) => index < 0 || index >= total)) {
    throw call.malformed("it writes outside the cache");
  }
  return [emitter.emit("scatterElements", [cache, emitter.integers(indices, shape), update], { axis })];
}

export const INDEXING: OperatorFamily = {
  Gather: rule(1, gather),
  GatherElements: rule(11, gatherElements),
  GatherND: rule(11, gatherND),
  Scatter: rule(9, scatterElements),
  ScatterElements: rule(11, scatterElements),
  ScatterND: rule(11, scatterND),
  TensorScatter: rule(24, tensorScatter),
  OneHot: rule(9, oneHot),
  NonZero: rule(9, nonZero),
  ArgMax: rule(1, extreme("argmax")),
  ArgMin: rule(1, extreme("argmin")),
  TopK: rule(1, topK),
  Trilu: rule(14, triangular),
  CumSum: rule(11, cumulativeSum),
  Pad: rule(2, pad),
};
