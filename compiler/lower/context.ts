/**
 * The state of one lowering: tensor nodes in, share nodes out. A tensor value is lowered to whatever form costs nothing
 * (additive after a product, masked elsewhere); whoever needs another form asks for it here, and the change (`remask`,
 * `rescale`, `shiftLeft`) is made once and remembered.
 *
 * Rings are left open (ring 0): the pass `planRings` plans them over the whole program. Beside the program, the
 * lowering says how large each value may become (`bounds`), because `widen` is only right for values within a quarter
 * of the ring.
 */

import { located } from "../../ir/diagnostics.js";
import { Builder, type Graph, type Node } from "../../ir/graph.js";
import type { Choice, Origin } from "../../ir/plan/types.js";
import { ceilLog2 } from "../../ir/real.js";
import { SHARE } from "../../ir/share/index.js";
import type { ShareType } from "../../ir/share/types.js";
import type { TensorNode } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { ACCEPTED } from "../../passes/guard.js";
import type { LinkCost } from "../../passes/rings.js";
import { copiedFrom } from "../../passes/rules/common.js";
import { ChoiceNotes } from "./choices.js";
import { FormulaNotes, type NotedFormula } from "./formulas.js";
import type { FourierSeries, WaveFit } from "./fourier.js";
import type { HeldRows } from "./held.js";

export type { TensorNode };

export type ShareNode = Node<ShareType>;
/** Fractional bits of the values between layers, and of weights (PUMA uses 18; NUMERICS.md: planned per value). */
export interface Precision {
  readonly activation: number;
  readonly weight: number;
}

/** An input of the secret program: who gives it, and whether it is integral (one-hot rows, masks). */
export interface SecretInput {
  readonly owner: "model" | "data" | "public" | "state";
  readonly integral: boolean;
}

/** What later runs rely on of a value that is kept: its largest size, and the bits that they read (0: any). */
export interface Kept {
  readonly bound: number;
  readonly ring: number;
}

/** No ring is planned for less: a value near zero has an error that is larger. */
const SMALLEST_BOUND = 0.5;

/** Bits of a product with its fraction, before sign and headroom. */
const PRODUCT_BITS = 58;

/** Interval of each tensor value, from calibration or from structure, in reals. */
export type Ranges = ReadonlyMap<TensorNode, readonly [number, number]>;

export interface Lowered {
  readonly graph: Graph<ShareType>;
  /** The largest absolute real value of a share node, where it is known. */
  readonly bounds: ReadonlyMap<ShareNode, number>;
  /** How large values may become without alarm, of those whose bound is not certain. */
  readonly accepted: ReadonlyMap<ShareNode, number>;
  /** The approximations used, each once. */
  readonly formulas: readonly NotedFormula[];
  /** Between which forms it chose. */
  readonly choices: readonly Choice[];
  /** Where the values of the secret program's nodes are. */
  readonly held: ReadonlyMap<TensorNode, readonly HeldRows[]>;
  /** What the nodes' origins mean. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** The secret program's input that an input of the share program gives. */
  readonly given: ReadonlyMap<string, string>;
  /** By what the owner multiplies the last axis of such an input first, if anything. */
  readonly scaled: ReadonlyMap<string, Float64Array>;
}

/** Values of rows, [rows, n], of which those at the first places are looked for. */
export interface Row {
  readonly values: ShareNode;
  /** Where they stood in a longer row; undefined where they stand there still. */
  readonly indices: ShareNode | undefined;
  readonly bound: number;
}

/** A row with masked bits [rows, count, n]: which element has place j. */
export interface Ranked extends Row {
  readonly chosen: ShareNode;
}

export class Lowering {
  readonly builder = new Builder(SHARE);
  readonly formulas = new FormulaNotes();
  readonly choices = new ChoiceNotes();
  readonly bounds = new Map<ShareNode, number>();
  /** How large values may become without alarm: half of what their rings are planned for. */
  readonly accepted = new Map<ShareNode, number>();
  /** Random combinations of bits that are set where a guarded value is outside its interval (`guard.ts`). */
  readonly alarms: ShareNode[] = [];
  /** The masked bits of values that are 0 or 1, where they are at hand: a selection by them costs no product. */
  readonly truths = new Map<ShareNode, ShareNode>();
  /** Rows whose first places are known, by what was asked for. */
  readonly ranked = new Map<TensorNode, Map<string, Ranked>>();
  private readonly values = new Map<TensorNode, ShareNode>();
  private readonly conversions = new Map<ShareNode, Map<string, ShareNode>>();
  private readonly inputs = new Map<string, ShareNode>();
  private readonly fits = new Map<string, FourierSeries>();
  private readonly fittedWaves = new Map<string, WaveFit>();
  private readonly deferred = new Map<TensorNode, () => ShareNode>();
  private readonly unscaled = new Map<TensorNode, readonly HeldRows[]>();
  readonly origins = new Map<string, Origin>();
  /** The secret program's input of every input of the share program. */
  readonly given = new Map<string, string>();
  readonly scaled = new Map<string, Float64Array>();
  /** Values that owners scale, and what is made of them alone: by what, for each place of the last axis. */
  readonly ownerScales = new Map<TensorNode, Float64Array>();
  /** Fractional bits that weights are given beyond those of others. */
  private readonly finer = new Map<TensorNode, number>();
  private origin = "";

