/**
 * Protects: no value of an owner in what a party writes down or tells: canaries in weights and inputs are looked for in
 * logs, errors, metrics and every file that a party keeps, as text and as bytes of the forms that numbers have; also
 * when a session fails, and when the overflow guard withholds an answer.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { runDataOwner } from "../../client/owners.js";
import { openModel } from "../../compiler/weights.js";
import { writeModel } from "../../formats/onnx/write.js";
import { compile } from "../../index.js";
import { encodePlan } from "../../ir/plan/codec.js";
import type { SessionEnd } from "../../party/context.js";
import { Watch } from "../../party/watch.js";
import { PARTIES } from "../../runtime/transport.js";
import { temporaryFolder } from "../processes/command.js";
import { startThree, type Three } from "./three.js";

/** Numbers that occur nowhere by themselves. */
const WEIGHTS = [0.7391846, -1.3718293, 0.2847361, 1.9384756];
const INPUTS = [1.8273645, -0.9182736, 0.4637281, 1.2736455];
const ALARMING = [91827.364, -81726.354, 71625.344, 61524.334];

const heard: string[] = [];
let three: Three | undefined;
afterAll(async () => three?.stop());

/** Every file below a folder. */
function filesIn(folder: string): readonly Buffer[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesIn(path) : [readFileSync(path)];
  });
}

/** A number as text, as float32 and float64, and as a word of fixed point. */
function formsOf(x: number): readonly Buffer[] {
  const [single, double] = [Buffer.alloc(4), Buffer.alloc(8)];
  single.writeFloatLE(x);
  double.writeDoubleLE(Math.fround(x));
  const fixed = [12, 13, 14, 15, 16, 18].map((fraction) => {
    const word = Buffer.alloc(8);
    word.writeBigInt64LE(BigInt(Math.round(x * 2 ** fraction)));
    return word;
  });
  return [Buffer.from(String(x).slice(0, 7)), single, double, ...fixed];
}

it("a canary is in nothing that a party writes or says", async () => {
  const path = join(temporaryFolder(), "model.onnx");
  const square = {
    name: "w",
    dtype: "f32",
    shape: [4, 4],
    data: Float64Array.from([0, 1, 2, 3].flatMap(() => WEIGHTS)),
  };
  const row = { dtype: "f32", shape: [1, 4] } as const;
  writeModel(path, {
    opsets: { "": 17 },
    graph: {
      ...{ name: "g", inputs: [{ name: "x", ...row }], outputs: [{ name: "y", ...row }] },
      nodes: [
        { op: "MatMul", inputs: ["x", "w"], outputs: ["h"] },
        { op: "Sigmoid", inputs: ["h"], outputs: ["y"] },
      ],
      tensors: [{ ...square, dtype: "f32" }],
    },
  });
  const { plan, digest } = await compile(path, { assumeRanges: true });
  const { weights } = await openModel({ model: path }, plan);
  const shared = { plan, digest, weights, file: encodePlan(plan) };
  const log = (fields: object, message: string): void => void heard.push(`${message} ${JSON.stringify(fields)}`);
  const onEnd = (end: SessionEnd): void => {
    for (const watch of watches) {
      watch.record(end);
    }
  };
  three = await startThree({ log: { info: log, warn: log }, onEnd });
  const watches = PARTIES.map((party) => new Watch(three!.of[party]));
  const ports = await Promise.all(watches.map((watch) => watch.start({ host: "127.0.0.1", port: 0 })));
  three.approve(digest);
  await three.share(shared);
  const ask = async (x: readonly number[]): Promise<unknown> => {
    const tensor = { ...row, data: Float64Array.from(x) };
    const values = await Promise.resolve().then(() => runDataOwner(plan, new Map([["x", tensor]]), new Map()));
    return await three!.ask({ ...shared, values });
  };
  await ask(INPUTS);
  // What the owner itself is told of its own input is its own affair: only what parties hear and keep is looked at.
  await ask(ALARMING).catch(() => undefined);
  const dying = ask(INPUTS).catch((error: unknown) => heard.push(String(error)));
  await expect.poll(() => three!.of.P1.admission.running, { interval: 1 }).toBe(1);
  await three.of.P1.drain();
  await dying;
  for (const port of ports) {
    heard.push(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
  }
  watches.forEach((watch) => void watch.close());
  expect(heard.join("\n")).toContain("session answered");
  const files = PARTIES.flatMap((party) => filesIn(three!.state(party)));
  expect(files.length).toBeGreaterThan(12);
  const everything = [...files, ...heard.map((text) => Buffer.from(text))];
  for (const canary of [...WEIGHTS, ...INPUTS, ...ALARMING]) {
    for (const form of formsOf(canary)) {
      expect(
        everything.some((each) => each.includes(form)),
        `${canary}`,
      ).toBe(false);
    }
  }
  // The search finds what is there: the owner's own model has its weights.
  expect(formsOf(WEIGHTS[0]).some((form) => readFileSync(path).includes(form))).toBe(true);
});
