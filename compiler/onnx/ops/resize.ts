/**
 * Resize and Upsample. Whatever the mode, an output along an axis is a fixed mixture of inputs along that axis, so a
 * resize is a product with a public matrix for each axis, or a choice of elements where the mode is nearest: what is
 * resized stays where it is, a weight at its owner, an image under shares without a message. Definitions: the ONNX
 * operator's, opsets 10 to 19, as its reference implementation has them.
 */
import { type Call, type OperatorFamily, rule } from "../call.js";
import type { Value } from "../emitter.js";

/** How one axis is resized. */
interface Axis {
  readonly from: number;
  readonly to: number;
  readonly scale: number;
  /** The part that is kept, for tf_crop_and_resize. */
  readonly roi: readonly [number, number];
}

/** Inputs with their weights that an output is made of. */
type Mixture = readonly (readonly [at: number, weight: number])[];

type Coordinate = (at: number, axis: Axis) => number;

/** In float32, as runtimes compute it: which element is the nearest hangs on the last bit. */
const f32 = Math.fround;
const halfPixel: Coordinate = (at, { scale }) => f32(f32((at + 0.5) / scale) - 0.5);

/**
 * Where in the input the centre of an output lies. Of `align_corners` with a scale that makes no whole number of
 * elements the whole number counts, as in PyTorch and onnxruntime (ONNX's reference takes the fraction).
 */
const COORDINATES: Readonly<Record<string, Coordinate>> = {
  half_pixel: halfPixel,
  half_pixel_symmetric: (at, axis) => {
    const adjustment = axis.to / (axis.scale * axis.from);
    return f32(f32((axis.from / 2) * (1 - adjustment)) + halfPixel(at, axis));
  },
  pytorch_half_pixel: (at, axis) => (axis.to > 1 ? halfPixel(at, axis) : -0.5),
  align_corners: (at, { from, to }) => (to > 1 ? f32((at * (from - 1)) / (to - 1)) : 0),
  asymmetric: (at, { scale }) => f32(at / scale),
  tf_half_pixel_for_nn: (at, { scale }) => f32((at + 0.5) / scale),
  tf_crop_and_resize: (at, { from, to, roi: [start, end] }) =>
    to > 1
      ? f32(start * (from - 1) + (at * (end - start) * (from - 1)) / (to - 1))
      : f32(0.5 * (start + end) * (from - 1)),
};

const NEAREST: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
  // Opset 10 has no choice.
  simple: Math.floor,
};

/** Triangle, and Keys' cubic with parameter a: how much an input at this distance counts. */
function kernelOf(mode: string, a: number): { readonly reach: number; readonly weight: (x: number) => number } {
  if (mode === "linear") {
    return { reach: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) };
  }
  const near = (x: number) => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x: number) => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return {
    reach: 2,
    weight: (signed) => {
      const x = Math.abs(signed);
      return x <= 1 ? near(x) : x < 2 ? far(x) : 0;
    },
  };
}

/** The mixtures of an axis; outputs that lie outside of the input (tf_crop_and_resize) have none. */
function mixturesOf(call: Call, axis: Axis): readonly Mixture[] {
  const mode = call.string("mode", "nearest");
  const position = call.string("coordinate_transformation_mode", call.opset < 11 ? "asymmetric" : "half_pixel");
  const coordinate = COORDINATES[position];
  const rounding = NEAREST[call.string("nearest_mode", call.opset < 11 ? "simple" : "round_prefer_floor")];
  if (coordinate === undefined || rounding === undefined || !/^(nearest|linear|cubic)$/.test(mode)) {
    throw call.malformed(`mode '${mode}' with coordinates '${position}'`);
  }
  const kernel = kernelOf(mode, call.number("cubic_coeff_a", -0.75));
  const shrunk = call.flag("antialias", false) ? Math.min(axis.scale, 1) : 1;
  const drop = call.flag("exclude_outside", false);
  const clamp = (at: number) => Math.min(Math.max(at, 0), axis.from - 1);
  return Array.from({ length: axis.to }, (_, at): Mixture => {
    const x = coordinate(at, axis);
    if (position === "tf_crop_and_resize" && (x < 0 || x > axis.from - 1)) {
      return [];
    }
    if (mode === "nearest") {
      return [[clamp(rounding(x)), 1]];
    }
    const first = Math.floor(x) + Math.floor(-kernel.reach / shrunk) + 1;
    const count = 2 * (Math.floor(x) - first + 1);
    const all = Array.from({ length: count }, (_, i) => [first + i, kernel.weight((first + i - x) * shrunk)] as const);
    const kept = drop ? all.filter(([place]) => place >= 0 && place < axis.from) : all;
    const sum = kept.reduce((total, [, weight]) => total + weight, 0);
    return kept.map(([place, weight]) => [clamp(place), weight / sum] as const);
  });
}

