/** A file that the system does not let us write is a user's error with the file's name; our own mistakes stay bugs. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readBytes, writing } from "../../formats/files.js";
import { savePlan } from "../../formats/plan-file.js";
import { writeTensor } from "../../formats/tensor-files.js";
import { PumacError } from "../../ir/diagnostics.js";
import { builtFile } from "../built.js";
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
  it.each([
    ["ENOSPC", "E1001"],
    ["EDQUOT", "E1001"],
    ["EFBIG", "E1001"],
    ["EMFILE", "E1001"],
    ["ENFILE", "E1001"],
    ["ENOMEM", "E1001"],
    ["EACCES", "E0301"],
    ["EROFS", "E0301"],
  ])("says by %s what there is no more of, as %s", (given, code) => {
    const refused = () => {
      throw Object.assign(new Error("no more"), { code: given });
    };
    expect((thrown(() => writing("x", "the plan", refused)) as PumacError).diagnostics).toEqual([
      { code, what: "the plan cannot be written", where: "x", why: "no more" },
    ]);
  });

  it.skipIf(process.platform === "win32")("says that too many files are open, by the system's own word", () => {
    const modules = ["formats/files.js", "ir/diagnostics.js"].map((name) => builtFile(...name.split("/")));
    const program = `
import { openSync } from "node:fs";
import { readBytes, writeWhole } from ${JSON.stringify(modules[0])};
import { PumacError } from ${JSON.stringify(modules[1])};
try { for (;;) openSync("/dev/null"); } catch {}
for (const action of [() => readBytes("/dev/null"), () => writeWhole(${JSON.stringify(nowhere)}, "it", "x")]) {
  try {
    action();
  } catch (error) {
    console.log(error instanceof PumacError && error.diagnostics[0].code, error.diagnostics[0].why);
  }
}`;
    const shell = ["-c", 'ulimit -n 128; exec "$0" --input-type=module -e "$1"', process.execPath, program];
    const { stdout } = spawnSync("sh", shell, { encoding: "utf8" });
    expect(stdout).toMatch(/^E1001 EMFILE.*\nE1001 EMFILE.*\n$/);
  });

  it("leaves other errors as they are", () => {
    const bug = new TypeError("a bug");
    const wrong = () => {
      throw bug;
    };
    expect(thrown(() => writing("x", "the plan", wrong))).toBe(bug);
  });
});
