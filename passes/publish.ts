/**
 * The pass `publish`: what of the model's file may be in a plan. A plan is read by all parties, so a value of the file
 * is its owner's weight unless the graph uses it as structure only. Structure is
 *
 *  - what is used as an index of what is no weight, a position or a mask, and nothing else;
 *  - what has the values of a mask, of positions or of rotary angles: they follow from the architecture;
 *  - a number that is a small integer or its reciprocal, or a root of a dimension of the graph or its reciprocal, an
 *    exponent that is half a small integer, a bound of a clip that is an ε or as large as a type's last number;
 *  - what a front end or a pass made from shapes alone.
 *
 * Every other constant becomes a parameter of the model's owner, with its value kept for the owner's weights; so do the
 * bounds of a clip and what is padded with, which stand in attributes. It runs
 * after `fuse`: the constants inside recognised functions (GELU, a soft cap, the ε of a norm) are gone by then, and
 * shape arithmetic has folded. All that stays public is listed, with the reason.
 */
import { type Builder, rewrite } from "../ir/graph.js";
import type { Published } from "../ir/plan/types.js";
import { TENSOR } from "../ir/tensor/index.js";
import { isFloat, scalar, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import { architecturalValues, CLOSE, isPenalty, isRounded } from "./architecture.js";
import type { TensorGraph, TensorNode } from "./rewriter.js";
import { constantOf } from "./rules/common.js";
import { countedNodes, EXPONENT, FREQUENCY, INDEX, isWholeArithmetic, nodesOfWeights, slotOf } from "./uses.js";

export interface Publication {
  readonly graph: TensorGraph;
  /** The values of the parameters that were constants. */
  readonly weights: ReadonlyMap<string, TensorValue>;
  readonly published: readonly Published[];
}

/** Integers beyond this say more than a count of layers, heads or classes. */
const SMALL_INTEGER = 1024;

export function publish(graph: TensorGraph): Publication {
  const uses = structuralUses(graph);
  const dimensions = dimensionsOf(graph);
  const names = new Set(graph.nodes.map(({ attributes }) => attributes.name));
  const weights = new Map<string, TensorValue>();
  const published: Published[] = [];
  const show = ({ origin }: TensorNode, shape: readonly number[], why: string): undefined => {
    published.push({ name: origin, shape, why });
  };
  const next = rewrite(graph, TENSOR, (node, args, builder) => {
    const owned: Owned = (value) => {
      const name = unique(`constant ${node.origin}`, names);
      weights.set(name, value);
      return builder.emit("parameter", [], { name, dtype: value.dtype, shape: value.shape }, node.origin);
    };
    const value = constantOf(node);
    if (value !== undefined) {
      const used = uses.get(node);
      const use = used === EXPONENT ? exponentReason(value) : used;
      const why = use ?? (value.made === true ? "made from shapes" : reasonOf(value, dimensions));
      return why === undefined ? owned(value) : show(node, value.shape, why);
    }
    const attribute = ATTRIBUTES[node.op];
    if (attribute === undefined || !isFloat(node.type.dtype)) {
      return undefined;
    }
    const isShown = (x: number): boolean => numberReason(x, dimensions) !== undefined;
    const otherwise = attribute.otherwise({ node, x: args[0], builder, isShown, owned });
    if (otherwise === undefined && attribute.says(node)) {
      show(node, [], attribute.why);
    }
    return otherwise;
  });
  return { graph: weights.size === 0 ? graph : next, weights, published };
}

/** A parameter with this value. */
type Owned = (value: TensorValue) => TensorNode;

interface InAttribute {
  readonly node: TensorNode;
  readonly x: TensorNode;
  readonly builder: Builder<TensorType>;
  /** Whether a plan may show the number. */
  readonly isShown: (x: number) => boolean;
  readonly owned: Owned;
}

/** Ops with numbers of the model's file in attributes: the same node without those that a plan may not show. */
const ATTRIBUTES: Readonly<
  Record<
    string,
    {
      readonly why: string;
      /** Whether the attribute says anything. */
      readonly says: (node: TensorNode) => boolean;
      readonly otherwise: (given: InAttribute) => TensorNode | undefined;
    }
  >
> = {
  clamp: { why: "the bounds of a clip", says: () => true, otherwise: clippedByOwned },
  softCap: { why: "the bound of a soft cap", says: () => true, otherwise: () => undefined },
  pad: { why: "what is padded with", says: ({ attributes }) => attributes.value !== 0, otherwise: paddedByOwned },
};

/** What a clip against division by nothing, or against overflow, is bounded by. */
const LARGEST_EPSILON = 1e-4;
const LARGE = 1e4;

function clippedByOwned({ node, x, builder, isShown, owned }: InAttribute): TensorNode | undefined {
  const { low, high } = node.attributes as { readonly low: number; readonly high: number };
  const isBound = (n: number): boolean => Math.abs(n) <= LARGEST_EPSILON || Math.abs(n) >= LARGE || isShown(n);
  if (isBound(low) && isBound(high)) {
    return undefined;
  }
  const emit = (op: string, ...from: readonly TensorNode[]) => builder.emit(op, from, {}, node.origin);
  const limit = (n: number): TensorNode => {
    const value = scalar(n, node.type.dtype);
    return isBound(n) ? builder.emit("constant", [], { value }, node.origin) : owned(value);
  };
  const raised = low === Number.NEGATIVE_INFINITY ? x : emit("maximum", x, limit(low));
  return high === Number.POSITIVE_INFINITY ? raised : emit("minimum", raised, limit(high));
}

/** With zeros, to which the number is added where they are. */
function paddedByOwned({ node, x, builder, isShown, owned }: InAttribute): TensorNode | undefined {
  const value = node.attributes.value as number;
  if (isShown(value)) {
    return undefined;
  }
  const emit = (op: string, from: readonly TensorNode[], attributes = {}) =>
    builder.emit(op, from, attributes, node.origin);
  const { dtype, shape } = x.type;
  const { low, high } = node.attributes;
  const inside = emit("broadcast", [emit("constant", [], { value: scalar(0, dtype) })], { shape });
  const outside = emit("pad", [inside], { low, high, value: 1 });
  const zeros = emit("pad", [x], { low, high, value: 0 });
  return emit("add", [zeros, emit("multiply", [outside, owned(scalar(value, dtype))])]);
}

/** Roots and small powers. */
function exponentReason({ data }: TensorValue): string | undefined {
  const isSmall = (x: number): boolean => wholeReason(Math.abs(2 * x)) !== undefined || x === 0;
  return data.every(isSmall) ? EXPONENT : undefined;
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
  const ofWeights = nodesOfWeights(graph);
  /** What a node is used for, its arguments are used for: whole numbers, and what positions are multiplied with. */
  const passesOn = (user: TensorNode) =>
    reasons.get(user) === FREQUENCY ? counted.has(user) : isWholeArithmetic(user);
  const refused = new Set<TensorNode>(graph.outputs.map(({ node }) => node));
  for (const user of [...graph.nodes].reverse()) {
    user.args.forEach((argument, index) => {
      const slot = slotOf(user, index);
      if (slot === INDEX && ofWeights.has(user)) {
        return; // a weight by its code: what says which, the codes or their book, is all the same
      }
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
  if (Number.isNaN(x) || size === 0 || size === Number.POSITIVE_INFINITY || isPenalty(x, dimensions)) {
    return "what a mask holds, or zero";
  }
  const whole = wholeReason(size);
  if (whole !== undefined) {
    return whole;
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

function wholeReason(size: number): string | undefined {
  const near = (n: number) => Math.abs(n - Math.round(n)) <= CLOSE * n && Math.round(n) >= 1;
  const isSmall = (n: number) => near(n) && n <= SMALL_INTEGER;
  return isSmall(size) || isSmall(1 / size) ? "a small whole number, or its reciprocal" : undefined;
}
