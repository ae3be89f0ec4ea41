/** How far a step's value, as the three roles hold it, is from what its op means on the arguments as they hold them. */
import { definitionOf } from "../../ir/graph.js";
import type { Step } from "../../ir/plan/types.js";
import { SHARE, type ShareValue, type WordType } from "../../ir/share/index.js";

/** Largest distance of two values modulo 2^ring. */
function distance(a: BigUint64Array, b: BigUint64Array, ring: number): number {
  let most = 0n;
  for (let i = 0; i < a.length; i++) {
    const gap = BigInt.asIntN(ring, a[i] - b[i]);
    const size = gap < 0n ? -gap : gap;
    most = size > most ? size : most;
  }
  return Number(most);
}

/** The declared error; that of a product with a second factor is in units of the series, times that factor. */
function ulpOf({ op, attributes, type }: Step, args: readonly ShareValue[]): number {
  const types = args.map((argument) => argument.type);
  const ulp = definitionOf(SHARE, op).ulp(types, attributes, type);
  if (op !== "seriesTimes") {
    return ulp;
  }
  const { ring } = types[1] as WordType;
  const largest = args[1].value.reduce((most, word) => Math.max(most, Math.abs(Number(BigInt.asIntN(ring, word)))), 1);
  return ulp * largest;
}

/** The error of a step's value and that which its op declares, in units of the last place; inputs have no meaning. */
export function errorOf(
  step: Step,
  args: readonly ShareValue[],
  value: ShareValue,
  meaning: (step: Step, args: readonly ShareValue[]) => ShareValue = evaluate,
): { readonly error: number; readonly allowed: number } {
  const expected = meaning(step, args).value;
  if (value.value.length !== expected.length) {
    throw new Error(`${step.op} has ${value.value.length} elements, its meaning ${expected.length}`);
  }
  if (step.op === "randomCombination") {
    return { error: combinedWrongly(args[0], value) ? 1 : 0, allowed: 0 };
  }
  const ring = "ring" in step.type ? step.type.ring : 64;
  return { error: distance(value.value, expected, ring), allowed: ulpOf(step, args) };
}

/** Whether a row without a set bit has a combination that is set, or a row with one (of 40 or more) has none. */
function combinedWrongly(bits: ShareValue, combined: ShareValue): boolean {
  const [length, width] = [bits, combined].map(({ type }) => type.shape.at(-1)!);
  const some = ({ value }: ShareValue, size: number, row: number) =>
    value.subarray(row * size, (row + 1) * size).includes(1n);
  return Array.from({ length: bits.value.length / length }, (_, row) => row).some(
    (row) => some(bits, length, row) !== some(combined, width, row),
  );
}

/** The op's own meaning; masks that it draws are zero. */
export function evaluate({ op, attributes, type }: Step, args: readonly ShareValue[]): ShareValue {
  return definitionOf(SHARE, op).evaluate(args, attributes, type, (count) => new BigUint64Array(count));
}
