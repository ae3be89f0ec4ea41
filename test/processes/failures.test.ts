/**
 * What goes wrong ends soon, everywhere, with the documented status and the culprit's name, and leaves nothing behind:
 * a party that dies or falls silent, signals, files that were changed, wrong inputs.
 */
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { isAlive, MODEL, pumac, type Running, startPumac, TOKENIZER, temporaryFolder } from "./command.js";

const folder = temporaryFolder();
const plan = join(folder, "bert.pumac");
/** Where runs make their private folders. */
const scratch = temporaryFolder();
const INPUT = ["--input", "text:A fine film.", "--tokenizer", TOKENIZER];

beforeAll(async () => {
  expect((await pumac("compile", MODEL, "--dim", "b=1,s=48", "-o", plan)).status).toBe(0);
});

/** Starts a run and stops P2, so that the session cannot end by itself. Gives the process ids of the parties. */
async function startStuckRun(...args: readonly string[]): Promise<{ running: Running; ids: readonly number[] }> {
  const running = startPumac(["run", plan, ...INPUT, ...args], { TMPDIR: scratch });
  const match = await running.said(/P0 is process (\d+), P1 is process (\d+), P2 is process (\d+)/);
  const ids = match.slice(1).map(Number);
  process.kill(ids[2], "SIGSTOP");
  return { running, ids };
}

describe("a party", () => {
  it("that is killed ends the session at all others, with its name", async () => {
    const { running, ids } = await startStuckRun();
    process.kill(ids[1], "SIGKILL");
    const { status, stderr } = await running.finished;
    expect(stderr).toMatch(/E0601.*P1 (is gone|cannot be reached)/);
    expect(status).toBe(6);
    expect(ids.map(isAlive)).toEqual([false, false, false]);
    expect(readdirSync(scratch)).toEqual([]);
  });

  it("that falls silent is given up, with its name", async () => {
    const { running, ids } = await startStuckRun("--timeout", "6");
    const { status, stderr } = await running.finished;
    expect(stderr).toMatch(/E0602.*P2 did not (answer|connect)/);
    expect(status).toBe(6);
    expect(ids.map(isAlive)).toEqual([false, false, false]);
  });
});

describe("a signal", () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends with status %i and leaves nothing behind", async (signal, status) => {
    const { running, ids } = await startStuckRun();
    running.child.kill(signal);
    expect((await running.finished).status).toBe(status);
    expect(readdirSync(scratch)).toEqual([]);
    await expect.poll(() => ids.map(isAlive)).toEqual([false, false, false]);
  });

  const set = join(folder, "set.tsv");
  writeFileSync(set, `sentence\n${"A fine film, and a long one, for all who like long films.\n".repeat(400)}`);
  const output = temporaryFolder();
  const texts = ["--tokenizer", TOKENIZER];
  it.each([
    ["compile", [MODEL, "--dim", "b=1,s=64", "--calibrate", set, "--dump", join(output, "dump"), ...texts], 143],
    ["simulate", [plan, "--data", set, ...texts], 130],
    ["run", [plan, ...INPUT, "--output", `logits=@${join(output, "logits.npy")}`], 143],
  ])("ends a %s within a second, wherever it is, with no file half-written", async (command, words, status) => {
    for (const wait of [300, 700, 1500]) {
      const options = command === "compile" ? ["-o", join(output, "plan.pumac")] : [];
      const { child, finished } = startPumac([command, ...words, ...options], { TMPDIR: scratch });
      await new Promise((resolve) => setTimeout(resolve, wait));
      const asked = performance.now();
      const running = child.exitCode === null;
      child.kill(status === 143 ? "SIGTERM" : "SIGINT");
      const ended = await finished;
      if (running) {
        // A signal before the program's first line is the system's to answer.
        expect([status, null, 0]).toContain(ended.status);
        expect(performance.now() - asked).toBeLessThan(1000 + MACHINE);
      }
      expect(readdirSync(scratch)).toEqual([]);
      expect(readdirSync(output).filter((name) => name.startsWith("."))).toEqual([]);
    }
  });
});

/** What a machine under load may add, in milliseconds. */
const MACHINE = 1000;

