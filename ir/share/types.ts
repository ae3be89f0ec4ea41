/**
 * The types of the share language: what the parties hold of a value, without the values. A share program speaks about
 * integers in rings Z_2^k, never about reals; `fraction` only labels what the integer means (x = integer / 2^fraction).
 * `ring` 0 means "not planned yet": lowering builds programs before the pass `planRings` chooses rings.
 */
import type { AttributeSignature, Attributes, OpDefinition } from "../graph.js";
import { sizeOf } from "../tensor/value.js";

export interface WordType {
  readonly kind: "masked" | "additive";
  /** Bits of the ring, 1 to 64; 0 where not planned. Headroom is ring - fraction. */
  readonly ring: number;
  /** Fractional bits; may be negative or exceed the ring. */
  readonly fraction: number;
  readonly shape: readonly number[];
}

export interface BitType {
  readonly kind: "bits" | "maskedBits";
  readonly shape: readonly number[];
}

/** XOR shares of the one-hot vector (2^width bits) of a digit of a mask. */
export interface HotType {
  readonly kind: "hot";
  readonly width: number;
  readonly shape: readonly number[];
}

export type ShareType = WordType | BitType | HotType;

/**
 * A share value as `evaluate` sees it: the integer that is shared, and for masked values the mask too, because
 * comparisons speak about digits of masks. One process holds both; no party ever does.
 */
export interface ShareValue {
  readonly type: ShareType;
  /** Words modulo 2^ring (masked, additive), bits 0 and 1, or the digit whose one-hot vector is shared (hot). */
  readonly value: BigUint64Array;
  /** The sum (XOR for bits) of both masks, modulo 2^ring; masked kinds only. */
  readonly mask?: BigUint64Array;
}

/** A pair of parties that share a stream key. */
export type Pair = "01" | "02" | "12";

/** Bytes of a pair's stream that a step uses; a draw starts on a fresh 16-byte block. */
export interface Draw {
  readonly pair: Pair;
  readonly bytes: number;
}

export interface ShareCost {
  /** Bytes that P0 sends to P2. */
  readonly offline: number;
  /** Bytes that P1 sends to P2, and as many that P2 sends to P1. */
  readonly online: number;
  /** Bytes that P1 sends to the data owner, and as many that P2 sends. */
  readonly output: number;
  /** Online rounds that the op adds to a chain. */
  readonly depth: 0 | 1;
  /** Multiply-adds (or look-ups of that weight) per party. */
  readonly macs: { readonly P0: number; readonly P1: number; readonly P2: number };
}

/** Fresh masks for `evaluate`: `count` uniform words. */
export type MaskSource = (count: number) => BigUint64Array;

/** An entry of the share language's table. */
export interface ShareOp extends OpDefinition<ShareType> {
  /**
   * For a result that must be right modulo 2^ring, the ring that each argument needs: its integer need only be right
   * modulo 2^(that). 0 for arguments without a ring (bits, hot) and for those of which only the declared type matters.
   */
  readonly demand: (args: readonly ShareType[], attributes: Attributes, ring: number) => readonly number[];
  /**
   * Where the result's ring comes from. `planned`: the attribute `ring`, which `planRings` sets; `fixed`: the
   * attribute `ring`, which is part of the meaning; `derived`: the arguments' rings; `none`: the result has no ring.
   */
  readonly ring: "planned" | "fixed" | "derived" | "none";
  /**
   * What the meaning speaks about. `residues`: the arguments' integers modulo what `demand` says; `range`: signed
   * values, so that an argument's ring must hold its range; `declared`: digits of the declared ring, the top ones too,
   * so that the ring stays as it is (widen: with two bits more than the range).
   */
  readonly reads: "residues" | "range" | "declared";
  /**
   * How large the result may become in reals, given the largest absolute values of the arguments (infinite where
   * unknown). Infinite where lowering must say it, who knows the function.
   */
  readonly bound: (
    args: readonly number[],
    attributes: Attributes,
    type: ShareType,
    types: readonly ShareType[],
  ) => number;
  /** True where the result's words are the first argument's words: memory planning may give both the same place. */
  readonly alias: boolean;
  /** The arguments that are read in the clear, by index: they must be public (mask 0). */
  readonly publicArguments: readonly number[];
  readonly cost: (args: readonly ShareType[], attributes: Attributes, type: ShareType) => ShareCost;
  /** The stream bytes that the step uses, in the order in which the plan lists their positions. */
  readonly draws: (args: readonly ShareType[], attributes: Attributes, type: ShareType) => readonly Draw[];
  /** How far the roles' result may be from `evaluate`, in units of the result's last place. 0 for exact ops. */
  readonly ulp: (args: readonly ShareType[], attributes: Attributes, type: ShareType) => number;
  /** The meaning, over integers, written to be read. Masks are part of a value, because some ops speak about them. */
  readonly evaluate: (
    args: readonly ShareValue[],
    attributes: Attributes,
    type: ShareType,
    masks: MaskSource,
  ) => ShareValue;
}

