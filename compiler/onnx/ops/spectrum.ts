/**
 * Fourier transforms, as log-mel features have them: a transform of n samples is a product with the matrix of cosines
 * and one with that of sines. On an owner's own input they run in the clear, on shares they are products with public
 * matrices.
 */
import { cos, sin } from "../../../ir/real.js";
import type { DType } from "../../../ir/tensor/value.js";
import { type Call, type OperatorFamily, rule } from "../call.js";
import type { Emitter, Value } from "../emitter.js";

/** A real and an imaginary part; a real signal has none. */
interface Complex {
  readonly real: Value;
  readonly imaginary: Value | undefined;
}

/** [samples, bins] of one wave; angles are exact multiples, so that long ones lose nothing. */
function waves(emitter: Emitter, wave: (x: number) => number, size: number, bins: number, dtype: DType): Value {
  const data = Float64Array.from({ length: size * bins }, (_, i) => {
    const turns = ((i % bins) * Math.floor(i / bins)) % size;
    return wave((2 * Math.PI * turns) / size);
  });
  return emitter.constant({ dtype, shape: [size, bins], data });
}

/** The transform along the last axis: Σ (a + ib)(cos ∓ i sin), the first `bins` of it. */
function transform(emitter: Emitter, { real, imaginary }: Complex, bins: number, inverse: boolean): Complex {
  const { shape, dtype } = real.type;
  const size = shape[shape.length - 1];
  const cosines = waves(emitter, cos, size, bins, dtype);
  const sines = waves(emitter, (x) => (inverse ? -1 : 1) * sin(x), size, bins, dtype);
  const product = (x: Value, matrix: Value) => emitter.matmul(x, matrix);
  const minus = (x: Value) => emitter.emit("negate", [x]);
  if (imaginary === undefined) {
    return { real: product(real, cosines), imaginary: minus(product(real, sines)) };
  }
  const [a, b] = [product(real, cosines), product(imaginary, sines)];
  const parts = {
    real: emitter.add(a, b),
    imaginary: emitter.subtract(product(imaginary, cosines), product(real, sines)),
  };
  const part = (x: Value) => (inverse ? emitter.scale(x, 1 / size) : x);
  return { real: part(parts.real), imaginary: part(parts.imaginary) };
}

/** The parts of [..., 1] or [..., 2], without that axis. */
function partsOf(call: Call, x: Value): Complex {
  const { emitter } = call;
  const last = x.type.shape.length - 1;
  const parts = x.type.shape[last];
  if (parts !== 1 && parts !== 2) {
    throw call.malformed(`its last axis has ${parts} elements, not a real and an imaginary part`);
  }
  const part = (at: number) => emitter.reshape(emitter.sliceAxis(x, last, at, at + 1), x.type.shape.slice(0, -1));
  return { real: part(0), imaginary: parts === 2 ? part(1) : undefined };
}

/** [..., 2] of the parts. */
function joined(emitter: Emitter, { real, imaginary }: Complex): Value {
  const wide = (x: Value) => emitter.reshape(x, [...x.type.shape, 1]);
  const other = imaginary ?? emitter.scale(real, 0);
  return emitter.concatenate([wide(real), wide(other)], real.type.shape.length);
}

function both({ real, imaginary }: Complex, change: (x: Value) => Value): Complex {
  return { real: change(real), imaginary: imaginary === undefined ? undefined : change(imaginary) };
}

/** The last axis cut, or with zeros behind it. */
function resized(emitter: Emitter, x: Value, size: number): Value {
  const { shape } = x.type;
  const last = shape.length - 1;
  if (size <= shape[last]) {
    return size === shape[last] ? x : emitter.sliceAxis(x, last, 0, size);
  }
  const high = shape.map((n, i) => (i === last ? size - n : 0));
  return emitter.emit("pad", [x], { low: shape.map(() => 0), high, value: 0 });
}

function bins(size: number, onesided: boolean): number {
  return onesided ? Math.floor(size / 2) + 1 : size;
}

function dft(call: Call): readonly Value[] {
  const { emitter } = call;
  const x = call.input(0);
  const rank = x.type.shape.length;
  const stated = call.opset < 20 ? call.integer("axis", 1) : (call.knownNumbers(2, "axis")?.[0] ?? -2);
  const axis = call.axis(stated, rank);
  const inverse = call.flag("inverse", false);
  const size = call.knownNumbers(1, "length")?.[0] ?? x.type.shape[axis];
  if (axis === rank - 1) {
    throw call.malformed("its axis is that of real and imaginary parts");
  }
  const swapped = Array.from({ length: rank - 1 }, (_, i) => (i === axis ? rank - 2 : i === rank - 2 ? axis : i));
  const turned = (value: Value) => emitter.transpose(value, swapped);
  const parts = both(both(partsOf(call, x), turned), (value) => resized(emitter, value, size));
  const given =
    inverse && parts.imaginary === undefined ? { ...parts, imaginary: emitter.scale(parts.real, 0) } : parts;
  const found = transform(emitter, given, bins(size, call.flag("onesided", false)), inverse);
  return [joined(emitter, both(found, turned))];
}

/** [batch, frames, bins, 2] of a signal [batch, length] or [batch, length, 1 or 2]. */
function stft(call: Call): readonly Value[] {
  const { emitter } = call;
  const x = call.input(0);
  const signal: Complex = x.type.shape.length === 2 ? { real: x, imaginary: undefined } : partsOf(call, x);
  const step = call.known(1, "frame step").data[0];
  const window = call.optional(2);
  const size = call.knownNumbers(3, "frame length")?.[0] ?? window?.type.shape[0];
  const [batch, length] = signal.real.type.shape;
  if (size === undefined || !(step >= 1) || size > length) {
    throw call.malformed(`frames of ${size ?? "no"} samples in a signal of ${length}`);
  }
  const frames = Math.floor((length - size) / step) + 1;
  const places = Array.from({ length: frames * size }, (_, i) => Math.floor(i / size) * step + (i % size));
  const cut = (value: Value) =>
    emitter.reshape(emitter.gather(value, emitter.integers(places), 1), [batch, frames, size]);
  const framed = both(signal, (value) => (window === undefined ? cut(value) : emitter.multiply(cut(value), window)));
  const onesided = call.flag("onesided", true) && framed.imaginary === undefined;
  return [joined(emitter, transform(emitter, framed, bins(size, onesided), false))];
}

/** A raised cosine: a₀ − a₁ cos(2πk/n) + a₂ cos(4πk/n), over the whole length or the length less one. */
function raisedCosine(a0: number, a1: number, a2: number) {
  return rule(17, (call) => {
    const size = call.known(0, "length").data[0];
    const period = call.flag("periodic", true) ? size : size - 1;
    const data = Float64Array.from({ length: size }, (_, k) => {
      const angle = (2 * Math.PI * k) / period;
      return a0 - a1 * cos(angle) + a2 * cos(2 * angle);
    });
    return [call.emitter.constant({ dtype: "f32", shape: [size], data })];
  });
}

export const SPECTRUM: OperatorFamily = {
  DFT: rule(17, dft),
  STFT: rule(17, stft),
  HannWindow: raisedCosine(0.5, 0.5, 0),
  HammingWindow: raisedCosine(25 / 46, 21 / 46, 0),
  BlackmanWindow: raisedCosine(0.42, 0.5, 0.08),
};
