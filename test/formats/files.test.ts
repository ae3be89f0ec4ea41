/** A file that the system does not let us write is a user's error with the file's name; our own mistakes stay bugs. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readBytes, writing } from "../../formats/files.js";
import { savePlan } from "../../formats/plan-file.js";
import { writeTensor } from "../../formats/tensor-files.js";
import { PumacError } from "../../ir/diagnostics.js";
import { planFor, randomProgram } from "../plan/support.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-files-"));
afterAll(() => rmSync(folder, { recursive: true }));
const nowhere = join(folder, "none", "file");

function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

const value = { dtype: "f32" as const, shape: [1], data: Float64Array.of(1) };

describe("a folder that does not exist", () => {
  it.each([
    ["a tensor", () => writeTensor(`${nowhere}.npy`, value)],
    ["a tensor as JSON", () => writeTensor(`${nowhere}.json`, value)],
    ["a plan", () => savePlan(nowhere, planFor(randomProgram(5, 10)), { model: "m" })],
    ["a file to read", () => readBytes(nowhere)],
  ])("is E0301 for %s, and names the file", (_, action) => {
    const error = thrown(action);
    expect(error).toBeInstanceOf(PumacError);
    const [{ code, where, why }] = (error as PumacError).diagnostics;
    expect([code, where?.startsWith(nowhere)]).toEqual(["E0301", true]);
    expect(why).toMatch(/ENOENT/);
  });
});

describe("writing", () => {
  it("says that a disk is full", () => {
    const full = () => {
      throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
    };
    expect((thrown(() => writing("x", "the plan", full)) as PumacError).diagnostics).toEqual([
      { code: "E1001", what: "the plan cannot be written", where: "x", why: "no space left" },
    ]);
  });

  it("leaves other errors as they are", () => {
    const bug = new TypeError("a bug");
    const wrong = () => {
      throw bug;
    };
    expect(thrown(() => writing("x", "the plan", wrong))).toBe(bug);
  });
});
