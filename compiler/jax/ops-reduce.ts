/**
 * Reductions, windows and orders. A region that is one known operation becomes the tensor graph's own reduction; any
 * other region is applied to whole halves of the data at once, in a tree that keeps the order of the elements.
 */
import { sameShape } from "../../ir/shape.js";
import { sizeOf } from "../../ir/tensor/value.js";
import type { Region } from "./ast.js";
import {
  axes,
  type Call,
  flatten,
  integers,
  malformed,
  perAxis,
  type Rule,
  resultType,
  unsupported,
} from "./context.js";
import { padValue, sliceValue } from "./ops-movement.js";
import { constantOf, fromNode, isConstant, paddedShape, range, splatOf, type Value } from "./values.js";

export const REDUCTIONS: Readonly<Record<string, Rule>> = {
  "stablehlo.reduce": reduce,
  "stablehlo.reduce_window": reduceWindow,
  "stablehlo.map": (call, operands) => applyRegion(call, operands),
};

interface Kind {
  readonly reduction: string;
  readonly combine: string;
  readonly identity: number;
}

const SUM: Kind = { reduction: "reduceSum", combine: "add", identity: 0 };
const PRODUCT: Kind = { reduction: "reduceProduct", combine: "multiply", identity: 1 };
const MAXIMUM: Kind = { reduction: "reduceMaximum", combine: "maximum", identity: Number.NEGATIVE_INFINITY };
const MINIMUM: Kind = { reduction: "reduceMinimum", combine: "minimum", identity: Number.POSITIVE_INFINITY };
const ANY: Kind = { reduction: "reduceMaximum", combine: "or", identity: 0 };
const ALL: Kind = { reduction: "reduceMinimum", combine: "and", identity: 1 };

const NUMERIC: Readonly<Record<string, Kind>> = {
  "stablehlo.add": SUM,
  "stablehlo.multiply": PRODUCT,
  "stablehlo.maximum": MAXIMUM,
  "stablehlo.minimum": MINIMUM,
};
const BOOLEAN: Readonly<Record<string, Kind>> = {
  "stablehlo.or": ANY,
  "stablehlo.add": ANY,
  "stablehlo.maximum": ANY,
  "stablehlo.and": ALL,
  "stablehlo.multiply": ALL,
  "stablehlo.minimum": ALL,
};

/** The known reduction that a region is: one operation on its two arguments. */
function kindOf(region: Region, boolean: boolean): Kind | undefined {
  const [apply, give] = region.operations;
  const table = boolean ? BOOLEAN : NUMERIC;
  const names = region.args.map((argument) => argument.name);
  const plain =
    names.length === 2 &&
    region.operations.length === 2 &&
    Object.hasOwn(table, apply.name) &&
    [...apply.operands].sort().join() === [...names].sort().join() &&
    give.operands.length === 1 &&
    give.operands[0] === apply.results[0];
  return plain ? table[apply.name] : undefined;
}

/** The lowest number of an integer type is a maximum's identity, too. */
function isIdentity(kind: Kind, init: Value): boolean {
  const value = splatOf(init.node);
  const { dtype } = init.node.type;
  const lowest: Readonly<Record<string, number>> = { i32: 2 ** 31, i64: 2 ** 63, i16: 2 ** 15, i8: 2 ** 7 };
  const bound = lowest[dtype];
  if (value === undefined) {
    return false;
  }
  if (kind === MAXIMUM && (value === -bound || (dtype.startsWith("u") && value === 0))) {
    return true;
  }
  return value === kind.identity || (kind === MINIMUM && (value === bound || value === bound - 1));
}

function operandsAndInits(call: Call, operands: readonly Value[]): [readonly Value[], readonly Value[]] {
  const count = operands.length / 2;
  const inputs = operands.slice(0, count);
  const inits = operands.slice(count);
  const good =
    operands.length >= 2 &&
    Number.isInteger(count) &&
    inits.every((init) => sizeOf(init.shape) === 1) &&
    inputs.every((input) => sameShape(input.shape, inputs[0].shape)) &&
    call.operation.regions[0]?.args.length === 2 * count;
  if (!good) {
    throw malformed(call, "needs as many initial values as tensors of one shape, and a region over both");
  }
  return [inputs, inits];
}

function reduce(call: Call, operands: readonly Value[]): readonly Value[] {
  const [inputs, inits] = operandsAndInits(call, operands);
  const reduced = axes(call, "dimensions", integers(call, "dimensions"), inputs[0].shape.length);
  const [region] = call.operation.regions;
  const kind = inputs.length === 1 ? kindOf(region, inputs[0].node.type.dtype === "bool") : undefined;
  if (kind !== undefined) {
    return [reducePlain(call, kind, inputs[0], inits[0], reduced)];
  }
  return argumentOfExtreme(call, inputs, reduced) ?? reduceByRegion(call, inputs, inits, reduced);
}

