/**
 * What the compiler says about ranges: a value that fixed point cannot hold is an error with its node's name, before
 * anything is lowered; what holds only as far as the samples go is a warning.
 */

import { type Diagnostic, fail } from "../ir/diagnostics.js";
import type { Graph } from "../ir/graph.js";
import type { TensorNode } from "../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../ir/tensor/value.js";
import { extremes, type Interval } from "../passes/intervals.js";
import { ASSUMED, type RangeReport } from "../passes/range.js";
import type { Calibration } from "./calibrate.js";

/** Larger values leave no place for a fraction beside a product's headroom. */
const LARGEST = 2 ** 40;
/** Constants below this say "not this one" (passes/idioms/masking.ts); as numbers they cost bits and tell nothing. */
const MASK = -1000;
const MOST_WARNINGS = 8;

/** Throws E0404 for every value without a bound that fits; returns what should be known of the others. */
export function checkRanges(
  graph: Graph<TensorType>,
  { report, source: { method } }: Calibration,
): readonly Diagnostic[] {
  const lost = graph.nodes.filter((node) => !fits(node, report) && node.args.every((each) => fits(each, report)));
  if (lost.length > 0) {
    throw fail(...lost.map((node) => withoutBound(node, report, method)));
  }
  const warnings = [
    ...graph.nodes.flatMap((node) => signOnlySeen(node, report)),
    ...graph.nodes.filter((node) => maskOf(node) !== undefined).map(maskAsNumber),
    ...graph.nodes.filter((node) => method.startsWith("structure") && isClipped(node, report)).map(clipped),
  ];
  return summarised(warnings);
}

/** A constant fits wherever it is not computed with. */
function fits(node: TensorNode, { ranges }: RangeReport): boolean {
  const [low, high] = ranges.get(node)!;
  return node.op === "constant" || Math.max(-low, high) <= LARGEST;
}

function withoutBound(node: TensorNode, { ranges }: RangeReport, method: Calibration["source"]["method"]): Diagnostic {
  const [low, high] = ranges.get(node)!;
  const bound = Math.max(-low, high);
  const mask = maskOf(node);
  return {
    code: "E0404",
    what: Number.isFinite(bound) ? `${node.op} may reach ${shown(bound)}` : `${node.op} has no bound`,
    where: node.op === "input" ? (node.attributes.name as string) : node.origin,
    why:
      mask === undefined
        ? node.args.length === 0
          ? "it was as large on a calibration input"
          : `its ${node.args.length === 1 ? "argument lies" : "arguments lie"} in ${node.args
              .map((argument) => printed(ranges.get(argument)!))
              .join(" and ")}; fixed point holds values up to ${shown(LARGEST)}`
        : `it meets the constant ${shown(mask)}, a mask that is not seen to be one of a softmax`,
    fix:
      mask !== undefined
        ? "add the mask to the scores right before the softmax, or use a finite constant such as -100"
        : method === "given inputs"
          ? "clip it in the model; calibration inputs (--calibrate) may also be unlike real ones"
          : "calibrate with real inputs (--calibrate), or clip it in the model",
  };
}

function printed([low, high]: Interval): string {
  return `[${shown(low)}, ${shown(high)}]`;
}

function shown(x: number): string {
  return String(Number(x.toPrecision(3)));
}

/** Ops whose result adds a constant's size to a value's, and the constant of a mask among the arguments. */
const MASKING: ReadonlySet<string> = new Set(["add", "subtract", "select", "minimum", "maximum"]);

function maskOf(node: TensorNode): number | undefined {
  if (!MASKING.has(node.op)) {
    return undefined;
  }
  const lows = node.args
    .filter(({ op }) => op === "constant")
    .map(({ attributes }) => extremes(attributes.value as TensorValue)[0]);
  const least = Math.min(0, ...lows);
  return least <= MASK ? least : undefined;
}

function maskAsNumber(node: TensorNode): Diagnostic {
  return {
    code: "W0402",
    what: `the constant ${shown(maskOf(node)!)} is computed with as a number`,
    where: node.origin,
    why: "only masks that are added to scores before a softmax become choices; this one costs bits of every value",
    fix: "add the mask right before the softmax, or use a constant nearer to the values, such as -100",
  };
}

/** The argument that must be positive, and what is added to it first. */
const DOMAINS: Readonly<Record<string, readonly [argument: number, offset: number]>> = {
  reciprocal: [0, 0],
  reciprocalSquareRoot: [0, 0],
  squareRoot: [0, 0],
  logarithm: [0, 0],
  logarithmPlusOne: [0, 1],
  divide: [1, 0],
};

/** 1/x, √x and ln x of values that were only seen on one side of zero. */
function signOnlySeen(node: TensorNode, { ranges, derived }: RangeReport): readonly Diagnostic[] {
  const [at, offset] = DOMAINS[node.op] ?? [undefined, 0];
  if (at === undefined || node.args[at].op === "constant") {
    return [];
  }
  const hasSign = ([low, high]: Interval) => low + offset > 0 || high + offset < 0;
  const range = ranges.get(node.args[at])!;
  if (!hasSign(range) || hasSign(derived.get(node.args[at])!)) {
    return [];
  }
  return [
    {
      code: "W0401",
      what: `${node.op} of a value that only the calibration inputs say is not zero`,
      where: node.origin,
      why: `it is planned for ${printed(range)}; outside, the result is noise, and nobody is told`,
      fix: "calibrate with more inputs (--calibrate), or bound it in the model: clip it, or add an epsilon",
    },
  ];
}

function isClipped(node: TensorNode, { ranges, derived }: RangeReport): boolean {
  const most = ([low, high]: Interval) => Math.max(-low, high);
  return most(ranges.get(node)!) === ASSUMED.largest && most(derived.get(node)!) > ASSUMED.largest;
}

function clipped(node: TensorNode): Diagnostic {
  return {
    code: "W0403",
    what: `${node.op} is assumed to stay within ${ASSUMED.largest}`,
    where: node.origin,
    why: "without weights or calibration inputs nothing says how large it becomes",
    fix: "calibrate with real inputs (--calibrate)",
  };
}

/** The first few of each code, the rest as a number: layers repeat themselves. */
function summarised(warnings: readonly Diagnostic[]): readonly Diagnostic[] {
  const codes = new Set(warnings.map(({ code }) => code));
  return [...codes].flatMap((code) => {
    const all = warnings.filter((warning) => warning.code === code);
    const more = all.length - MOST_WARNINGS + 1;
    return more <= 1 ? all : [...all.slice(0, -more), { ...all.at(-1)!, where: `${more} more nodes` }];
  });
}
