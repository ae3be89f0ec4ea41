/**
 * Where a program reads a value's range and not only its residue: comparisons, digits, `widen`, `reveal`. There the
 * plan relies on the value being small enough, and nothing at run time can tell: a value outside gives a wrong answer.
 */
import type { Step } from "../../ir/plan/types.js";
import type { ShareValue, WordType } from "../../ir/share/index.js";

/** The interval of integers that a step may read, as powers of two of its ring: from −2^low to 2^high. */
function intervalOf(op: string, ring: number): { readonly low: number; readonly high: number } | undefined {
  switch (op) {
    case "widen":
    case "widenAdditive":
    case "squares":
      return { low: ring - 2, high: ring - 2 };
    case "topBit":
    case "coarseCount":
    case "reveal":
      return { low: ring - 1, high: ring - 1 };
    case "digits":
      // Digits are read of signed values and of such as are never negative.
      return { low: ring - 1, high: ring };
    default:
      return undefined;
  }
}

/** Which argument's range a step reads: the step itself, or the one that a `reduce` has made smaller. */
export function readValue(steps: readonly Step[], step: Step): number | undefined {
  if (intervalOf(step.op, 1) === undefined) {
    return undefined;
  }
  let index = step.args[0];
  while (steps[index].op === "reduce") {
    index = steps[index].args[0];
  }
  return steps[index].op === "input" || isCounter(steps, index) ? undefined : index;
}

/** Counts that are made to fill their ring. */
function isCounter(steps: readonly Step[], index: number): boolean {
  const { op, args } = steps[index];
  return op === "coarseCount" || (op === "remask" && steps[args[0]].op === "coarseCount");
}

export interface RangeReading {
  /** Bits between the largest value and what the step can read; negative where one is outside. */
  readonly headroom: number;
  /** Elements outside. */
  readonly outside: number;
  /** The largest value and the limit, in reals. */
  readonly largest: number;
  readonly limit: number;
}

/** How a reading step's range fits a value. */
export function readRange(steps: readonly Step[], step: Step, value: ShareValue): RangeReading {
  const { ring } = steps[step.args[0]].type as WordType;
  const { low, high } = intervalOf(step.op, ring)!;
  const { ring: held, fraction } = value.type as WordType;
  const [below, above] = [-(2 ** low), 2 ** high];
  let [outside, worst] = [0, 0];
  for (const word of value.value) {
    const x = Number(BigInt.asIntN(held, word));
    // Parts of the interval's half on the value's side: 1 is its end.
    const part = x < 0 ? x / below : x / above;
    outside += x < below || x >= above ? 1 : 0;
    worst = Math.max(worst, part);
  }
  const limit = 2 ** (high - fraction);
  return { headroom: worst === 0 ? ring : -Math.log2(worst), outside, largest: worst * limit, limit };
}
