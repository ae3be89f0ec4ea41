/**
 * A plan's program on integers, as the share language means it (ir/share/evaluate): no masks, no parties. What it gives
 * is the fixed-point answer; the roles differ from it by stochastic rounding only.
 */

import type { OwnerValues } from "../../client/owners.js";
import type { Plan, Step } from "../../ir/plan/types.js";
import { broadcastStrides } from "../../ir/shape.js";
import { matrixShape } from "../../ir/share/bilinear.js";
import { SHARE, type ShareValue, type WordType } from "../../ir/share/index.js";
import { sizeOf, type TensorValue } from "../../ir/tensor/value.js";

/** Numbers as words of a ring, rounded to the type's fraction; no mask. */
function encoded(type: WordType, { data }: TensorValue): ShareValue {
  const scale = 2 ** type.fraction;
  const value = BigUint64Array.from(data, (x) => BigInt.asUintN(type.ring, BigInt(Math.round(x * scale))));
  return { type, value, mask: new BigUint64Array(value.length) };
}

/** Runs the plan's steps; `onValue` sees every step's value with its arguments'. Values die after their last use. */
export function evaluatePlan(
  { steps }: Plan,
  values: OwnerValues,
  onValue: (index: number, value: ShareValue, args: readonly ShareValue[]) => void,
): void {
  const lastUse = new Map<number, number>();
  steps.forEach(({ args }, i) => {
    for (const argument of args) {
      lastUse.set(argument, i);
    }
  });
  const live = new Map<number, ShareValue>();
  for (const [i, step] of steps.entries()) {
    const value = step.op === "input" ? undefined : stepValue(step, argumentsOf(steps, step, live, values));
    // Owners' inputs are encoded where they are used: a model's weights are never all there as words.
    if (value !== undefined) {
      onValue(i, value.result, value.args);
      if (lastUse.has(i)) {
        live.set(i, value.result);
      }
    }
    for (const argument of step.args) {
      if (lastUse.get(argument) === i) {
        live.delete(argument);
      }
    }
  }
}

function argumentsOf(
  steps: readonly Step[],
  { args }: Step,
  live: ReadonlyMap<number, ShareValue>,
  values: OwnerValues,
): readonly ShareValue[] {
  return args.map((index) => live.get(index) ?? inputOf(steps[index], values));
}

function inputOf({ attributes, type }: Step, values: OwnerValues): ShareValue {
  const { owner, name } = attributes as { owner: "model" | "data" | "public"; name: string };
  return encoded(type as WordType, values.value(owner, name));
}

function stepValue({ op, attributes, type }: Step, args: readonly ShareValue[]) {
  const result =
    op === "matmul" && (attributes.keep as readonly number[]).length === 0
      ? sumOfProducts(args, attributes.drop as number, type as WordType)
      : SHARE.ops[op].evaluate(args, attributes, type, (count) => new BigUint64Array(count));
  return { result, args };
}

/** The sum of the pairs' products without its lowest bits, rounded, as `evaluate` has it. */
export function sumOfProducts(args: readonly ShareValue[], drop: number, type: WordType): ShareValue {
  const wide = { ...type, ring: type.ring + drop };
  const products = args.flatMap((x, i) => (i % 2 === 0 ? [product(x, args[i + 1], wide).value as BigUint64Array] : []));
  const half = drop === 0 ? 0n : 1n << BigInt(drop - 1);
  const value = products[0].map((_, i) => {
    const sum = products.reduce((total, each) => total + each[i], half);
    return BigInt.asUintN(type.ring, BigInt.asUintN(wide.ring, sum) >> BigInt(drop));
  });
  return { type, value };
}

/** Doubles hold integers of so many bits. */
const DOUBLE = 53;

/**
 * The matrix product modulo 2^ring, exactly as `evaluate` has it, in doubles instead of big integers: numbers are cut
 * into parts whose products and sums doubles hold exactly. Held to `evaluate` by a test.
 */
function product(x: ShareValue, y: ShareValue, type: WordType): ShareValue {
  const { batch, rows, inner, columns } = matrixShape(x.type.shape, y.type.shape);
  const value = new BigUint64Array(sizeOf(type.shape));
  const bits = Math.floor((DOUBLE - Math.ceil(Math.log2(inner + 1))) / 2);
  const [a, b] = [partsOf(x, bits), partsOf(y, bits)];
  const [left, right] = [x, y].map((each) => batchPlaces(each.type.shape, batch));
  for (let matrix = 0; matrix < sizeOf(batch); matrix++) {
    const to = value.subarray(matrix * rows * columns, (matrix + 1) * rows * columns);
    const mask = (1n << BigInt(type.ring)) - 1n;
    for (const one of a) {
      for (const other of b) {
        if (one.exponent + other.exponent < type.ring) {
          const from = one.data.subarray(left[matrix] * rows * inner, (left[matrix] + 1) * rows * inner);
          const by = other.data.subarray(right[matrix] * inner * columns, (right[matrix] + 1) * inner * columns);
          addProduct(to, from, by, { rows, inner, columns }, BigInt(one.exponent + other.exponent), mask);
        }
      }
    }
  }
  return { type, value };
}

interface Part {
  readonly data: Float64Array;
  readonly exponent: number;
}

/** Integers as a sum of parts below 2^bits times powers of two: one signed part where all are that small. */
function partsOf({ type, value }: ShareValue, bits: number): readonly Part[] {
  const { ring } = type as WordType;
  const signed = Float64Array.from(value, (word) => Number(BigInt.asIntN(ring, word)));
  if (signed.every((x) => Math.abs(x) < 2 ** bits)) {
    return [{ data: signed, exponent: 0 }];
  }
  const mask = (1n << BigInt(bits)) - 1n;
  return Array.from({ length: Math.ceil(ring / bits) }, (_, i) => ({
    data: Float64Array.from(value, (word) => Number((word >> BigInt(i * bits)) & mask)),
    exponent: i * bits,
  }));
}

interface Sizes {
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
}

function addProduct(
  to: BigUint64Array,
  a: Float64Array,
  b: Float64Array,
  { rows, inner, columns }: Sizes,
  shift: bigint,
  mask: bigint,
): void {
  const sums = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    sums.fill(0);
    for (let i = 0; i < inner; i++) {
      const factor = a[row * inner + i];
      if (factor !== 0) {
        const at = i * columns;
        for (let column = 0; column < columns; column++) {
          sums[column] += factor * b[at + column];
        }
      }
    }
    for (let column = 0; column < columns; column++) {
      const at = row * columns + column;
      to[at] = (to[at] + (BigInt(sums[column]) << shift)) & mask;
    }
  }
}

/** Which matrix of an operand each matrix of the result reads. */
function batchPlaces(shape: readonly number[], batch: readonly number[]): readonly number[] {
  const strides = broadcastStrides(shape.slice(0, -2), batch);
  return Array.from({ length: sizeOf(batch) }, (_, flat) => {
    let [rest, place] = [flat, 0];
    for (let axis = batch.length - 1; axis >= 0; axis--) {
      place += (rest % batch[axis]) * strides[axis];
      rest = Math.floor(rest / batch[axis]);
    }
    return place;
  });
}
