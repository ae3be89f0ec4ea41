/**
 * Activations without a comparison: where it is known how far the arguments go, a series on that window is the whole
 * function, one round, and nothing is selected (PROTOCOL.md, "series"). Neurons differ: most stay near zero, a few go
 * far, so channels are sorted into classes by the window that they need, each with its own series. Which classes there
 * are, and from where on pieces (`activation.ts`) are cheaper after all, the network decides that the plan is for.
 */
import { sizeOf } from "../../ir/tensor/value.js";
import { fractionOf, type Lowering, type ShareNode, shapeOf, type TensorNode } from "./context.js";
import { type Curve, describeWaves, wavesOn, windowsOf } from "./curves.js";
import type { WaveFit } from "./fourier.js";
import { guard } from "./guard.js";
import { addReal } from "./linear.js";
import { dealtBits, waveAt, wavesOf } from "./waves.js";

/** An activation as x·slope plus a curve and a constant. */
export interface Sloped {
  readonly name: string;
  readonly slope: 0 | 0.5;
  readonly offset: number;
  readonly curve: Curve;
}

/** Fractional bits of a curve alone: half a unit is less than the series' own error. */
const RESULT_FRACTION = 11;
/** The same with x/2, which is exact but for its rounding, and needs an argument as fine. */
const SLOPED_FRACTION = 13;
/** Fractional bits of a series' argument: half a unit is as small as the error of the fits. */
const ARGUMENT_FRACTION = 10;
/** Of so few elements (a small model's) more bits cost nothing that is seen, and a small model's outputs feel them. */
const FEW = 2 ** 15;
const FINER = 2;
/** Fractional bits of a public and of a dealt factor, for a wave of amplitude 1. */
const FACTOR_BITS = 12;
/** Bits beyond its fraction in which a result is likely to be kept: what a product behind it needs. */
const HEADROOM = 22;
/** Bits that select among pieces beside their series: a digit, two bits, two products with them. */
const SELECTION_BITS = 240;
/** The window is wider than what a value may reach by this much: a guard is right to within it. */
const BLUR = 0.25;

/** The part of a window that its guard may refuse: a coarser guard is cheaper. */
const REFUSED = 1 / 8;

/** Channels of one window; the last class may have none: `pieces` computes it. */
interface Class {
  readonly window: number | undefined;
  readonly channels: readonly number[];
}

/**
 * The activation by series where that is cheaper than by pieces; undefined where it is not, for any channel. `pieces`
 * computes the channels that go too far. Masked or additive.
 */
export function windowed(
  lowering: Lowering,
  node: TensorNode,
  x: ShareNode,
  f: Sloped,
  pieces: (part: ShareNode) => ShareNode,
): ShareNode | undefined {
  const classes = classesOf(lowering, node, x, f);
  if (classes.every(({ window }) => window === undefined)) {
    return undefined;
  }
  const finer = sizeOf(shapeOf(x)) < FEW ? FINER : 0;
  const isWhole = classes.every(({ window }) => window !== undefined);
  // Cut before channels are taken, it is opened without the bits that no series reads.
  const argument = isWhole ? lowering.atFraction(x, Math.min(fractionOf(x), argumentFraction(f, finer))) : x;
  const parts = classes.map(({ window, channels }) => {
    const part = channelsOf(lowering, argument, channels);
    if (window === undefined) {
      return pieces(part);
    }
    guardWindow(lowering, node.args[0], part, window);
    const waves = lowering.waves(f.curve.name, window, () => wavesOn(f.curve, window));
    return bySeries(lowering, part, f, waves, finer);
  });
  return inOrder(lowering, parts, classes);
}

