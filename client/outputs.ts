/**
 * The outputs of a run: written to files, compared with expected ones, and put into the JSON document. A comparison
 * that fails is a gate (E0502): it names the first bad element, and the exit status says so to scripts.
 */
import { statSync } from "node:fs";
import { checkTensorFile, type ReadTensor, readTensor, writeTensor } from "../formats/tensor-files.js";
import { readTestData } from "../formats/test-data.js";
import { type Diagnostic, fail } from "../ir/diagnostics.js";
import { unknownNames } from "../ir/names.js";
import { indexAt } from "../ir/shape.js";
import type { TensorValue } from "../ir/tensor/value.js";

export interface OutputOptions {
  /** Each `--output name=@file`. */
  readonly output: readonly string[];
  /** Each `--expect name=@file`, or a test data folder. */
  readonly expect: readonly string[];
  readonly tolerance: Tolerance;
}

/** How far an output may be off: an absolute number, a part of the largest expected value, or what is usual. */
export type Tolerance = number | { readonly relative: number } | "usual";

/** Fixed point is right to about nine bits of the largest value, and to this where values are small. */
const USUAL = { relative: 2 ** -9, least: 0.02 };

/** The largest difference that is allowed where the largest expected value is this. */
export function allowed(tolerance: Tolerance, largest: number): number {
  if (tolerance === "usual") {
    return Math.max(USUAL.least, USUAL.relative * largest);
  }
  return typeof tolerance === "number" ? tolerance : tolerance.relative * largest;
}

/** `1e-3`, an absolute difference, or `0.5%`, of the largest expected value. */
export function parseTolerance(text: string): Tolerance {
  const percent = text.trim().endsWith("%");
  const number = percent ? text.trim().slice(0, -1) : text;
  const value = number.trim() === "" ? Number.NaN : Number(number);
  if (!(value >= 0 && Number.isFinite(value))) {
    throw fail({ code: "E0201", what: `'${text}' is no tolerance`, fix: "write a number such as 1e-3, or 0.5%" });
  }
  return percent ? { relative: value / 100 } : value;
}

/** Checks that every `name=@file` names an output of the plan; to be called before anything is run. */
export function checkOutputOptions(options: OutputOptions, names: readonly string[]): void {
  const problems = [
    ...unknownNames(
      "--output",
      "output",
      options.output.map((each) => parseSpecification(each).name),
      names,
    ),
    ...unknownNames(
      "--expect",
      "output",
      expectations(options, names).map(({ name }) => name),
      names,
    ),
  ];
  if (problems.length > 0) {
    throw fail(...problems);
  }
  for (const specification of options.output) {
    checkTensorFile(parseSpecification(specification).path);
  }
}

/**
 * Writes the outputs that were asked for, then compares; throws E0502 with every output that is outside. A line for
 * each that is not.
 */
export function handleOutputs(options: OutputOptions, outputs: ReadonlyMap<string, TensorValue>): readonly string[] {
  for (const specification of options.output) {
    const { name, path } = parseSpecification(specification);
    writeTensor(path, outputs.get(name)!);
  }
  const expected = expectations(options, [...outputs.keys()]);
  const problems = expected.flatMap((each) =>
    compare(each.name, outputs.get(each.name)!, each.expected, options.tolerance),
  );
  if (problems.length > 0) {
    throw fail(...problems);
  }
  return expected.map((each) => {
    const { data } = outputs.get(each.name)!;
    const worst = each.expected.data.reduce((most, x, i) => Math.max(most, Math.abs(x - data[i])), 0);
    return `${each.name} is as expected: the largest difference is ${worst.toPrecision(2)}`;
  });
}

interface Expectation {
  readonly name: string;
  readonly expected: ReadTensor;
}

/** What --expect says: files by name, and of a test data folder those outputs that the plan reveals. */
function expectations({ expect }: OutputOptions, names: readonly string[]): readonly Expectation[] {
  return expect.flatMap((specification) => {
    if (!isFolder(specification)) {
      const { name, path } = parseSpecification(specification);
      return [{ name, expected: readTensor(path) }];
    }
    const found = [...readTestData(specification, "output", names)].map(([name, expected]) => ({ name, expected }));
    const revealed = found.filter(({ name }) => names.includes(name));
    return revealed.length > 0 ? revealed : found;
  });
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function compare(name: string, output: TensorValue, expected: ReadTensor, stated: Tolerance): readonly Diagnostic[] {
  if (expected.shape.join() !== output.shape.join()) {
    return [
      { code: "E0502", what: `the output has shape [${output.shape}], expected is [${expected.shape}]`, where: name },
    ];
  }
  const sizes = expected.data.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0);
  const tolerance = allowed(stated, sizes);
  const isOutside = (at: number): boolean => !(Math.abs(output.data[at] - expected.data[at]) <= tolerance);
  const bad = [...output.data.keys()].filter(isOutside);
  if (bad.length === 0) {
    return [];
  }
  const first = bad[0];
  const differences = bad.map((at) => Math.abs(output.data[at] - expected.data[at]));
  const worst = differences.reduce((most, each) => Math.max(most, each), 0);
  return [
    {
      code: "E0502",
      what: `${bad.length} of ${output.data.length} elements are outside the tolerance ${tolerance}`,
      where: `${name}[${indexAt(first, output.shape)}]`,
      why: `it is ${output.data[first]}, expected is ${expected.data[first]}; the largest difference is ${worst}`,
    },
  ];
}

function parseSpecification(specification: string): { readonly name: string; readonly path: string } {
  const match = /^([^=]+)=@(.+)$/s.exec(specification);
  if (match === null) {
    throw fail({ code: "E0201", what: `'${specification}' does not say where`, fix: "write name=@file.npy" });
  }
  return { name: match[1], path: match[2] };
}
