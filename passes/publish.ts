/**
 * The pass `publish`: what of the model's file may be in a plan. A plan is read by all parties, so a value of the file
 * is its owner's weight unless the graph uses it as structure only. Structure is
 *
 *  - what is used as an index, a position, an exponent or a mask, and nothing else;
 *  - what has the values of a mask, of positions or of rotary angles: they follow from the architecture;
 *  - a number that is a small integer or its reciprocal, or a root of a dimension of the graph or its reciprocal;
 *  - what a front end or a pass made from shapes alone.
 *
 * Every other constant becomes a parameter of the model's owner, with its value kept for the owner's weights. It runs
 * after `fuse`: the constants inside recognised functions (GELU, a soft cap, the ε of a norm) are gone by then, and
 * shape arithmetic has folded. All that stays public is listed, with the reason.
 */
import { rewrite } from "../ir/graph.js";
import type { Published } from "../ir/plan/types.js";
import { TENSOR } from "../ir/tensor/index.js";
import { roundToMantissa } from "../ir/tensor/numeric.js";
import type { TensorValue } from "../ir/tensor/value.js";
import { architecturalValues } from "./architecture.js";
import type { TensorGraph, TensorNode } from "./rewriter.js";
import { constantOf } from "./rules/common.js";
import { countedNodes, FREQUENCY, isWholeArithmetic, slotOf } from "./uses.js";

export interface Publication {
  readonly graph: TensorGraph;
  /** The values of the parameters that were constants. */
  readonly weights: ReadonlyMap<string, TensorValue>;
  readonly published: readonly Published[];
}

/** Integers beyond this say more than a count of layers, heads or classes. */
const SMALL_INTEGER = 1024;
/** float32 constants of different exporters agree so well. */
const CLOSE = 1e-6;

export function publish(graph: TensorGraph): Publication {
  const uses = structuralUses(graph);
  const dimensions = dimensionsOf(graph);
  const names = new Set(graph.nodes.map(({ attributes }) => attributes.name));
  const weights = new Map<string, TensorValue>();
  const published: Published[] = [];
  const next = rewrite(graph, TENSOR, (node, _, builder) => {
    const value = constantOf(node);
    if (value === undefined) {
      return undefined;
    }
    const why = uses.get(node) ?? (value.made === true ? "made from shapes" : reasonOf(value, dimensions));
    if (why !== undefined) {
      published.push({ name: node.origin, shape: value.shape, why });
      return undefined;
    }
    const name = unique(`constant ${node.origin}`, names);
    weights.set(name, value);
    return builder.emit("parameter", [], { name, dtype: value.dtype, shape: value.shape }, node.origin);
  });
  return { graph: weights.size === 0 ? graph : next, weights, published };
}

function unique(name: string, names: Set<unknown>): string {
  let candidate = name;
  for (let i = 2; names.has(candidate); i++) {
    candidate = `${name}#${i}`;
  }
  names.add(candidate);
  return candidate;
}

/** The constants, and what is made of them, of which every use is structure, with the use. */
function structuralUses(graph: TensorGraph): ReadonlyMap<TensorNode, string> {
  const reasons = new Map<TensorNode, string>();
  const counted = countedNodes(graph);
  /** What a node is used for, its arguments are used for: whole numbers, and what positions are multiplied with. */
  const passesOn = (user: TensorNode) =>
    reasons.get(user) === FREQUENCY ? counted.has(user) : isWholeArithmetic(user);
  const refused = new Set<TensorNode>(graph.outputs.map(({ node }) => node));
  for (const user of [...graph.nodes].reverse()) {
    user.args.forEach((argument, index) => {
      const slot = slotOf(user, index);
      const why =
        slot === FREQUENCY && !counted.has(user)
          ? undefined
          : (slot ?? (passesOn(user) ? reasons.get(user) : undefined));
      if (why === undefined || refused.has(argument)) {
        refused.add(argument);
        reasons.delete(argument);
      } else {
        reasons.set(argument, why);
      }
    });
  }
  return reasons;
}

/** Every dimension of the graph. */
function dimensionsOf(graph: TensorGraph): ReadonlySet<number> {
  return new Set(graph.nodes.flatMap(({ type }) => type.shape));
}

function reasonOf(value: TensorValue, dimensions: ReadonlySet<number>): string | undefined {
  const first = value.data[0];
  if (value.data.length === 0 || value.data.every((x) => Object.is(x, first))) {
    return value.data.length === 0 ? "empty" : numberReason(first, dimensions);
  }
  return architecturalValues(value);
}

/** Whether a single number is structure: small integers, roots of dimensions, what a mask holds, reciprocals. */
function numberReason(x: number, dimensions: ReadonlySet<number>): string | undefined {
  const size = Math.abs(x);
  if (Number.isNaN(x) || size === 0 || size >= 1e4) {
    return size >= 1e4 && x > 0 && Number.isFinite(x) ? undefined : "what a mask holds, or zero";
  }
  const near = (n: number) => Math.abs(n - Math.round(n)) <= CLOSE * n && Math.round(n) >= 1;
  if ((near(size) && size <= SMALL_INTEGER) || (near(1 / size) && 1 / size <= SMALL_INTEGER)) {
    return "a small whole number, or its reciprocal";
  }
  const larger = Math.max(size, 1 / size);
  for (const n of dimensions) {
    const roots = [Math.sqrt(n), Math.sqrt(Math.sqrt(n))];
    if (roots.some((root) => isRounded(larger, root) || isRounded(size, 1 / root))) {
      return "a root of a dimension, or its reciprocal";
    }
  }
  return undefined;
}

/** Whether x is a number as float32, float16 or bfloat16 hold it. */
function isRounded(x: number, exact: number): boolean {
  const close = (n: number) => Math.abs(x - n) <= CLOSE * exact;
  return close(exact) || close(roundToMantissa(exact, 10, -14, 65504)) || close(roundToMantissa(exact, 7, -126, 3e38));
}