/** Guards a window that arguments were seen to stay in, and that none can be proved not to leave. */
function guardWindow(lowering: Lowering, argument: TensorNode, x: ShareNode, window: number): void {
  if (lowering.certainBoundOf(argument) > window) {
    const reach = Math.max(lowering.boundOf(argument), window);
    const largest = window - Math.max(BLUR, window * REFUSED);
    const accepted = { low: -largest, high: largest };
    guard(lowering, x, { ...accepted, lowest: -window, highest: window, reach: [-reach, reach] });
  }
}

/** The cheapest split: windows up to some class, pieces for the channels beyond. */
function classesOf(lowering: Lowering, node: TensorNode, x: ShareNode, f: Sloped): readonly Class[] {
  const n = shapeOf(x).at(-1) ?? 1;
  const bound = lowering.boundOf(node.args[0]);
  const reaches = lowering.reaches.get(node) ?? new Float64Array(n).fill(bound);
  const windows = windowsOf(f.curve);
  const needed = Array.from(reaches, (reach) => windows.findIndex((window) => window >= Math.min(reach, bound) + BLUR));
  const rows = sizeOf(shapeOf(x)) / Math.max(1, n);
  const bits = windows.map((window) => {
    const waves = lowering.waves(f.curve.name, window, () => wavesOn(f.curve, window));
    const ring = RESULT_FRACTION + HEADROOM;
    return dealtBits(waves, FACTOR_BITS, ring, RESULT_FRACTION) + ring;
  });
  const pieceBits = bits[Math.min(bits.length - 1, 2)] + SELECTION_BITS;
  const secondsUpTo = (last: number): number => {
    const of = (index: number) => (index >= 0 && index <= last ? bits[index] : pieceBits);
    const total = needed.reduce((sum, index) => sum + of(index), 0);
    const isSelected = needed.some((index) => index < 0 || index > last);
    return lowering.seconds(isSelected ? 1 : 0, (rows * total) / 8);
  };
  const lasts = [...windows.map((_, i) => i), -1];
  const last = lasts.reduce((best, each) => (secondsUpTo(each) < secondsUpTo(best) ? each : best));
  noteClasses(lowering, f.name, windows, needed, last, secondsUpTo);
  const channels = Array.from(reaches, (_, channel) => channel);
  return [...windows.slice(0, last + 1), undefined]
    .map((window, index) => ({
      window,
      channels: channels.filter((c) => (window === undefined ? isBeyond(needed[c], last) : needed[c] === index)),
    }))
    .filter((each) => each.channels.length > 0);
}

/** The split that was taken beside its two ends: series wherever there is a window, and pieces for every channel. */
function noteClasses(
  lowering: Lowering,
  name: string,
  windows: readonly number[],
  needed: readonly number[],
  taken: number,
  secondsUpTo: (last: number) => number,
): void {
  const nameOf = (last: number): string => {
    const beyond = needed.filter((index) => isBeyond(index, last)).length;
    if (beyond === needed.length) {
      return "pieces";
    }
    const used = windows.filter((_, index) => index <= last && needed.includes(index));
    const rest = beyond === 0 ? "" : `, pieces in ${beyond} channels`;
    return `series on ${used.map((window) => `±${window}`).join(", ")}${rest}`;
  };
  const forms = new Map([windows.length - 1, -1, taken].map((last) => [nameOf(last), secondsUpTo(last)]));
  lowering.chose(name, nameOf(taken), Object.fromEntries(forms));
}

function isBeyond(index: number, last: number): boolean {
  return index < 0 || index > last;
}

function channelsOf(lowering: Lowering, x: ShareNode, channels: readonly number[]): ShareNode {
  const shape = shapeOf(x);
  return channels.length === (shape.at(-1) ?? 1)
    ? x
    : lowering.emit("take", [x], { indices: channels, shape: [...shape.slice(0, -1), channels.length] });
}