  constructor(
    readonly precision: Precision,
    readonly ranges: Ranges,
    readonly secretInputs: ReadonlyMap<string, SecretInput>,
    private readonly link: LinkCost,
    /** How far |x| may go in every channel of an activation's argument, where samples showed it. */
    readonly reaches: ReadonlyMap<TensorNode, Float64Array> = new Map(),
    /** Intervals that nothing can leave; none where the run has no overflow guard. */
    private readonly certain?: Ranges,
  ) {}

  /** What a tensor node can certainly not leave; infinite where that is not known. */
  certainOf(node: TensorNode): readonly [low: number, high: number] {
    return this.certain?.get(node) ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  }

  /** What |x| of a tensor node can certainly not exceed; infinite where that is not known. */
  certainBoundOf(node: TensorNode): number {
    const [low, high] = this.certainOf(node);
    return Math.max(Math.abs(low), Math.abs(high)) * this.scaleOf(node);
  }

  /** Whether the run has an overflow guard. */
  get isGuarded(): boolean {
    return this.certain !== undefined;
  }

  /** Whether so many bytes less, over the network that the plan is for, are worth so many rounds more. */
  pays(rounds: number, savedBytes: number): boolean {
    return this.seconds(0, savedBytes) > this.seconds(rounds, 0);
  }

  /** What rounds, and bytes that reach P2, take on that network. */
  seconds(rounds: number, bytes: number): number {
    return rounds * this.link.secondsPerRound + bytes * this.link.secondsPerByte;
  }

  /** Says which tensor node the following share nodes compute. */
  at(node: TensorNode): void {
    this.from({ node: node.origin, op: node.op });
  }

  private from(origin: Origin): void {
    this.origin = `${origin.node} (${origin.op})`;
    this.origins.set(this.origin, origin);
  }

  /** Notes the form that was taken for something of the node that is lowered, and what else was possible. */
  chose(what: string, taken: string, seconds: Readonly<Record<string, number>>): void {
    const origin = this.origins.get(this.origin);
    this.choices.add(origin?.node ?? "", what, taken, seconds);
  }

  /** Emits under another origin: for what no node of the model computes. */
  apart(origin: Origin, action: () => void): void {
    const before = this.origin;
    this.from(origin);
    action();
    this.origin = before;
  }

  emit(op: string, args: readonly ShareNode[], attributes: Node<ShareType>["attributes"] = {}): ShareNode {
    return this.located(() => this.builder.emit(op, args, attributes, this.origin));
  }

  /** What `action` gives; what a rule refuses in it is a diagnostic of the node that is lowered. */
  located<R>(action: () => R): R {
    return located(
      (refusal) => ({
        code: "E0404",
        what: `no op of the protocol computes this node: ${refusal}`,
        where: this.origin,
        why: "its range, shape or precision asks for more than a word or a table holds",
        fix: "calibrate with real inputs (--calibrate) for tighter ranges, or scale the values in the model",
      }),
      action,
    );
  }

  /** Notes the largest absolute value of a share node. */
  bounded(node: ShareNode, bound: number): ShareNode {
    this.bounds.set(node, bound);
    return node;
  }

  /** The largest absolute value of a tensor node. */
  boundOf(node: TensorNode): number {
    const range = this.ranges.get(node);
    if (range === undefined) {
      throw new Error(`no range for ${node.op} '${node.origin}'`);
    }
    return Math.max(SMALLEST_BOUND, this.scaleOf(node) * Math.max(Math.abs(range[0]), Math.abs(range[1])));
  }

  /** The largest factor that an owner put into a value. */
  private scaleOf(node: TensorNode): number {
    const scale = this.ownerScales.get(node);
    return scale === undefined ? 1 : Math.max(...scale);
  }

  /** Says that an owner multiplies a value first; what is made of it alone holds other numbers than its node does. */
  scaleByOwner(node: TensorNode, columns: Float64Array): void {
    this.ownerScales.set(node, columns);
  }