/** What a family file declares of an op; `evaluate` comes from `ir/share/evaluate`, the rest has defaults. */
export interface OpSpecification {
  readonly doc: string;
  readonly arity: readonly [number, number];
  readonly attributes: AttributeSignature;
  readonly infer: (args: readonly ShareType[], attributes: Attributes) => ShareType;
  readonly demand: ShareOp["demand"];
  readonly ring: ShareOp["ring"];
  readonly reads: ShareOp["reads"];
  readonly bound: ShareOp["bound"];
  readonly alias?: boolean;
  readonly publicArguments?: readonly number[];
  readonly cost?: (args: readonly ShareType[], attributes: Attributes, type: ShareType) => Partial<ShareCost>;
  readonly draws?: ShareOp["draws"];
  readonly ulp?: ShareOp["ulp"];
}

/** The widest digit: 2^13 bits, 1 KiB a value, for values of which there is one a row. */
export const MAXIMUM_HOT_WIDTH = 13;

/** Bytes that one element of a type takes in an arena, per component. */
export function elementBytes(type: ShareType): number {
  switch (type.kind) {
    case "masked":
    case "additive":
      return 8;
    case "bits":
    case "maskedBits":
      return 1;
    case "hot":
      return Math.max(1, 2 ** type.width / 8);
  }
}

/** How many components a party holds: P0 knows masks only, P1 and P2 hold m and one mask, or one share. */
export function componentsOf(type: ShareType, party: "P0" | "P12"): number {
  const masked = type.kind === "masked" || type.kind === "maskedBits";
  return party === "P0" ? (masked ? 2 : 0) : masked ? 2 : 1;
}

/** Bytes of one component, rounded up to 64 so that the next one is aligned. */
export function componentBytes(type: ShareType): number {
  return Math.ceil((sizeOf(type.shape) * elementBytes(type)) / 64) * 64;
}

/** Bytes that a value takes in a party's arena: its components one after the other. Multiple of 64. */
export function heldBytes(type: ShareType, party: "P0" | "P12"): number {
  return componentsOf(type, party) * componentBytes(type);
}

/** The text of a type: `masked<46,12>[48,128]`, `bits[48]`, `hot<5>[48]`. */
export function printShareType(type: ShareType): string {
  const shape = `[${type.shape.join(",")}]`;
  switch (type.kind) {
    case "masked":
    case "additive":
      return `${type.kind}<${type.ring},${type.fraction}>${shape}`;
    case "hot":
      return `hot<${type.width}>${shape}`;
    default:
      return `${type.kind}${shape}`;
  }
}

const TYPE_TEXT = /^(masked|additive|bits|maskedBits|hot)(?:<(\d+)(?:,(-?\d+))?>)?\[((?:\d+(?:,\d+)*)?)\]$/;

/** The inverse of `printShareType`; throws on other text. */
export function parseShareType(text: string): ShareType {
  const match = TYPE_TEXT.exec(text.replaceAll(" ", ""));
  if (match === null) {
    throw new Error(`not a share type: '${text}'`);
  }
  const [, kind, first, second, sizes] = match;
  const shape = sizes === "" ? [] : sizes.split(",").map(Number);
  if ((kind === "masked" || kind === "additive") && first !== undefined && second !== undefined) {
    return { kind, ring: Number(first), fraction: Number(second), shape };
  }
  if (kind === "hot" && first !== undefined && second === undefined) {
    return { kind, width: Number(first), shape };
  }
  if ((kind === "bits" || kind === "maskedBits") && first === undefined) {
    return { kind, shape };
  }
  throw new Error(`not a share type: '${text}'`);
}
