/**
 * Masks of attention. Whatever is added to scores before a softmax and is, element by element, either about zero or
 * far below every score is no number but a choice: it becomes the boolean second argument of `softmax`. So neither
 * −3.4·10³⁸ nor −∞ ever reaches fixed point. Equal choices get one spelling (see `elements.ts`), however written.
 */
import { sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import { ElementAnalysis, type Elements, type Source } from "../elements.js";
import type { Rewriter, Rule, TensorNode } from "../rewriter.js";
import { scalarOf } from "../rules/common.js";
import { termsOf } from "./chains.js";

/** Scores are smaller than this; what is added to them and is below its negative says "not this one". */
const FAR = 1000;
const NEAR = 1e-6;

/** The mask rules. `isBinary` says of an input whether it may be a mask of zeros and ones. */
export function maskRules(isBinary: (name: string) => boolean): readonly Rule[] {
  const contexts = new WeakMap<Rewriter, Context>();
  const contextOf = (rewriter: Rewriter): Context => {
    const known = contexts.get(rewriter) ?? { rewriter, isBinary, additive: new Map(), normal: new Map() };
    contexts.set(rewriter, known);
    return known;
  };
  const apply = (node: TensorNode, rewriter: Rewriter): TensorNode | undefined => {
    const context = contextOf(rewriter);
    const { scores, keeps } = peel(node.args[0], context);
    const all = [...keeps, ...node.args.slice(1)];
    if (all.length === 0 || scores.type.shape.join() !== node.type.shape.join()) {
      return undefined;
    }
    const keep = all.reduce((left, right) => rewriter.emit("and", [left, right], {}, node.origin));
    const normal = keepOf(keep, context) ?? keep;
    if (keeps.length === 0 && normal === node.args[1]) {
      return undefined;
    }
    const args = scalarOf(normal) === 1 ? [scores] : [scores, normal];
    return rewriter.emit("softmax", args, node.attributes, node.origin);
  };
  return [{ name: "mask of a softmax", ops: ["softmax"], apply }];
}

/** Layers share their mask: what was found out about it is kept as long as the rewriter that found it. */
interface Context {
  readonly rewriter: Rewriter;
  readonly isBinary: (name: string) => boolean;
  readonly additive: Map<TensorNode, TensorNode | undefined>;
  readonly normal: Map<TensorNode, TensorNode | undefined>;
}

function analyse({ isBinary }: Context): ElementAnalysis {
  return new ElementAnalysis((input) => isBinary(input.attributes.name as string));
}

function once<K, V>(known: Map<K, V>, key: K, compute: () => V): V {
  if (!known.has(key)) {
    known.set(key, compute());
  }
  return known.get(key)!;
}

interface Peeled {
  readonly scores: TensorNode;
  readonly keeps: readonly TensorNode[];
}

/** The scores without the masks around them, and the masks as booleans. */
function peel(x: TensorNode, context: Context): Peeled {
  const { rewriter } = context;
  if (x.op !== "add" && x.op !== "subtract") {
    return peelSelect(x, context);
  }
  const keeps: TensorNode[] = [];
  const terms: TensorNode[] = [];
  for (const term of termsOf(rewriter, x)) {
    const chosen = peelSelect(term, context);
    const keep = once(context.additive, term, () => additiveKeep(term, context));
    const mixed = keep === undefined ? mixedConstant(term, context) : undefined;
    if (keep !== undefined) {
      keeps.push(keep);
    } else if (mixed !== undefined) {
      keeps.push(mixed.keep);
      terms.push(mixed.rest);
    } else {
      keeps.push(...chosen.keeps);
      terms.push(chosen.scores);
    }
  }
  if (keeps.length === 0 || terms.length === 0) {
    return { scores: x, keeps: [] };
  }
  const sum = terms.reduce((left, right) => rewriter.emit("add", [left, right], {}, x.origin));
  const inner = peel(unmultiply(sum, keeps, context), context);
  return { scores: inner.scores, keeps: [...keeps, ...inner.keeps] };
}

/** select(c, scores, −∞) keeps where c; select(c, −∞, scores) where not; anything else has no mask. */
function peelSelect(x: TensorNode, context: Context): Peeled {
  if (x.op !== "select") {
    return { scores: x, keeps: [] };
  }
  const [condition, yes, no] = x.args;
  const far = (node: TensorNode) => (scalarOf(node) ?? 0) <= -FAR;
  if (!far(yes) && !far(no)) {
    return { scores: x, keeps: [] };
  }
  const keep = far(no) ? condition : context.rewriter.emit("not", [condition], {}, x.origin);
  const inner = peel(far(no) ? yes : no, context);
  return { scores: inner.scores, keeps: [keep, ...inner.keeps] };
}

/** The boolean that says where an added term is about zero, if it is far below zero everywhere else. */
function additiveKeep(term: TensorNode, context: Context): TensorNode | undefined {
  const { rewriter } = context;
  if (rewriter.factsOf(term).parameter) {
    return undefined;
  }
  const analysis = analyse(context);
  const elements = analysis.of(term);
  if (elements !== undefined) {
    const values = [...new Set(elements.atZero), ...new Set(elements.atOne)];
    const fits =
      values.every((value) => Math.abs(value) < NEAR || value <= -FAR) && values.some((value) => value <= -FAR);
    const truth = (data: TensorValue["data"]) => Float64Array.from(data, (value) => (value <= -FAR ? 0 : 1));
    return fits
      ? emitKeep(
          { ...elements, atZero: truth(elements.atZero), atOne: truth(elements.atOne) },
          term,
          rewriter,
          analysis,
        )
      : undefined;
  }
  if (term.op === "select") {
    const [condition, yes, no] = term.args;
    const [near, far] = [
      (node: TensorNode) => Math.abs(scalarOf(node) ?? FAR) < NEAR,
      (node: TensorNode) => (scalarOf(node) ?? 0) <= -FAR,
    ];
    if (near(yes) && far(no)) {
      return condition;
    }
    return far(yes) && near(no) ? rewriter.emit("not", [condition], {}, term.origin) : undefined;
  }
  return undefined;
}

/** A constant that is a mask and a bias in one (positional slopes and the causal mask): the choice, and the rest. */
function mixedConstant(
  term: TensorNode,
  context: Context,
): { readonly keep: TensorNode; readonly rest: TensorNode } | undefined {
  const { rewriter } = context;
  const analysis = analyse(context);
  const elements = rewriter.factsOf(term).parameter ? undefined : analysis.of(term);
  if (elements === undefined || elements.variable.some((each) => each >= 0)) {
    return undefined;
  }
  const { atOne, shape } = elements;
  if (!atOne.some((value) => value <= -FAR) || atOne.every((value) => value <= -FAR)) {
    return undefined;
  }
  const kept = Float64Array.from(atOne, (value) => (value <= -FAR ? 0 : 1));
  const keep = emitKeep({ ...elements, atZero: kept, atOne: kept }, term, rewriter, analysis);
  const data = Float64Array.from(atOne, (value, i) => value * kept[i] || 0);
  const rest = rewriter.constant(rewriter.smallest({ dtype: term.type.dtype, shape, data }), term.origin);
  return keep === undefined ? undefined : { keep, rest };
}

/** scores · b where b is one wherever the masks keep: the scores. */
function unmultiply(sum: TensorNode, keeps: readonly TensorNode[], context: Context): TensorNode {
  if (sum.op !== "multiply") {
    return sum;
  }
  for (const [scores, b] of [sum.args, [sum.args[1], sum.args[0]]]) {
    const truth = keepOf(b, context);
    if (truth !== undefined && keeps.includes(truth) && scores.type.shape.join() === sum.type.shape.join()) {
      return scores;
    }
  }
  return sum;
}

/** The one spelling of an expression of zeros and ones, or undefined where it mixes several sources. */
function keepOf(keep: TensorNode, context: Context): TensorNode | undefined {
  return once(context.normal, keep, () => normalise(keep, context));
}

function normalise(keep: TensorNode, context: Context): TensorNode | undefined {
  const { rewriter } = context;
  if (rewriter.factsOf(keep).parameter) {
    return undefined;
  }
  const analysis = analyse(context);
  const elements = analysis.of(keep);
  const normal = elements === undefined ? undefined : emitKeep(elements, keep, rewriter, analysis);
  if (normal !== undefined || keep.op !== "and") {
    return normal;
  }
  const sides = keep.args.map((side) => keepOf(side, context) ?? side);
  return rewriter.emit("and", sides, {}, keep.origin);
}

/** Emits: known-keep and (known-true or literal), each part as small as broadcasting allows. */
function emitKeep(
  elements: Elements,
  like: TensorNode,
  rewriter: Rewriter,
  analysis: ElementAnalysis,
): TensorNode | undefined {
  const { variable, atZero, atOne, shape } = elements;
  const booleans = (truth: (i: number) => boolean) =>
    rewriter.constant(
      rewriter.smallest({ dtype: "bool", shape, data: Float64Array.from(variable, (_, i) => (truth(i) ? 1 : 0)) }),
    );
  const literals = variable.some((each) => each >= 0);
  if (!atZero.every((value, i) => isBit(value) && isBit(atOne[i]))) {
    return undefined;
  }
  const possible = booleans((i) => variable[i] >= 0 || atOne[i] === 1);
  if (!literals) {
    return possible;
  }
  const certain = booleans((i) => variable[i] < 0 && atOne[i] === 1);
  const literal = emitLiteral(elements, like, rewriter, analysis);
  if (literal === undefined) {
    return undefined;
  }
  const chosen = rewriter.emit("or", [literal, certain], {}, like.origin);
  return rewriter.emit("and", [chosen, possible], {}, like.origin);
}

function isBit(value: number): boolean {
  return value === 0 || value === 1;
}

/** The source's element that decides each element, as a view of the source; elements without one do not matter. */
function emitLiteral(
  elements: Elements,
  like: TensorNode,
  rewriter: Rewriter,
  analysis: ElementAnalysis,
): TensorNode | undefined {
  const { variable, atOne } = elements;
  const source = sourceOf(variable, analysis.sources);
  const polarities = new Set(
    Array.from(variable, (each, i) => (each >= 0 ? atOne[i] : -1)).filter((each) => each >= 0),
  );
  if (source === undefined || polarities.size !== 1) {
    return undefined;
  }
  const map = shrinkMap(
    Array.from(variable, (each) => (each < 0 ? -1 : each - source.first)),
    elements.shape,
  );
  const bits = rewriter.emit("cast", [source.node], { dtype: "bool" }, source.node.origin);
  const positive = polarities.has(1) ? bits : rewriter.emit("not", [bits], {}, like.origin);
  const size = sizeOf(source.node.type.shape);
  if (map.places.length === size && map.places.every((place, i) => place === i || place < 0)) {
    return rewriter.emit("reshape", [positive], { shape: map.shape }, like.origin);
  }
  const flat = rewriter.emit("reshape", [positive], { shape: [size] }, like.origin);
  const data = Float64Array.from(map.places, (place) => Math.max(place, 0));
  const indices = rewriter.constant({ dtype: "i64", shape: map.shape, data });
  return rewriter.emit("gather", [flat, indices], { axis: 0 }, like.origin);
}

function sourceOf(variable: TensorValue["data"], sources: readonly Source[]): Source | undefined {
  const owners = sources.filter(({ node, first }) => {
    const end = first + sizeOf(node.type.shape);
    return variable.some((each) => each >= first && each < end);
  });
  return owners.length === 1 ? owners[0] : undefined;
}

interface PlaceMap {
  readonly places: readonly number[];
  readonly shape: readonly number[];
}

/** Drops every axis along which the places agree wherever they matter (−1 does not). */
function shrinkMap(places: readonly number[], shape: readonly number[]): PlaceMap {
  let current: PlaceMap = { places, shape };
  for (let axis = 0; axis < shape.length; axis++) {
    current = shrinkAxis(current, axis) ?? current;
  }
  const lead = current.shape.findIndex((size) => size !== 1);
  return { places: current.places, shape: lead < 0 ? [] : current.shape.slice(lead) };
}

function shrinkAxis({ places, shape }: PlaceMap, axis: number): PlaceMap | undefined {
  const inner = sizeOf(shape.slice(axis + 1));
  const size = shape[axis];
  const merged: number[] = new Array((places.length / size) | 0).fill(-1);
  for (let i = 0; i < places.length; i++) {
    const at = Math.floor(i / (inner * size)) * inner + (i % inner);
    if (places[i] >= 0) {
      if (merged[at] >= 0 && merged[at] !== places[i]) {
        return undefined;
      }
      merged[at] = places[i];
    }
  }
  return { places: merged, shape: shape.map((each, i) => (i === axis ? 1 : each)) };
}