  /** Fractional bits of a weight. */
  weightFraction(node: TensorNode): number {
    return this.precision.weight + (this.finer.get(node) ?? 0);
  }

  /** Gives a weight at least so many fractional bits. */
  refine(node: TensorNode, fraction: number): void {
    this.finer.set(node, Math.max(0, fraction - this.precision.weight));
  }

  /**
   * Fractional bits of the factors of a product: those of every value, unless the product is so large that they would
   * leave its integer bits no place in a word.
   */
  factorFraction(bound: number, usual = this.precision.activation): number {
    return Math.max(0, Math.min(usual, Math.floor((PRODUCT_BITS - ceilLog2(bound)) / 2)));
  }

  /** The series of this name, fitted once: the layers of a model ask for the same ones. */
  fitted(name: string, compute: () => FourierSeries): FourierSeries {
    const series = this.fits.get(name) ?? compute();
    this.fits.set(name, series);
    return series;
  }

  /** A curve's series on a window, fitted once. */
  waves(curve: string, window: number, compute: () => WaveFit): WaveFit {
    const key = `${curve} on ${window}`;
    const waves = this.fittedWaves.get(key) ?? compute();
    this.fittedWaves.set(key, waves);
    return waves;
  }

  /** A value that is only computed if somebody asks for it. */
  defer(node: TensorNode, compute: () => ShareNode): void {
    this.deferred.set(node, compute);
  }

  define(node: TensorNode, value: ShareNode): void {
    this.values.set(node, value);
    this.bounds.set(value, this.boundOf(node));
    this.accept(value, node);
  }

  /** Notes how large a value, as large as a tensor node, may become without alarm, if its range is not certain. */
  accept(value: ShareNode, node: TensorNode): void {
    if (this.isGuarded && this.certainBoundOf(node) > this.boundOf(node)) {
      this.accepted.set(value, this.boundOf(node) * ACCEPTED);
    }
  }

  /** Gives a value room for more than was measured of it. */
  expect(value: ShareNode, bound: number): void {
    this.bounds.set(value, bound);
    if (this.accepted.has(value)) {
      this.accepted.set(value, bound * ACCEPTED);
    }
  }

  /** Says where the rows of a value are that may never be scaled. */
  hold(node: TensorNode, rows: readonly HeldRows[]): void {
    this.unscaled.set(node, rows);
  }

  /** Where the value of every node is that has one. */
  held(): ReadonlyMap<TensorNode, readonly HeldRows[]> {
    const held = new Map(this.unscaled);
    for (const [node, value] of this.values) {
      if (!this.ownerScales.has(node)) {
        held.set(node, [{ value }]);
      }
    }
    return held;
  }

  /** The lowered form of a tensor value, masked or additive, at whatever fraction it has. */
  value(node: TensorNode, fraction = this.precision.activation): ShareNode {
    const known = this.values.get(node);
    if (known !== undefined) {
      return known;
    }
    if (node.op === "input") {
      return this.input(node, fraction);
    }
    if (node.op === "constant") {
      return this.constant(node, fraction);
    }
    const compute = this.deferred.get(node);
    if (compute === undefined) {
      throw new Error(`${node.op} '${node.origin}' is used before it is lowered`);
    }
    const value = compute();
    this.define(node, value);
    return value;
  }

  /** Whether a value is known to P1 and P2: a constant, a public input, or a movement of one. */
  isPublic(node: TensorNode): boolean {
    if (node.op === "input") {
      return this.secretInputs.get(node.attributes.name as string)?.owner === "public";
    }
    return node.op === "constant" || (node.args.length > 0 && node.args.every((argument) => this.isPublic(argument)));
  }

  /** Whether a value is public and in a form with mask 0, which movement leaves. */
  isOpen(node: TensorNode): boolean {
    const sources = copiedFrom(node);
    return sources.length > 0 ? sources.every((each) => this.isOpen(each)) : isSource(node) && this.isPublic(node);
  }

  /** Whether a value is given in whole numbers (one-hot rows, masks): a product with it needs no further bits. */
  isIntegral(node: TensorNode): boolean {
    return node.op === "input" && this.secretInputs.get(node.attributes.name as string)?.integral === true;
  }

  /** The fraction that a value has, or that it may be given because nobody fixed it yet (inputs and constants). */
  fractionOf(node: TensorNode): number | undefined {
    return isSource(node) ? undefined : (this.value(node).type as { fraction: number }).fraction;
  }

