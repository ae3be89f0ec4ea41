/**
 * Weights that are stored in few bits, and products with them: what an exporter packed is unpacked by its owner, in the
 * clear, into the numbers that it stands for, (q − zero point) · scale. From there on the model is one of
 * floats. Schemas: ONNX DequantizeLinear; onnxruntime, docs/ContribOperators.md.
 */
import { isFloat } from "../../../ir/tensor/value.js";
import { type Call, type OperatorFamily, rule } from "../call.js";
import type { Emitter, Value } from "../emitter.js";

/** x with its axis repeated in place, each element `times` times, and cut to `size`. */
function repeated(emitter: Emitter, x: Value, axis: number, times: number, size: number): Value {
  const { shape } = x.type;
  const apart = emitter.reshape(x, [...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)]);
  const wide = emitter.broadcast(apart, [...shape.slice(0, axis + 1), times, ...shape.slice(axis + 1)]);
  const merged = emitter.reshape(wide, [...shape.slice(0, axis), shape[axis] * times, ...shape.slice(axis + 1)]);
  return emitter.sliceAxis(merged, axis, 0, size);
}

/** A scale or a zero point in a form that broadcasts to x: of the tensor, of an axis, or of blocks along it. */
function expanded(emitter: Emitter, parameter: Value, x: Value, axis: number, block: number): Value {
  const { shape } = x.type;
  const own = parameter.type.shape;
  if (own.every((size) => size === 1)) {
    return emitter.reshape(parameter, []);
  }
  if (own.length === 1) {
    return emitter.reshape(
      parameter,
      shape.map((_, i) => (i === axis ? own[0] : 1)),
    );
  }
  return repeated(emitter, parameter, axis, block, shape[axis]);
}

function dequantised(emitter: Emitter, x: Value, scale: Value, zero: Value | undefined): Value {
  const { dtype } = scale.type;
  const number = emitter.cast(x, dtype);
  const above = zero === undefined ? number : emitter.emit("subtract", [number, emitter.cast(zero, dtype)]);
  return emitter.multiply(above, scale);
}

/** ONNX: scales of a tensor, of an axis (operator set 13) or of blocks (21). */
function dequantizeLinear(call: Call): readonly Value[] {
  const { emitter } = call;
  const x = call.input(0);
  const rank = x.type.shape.length;
  const given = call.integer("axis", 1);
  const axis = given < 0 ? given + rank : given;
  const block = call.integer("block_size", 0);
  const matched = (parameter: Value): Value => expanded(emitter, parameter, x, axis, block);
  const zero = call.optional(2);
  return [dequantised(emitter, x, matched(call.input(1)), zero && matched(zero))];
}

/** Whole numbers of `bits` bits out of bytes [..., n], the lowest bits first: [..., n · 8/bits]. */
function unpacked(emitter: Emitter, bytes: Value, bits: number): Value {
  const { shape } = bytes.type;
  const number = emitter.cast(bytes, "i32");
  const scalar = (value: number): Value => emitter.scalar(value, "i32");
  const parts = Array.from({ length: 8 / bits }, (_, i) => {
    const shifted = i === 0 ? number : emitter.emit("divide", [number, scalar(2 ** (bits * i))]);
    const part = emitter.emit("modulo", [shifted, scalar(2 ** bits)], { fmod: false });
    return emitter.reshape(part, [...shape, 1]);
  });
  const joined = parts.length === 1 ? parts[0] : emitter.concatenate(parts, shape.length);
  return emitter.reshape(joined, [...shape.slice(0, -1), (shape.at(-1)! * 8) / bits]);
}

/** Zero points [rows, blocks]: packed in bytes, given as numbers, or the middle of the range. */
function zeroPoints(call: Call, given: Value | undefined, rows: number, blocks: number, bits: number): Value {
  const { emitter } = call;
  if (given === undefined) {
    return emitter.scalar(2 ** (bits - 1), "i32");
  }
  if (given.type.dtype !== "u8") {
    return emitter.reshape(given, [rows, blocks, 1]);
  }
  const bytes = given.type.shape.reduce((n, m) => n * m, 1) / rows;
  const all = unpacked(emitter, emitter.reshape(given, [rows, bytes]), bits);
  return emitter.reshape(emitter.sliceAxis(all, 1, 0, blocks), [rows, blocks, 1]);
}

/** Bits of one weight; E0402 for what does not divide a byte. */
function bitsOf(call: Call): number {
  const bits = call.integer("bits", 4);
  if (![2, 4, 8].includes(bits)) {
    throw call.refuse(`weights of ${bits} bits`, "2, 4 and 8 are unpacked", "quantise to 4 or 8 bits");
  }
  return bits;
}

/** A · Wᵀ for W [N, K] in blocks of each row. */
function matMulNBits(call: Call): readonly Value[] {
  const { emitter } = call;
  const [columns, rows] = [call.requiredInteger("K"), call.requiredInteger("N")];
  const [bits, block] = [bitsOf(call), call.requiredInteger("block_size")];
  const blocks = Math.ceil(columns / block);
  const packed = emitter.reshape(call.input(1), [rows, (blocks * block * bits) / 8]);
  const stored = emitter.sliceAxis(unpacked(emitter, packed, bits), 1, 0, columns);
  const group = call.optional(4);
  // Each column has its block's scale: blocks follow each other, unless a group is named for each column.
  const matched = (parameter: Value): Value =>
    parameter.type.shape.length === 0
      ? parameter
      : group === undefined
        ? repeated(emitter, emitter.reshape(parameter, [rows, blocks]), 1, block, columns)
        : emitter.gather(emitter.reshape(parameter, [rows, blocks]), group, 1);
  const zero = zeroPoints(call, call.optional(3), rows, blocks, bits);
  const weight = emitter.transpose(dequantised(emitter, stored, matched(call.input(2)), matched(zero)), [1, 0]);
  const product = emitter.matmul(call.input(0), weight);
  const bias = call.optional(5);
  return [bias === undefined ? product : emitter.add(product, bias)];
}

