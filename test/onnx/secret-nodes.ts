/**
 * ONNX's own backend tests of single operators on secrets, a part of them in `npm test`: every case with inputs that
 * are real numbers or truth values is compiled with all of these shared as they are given (the data owner computes
 * nothing in the clear), calibrated on themselves, and run by the three simulated roles. An element may differ by 2e-2,
 * or by 2e-2 of the output's largest magnitude where that is above one.
 *
 * Whole numbers are indices, axes and counts: constants, as in an export. Where the import must know more (a padding
 * value, a training mode), truth values are constants too, then scalars.
 *
 * Cases without a secret meaning are listed with their reasons in `secret-nodes-exceptions.json`; a listed case that
 * passes fails here, so that the list is exact.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import { type Compiled, compileModel } from "../../compiler/compile.js";
import { PumacError } from "../../ir/diagnostics.js";
import { planDigest } from "../../ir/plan/codec.js";
import { type DType, isFloat, sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import { type NodeCase, readNodeCases } from "./node-cases.js";

const EXCEPTIONS = JSON.parse(
  readFileSync(new URL("secret-nodes-exceptions.json", import.meta.url), "utf8"),
) as Readonly<Record<string, string>>;

const TOLERANCE = 2e-2;

type Values = ReadonlyMap<string, TensorValue>;

const folder = mkdtempSync(join(tmpdir(), "pumac-secret-nodes-"));
afterAll(() => rmSync(folder, { recursive: true }));

const isSecret = (dtype: DType) => isFloat(dtype) || dtype === "bool";

/** What of the inputs is secret: first as much as can be. */
const ATTEMPTS: readonly ((value: TensorValue) => boolean)[] = [
  ({ dtype }) => isSecret(dtype),
  ({ dtype }) => isFloat(dtype),
  ({ dtype, shape }) => isFloat(dtype) && sizeOf(shape) > 1,
];

async function compileCase({ model, inputs }: NodeCase): Promise<{ compiled: Compiled; secrets: Values }> {
  const shapes = Object.fromEntries(inputs.map(({ name, value }) => [name, value.shape]));
  for (const [i, chosen] of ATTEMPTS.entries()) {
    const secrets = new Map(inputs.filter(({ value }) => chosen(value)).map(({ name, value }) => [name, value]));
    const known = inputs.filter(({ name }) => !secrets.has(name)).map(({ name, value }) => [name, value]);
    expect(secrets.size, "inputs that are secret").toBeGreaterThan(0);
    try {
      const options = { shapes, values: Object.fromEntries(known), shared: [...secrets.keys()] };
      return { compiled: await compileModel(model, { ...options, calibration: [secrets] }), secrets };
    } catch (error) {
      if (i === ATTEMPTS.length - 1 || !String(error).includes("known at compile time")) {
        throw error;
      }
    }
  }
  throw new Error("no attempt");
}

function expectNear(actual: TensorValue | undefined, wanted: TensorValue, name: string): void {
  expect(actual?.shape, name).toEqual(wanted.shape);
  const data = actual?.data ?? [];
  const magnitude = Math.max(1, ...Array.from(wanted.data, Math.abs));
  const bad = wanted.data.findIndex((value, i) => !(Math.abs(data[i] - value) <= TOLERANCE * magnitude));
  expect(bad, `${name}[${bad}] is ${data[bad]}, not ${wanted.data[bad]}`).toBe(-1);
}

async function runCase(each: NodeCase): Promise<void> {
  const { compiled, secrets } = await compileCase(each);
  const { plan, weights } = compiled;
  const owners = runOwners(plan, secrets, weights);
  const { outputs } = await simulate({ plan, digest: planDigest(plan) }, owners, 1);
  const actual = [...outputs.values()];
  each.outputs.forEach(({ name, value }, i) => {
    expectNear(outputs.get(name) ?? actual[i], value, name);
  });
}

const CASES = readNodeCases(folder).filter(({ inputs }) => inputs.some(({ value }) => isSecret(value.dtype)));

/** Runs one of so many cases, each with its own turn; the exceptions are the whole list's. */
export function sweepSecretNodes(every: number): void {
  const some = CASES.filter((_, i) => i % every === 0);
  describe.skipIf(CASES.length === 0)("ONNX backend node tests on secrets (PUMAC_DATA)", () => {
    it.each(some.map((each) => [each.name, each] as const))("%s", async (name, each) => {
      if (Object.hasOwn(EXCEPTIONS, name)) {
        const failure = await runCase(each).catch((error: unknown) => error);
        expect(failure, `passes, but is listed as an exception: ${EXCEPTIONS[name]}`).toBeDefined();
        const isClean = failure instanceof PumacError || (failure as Error).name === "AssertionError";
        expect(isClean, `fails, but not by a diagnostic: ${String(failure)}`).toBe(true);
      } else {
        await runCase(each);
      }
    });

    it("lists no exception that is not a case", () => {
      const names = new Set(CASES.map((each) => each.name));
      expect(Object.keys(EXCEPTIONS).filter((name) => !names.has(name))).toEqual([]);
    });
  });
}
