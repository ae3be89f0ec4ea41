/**
 * What an accuracy run is made of: a trained model, a set of items, and sessions of the three simulated roles that give
 * items their results. Results are plain data, so that they can be kept on disk while a long run goes on.
 */
import { join } from "node:path";
import { costReport } from "../../analysis/cost.js";
import { rolesOf, type Values } from "../../analysis/data/evaluation.js";
import { runModelOwner, type SessionResult } from "../../client/owners.js";
import { compileModel } from "../../compiler/compile.js";
import { importModel } from "../../compiler/import.js";
import type { ImportedModel } from "../../compiler/imported.js";
import { planDigest } from "../../ir/plan/codec.js";
import type { Plan } from "../../ir/plan/types.js";

export type Profile = Plan["profile"];
export const PROFILES: readonly Profile[] = ["fourier", "puma"];

/** The data that may not be copied into the project. */
export const DATA = process.env.PUMAC_DATA ?? join("..", "shared", "data");

/** One sentence, sequence or position. */
export interface Item {
  readonly place: number;
  /** Whether the private answer is the plain model's. */
  readonly agreed: boolean;
  /** Whether it is what the set says, and whether the plain model's is; undefined where the set does not say. */
  readonly right: { readonly privately: boolean; readonly plainly: boolean } | undefined;
  /** The largest error of a logit. */
  readonly error: number;
  /** Language models: the negative logarithm of the text's next token's probability. */
  readonly loss?: { readonly privately: number; readonly plainly: number };
  /** Profile puma: the same of PUMA's formulas alone, in double precision. */
  readonly formulas?: Pick<Item, "agreed" | "right" | "error">;
}

export interface Task {
  readonly set: SetName;
  readonly profile: Profile;
  /** Of the plan: results of another plan are other results. */
  readonly digest: string;
  readonly model: string;
  /** What an item is, in the plural, and what the plain model is that it is compared with. */
  readonly unit: string;
  readonly against: string;
  /** Items of the whole set, and items that a session gives. */
  readonly total: number;
  readonly batch: number;
  /** Of one session. */
  readonly rounds: number;
  readonly bytes: number;
  /** The results of the items from a place on, as many as a session gives. */
  readonly run: (from: number) => Promise<readonly Item[]>;
  readonly bounds: Bounds;
}

/**
 * What a run must reach. For profile puma all of it is beside what its formulas alone reach: NUMERICS.md asks of it an
 * error of at most 0.05, and the formulas are off by more on trained models (docs/accuracy.md).
 */
export interface Bounds {
  /** The share of equal answers. */
  readonly agreement: number;
  /** Largest error of a logit. */
  readonly error: number;
  /** Largest difference of the shares that are right. */
  readonly accuracy: number;
  readonly perplexity?: number;
}

export type SetName = "sst2" | "sort" | "stories";

/** A compiled model, ready for sessions. */
export interface Prepared {
  readonly plan: Plan;
  readonly digest: string;
  readonly model: ImportedModel;
  readonly roles: (inputs: Values, seed: number) => Promise<SessionResult>;
  readonly rounds: number;
  readonly bytes: number;
}

/** Compiles a model at these shapes of its inputs. */
export async function prepare(
  file: string,
  profile: Profile,
  shapes: Readonly<Record<string, readonly number[]>>,
): Promise<Prepared> {
  const { plan, weights } = await compileModel(file, { shapes, profile });
  const model = await importModel(file, { dims: {}, shapes: plan.shapes });
  const digest = planDigest(plan);
  const { cost } = costReport(plan);
  return {
    plan,
    digest,
    model,
    roles: rolesOf({ plan, digest }, runModelOwner(plan, weights)),
    rounds: cost.rounds,
    bytes: cost.bytes.total,
  };
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    most = Math.max(most, Math.abs(a[i] - b[i]));
  }
  return most;
}

/** The place of the largest score. */
export function likeliest(scores: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < scores.length; i++) {
    best = scores[i] > scores[best] ? i : best;
  }
  return best;
}