describe("a plan", () => {
  it.each([0, 10, 200, 5000, -1])("with the byte at %i flipped is refused", async (at) => {
    const bytes = readFileSync(plan);
    const place = at < 0 ? bytes.length + at : at;
    bytes[place] ^= 1;
    const flipped = join(folder, "flipped.pumac");
    writeFileSync(flipped, bytes);
    for (const command of [
      ["inspect", flipped],
      ["run", flipped, ...INPUT],
    ]) {
      const { status, stderr } = await pumac(...command);
      expect(stderr).toContain("E0303");
      expect(status).toBe(3);
    }
  });

  it("that is cut short, or no plan at all, is refused", async () => {
    const cut = join(folder, "cut.pumac");
    writeFileSync(cut, readFileSync(plan).subarray(0, 1000));
    expect((await pumac("inspect", cut)).status).toBe(3);
    writeFileSync(cut, "");
    expect((await pumac("inspect", cut)).status).toBe(3);
    expect((await pumac("inspect", join(folder, "absent.pumac"))).status).toBe(3);
    expect((await pumac("inspect", MODEL)).status).toBe(3);
  });

  it("without the note beside it says that the weights are missing", async () => {
    const alone = join(folder, "alone.pumac");
    copyFileSync(plan, alone);
    const { status, stderr } = await pumac("simulate", alone, ...INPUT);
    expect(stderr).toContain("--weights");
    expect(status).toBe(2);
    expect((await pumac("simulate", alone, ...INPUT, "--weights", MODEL)).status).toBe(0);
  });
});

describe("what simulate writes beside the answer", () => {
  it("a report and a set's sum, one document on stdout each", async () => {
    const path = join(folder, "report.json");
    const reported = await pumac("simulate", plan, "--report", path, "--json", "--seed", "1", ...INPUT);
    expect(reported.status).toBe(0);
    expect(JSON.parse(reported.stdout)).toMatchObject({ schema: "pumac.run/1" });
    const report = JSON.parse(readFileSync(path, "utf8"));
    // The products of the two embedding tables are one step: they have no value of their own.
    expect(report).toMatchObject({ schema: "pumac.report/1", notCompared: 2, first: null });
    const set = join(folder, "set.tsv");
    writeFileSync(set, "sentence\tlabel\na fine film .\t1\ndull .\t0\n");
    const tokenizer = join(dirname(MODEL), "tokenizer.json");
    const summed = await pumac("simulate", plan, "--data", set, "--tokenizer", tokenizer, "--seed", "1", "--json");
    expect(summed.status).toBe(0);
    const document = { schema: "pumac.data/1", count: 2, agreement: { hits: 2 }, accuracy: { private: { count: 2 } } };
    expect(JSON.parse(summed.stdout)).toMatchObject(document);
  });
});

describe("the command line", () => {
  it.each([
    ["an unknown command", ["frobnicate"], "E0201"],
    ["an unknown option", ["inspect", "--frobnicate"], "E0201"],
    ["a missing argument", ["inspect"], "E0201"],
    ["a bad number", ["simulate", plan, "--seed", "x", ...INPUT], "E0201"],
    ["a missing input", ["simulate", plan, "--input", "input_ids=1x48xi64=1"], "E0202"],
    ["a report of no known form", ["simulate", plan, "--report", "r.txt", ...INPUT], "E0201"],
    ["a count without a set", ["simulate", plan, "--count", "3", ...INPUT], "E0201"],
    ["a set beside an input", ["simulate", plan, "--data", "set.tsv", ...INPUT], "E0201"],
    ["too many fractional bits", ["compile", MODEL, "--dim", "b=1,s=48", "--fraction", "40"], "E0201"],
    ["an unbound dimension", ["compile", MODEL, "-o", join(folder, "x.pumac")], "E0203"],
    ["a bad shape", ["compile", MODEL, "--shape", "input_ids=1xx"], "E0201"],
  ])("refuses %s as a mistake in the command", async (_, args, code) => {
    const { status, stderr, stdout } = await pumac(...args);
    expect(stderr).toContain(code);
    expect(status).toBe(2);
    expect(stdout).toBe("");
  });

  it("refuses a model that is none", async () => {
    const noise = join(folder, "noise.onnx");
    writeFileSync(noise, readFileSync(MODEL).subarray(0, 5000));
    expect((await pumac("compile", noise, "--dim", "b=1,s=48")).status).toBe(3);
  });

  it("explains codes and checks the machine", async () => {
    const page = await pumac("explain", "e0801");
    expect(page.stdout).toContain("E0801: parties disagree (exit status 8)");
    expect((await pumac("explain", "E9999")).status).toBe(2);
    const doctor = await pumac("doctor", "--json");
    expect(JSON.parse(doctor.stdout)).toMatchObject({ schema: "pumac.doctor/1" });
    expect(doctor.status).toBe(0);
  });
});