function reducePlain(call: Call, kind: Kind, x: Value, init: Value, reduced: readonly number[]): Value {
  const { emitter } = call.context;
  const shape = x.shape.filter((_, axis) => !reduced.includes(axis));
  const padded = paddedShape(x);
  const onPaper = reduced.some((axis) => padded[axis] !== x.shape[axis]);
  const node = onPaper ? emitter.whole(x) : emitter.reshape(x.node, padded);
  const result =
    reduced.length === 0
      ? node
      : emitter.emit(kind.reduction, [node], { axes: [...reduced].sort((a, b) => a - b), keep: false });
  const value: Value = { node: result, shape };
  return isIdentity(kind, init)
    ? value
    : emitter.elementwise(kind.combine, [value, { node: emitter.reshape(init.node, []), shape: [] }]);
}

/** The region on whole tensors: its scalars become tensors of the operands' shape. */
function applyRegion(call: Call, operands: readonly Value[]): readonly Value[] {
  const results = call.context.runRegion(call.operation.regions[0], operands, call.scope, true);
  // HLO's regions return several results as one tuple.
  return results.flatMap(flatten);
}

/** More operations than this are no reduction that belongs in a plan. */
const LONGEST = 8192;

function reduceByRegion(
  call: Call,
  inputs: readonly Value[],
  inits: readonly Value[],
  reduced: readonly number[],
): readonly Value[] {
  const { emitter } = call.context;
  const { shape } = inputs[0];
  const kept = range(shape.length).filter((axis) => !reduced.includes(axis));
  const rest = kept.map((axis) => shape[axis]);
  const count = sizeOf(reduced.map((axis) => shape[axis]));
  let parts = inputs.map((input) => {
    const first = emitter.transpose(emitter.whole(input), [...reduced, ...kept]);
    return fromNode(emitter.reshape(first, [count, ...rest]));
  });
  for (let left = count; left > 1; left = Math.ceil(left / 2)) {
    parts = halve(call, parts, left);
  }
  const start = inits.map((init): Value => ({ node: emitter.reshape(init.node, []), shape: rest }));
  if (count === 0) {
    return start;
  }
  return applyRegion(call, [...start, ...parts.map((part) => fromNode(emitter.reshape(emitter.whole(part), rest)))]);
}

/** Combines neighbours along axis 0: elements 0 and 1, 2 and 3, …; an odd last one stays. */
function halve(call: Call, parts: readonly Value[], length: number): Value[] {
  const { emitter } = call.context;
  const even = length - (length % 2);
  const pick = (x: Value, from: number, to: number, step: number): Value => {
    const starts = x.shape.map((_, axis) => (axis === 0 ? from : 0));
    const ends = x.shape.map((n, axis) => (axis === 0 ? to : n));
    return sliceValue(
      emitter,
      x,
      starts,
      ends,
      starts.map((_, axis) => (axis === 0 ? step : 1)),
    );
  };
  const combined = applyRegion(call, [
    ...parts.map((part) => pick(part, 0, even, 2)),
    ...parts.map((part) => pick(part, 1, even, 2)),
  ]);
  return combined.map((result, i) => {
    const whole = emitter.whole({ node: result.node, shape: [even / 2, ...parts[i].shape.slice(1)] });
    const last = emitter.whole(pick(parts[i], even, length, 1));
    return fromNode(even === length ? whole : emitter.emit("concatenate", [whole, last], { axis: 0 }));
  });
}

/** Pairs (value, index) that tell an argmax from an argmin and both from anything else. */
const SAMPLES: readonly (readonly [number, number, number, number])[] = [-2, 0, 1.5].flatMap((a) =>
  [-2, 0, 1.5].flatMap((b) => [[a, 3, b, 5] as const, [a, 5, b, 3] as const]),
);

/** `reduce` over (values, positions) whose region keeps the larger (or smaller) value, of equals the first. */
function argumentOfExtreme(
  call: Call,
  inputs: readonly Value[],
  reduced: readonly number[],
): readonly Value[] | undefined {
  const { emitter, exact } = call.context;
  if (exact || inputs.length !== 2 || reduced.length !== 1 || !countsAlong(inputs[1], reduced[0])) {
    return undefined;
  }
  const column = (at: 0 | 1 | 2 | 3, like: Value): Value => {
    const data = Float64Array.from(SAMPLES, (sample) => sample[at]);
    return fromNode(emitter.constant({ dtype: like.node.type.dtype, shape: [SAMPLES.length], data }));
  };
  const [values, positions] = inputs;
  const results = applyRegion(call, [column(0, values), column(1, positions), column(2, values), column(3, positions)]);
  if (results.length !== 2 || !results.every((result) => isConstant(result.node))) {
    return undefined;
  }
  const [best, where] = results.map((result) => constantOf(result.node).data);
  for (const [op, reduction, sign] of [
    ["argmax", "reduceMaximum", 1],
    ["argmin", "reduceMinimum", -1],
  ] as const) {
    const same = SAMPLES.every(([a, i, b, j], at) => {
      const first = sign * a > sign * b || (a === b && i < j);
      return best[at] === (first ? a : b) && where[at] === (first ? i : j);
    });
    if (same) {
      const source = emitter.whole(values);
      const [axis] = reduced;
      const index = emitter.emit(op, [source], { axis, keep: false, last: false });
      const extreme = emitter.emit(reduction, [source], { axes: [axis], keep: false });
      return [fromNode(extreme), emitter.cast(fromNode(index), positions.node.type.dtype)];
    }
  }
  return undefined;
}

