/**
 * Pooling, written out: a window is a handful of strided slices of the padded input, and their maximum or sum. Made for
 * the small windows of vision models' stems.
 */
import { type Call, type OperatorFamily, rule } from "../call.js";
import type { Emitter, Value } from "../emitter.js";
import { windowPads } from "./linear.js";

const LARGEST_WINDOW = 1024;

interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly low: readonly number[];
  /** Padding behind the input: what the file says, and the more that a last partial window needs. */
  readonly high: readonly number[];
  readonly more: readonly number[];
  readonly counts: readonly number[];
}

function windowOf(call: Call, sizes: readonly number[]): Window {
  const kernel = call.integers("kernel_shape") ?? [];
  const strides = call.integers("strides") ?? sizes.map(() => 1);
  const dilations = call.integers("dilations") ?? sizes.map(() => 1);
  if (kernel.length !== sizes.length || kernel.reduce((n, k) => n * k, 1) > LARGEST_WINDOW) {
    throw call.refuse(
      `a window of [${kernel.join(", ")}]`,
      `windows of up to ${LARGEST_WINDOW} positions are written out`,
    );
  }
  const pads = windowPads(call, sizes, kernel, strides, dilations);
  const [low, high] = [pads.slice(0, sizes.length), pads.slice(sizes.length)];
  const roundUp = call.flag("ceil_mode", false);
  const counts = sizes.map((n, i) => {
    const room = n + low[i] + high[i] - ((kernel[i] - 1) * dilations[i] + 1);
    const count = (roundUp ? Math.ceil(room / strides[i]) : Math.floor(room / strides[i])) + 1;
    return roundUp && (count - 1) * strides[i] >= n + low[i] ? count - 1 : count;
  });
  const more = counts.map((count, i) => {
    const reach = (count - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1;
    return Math.max(0, reach - (sizes[i] + low[i] + high[i]));
  });
  if (counts.some((n) => !(n >= 1)) || strides.some((n) => !(n >= 1)) || pads.some((n) => n < 0)) {
    throw call.malformed("its window does not fit the input");
  }
  return { kernel, strides, dilations, low, high, more, counts };
}

/** The input padded with one value, and its slice for every position of the window. */
function slices(emitter: Emitter, x: Value, window: Window, value: number): readonly Value[] {
  const low = [0, 0, ...window.low];
  const high = [0, 0, ...window.high.map((n, i) => n + window.more[i])];
  const padded = [...low, ...high].some((n) => n > 0) ? emitter.emit("pad", [x], { low, high, value }) : x;
  const positions = window.kernel.reduce<number[][]>(
    (found, n) => found.flatMap((head) => Array.from({ length: n }, (_, i) => [...head, i])),
    [[]],
  );
  const [batch, channels] = x.type.shape;
  return positions.map((position) => {
    const starts = position.map((p, i) => p * window.dilations[i]);
    const ends = starts.map((start, i) => start + (window.counts[i] - 1) * window.strides[i] + 1);
    const attributes = {
      starts: [0, 0, ...starts],
      ends: [batch, channels, ...ends],
      steps: [1, 1, ...window.strides],
    };
    return emitter.emit("slice", [padded], attributes);
  });
}

function sumOf(emitter: Emitter, values: readonly Value[]): Value {
  return values.slice(1).reduce((sum, next) => emitter.emit("add", [sum, next]), values[0]);
}

function maxPool(call: Call): readonly Value[] {
  const x = call.input(0);
  if (call.wants(1)) {
    throw call.refuse("the positions of the maxima", "only the maxima themselves are supported");
  }
  const window = windowOf(call, x.type.shape.slice(2));
  const { emitter } = call;
  const lanes = slices(emitter, x, window, Number.NEGATIVE_INFINITY).map((slice) =>
    emitter.emit("reshape", [slice], { shape: [...slice.type.shape, 1] }),
  );
  const axis = x.type.shape.length;
  const all = lanes.length === 1 ? lanes[0] : emitter.emit("concatenate", lanes, { axis });
  return [emitter.reduce("reduceMaximum", all, [axis], false)];
}

/** The sum of a window over how many of its positions count: all in the padded input, or those in the input. */
function averagePool(call: Call): readonly Value[] {
  const { emitter } = call;
  const x = call.input(0);
  const window = windowOf(call, x.type.shape.slice(2));
  const sum = sumOf(emitter, slices(emitter, x, window, 0));
  const padded = call.flag("count_include_pad", false);
  const inside = window.kernel.map((kernel, i) =>
    Array.from({ length: window.counts[i] }, (_, at) => {
      const low = padded ? -window.low[i] : 0;
      const high = x.type.shape[i + 2] + (padded ? window.high[i] : 0);
      const first = at * window.strides[i] - window.low[i];
      return Array.from({ length: kernel }, (_, p) => first + p * window.dilations[i]).filter(
        (p) => p >= low && p < high,
      ).length;
    }),
  );
  const counts = inside.reduce<number[]>((all, axis) => all.flatMap((n) => axis.map((m) => n * m)), [1]);
  const { dtype } = x.type;
  const divisors = counts.map((n) => 1 / n);
  const factor = { dtype, shape: [1, 1, ...window.counts], data: Float64Array.from(divisors) };
  return [emitter.multiply(sum, emitter.constant(factor))];
}

function overAll(op: string) {
  return (call: Call): readonly Value[] => {
    const x = call.input(0);
    const axes = x.type.shape.map((_, i) => i).slice(2);
    return [call.emitter.reduce(op, x, axes, true)];
  };
}

export const POOL: OperatorFamily = {
  MaxPool: rule(1, maxPool),
  AveragePool: rule(1, averagePool),
  GlobalAveragePool: rule(1, overAll("reduceMean")),
  GlobalMaxPool: rule(1, overAll("reduceMaximum")),
};
