/**
 * The one spelling of a choice: what a boolean that decides about scores is made of, found element by element
 * (`elements.ts`), written as a constant and a view of the one source that is left.
 */
import { sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import { ElementAnalysis, type Elements, type Source } from "../elements.js";
import type { Rewriter, TensorNode } from "../rewriter.js";

/** Layers share their mask: what was found out about it is kept as long as the rewriter that found it. */
export class Choices {
  private readonly normal = new Map<TensorNode, TensorNode | undefined>();

  constructor(readonly rewriter: Rewriter) {}

  /** The one spelling of an expression of zeros and ones, or undefined where it mixes several sources. */
  spelling(keep: TensorNode): TensorNode | undefined {
    if (!this.normal.has(keep)) {
      this.normal.set(keep, normalise(keep, this));
    }
    return this.normal.get(keep);
  }
}

function normalise(keep: TensorNode, choices: Choices): TensorNode | undefined {
  const { rewriter } = choices;
  if (rewriter.factsOf(keep).parameter) {
    return undefined;
  }
  const analysis = new ElementAnalysis();
  const elements = analysis.of(keep);
  const normal = elements === undefined ? undefined : emitKeep(elements, keep, rewriter, analysis);
  if (normal !== undefined || keep.op !== "and") {
    return normal;
  }
  const sides = keep.args.map((side) => choices.spelling(side) ?? side);
  return rewriter.emit("and", sides, {}, keep.origin);
}

/** Emits: known-keep and (known-true or literal), each part as small as broadcasting allows. */
export function emitKeep(
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
