/**
 * Plan files on disk, and where the model of a plan is. A plan holds no path (the same model gives the same plan
 * anywhere), so `compile` leaves a note beside it, PLAN.source, which `run` and `simulate` read unless --weights says
 * otherwise.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { fail } from "../ir/diagnostics.js";
import { decodePlan, digestIn, encodePlan } from "../ir/plan/codec.js";
import type { Plan } from "../ir/plan/types.js";
import { FOR_ALL, readBytes, writeWhole } from "./files.js";

export interface LoadedPlan {
  readonly plan: Plan;
  /** Hexadecimal. */
  readonly digest: string;
}

/** Reads and checks a plan; E0301 where there is no such file, E0303 where it is no sound plan of this version. */
export function loadPlan(path: string): LoadedPlan {
  const file = readBytes(path);
  return { plan: decodePlan(file, path), digest: digestIn(file) };
}

/** The files of a model: its program, and its weights where they are in another file (JAX). */
export interface ModelFiles {
  readonly model: string;
  /** A safetensors file. */
  readonly weights?: string;
}

/** The files relative to the plan's folder, and the plan that they belong to. */
interface SourceNote extends ModelFiles {
  readonly digest: string;
}

/** Writes a plan, and beside it where its model is. */
export function savePlan(path: string, plan: Plan, files: ModelFiles): LoadedPlan {
  const file = encodePlan(plan);
  const digest = digestIn(file);
  const note: SourceNote = { ...mapFiles(files, (file) => relative(dirname(resolve(path)), resolve(file))), digest };
  writeWhole(path, "the plan", file, FOR_ALL);
  writeWhole(noteOf(path), "the plan's note", `${JSON.stringify(note)}\n`);
  return { plan, digest };
}

function noteOf(path: string): string {
  return `${path}.source`;
}

function mapFiles({ model, weights }: ModelFiles, change: (file: string) => string): ModelFiles {
  return { model: change(model), ...(weights === undefined ? {} : { weights: change(weights) }) };
}

/**
 * The files with a plan's weights: what `--weights` gives (a model, a safetensors file, or both), the rest from the
 * note beside the plan. E0201 where neither says which model it is.
 */
export function findModel(planPath: string, digest: string, given: readonly string[]): ModelFiles {
  const weights = given.find(isSafetensors);
  const model = given.find((file) => !isSafetensors(file));
  const note = model === undefined ? readNote(planPath, digest) : { model };
  return weights === undefined ? note : { ...note, weights };
}

function isSafetensors(file: string): boolean {
  return file.endsWith(".safetensors");
}

function readNote(planPath: string, digest: string): ModelFiles {
  const note = existsSync(noteOf(planPath)) ? parseNote(readFileSync(noteOf(planPath), "utf8")) : undefined;
  if (note === undefined || note.digest !== digest) {
    throw fail({
      code: "E0201",
      what: "where are the weights?",
      where: planPath,
      why: "a plan holds no weights, and the note that compile leaves beside it is missing or belongs to another plan",
      fix: "add --weights MODEL with the file that the plan was compiled from (and --weights FILE.safetensors)",
    });
  }
  return mapFiles(note, (file) => (isAbsolute(file) ? file : join(dirname(planPath), file)));
}

function parseNote(text: string): SourceNote | undefined {
  try {
    const { model, weights, digest } = JSON.parse(text) as Partial<SourceNote>;
    if (typeof model !== "string" || typeof digest !== "string") {
      return undefined;
    }
    return { model, digest, ...(typeof weights === "string" ? { weights } : {}) };
  } catch {
    return undefined;
  }
}
