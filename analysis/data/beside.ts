/** A classifier's private answer beside the plain one, and what its run did cost beside what was predicted. */
import type { SessionResult } from "../../client/owners.js";
import type { ImportedModel } from "../../compiler/imported.js";
import type { LoadedPlan } from "../../formats/plan-file.js";
import type { Diagnostic } from "../../ir/diagnostics.js";
import { costOf } from "../cost.js";
import { plainModel, type Values } from "./evaluation.js";

/** The largest difference of a logit that is no mistake. */
const TOLERANCE = 0.02;

export interface Compared {
  readonly loaded: LoadedPlan;
  readonly model: ImportedModel;
  readonly inputs: Values;
  readonly result: SessionResult;
  /** What the classes are called. */
  readonly labels: readonly string[];
  /** What onnxruntime gives, where it is known; else the model is evaluated here. */
  readonly plain: readonly number[] | undefined;
}

/** Lines for people; `problem` (E0502) where the answer is not the plain one, or the cost not the predicted one. */
export function besidePlain({ loaded, model, inputs, result, labels, plain }: Compared): {
  readonly lines: readonly string[];
  readonly problem: Diagnostic | undefined;
} {
  const { outputs, measured } = result;
  const privately = [...outputs.get("logits")!.data];
  const plainly = plain ?? [...plainModel(model, loaded.plan)(inputs).get("logits")!.data];
  const row = (what: string, logits: readonly number[]): string => {
    const numbers = logits.map((x) => x.toFixed(4).padStart(8)).join(" ");
    return `${what.padEnd(26)}${numbers}   ${labels[logits.indexOf(Math.max(...logits))]}`;
  };
  const difference = Math.max(...plainly.map((x, i) => Math.abs(x - privately[i])));
  const { rounds, bytes } = costOf(loaded.plan);
  const kinds = ["online", "offline", "total", "input"] as const;
  const isEqual = measured.rounds === rounds && kinds.every((kind) => measured.bytes[kind] === bytes[kind]);
  const what = isEqual ? `the answer differs by more than ${TOLERANCE}` : "the cost differs";
  return {
    lines: [
      row("private, by three parties", privately),
      row(plain === undefined ? "in the clear, here" : "in the clear, onnxruntime", plainly),
      `largest difference of a logit ${difference.toFixed(4)}`,
      isEqual ? "rounds and bytes are those predicted, exactly" : "measured and predicted cost differ",
    ],
    problem: difference <= TOLERANCE && isEqual ? undefined : { code: "E0502", what },
  };
}