/** The classes' results side by side, and every channel where it was. */
function inOrder(lowering: Lowering, parts: readonly ShareNode[], classes: readonly Class[]): ShareNode {
  if (parts.length === 1) {
    return parts[0];
  }
  const isOpened = parts.some(({ type }) => type.kind === "masked");
  const fraction = Math.min(...parts.map(fractionOf));
  const alike = parts.map((part) =>
    isOpened ? lowering.atFraction(part, fraction) : lowering.additive(part, fraction),
  );
  const shape = shapeOf(parts[0]);
  const joined = lowering.emit("concatenate", alike, { axis: shape.length - 1 });
  const order = classes.flatMap(({ channels }) => channels);
  const indices = new Array<number>(order.length);
  order.forEach((channel, place) => {
    indices[channel] = place;
  });
  return lowering.emit("take", [joined], { indices, shape: [...shape.slice(0, -1), order.length] });
}

/** A curve's series of a masked value, without its constant: additive, no round. */
export function curveOf(lowering: Lowering, x: ShareNode, waves: WaveFit, fraction = ARGUMENT_FRACTION): ShareNode {
  const argument = lowering.atFraction(x, Math.min(fractionOf(x), fraction));
  return wavesOf(lowering, argument, waves, FACTOR_BITS, false);
}

/** Fractional bits that a series reads of its argument; x/2 is added at one more. */
function argumentFraction({ slope }: Sloped, finer: number): number {
  return slope === 0 ? ARGUMENT_FRACTION + finer : SLOPED_FRACTION - 1;
}

/** slope·x + curve(x) + offset on a window; opened without the curve's middle, which is public. */
function bySeries(lowering: Lowering, x: ShareNode, f: Sloped, waves: WaveFit, finer: number): ShareNode {
  noteWaves(lowering, f, waves);
  const [low, high] = imageOf(waves, waves.window[1]);
  const middle = (low + high) / 2;
  const isSloped = f.slope !== 0;
  const fraction = isSloped ? SLOPED_FRACTION : RESULT_FRACTION + finer;
  const curve = curveOf(lowering, x, waves, argumentFraction(f, finer));
  const radius = (high - low) / 2;
  const rest = lowering.bounded(addReal(lowering, curve, waves.constant - middle), radius);
  if (!isSloped) {
    const opened = lowering.atFraction(rest, fraction);
    return lowering.bounded(addReal(lowering, opened, middle + f.offset), radius + Math.abs(middle + f.offset));
  }
  const half = lowering.additive(lowering.atFraction(x, fraction - 1), fraction - 1);
  const line = lowering.emit("relabel", [half], { fraction });
  const sum = lowering.emit("add", [lowering.additive(rest, fraction), line]);
  return lowering.bounded(addReal(lowering, sum, middle + f.offset), waves.window[1]);
}

function noteWaves(lowering: Lowering, { name, slope, offset, curve }: Sloped, waves: WaveFit): void {
  const [from, to] = waves.window;
  lowering.formulas.add(`waves ${name}`, String(to), () => ({
    function: name,
    profile: "fourier",
    form: `${slope === 0 ? "" : "x/2 + "}${describeWaves(waves)}`,
    distance: "absolute",
    outside: "another smooth curve: ranges keep arguments inside",
    section: "Profile `fourier`",
    coefficients: [waves.constant, ...waves.frequencies, ...waves.cosines, ...waves.sines],
    pieces: [
      {
        from,
        to,
        value: (x) => slope * x + waveAt(waves, x) + offset,
        exact: (x) => slope * x + curve.compute(x) + offset,
      },
    ],
  }));
}

/** Points at which a series' range is read off, and what is allowed between them. */
const SAMPLES = 256;
const SLACK = 1.01;

/** What a series takes on [−reach, reach]: about its middle, only the rest is opened. */
export function imageOf(waves: WaveFit, reach: number): readonly [number, number] {
  const values = Array.from({ length: SAMPLES + 1 }, (_, i) => waveAt(waves, -reach + (2 * reach * i) / SAMPLES));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const slack = ((high - low) / 2) * (SLACK - 1);
  return [low - slack, high + slack];
}