/** One axis of a value as its mixtures say. */
function resized(call: Call, x: Value, place: number, axis: Axis, mixtures: readonly Mixture[]): Value {
  const { emitter } = call;
  if (mixtures.every((mixture) => mixture.length === 1)) {
    const places = Float64Array.from(mixtures, ([[at]]) => at);
    const isSame = axis.from === axis.to && places.every((at, i) => at === i);
    const index = () => emitter.constant({ dtype: "i64", shape: [axis.to], data: places });
    return isSame ? x : emitter.emit("gather", [x, index()], { axis: place });
  }
  const data = new Float64Array(axis.from * axis.to);
  mixtures.forEach((mixture, at) => {
    for (const [from, weight] of mixture) {
      data[from * axis.to + at] += weight;
    }
  });
  const rank = x.type.shape.length;
  const matrix = emitter.constant({ dtype: x.type.dtype, shape: [axis.from, axis.to], data });
  const last = Array.from({ length: rank }, (_, i) => (i === rank - 1 ? place : i === place ? rank - 1 : i));
  const swapped = place === rank - 1 ? x : emitter.emit("transpose", [x], { permutation: last });
  const product = emitter.emit("matmul", [swapped, matrix]);
  return place === rank - 1 ? product : emitter.emit("transpose", [product], { permutation: last });
}

/** The places that lie outside in some axis hold a fixed value. */
function extrapolated(call: Call, x: Value, outside: readonly (readonly boolean[])[]): Value {
  const value = call.number("extrapolation_value", 0);
  const { emitter } = call;
  const { shape, dtype } = x.type;
  if (value === 0) {
    return x;
  }
  const data = new Float64Array(shape.reduce((product, n) => product * n, 1));
  data.forEach((_, at) => {
    let rest = at;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      data[at] = outside[axis]?.[rest % shape[axis]] === true ? value : data[at];
      rest = Math.floor(rest / shape[axis]);
    }
  });
  return emitter.emit("add", [x, emitter.constant({ dtype, shape, data })]);
}

/** Sizes and scales of the axes that are resized, by the inputs or the attribute that say them. */
function axesOf(call: Call, shape: readonly number[], places: readonly number[]): readonly Axis[] {
  const isUpsample = call.node.opType === "Upsample";
  const early = isUpsample || call.opset < 11;
  const numbers = (index: number, role: string) => {
    const given = call.knownNumbers(index, role) ?? [];
    return given.length === 0 ? undefined : given;
  };
  const scales = early ? (call.numbers("scales") ?? numbers(1, "scales")) : numbers(2, "scales");
  const sizes = early ? undefined : numbers(3, "sizes");
  const roi = (early ? undefined : numbers(1, "region")) ?? [];
  const given = scales ?? sizes;
  if (given === undefined || given.length !== places.length) {
    throw call.malformed(`it needs scales or sizes for ${places.length} axes`);
  }
  const policy = call.string("keep_aspect_ratio_policy", "stretch");
  const ratios = places.map((place, i) => (sizes?.[i] ?? 0) / shape[place]);
  const common = policy === "not_larger" ? Math.min(...ratios) : Math.max(...ratios);
  return places.map((place, i): Axis => {
    const from = shape[place];
    const region = [roi[i] ?? 0, roi[i + places.length] ?? 1] as const;
    if (scales !== undefined) {
      return { from, to: Math.floor(f32(from * scales[i])), scale: scales[i], roi: region };
    }
    return policy === "stretch"
      ? { from, to: given[i], scale: f32(ratios[i]), roi: region }
      : { from, to: Math.floor(common * from + 0.5), scale: f32(common), roi: region };
  });
}

function resize(call: Call): readonly Value[] {
  const x = call.input(0);
  const { shape } = x.type;
  const stated = call.integers("axes");
  const places = stated?.map((axis) => call.axis(axis, shape.length)) ?? shape.map((_, axis) => axis);
  const axes = axesOf(call, shape, places);
  if (axes.some(({ to }) => !(Number.isInteger(to) && to >= 1))) {
    throw call.malformed(`it makes an axis of ${axes.map(({ to }) => to).join(", ")} elements`);
  }
  const outside: boolean[][] = [];
  const made = places.reduce((value, place, i) => {
    const mixtures = mixturesOf(call, axes[i]);
    outside[place] = mixtures.map((mixture) => mixture.length === 0);
    return resized(call, value, place, axes[i], mixtures);
  }, x);
  return [outside.some((axis) => axis?.includes(true)) ? extrapolated(call, made, outside) : made];
}

export const RESIZE: OperatorFamily = {
  Resize: rule(10, resize),
  Upsample: rule(7, resize),
};
