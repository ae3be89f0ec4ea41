/**
 * Helpers of the share language's type and cost rules. The rules are strict, because a plan from a file is checked with
 * them: what they accept, the interpreter may run without looking again.
 */
import { Refusal } from "../diagnostics.js";
import type { Attributes } from "../graph.js";
import { jointShape } from "../shape.js";
import { sizeOf, type TensorValue } from "../tensor/value.js";
import { type BitType, type HotType, MAXIMUM_HOT_WIDTH, type ShareType, type WordType } from "./types.js";

/** An error of the rules, without a place: lowering adds the model's node, the check of a plan the step. */
export function refuse(condition: boolean, message: string): void {
  if (condition) {
    throw new Refusal(message);
  }
}

export function integerOf(attributes: Attributes, name: string, least: number, most: number): number {
  const value = attributes[name];
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw new Refusal(`attribute ${name} must be an integer from ${least} to ${most}, not ${String(value)}`);
  }
  return value;
}

/** The least and the largest of long lists that were found to be integers: many steps share a mask's list. */
const SPANS = new WeakMap<readonly unknown[], readonly [number, number]>();
const LONG_LIST = 1024;

/** The least and the largest of a list of integers; undefined for another list. */
function spanOf(list: readonly unknown[]): readonly [number, number] | undefined {
  const known = SPANS.get(list);
  if (known !== undefined) {
    return known;
  }
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const each of list) {
    if (!Number.isInteger(each)) {
      return undefined;
    }
    least = Math.min(least, each as number);
    most = Math.max(most, each as number);
  }
  if (list.length >= LONG_LIST) {
    SPANS.set(list, [least, most]);
  }
  return [least, most];
}

export function integersOf(attributes: Attributes, name: string, least: number, most: number): readonly number[] {
  const value = attributes[name];
  const span = Array.isArray(value) ? spanOf(value) : undefined;
  if (span === undefined || span[0] < least || span[1] > most) {
    throw new Refusal(`attribute ${name} must be integers from ${least} to ${most}`);
  }
  return value as readonly number[];
}

export function tensorOf(attributes: Attributes, name: string): TensorValue {
  const value = attributes[name];
  if (typeof value !== "object" || value === null || !("data" in value)) {
    throw new Refusal(`attribute ${name} must be a tensor`);
  }
  refuse(value.data.length !== sizeOf(value.shape), `attribute ${name} has another length than its shape`);
  refuse(!value.data.every(Number.isSafeInteger), `attribute ${name} must hold integers`);
  return value;
}

export function stringOf(attributes: Attributes, name: string): string {
  const value = attributes[name];
  if (typeof value !== "string") {
    throw new Refusal(`attribute ${name} must be a string`);
  }
  return value;
}

const LARGEST_SIZE = 2 ** 40;

export function shapeOf(attributes: Attributes, name: string): readonly number[] {
  const shape = integersOf(attributes, name, 0, LARGEST_SIZE);
  refuse(sizeOf(shape) > LARGEST_SIZE, `${name} is too large`);
  return shape;
}

/** How many parts of its argument a `take` reads alike: its shape's elements over its indices. */
export function takenParts(indices: number, shape: readonly number[]): number {
  return indices === 0 && sizeOf(shape) === 0 ? 1 : sizeOf(shape) / indices;
}

export function words(type: ShareType): WordType {
  if (type.kind !== "masked" && type.kind !== "additive") {
    throw new Refusal(`expected masked or additive words, not ${type.kind}`);
  }
  return type;
}

export function masked(type: ShareType): WordType {
  if (type.kind !== "masked") {
    throw new Refusal(`expected a masked value, not ${type.kind}`);
  }
  return type;
}

export function additive(type: ShareType): WordType {
  if (type.kind !== "additive") {
    throw new Refusal(`expected an additive value, not ${type.kind}`);
  }
  return type;
}

export function bitsOf(type: ShareType, ...kinds: readonly BitType["kind"][]): BitType {
  if ((type.kind !== "bits" && type.kind !== "maskedBits") || !kinds.includes(type.kind)) {
    throw new Refusal(`expected ${kinds.join(" or ")}, not ${type.kind}`);
  }
  return type;
}

export function hotOf(type: ShareType): HotType {
  if (type.kind !== "hot") {
    throw new Refusal(`expected hot, not ${type.kind}`);
  }
  return type;
}

/** The ring of a result whose arguments have these rings: the smallest, unplanned if one is. */
export function smallestRing(...rings: readonly number[]): number {
  return Math.min(...rings);
}

export function ringOf(attributes: Attributes, name = "ring"): number {
  return integerOf(attributes, name, 0, 64);
}

export function widthOf(attributes: Attributes): number {
  return integerOf(attributes, "width", 1, MAXIMUM_HOT_WIDTH);
}

/** The shape of a numpy broadcast; throws where shapes do not fit. */
export function broadcastShape(a: readonly number[], b: readonly number[]): readonly number[] {
  const joint = jointShape(a, b);
  if (joint === undefined) {
    throw new Refusal(`shapes [${a.join(",")}] and [${b.join(",")}] do not broadcast`);
  }
  return joint;
}

/** Bytes of `count` elements packed at `bits` bits each: every section of a message starts on a byte. */
export function packedBytes(count: number, bits: number): number {
  return Math.ceil((count * bits) / 8);
}

/** Bytes of a draw, rounded up to whole stream blocks. */
export function wholeBlocks(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}

/** `bound` of ops whose result is as large as their first argument. */
export function sameBound([x]: readonly number[]): number {
  return x;
}

/** `bound` of ops of which only lowering knows it. */
export function unbounded(): number {
  return Number.POSITIVE_INFINITY;
}

/** The largest magnitude in the attribute `value`. */
export function largestOf(attributes: Attributes): number {
  let largest = 0;
  for (const value of (attributes.value as TensorValue).data) {
    largest = Math.max(largest, Math.abs(value));
  }
  return largest;
}

/** `demand` of ops for which every word argument needs the result's ring. */
export function sameRing(args: readonly ShareType[], _attributes: Attributes, ring: number): readonly number[] {
  return args.map((type) => (type.kind === "masked" || type.kind === "additive" ? ring : 0));
}