  /** A masked form of a tensor value at the given fraction. */
  masked(node: TensorNode, fraction = this.precision.activation): ShareNode {
    return this.atFraction(this.value(node, fraction), fraction);
  }

  /** A masked share node at the given fraction: remasked if additive, then rescaled or shifted. */
  atFraction(value: ShareNode, fraction: number): ShareNode {
    const masked = this.remasked(value);
    const has = fractionOf(masked);
    if (has === fraction) {
      return masked;
    }
    return has > fraction
      ? this.converted(masked, "rescale", { bits: has - fraction })
      : this.converted(masked, "shiftLeft", { bits: fraction - has });
  }

  remasked(value: ShareNode): ShareNode {
    return value.type.kind === "additive" ? this.converted(value, "remask", {}) : value;
  }

  /** An additive form at exactly the given fraction, which must not be smaller than the value's own. */
  additive(value: ShareNode, fraction: number): ShareNode {
    const has = fractionOf(value);
    const scaled = has === fraction ? value : this.atLeastFraction(value, fraction);
    return scaled.type.kind === "additive" ? scaled : this.converted(scaled, "toAdditive", {});
  }

  private atLeastFraction(value: ShareNode, fraction: number): ShareNode {
    const has = fractionOf(value);
    return has < fraction
      ? this.converted(value, "shiftLeft", { bits: fraction - has })
      : this.converted(value, "rescale", { bits: has - fraction });
  }

  private converted(value: ShareNode, op: string, attributes: Record<string, number>): ShareNode {
    const key = `${op} ${JSON.stringify(attributes)}`;
    const known = this.conversions.get(value) ?? new Map<string, ShareNode>();
    this.conversions.set(value, known);
    const done = known.get(key) ?? this.emit(op, [value], attributes);
    known.set(key, done);
    const bound = this.bounds.get(value);
    if (bound !== undefined) {
      this.bounds.set(done, bound);
    }
    const accepted = this.accepted.get(value);
    if (accepted !== undefined) {
      this.accepted.set(done, accepted);
    }
    return done;
  }

  private input(node: TensorNode, fraction: number): ShareNode {
    const name = node.attributes.name as string;
    const source = this.secretInputs.get(name);
    if (source === undefined) {
      throw new Error(`the secret program reads '${name}', which no owner provides`);
    }
    // What is kept has one form, whoever reads it.
    const bits = source.owner === "state" ? this.precision.activation : source.integral ? 0 : fraction;
    const key = `${name}@${bits}`;
    const known = this.inputs.get(key);
    if (known !== undefined) {
      return known;
    }
    const unique = this.inputs.has(name) ? key : name;
    const attributes = { owner: source.owner, name: unique, ring: 0, fraction: bits, shape: node.type.shape };
    const made = this.emit("input", [], attributes);
    this.inputs.set(key, made).set(unique, made);
    this.given.set(unique, name);
    const scale = this.ownerScales.get(node);
    if (scale !== undefined) {
      this.scaled.set(unique, scale);
    }
    return this.bounded(made, this.boundOf(node));
  }

  /** Keeps a value for later runs, which rely on its bound. */
  keep(node: TensorNode, name: string, { bound, ring }: Kept): ShareNode {
    const kept = this.emit("keep", [this.masked(node)], { name, ring });
    if (this.isGuarded) {
      this.accepted.set(kept, bound * ACCEPTED);
    }
    return this.bounded(kept, bound);
  }

  private constant(node: TensorNode, fraction: number): ShareNode {
    const value = encode(node.attributes.value as TensorValue, fraction);
    return this.bounded(this.emit("constant", [], { value, ring: 0, fraction }), this.boundOf(node));
  }
}

/** Whether nobody fixed the value's fraction yet. */
export function isSource(node: TensorNode): boolean {
  return node.op === "input" || node.op === "constant";
}

export function fractionOf(node: ShareNode): number {
  if (node.type.kind !== "masked" && node.type.kind !== "additive") {
    throw new Error(`${node.type.kind} values have no fraction`);
  }
  return node.type.fraction;
}

export function shapeOf(node: ShareNode): readonly number[] {
  return node.type.shape;
}

/** Public reals as integers at a fraction. */
export function encode(value: TensorValue, fraction: number): TensorValue {
  const data = Float64Array.from(value.data, (x) => Math.round(x * 2 ** fraction));
  return { dtype: "i64", shape: value.shape, data };
}

/** The integer attribute of a public scalar. */
export function encodedScalar(value: number, fraction: number): TensorValue {
  return { dtype: "i64", shape: [], data: Float64Array.of(Math.round(value * 2 ** fraction)) };
}

export { constantOf } from "../../passes/rules/common.js";
