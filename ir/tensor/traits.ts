/**
 * What the passes ask of an op besides its meaning, as flags of its table entry: whoever needs all element-wise ops, or
 * all that are as exact as their arguments, filters the table (`opsWhere`), so that no pass keeps a list of names and
 * an op without flags does not compile.
 */
export interface Traits {
  readonly pattern: Pattern;
  /**
   * What the results are, whatever the arguments are: any numbers; numbers of an interval that is the op's own; truth
   * values or indices. Samples that show less of the last three say nothing of other inputs.
   */
  readonly image: "numbers" | "interval" | "discrete";
  /**
   * Computed on shares, how far from the op's meaning on the same arguments: not at all; by roundings; or by the error
   * of a formula that holds in a window, or between bounds that the plan fixes.
   */
  readonly precision: "exact" | "rounded" | "formula";
  /** Whether whole numbers give whole numbers. */
  readonly whole: boolean;
  readonly commutative: boolean;
  /** The arguments that are indices, of another argument's axis or of a class. */
  readonly indices: readonly number[];
  /** The arguments that must be known in the clear even where the op has a meaning on secrets. */
  readonly clear: readonly number[];
}

/** How the elements of a result come from those of the arguments. */
export type Pattern =
  /** From none: what a graph begins with. */
  | "source"
  /** A function of the element at the same place of every argument, broadcast. */
  | "elementwise"
  /** From all elements along one axis: `axis`, or the last. The result has the shape of the first argument. */
  | "rowwise"
  /** From all elements along `axes`. */
  | "reduction"
  /** From all elements before it along `axis`. */
  | "scan"
  /** One element of an argument, at a place that attributes and types decide. */
  | "movement"
  /** A movement, or a number of the op's own where no element goes. */
  | "filling"
  /** One element of an argument, at a place that `indices` decide. */
  | "lookup"
  /** From many elements: products, choices, orders. */
  | "mixing";

const EXACT: Traits = {
  pattern: "elementwise",
  image: "numbers",
  precision: "exact",
  whole: true,
  commutative: false,
  indices: [],
  clear: [],
};

export const SOURCE: Traits = { ...EXACT, pattern: "source" };
/** Element-wise: a choice among the arguments, or a change of sign or type. */
export const CHOICE: Traits = EXACT;
/** Element-wise: sums, products, rounding. */
export const ARITHMETIC: Traits = { ...EXACT, precision: "rounded" };
/** Element-wise: functions of real numbers. */
export const FUNCTION: Traits = { ...EXACT, precision: "formula", whole: false };
/** Element-wise: functions of real numbers whose values stay in an interval. */
export const BOUNDED_FUNCTION: Traits = { ...FUNCTION, image: "interval" };
/** Element-wise: 0 or 1. */
export const TRUTH: Traits = { ...EXACT, image: "discrete" };
export const MOVING: Traits = { ...EXACT, pattern: "movement" };
export const FILLING: Traits = { ...EXACT, pattern: "filling" };
/** Where to look is the second argument. */
export const LOOKUP: Traits = { ...EXACT, pattern: "lookup", indices: [1], clear: [1] };
export const REDUCTION: Traits = { ...ARITHMETIC, pattern: "reduction" };
export const SCAN: Traits = { ...ARITHMETIC, pattern: "scan" };
/** Sums of products; values in another order. */
export const MIXING: Traits = { ...ARITHMETIC, pattern: "mixing" };
/** Indices of what was found. */
export const FOUND: Traits = { ...EXACT, pattern: "mixing", image: "discrete" };
export const ROWWISE: Traits = { ...FUNCTION, pattern: "rowwise" };

export function commuting(traits: Traits): Traits {
  return { ...traits, commutative: true };
}