/** Rows of a table that is stored in blocks along its last axis. */
function gatherBlockQuantized(call: Call): readonly Value[] {
  const { emitter } = call;
  const table = call.input(0);
  const rank = table.type.shape.length;
  const last = (axis: number): boolean => axis === rank - 1 || axis === -1;
  if (call.integer("gather_axis", 0) !== 0 || !last(call.integer("quantize_axis", 1)) || rank !== 2) {
    throw call.refuse("other axes than rows of a table", "blocks along its last axis are unpacked");
  }
  const bits = bitsOf(call);
  const isPacked = table.type.dtype === "u8";
  const values = isPacked ? unpacked(emitter, table, bits) : table;
  const [rows, columns] = values.type.shape;
  const scale = call.input(2);
  const blocks = scale.type.shape[1];
  const block = call.integer("block_size", 128);
  const matched = (parameter: Value): Value => repeated(emitter, parameter, 1, block, columns);
  const given = call.optional(3);
  const middle = isPacked ? emitter.scalar(2 ** (bits - 1), "i32") : undefined;
  const zero =
    given === undefined
      ? middle
      : matched(emitter.reshape(isPacked ? zeroPoints(call, given, rows, blocks, bits) : given, [rows, blocks]));
  const numbers = dequantised(emitter, values, matched(scale), zero);
  return [emitter.emit("gather", [numbers, call.input(1)], { axis: 0 })];
}

/**
 * A scale of one and a zero point of zero: what would be rounded to 8 bits stays the real number that it stands for,
 * and every formula over it, (q − zero point) · scale, has its meaning.
 */
function dynamicQuantizeLinear(call: Call): readonly Value[] {
  const { emitter } = call;
  call.surroundings.warn({
    code: "W0307",
    what: "the model rounds activations to 8 bits; the plan computes with the numbers that they stand for",
    where: call.label,
    why: "the protocol has its own fixed point, which is finer",
    fix: "compare with the model before it was quantised: that is what the plan answers",
  });
  return [call.input(0), emitter.scalar(1, "f32"), emitter.scalar(0, "f32")];
}

/** x − zero point: of the tensor, of each row of a left operand, or of each column of a right one. */
function centred(emitter: Emitter, x: Value, zero: Value | undefined, side: "left" | "right"): Value {
  const number = emitter.cast(x, "f32");
  if (zero === undefined) {
    return number;
  }
  const each = emitter.cast(zero, "f32");
  const one = each.type.shape.every((size) => size === 1);
  const rows = side === "left" && each.type.shape.length === 1;
  const shaped = one ? emitter.reshape(each, []) : rows ? emitter.reshape(each, [...each.type.shape, 1]) : each;
  return emitter.emit("subtract", [number, shaped]);
}

/** What is whole on both sides stays whole; a real number on either side makes the product real. */
function integral(call: Call, product: Value, operands: readonly Value[]): Value {
  return operands.some(({ type }) => isFloat(type.dtype)) ? product : call.emitter.cast(product, "i32");
}

function matMulInteger(call: Call): readonly Value[] {
  const { emitter } = call;
  const [a, b] = [call.input(0), call.input(1)];
  const left = centred(emitter, a, call.optional(2), "left");
  const right = centred(emitter, b, call.optional(3), "right");
  return [integral(call, emitter.matmul(left, right), [a, b])];
}

/** onnxruntime's products with the scales in them: inputs by their places. */
function scaledProduct(
  places: Readonly<Record<"a" | "b" | "scaleB" | "bias", number>> &
    Partial<Record<"scaleA" | "zeroA" | "zeroB", number>>,
) {
  return (call: Call): readonly Value[] => {
    const { emitter } = call;
    const at = (place: number | undefined) => (place === undefined ? undefined : call.optional(place));
    const scaled = (x: Value, scale: Value | undefined) => (scale === undefined ? x : emitter.multiply(x, scale));
    const left = scaled(centred(emitter, call.input(places.a), at(places.zeroA), "left"), at(places.scaleA));
    const right = scaled(centred(emitter, call.input(places.b), at(places.zeroB), "right"), at(places.scaleB));
    const product = emitter.matmul(left, right);
    const bias = at(places.bias);
    return [bias === undefined ? product : emitter.add(product, bias)];
  };
}

export const QUANTISED: OperatorFamily = {
  DequantizeLinear: rule(10, dequantizeLinear),
  DynamicQuantizeLinear: rule(11, dynamicQuantizeLinear),
  MatMulInteger: rule(10, matMulInteger),
};

export const CONTRIB_QUANTISED: OperatorFamily = {
  DequantizeLinear: rule(1, dequantizeLinear),
  DynamicQuantizeMatMul: rule(1, scaledProduct({ a: 0, b: 1, scaleB: 2, zeroB: 3, bias: 4 })),
  MatMulIntegerToFloat: rule(1, scaledProduct({ a: 0, b: 1, scaleA: 2, scaleB: 3, zeroA: 4, zeroB: 5, bias: 6 })),
  MatMulNBits: rule(1, matMulNBits),
  GatherBlockQuantized: rule(1, gatherBlockQuantized),
};
