/**
 * Whether a text that is shorter than its window may stand at the window's end. Of a model that takes its mask and its
 * positions from inputs it may: if the mask hides every place before the text, and nothing else. A mask that counts
 * tokens instead (`seqlens_k` of GroupQueryAttention) hides the newest ones, and positions that follow from the length
 * of a cache are the window's: such a model is read with a whole window known to be there, and the compiler's own
 * cache hides what is before the text.
 */
import { evaluateGraph } from "../../ir/tensor/index.js";
import { isFloat, sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";
import { depthFirst } from "../../passes/order.js";
import type { TensorGraph, TensorNode } from "../../passes/rewriter.js";
import type { GivenValue } from "../imported.js";

const MASKS = /mask/i;
const POSITIONS = /position/i;
const BRANCH = /use_cache/i;

/** Whether an input has keys or values of past tokens, by its name. */
export function isPast(name: string): boolean {
  return /past|cache/i.test(name) && !/use_cache|position|len|total/i.test(name);
}

/** Of a merged decoder, whether it goes on from a cache. */
export function branchValues(names: Iterable<string>, isContinued: boolean): Readonly<Record<string, GivenValue>> {
  const found = [...names].filter((name) => BRANCH.test(name));
  return Object.fromEntries(found.map((name) => [name, { data: [isContinued ? 1 : 0] }]));
}

/** Masks, positions and caches of a whole window that begins with the text, as constants. */
export function wholeValues(shapes: ReadonlyMap<string, readonly number[]>): Readonly<Record<string, GivenValue>> {
  const values = [...shapes].flatMap(([name, shape]): [string, GivenValue][] => {
    const size = sizeOf(shape);
    if (isPast(name)) {
      return size === 0 ? [[name, { data: [] }]] : [];
    }
    const last = shape.at(-1) ?? 1;
    const data = Array.from({ length: size }, (_, i) => (POSITIONS.test(name) ? i % last : 1));
    return POSITIONS.test(name) || MASKS.test(name) ? [[name, { data }]] : [];
  });
  return Object.fromEntries(values);
}

/**
 * Whether a text may stand at the end of the window, with what is before it masked: of a graph in normal form, whose
 * only output is the logits. With a cache, positions and the mask of all keys must be inputs.
 */
export function mayBePadded(graph: TensorGraph, tokens: TensorNode, hasCache: boolean): boolean {
  const { nodes } = depthFirst(graph);
  const isGiven = (pattern: RegExp): boolean => nodes.some((node) => isNamed(node, pattern));
  if (hasCache && !(isGiven(POSITIONS) && isGiven(MASKS))) {
    return false;
  }
  const made = new Set([tokens]);
  for (const node of nodes) {
    if (node.args.some((argument) => made.has(argument))) {
      made.add(node);
    }
  }
  const masked = nodes.filter(({ op, args }) => op === "softmax" && made.has(args[0]));
  const masks = new Set(masked.map(({ args }): TensorNode | undefined => args[1]));
  // Where no input has a say, the compiler's own cache hides what is before the text.
  return [...masks].every((mask) => (mask === undefined ? !hasCache : hidesOnly(mask, tokens, hasCache)));
}

function isNamed({ op, attributes }: TensorNode, pattern: RegExp): boolean {
  return op === "input" && pattern.test(String(attributes.name));
}

/** Whether a mask of keys hides the places that an input says are none of the text's, and no other. */
function hidesOnly(mask: TensorNode, tokens: TensorNode, hasCache: boolean): boolean {
  const graph = depthFirst({ nodes: [], outputs: [{ name: "mask", node: mask }] });
  const inputs = graph.nodes.filter(({ op }) => op === "input");
  if (inputs.length === 0) {
    return !hasCache;
  }
  const isKnown = (node: TensorNode): boolean =>
    !isFloat(node.type.dtype) && (isNamed(node, MASKS) || isNamed(node, POSITIONS));
  if (!inputs.every(isKnown) || graph.nodes.some(({ op }) => op === "parameter")) {
    return false;
  }
  const [queries, keys] = [1, 1, ...mask.type.shape].slice(-2);
  const rows = tokens.type.shape.at(-1)!;
  const keptOf = (missing: number): TensorValue["data"] => {
    const given = inputs.map(
      ({ attributes: { name }, type }) => [`${name}`, padded(`${name}`, type, missing)] as const,
    );
    return evaluateGraph(graph, new Map(given)).get("mask")!.data;
  };
  const whole = keptOf(0);
  return [1, Math.floor(keys / 2), keys - 1].every((missing) =>
    keptOf(missing).every((keep, i) => {
      const key = i % keys;
      const row = queries === 1 ? keys - 1 : (Math.floor(i / keys) % queries) + keys - rows;
      // What a place before the text sees, nobody reads.
      return row < missing || keep === (key < missing ? 0 : whole[i]);
    }),
  );
}

/** A mask or positions of a text before which so many places of the window are empty. */
function padded(name: string, { dtype, shape }: TensorType, missing: number): TensorValue {
  const last = shape.at(-1) ?? 1;
  const empty = MASKS.test(name) ? missing : 0;
  const data = new Float64Array(sizeOf(shape)).map((_, i) => {
    const at = (i % last) - empty;
    return MASKS.test(name) ? (at < 0 ? 0 : 1) : at;
  });
  return { dtype, shape, data };
}
