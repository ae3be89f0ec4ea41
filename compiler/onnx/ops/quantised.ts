/**
 * Weights that are stored in few bits: what an exporter packed is unpacked by the model's owner, in the clear, into the
 * numbers that it stands for, (q − zero point) · scale. From there on the model is one of floats. Schemas: ONNX
 * DequantizeLinear; onnxruntime, docs/ContribOperators.md.
 */
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
  if (call.optional(4) !== undefined) {
    throw call.refuse("g_idx (rows in another order)", "blocks are taken in order", "quantise without act-order");
  }
  const [columns, rows] = [call.requiredInteger("K"), call.requiredInteger("N")];
  const [bits, block] = [bitsOf(call), call.requiredInteger("block_size")];
  const blocks = Math.ceil(columns / block);
  const packed = emitter.reshape(call.input(1), [rows, blocks, (block * bits) / 8]);
  const scale = emitter.reshape(call.input(2), [rows, blocks, 1]);
  const zero = zeroPoints(call, call.optional(3), rows, blocks, bits);
  const whole = emitter.reshape(dequantised(emitter, unpacked(emitter, packed, bits), scale, zero), [
    rows,
    blocks * block,
  ]);
  const weight = emitter.transpose(emitter.sliceAxis(whole, 1, 0, columns), [1, 0]);
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

export const QUANTISED: OperatorFamily = { DequantizeLinear: rule(10, dequantizeLinear) };

export const CONTRIB_QUANTISED: OperatorFamily = {
  DequantizeLinear: rule(1, dequantizeLinear),
  MatMulNBits: rule(1, matMulNBits),
  GatherBlockQuantized: rule(1, gatherBlockQuantized),
};
