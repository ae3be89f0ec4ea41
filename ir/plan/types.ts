/**
 * The plan: the one artefact that the compiler writes and all parties read. It holds the share program as a list of
 * steps in the order in which every party runs them, with everything decided: rounds, stream positions, places in the
 * arena, the owners' programs, what is revealed. It holds no weight and no secret (ARCHITECTURE.md, law 10).
 */
import type { Attributes, Graph } from "../graph.js";
import type { Pair, ShareType } from "../share/types.js";
import type { TensorType } from "../tensor/value.js";

export const PLAN_VERSION = 5;

/** The start of a draw: a 16-byte block of a pair's stream. An owner's input uses the owner's own streams. */
export interface DrawPosition {
  readonly pair: Pair;
  readonly block: number;
}

/**
 * Byte offsets of a value in the arena of P0 and of P1 and P2 (who share a layout); -1 where a party holds nothing, or
 * reads an input where it is multiplied (streamed.ts).
 */
export interface Offsets {
  readonly P0: number;
  readonly P12: number;
}

export interface Step {
  readonly op: string;
  /** Indices of earlier steps. */
  readonly args: readonly number[];
  readonly attributes: Attributes;
  readonly type: ShareType;
  /** Index into `Plan.origins`. */
  readonly origin: number;
  /**
   * The round after which the value is there: the longest chain of openings before and including it. An opening of
   * round r is sent in the r-th message (from 1); a local step of round r runs after it.
   */
  readonly round: number;
  /** In the order of the op's `draws`. */
  readonly draws: readonly DrawPosition[];
  readonly offsets: Offsets;
}

/** The model's node that a step computes a part of, and the tensor op that was lowered there. */
export interface Origin {
  readonly node: string;
  readonly op: string;
}

/** Steps that hold a value, or the rows of one that are yet to be scaled. */
export interface HeldPart {
  readonly step: number;
  /** A step with one element a row, with which every row is yet to be multiplied. */
  readonly scale?: number;
  /** The places on the axis third from last (heads) that this part has; all if absent. */
  readonly heads?: readonly number[];
}

/** Where a session holds the value of a node of the secret program; nodes that it never computes as such have none. */
export interface HeldValue {
  /** Index into the secret program's nodes. */
  readonly node: number;
  readonly parts: readonly HeldPart[];
}

/** Which output of which owner's program an input of the share program is; none gives what an earlier run has kept. */
export interface Binding {
  readonly input: string;
  readonly owner: "model" | "data" | "public";
  readonly output: string;
  /** Of real numbers that the data's owner gives: the smallest and the largest that the plan was made for. */
  readonly range?: readonly [number, number];
}

export interface Reveal {
  readonly name: string;
  readonly to: "data owner";
  readonly shape: readonly number[];
}

export interface PlanTables {
  /** By angle: cos(2π i / 2^angle) · 2^30 for i = 0 … 2^angle / 4, both ends included. */
  readonly cosines: ReadonlyMap<number, Int32Array>;
  /** By fraction f: 2^(−i / 2^f) · 2^30 for i = 0 … 2^f − 1. */
  readonly exponentials: ReadonlyMap<number, Int32Array>;
}

/** An approximation that the plan uses, for the report. */
export interface Formula {
  readonly function: string;
  /** Whose formula it is; a plan of profile `puma` has both kinds. */
  readonly profile: "fourier" | "puma";
  /** The interval of arguments on which it holds. */
  readonly window: string;
  /** Harmonics, degree, buckets. */
  readonly form: string;
  /** Of the formula in exact arithmetic, over the window. */
  readonly maxError: number;
  readonly distance: "absolute" | "relative";
  /** What it gives outside of the window. */
  readonly outside: string;
  /** The heading of docs/numerics.md under which it is described. */
  readonly section: string;
  /** The start of the coefficients' SHA-256. */
  readonly digest: string;
}

/** Between which forms of a function the compiler chose for a node, by time on the network that the plan is for. */
export interface Choice {
  /** The model's node. */
  readonly node: string;
  /** What is computed, such as `1/√x`. */
  readonly what: string;
  /** Those that were possible, with what each takes: the one that the plan has first. */
  readonly forms: readonly { readonly form: string; readonly seconds: number }[];
}

/** Something of the model's file that the plan shows to all who read it, or an input that the parties are shown. */
export interface Published {
  readonly name: string;
  readonly shape: readonly number[];
  readonly why: string;
}

/** Where a plan's ranges of secret values are from. */
export interface RangeSource {
  /**
   * Measured on inputs that were given, or that the compiler made; assumed from the structure, for cost only; or
   * assumed because whoever compiled wanted it so.
   */
  readonly method: "given inputs" | "synthetic inputs" | "structure" | "structure by choice";
  /** How many inputs were measured. */
  readonly inputs: number;
  /** Values may be larger than was measured by this factor. */
  readonly margin: number;
}

export interface Plan {
  readonly version: number;
  /** What the model's file is called: a label for people, not in the digest. */
  readonly name: string;
  readonly profile: "fourier" | "puma";
  /** SHA-256 of the model file's program (not of its weights). */
  readonly modelDigest: string;
  /** Shapes of the model's inputs. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly rounds: number;
  readonly steps: readonly Step[];
  readonly origins: readonly Origin[];
  /** For reports: whoever has the model makes its secret program again, and compares node by node. */
  readonly values: readonly HeldValue[];
  /** The programs that the owners run in the clear before sharing. */
  readonly owners: { readonly model: Graph<TensorType>; readonly data: Graph<TensorType> };
  readonly bindings: readonly Binding[];
  readonly reveals: readonly Reveal[];
  readonly formulas: readonly Formula[];
  readonly choices: readonly Choice[];
  readonly published: readonly Published[];
  /** The model's inputs that P1 and P2 are given in the clear, and why each may be. */
  readonly disclosed: readonly Published[];
  /** How it was compiled, as JSON: options and measured ranges, with which the model gives the same plan again. */
  readonly record: string;
  readonly ranges: RangeSource;
  readonly tables: PlanTables;
  readonly arena: { readonly P0: number; readonly P12: number };
  /**
   * Further programs over the same sharing of the weights, which a session runs beside this one, in any order: of a
   * language model the ones that read a prompt, by its length; this one writes a token. Parts have no parts.
   */
  readonly parts: readonly Plan[];
}

/** The programs of a plan, itself first. */
export function programsOf(plan: Plan): readonly Plan[] {
  return [plan, ...plan.parts];
}

/** What any of a plan's programs reveals, each thing once. */
export function revealsOf(plan: Plan): readonly Reveal[] {
  const all = programsOf(plan).flatMap(({ reveals }) => reveals);
  return [...new Map(all.map((each) => [`${each.name} [${each.shape}]`, each])).values()];
}
