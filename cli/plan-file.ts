/**
 * Plan files on disk, and where the model of a plan is. A plan holds no path (the same model gives the same plan
 * anywhere), so `compile` leaves a note beside it, PLAN.source, which `run` and `simulate` read unless --weights says
 * otherwise.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { fail } from "../ir/diagnostics.js";
import { decodePlan, encodePlan, planDigest } from "../ir/plan/codec.js";
import type { Plan } from "../ir/plan/types.js";
import { readBytes } from "./tensor-files.js";

export interface LoadedPlan {
  readonly plan: Plan;
  /** Hexadecimal. */
  readonly digest: string;
}

/** Reads and checks a plan; E0301 where there is no such file, E0303 where it is no sound plan of this version. */
export function loadPlan(path: string): LoadedPlan {
  const plan = decodePlan(readBytes(path), path);
  return { plan, digest: planDigest(plan) };
}

interface SourceNote {
  /** The model, relative to the plan's folder. */
  readonly model: string;
  readonly digest: string;
}

/** Writes a plan, and beside it where its model is. */
export function savePlan(path: string, plan: Plan, model: string): LoadedPlan {
  const digest = planDigest(plan);
  const note: SourceNote = { model: relative(dirname(resolve(path)), resolve(model)), digest };
  try {
    writeFileSync(path, encodePlan(plan));
    writeFileSync(noteOf(path), `${JSON.stringify(note)}\n`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw fail({ code: "E0301", what: "the plan cannot be written", where: path, why });
  }
  return { plan, digest };
}

function noteOf(path: string): string {
  return `${path}.source`;
}

/** The model file with a plan's weights: `--weights`, or what the note beside the plan says. */
export function findModel(planPath: string, digest: string, weights: string | undefined): string {
  if (weights !== undefined) {
    return weights;
  }
  const why =
    "a plan holds no weights, and the note that compile leaves beside it is missing or belongs to another plan";
  const fix = "add --weights MODEL with the file that the plan was compiled from";
  const note = existsSync(noteOf(planPath)) ? parseNote(readFileSync(noteOf(planPath), "utf8")) : undefined;
  if (note === undefined || note.digest !== digest) {
    throw fail({ code: "E0201", what: "where are the weights?", where: planPath, why, fix });
  }
  return isAbsolute(note.model) ? note.model : join(dirname(planPath), note.model);
}

function parseNote(text: string): SourceNote | undefined {
  try {
    const { model, digest } = JSON.parse(text) as Partial<SourceNote>;
    return typeof model === "string" && typeof digest === "string" ? { model, digest } : undefined;
  } catch {
    return undefined;
  }
}
