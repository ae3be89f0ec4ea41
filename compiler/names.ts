/** Whether all names that a user gives are the model's: every one that is not is told, at once (E0201). */
import { WRITTEN } from "../formats/text.js";
import { type Diagnostic, fail } from "../ir/diagnostics.js";
import { unknownNames } from "../ir/names.js";
import type { DeclaredNames } from "./imported.js";
import { isNamed } from "./jax/weights.js";
import { CHOSEN, topOf } from "./outputs.js";
import { DRAWN } from "./text/drawn.js";

export interface GivenNames {
  readonly dims?: Readonly<Record<string, number>> | undefined;
  readonly shapes?: Readonly<Record<string, readonly number[]>> | undefined;
  readonly values?: Readonly<Record<string, unknown>> | undefined;
  readonly secret?: readonly string[] | undefined;
  readonly public?: readonly string[] | undefined;
  readonly shared?: readonly string[] | undefined;
  readonly reveal?: readonly string[] | undefined;
  readonly context?: number | undefined;
  readonly weightArguments?: readonly string[] | undefined;
  readonly weightsFile?: string | undefined;
}

/** Throws E0201 for every name that the model does not have, and for what is named twice to opposite ends. */
export function checkNames(given: GivenNames, declared: DeclaredNames): void {
  const { inputs, outputs, dims } = declared;
  const isNext = (name: string) =>
    topOf(name) !== undefined || (given.context !== undefined && [WRITTEN, DRAWN].includes(name));
  const known = (option: string, names: readonly string[] = []) => unknownNames(option, "input", names, inputs);
  const problems = [
    ...unknownNames("--dim", "open dimension", Object.keys(given.dims ?? {}), dims),
    ...known("--shape", Object.keys(given.shapes ?? {})),
    ...known("--value", Object.keys(given.values ?? {})),
    ...known("--secret", given.secret),
    ...known("--public", given.public),
    ...known("shared", given.shared),
    ...unknownNames(
      "--reveal",
      "output",
      (given.reveal ?? []).filter((name) => !isNext(name)),
      [...outputs, ...CHOSEN],
    ),
    ...contradictions(given),
    ...unusedWeights(given, declared),
  ];
  if (problems.length > 0) {
    throw fail(...problems);
  }
}

function contradictions({ secret = [], public: open = [] }: GivenNames): readonly Diagnostic[] {
  return secret
    .filter((name) => open.includes(name))
    .map((name) => ({
      code: "E0201",
      what: `'${name}' is under --secret and --public`,
      fix: "name it under one of them",
    }));
}

function unusedWeights(
  { weightArguments = [], weightsFile }: GivenNames,
  { arguments: jax }: DeclaredNames,
): readonly Diagnostic[] {
  const names = jax?.names ?? [];
  const unmatched = weightArguments.filter((pattern) => !names.some((name, i) => isNamed([pattern], name, i)));
  const problems: Diagnostic[] = [...unknownNames("--weights-args", "argument", unmatched, names)];
  if (weightsFile !== undefined && (jax === undefined || jax.filed === 0)) {
    problems.push({
      code: "E0201",
      what: "no argument of the model takes anything of the weights file",
      where: weightsFile,
      why:
        jax === undefined
          ? "an ONNX model has its weights with it"
          : `the model's arguments are ${names.slice(0, 8).join(", ")}`,
      fix: jax === undefined ? "leave --weights out" : "name tensors in it by tree path or argNNN (docs/exporting.md)",
    });
  }
  return problems;
}