/** Is this 0, 1, 2, … along the axis? */
function countsAlong(x: Value, axis: number): boolean {
  if (!isConstant(x.node)) {
    return false;
  }
  const padded = paddedShape(x);
  const only = padded.every((n, i) => (i === axis ? n === x.shape[i] : n === 1));
  const { data } = constantOf(x.node);
  return only && data.every((value, i) => value === i);
}

interface Window {
  readonly size: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly base: readonly number[];
  readonly low: readonly number[];
  readonly high: readonly number[];
}

function readWindow(call: Call, rank: number): Window {
  const padding = integers(
    call,
    "padding",
    Array.from({ length: 2 * rank }, () => 0),
  );
  if (padding.length !== 2 * rank) {
    throw malformed(call, "'padding' does not give two numbers for each axis");
  }
  return {
    size: perAxis(call, "window_dimensions", rank, undefined, 1),
    strides: perAxis(call, "window_strides", rank, 1, 1),
    dilations: perAxis(call, "window_dilations", rank, 1, 1),
    base: perAxis(call, "base_dilations", rank, 1, 1),
    low: range(rank).map((i) => padding[2 * i]),
    high: range(rank).map((i) => padding[2 * i + 1]),
  };
}

function reduceWindow(call: Call, operands: readonly Value[]): readonly Value[] {
  const [inputs, inits] = operandsAndInits(call, operands);
  const { shape } = inputs[0];
  const window = readWindow(call, shape.length);
  const kind =
    inputs.length === 1 ? kindOf(call.operation.regions[0], inputs[0].node.type.dtype === "bool") : undefined;
  const cumulative = kind === SUM && isIdentity(SUM, inits[0]) ? cumulativeSum(call, inputs[0], window) : undefined;
  return cumulative ?? windowByRegion(call, inputs, inits, window);
}

/** A window as long as one axis, padded by all but one on one side: a running sum. */
function cumulativeSum(call: Call, x: Value, window: Window): readonly Value[] | undefined {
  const long = range(x.shape.length).filter((axis) => window.size[axis] !== 1);
  const ones = [...window.strides, ...window.dilations, ...window.base].every((n) => n === 1);
  const [axis] = long;
  if (long.length !== 1 || !ones || window.size[axis] !== x.shape[axis]) {
    return undefined;
  }
  const padded = (from: readonly number[]): boolean => from.every((n, i) => n === (i === axis ? x.shape[axis] - 1 : 0));
  const none = (from: readonly number[]): boolean => from.every((n) => n === 0);
  const forward = padded(window.low) && none(window.high);
  if (!forward && !(padded(window.high) && none(window.low))) {
    return undefined;
  }
  const { emitter } = call.context;
  return [fromNode(emitter.emit("cumulativeSum", [emitter.whole(x)], { axis, exclusive: false, reverse: !forward }))];
}

/** Every place in the window is a strided slice of the padded data; the slices are combined in a tree. */
function windowByRegion(
  call: Call,
  inputs: readonly Value[],
  inits: readonly Value[],
  window: Window,
): readonly Value[] {
  const { emitter } = call.context;
  const { shape } = resultType(call);
  const count = sizeOf(window.size);
  const fills = inits.map((init) => splatOf(init.node));
  if (count > LONGEST || fills.includes(undefined)) {
    throw unsupported(call, `a window of ${count} places, or an initial value that is not a constant`);
  }
  const padded = inputs.map((input, i) =>
    padValue(emitter, input, { ...window, interior: window.base.map((n) => n - 1), value: fills[i]! }),
  );
  const reach = shape.map((n, i) => (n - 1) * window.strides[i] + 1);
  if (
    shape.length !== window.size.length ||
    reach.some((n, i) => n + (window.size[i] - 1) * window.dilations[i] > padded[0].shape[i])
  ) {
    throw malformed(call, `windows do not give [${shape.join(", ")}]`);
  }
  let level = range(count).map((place) => {
    const starts = placeInWindow(place, window.size).map((n, i) => n * window.dilations[i]);
    const ends = starts.map((start, i) => start + reach[i]);
    return padded.map((part) => sliceValue(emitter, part, starts, ends, window.strides));
  });
  while (level.length > 1) {
    level = range(Math.ceil(level.length / 2)).map((i) =>
      2 * i + 1 < level.length ? [...applyRegion(call, [...level[2 * i], ...level[2 * i + 1]])] : level[2 * i],
    );
  }
  const start = inits.map((init): Value => ({ node: emitter.reshape(init.node, []), shape }));
  return applyRegion(call, [...start, ...level[0]]);
}

function placeInWindow(place: number, size: readonly number[]): number[] {
  const at: number[] = [];
  let left = place;
  for (let axis = size.length - 1; axis >= 0; axis--) {
    at.unshift(left % size[axis]);
    left = Math.floor(left / size[axis]);
  }
  return at;
}
