/**
 * `npm run models -- [FOLDER…]`: recorded exports, each compiled at default options, run by the three simulated roles
 * and compared with what its exporter's runtime gave, as the tests do (test/fixtures). What came of each is kept in
 * docs/models.json, and docs/models.md is written from all of it. Without folders: the exports of the project and of
 * PUMAC_DATA. A folder holds exports: FAMILY_HEAD.tVERSION.EXPORTER…/ or CLASS.tVERSION.EXPORTER/ with model.onnx and
 * test_data_set_0.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { costOf } from "../analysis/cost.js";
import { simulate } from "../client/local/simulation.js";
import { allowed } from "../client/outputs.js";
import { runOwners } from "../client/owners.js";
import { compileModel } from "../compiler/compile.js";
import { readTensorFile } from "../formats/onnx/tensor-proto.js";
import { PumacError } from "../ir/diagnostics.js";
import { planDigest } from "../ir/plan/codec.js";
import type { TensorValue } from "../ir/tensor/value.js";
import { type Outcome, pageOf, type Tried } from "./models/page.js";
import { printNote, printResult } from "./terminal.js";

const DATA = process.env.PUMAC_DATA ?? join("..", "shared", "data");
const RECORD = join("docs", "models.json");
const SET = "test_data_set_0";

type Values = ReadonlyMap<string, TensorValue>;

/** The tensors input_0.pb, input_1.pb … of a data set, or its outputs. */
function tensorsOf(folder: string, what: "input" | "output"): readonly (readonly [string, TensorValue])[] {
  const count = readdirSync(join(folder, SET)).filter((file) => file.startsWith(`${what}_`)).length;
  return Array.from({ length: count }, (_, i) => {
    const { name, value } = readTensorFile(join(folder, SET, `${what}_${i}.pb`));
    return [name, value] as const;
  });
}

async function outcomeOf(folder: string): Promise<Outcome> {
  const inputs: Values = new Map(tensorsOf(folder, "input"));
  const wanted = tensorsOf(folder, "output");
  const shapes = Object.fromEntries([...inputs].map(([name, { shape }]) => [name, shape]));
  try {
    const { plan, weights } = await compileModel(join(folder, "model.onnx"), { shapes });
    const { rounds, bytes } = costOf(plan);
    const given = new Map([...inputs].filter(([name]) => Object.hasOwn(plan.shapes, name)));
    const { outputs } = await simulate({ plan, digest: planDigest(plan) }, runOwners(plan, given, weights), 1);
    const errors = wanted.map(([name, value], i) => {
      const found = outputs.get(name) ?? [...outputs.values()][i];
      const most = Array.from(value.data).reduce((top, x) => Math.max(top, Math.abs(x)), 0);
      const error = Array.from(value.data).reduce((top, x, at) => Math.max(top, Math.abs(x - found.data[at])), 0);
      return { error, allowed: allowed("usual", most) };
    });
    const worst = errors.reduce((a, b) => (b.error / b.allowed > a.error / a.allowed ? b : a));
    const tokens = [...inputs.values()][0].shape;
    return { shape: tokens, rounds, bytes: bytes.total, ...worst };
  } catch (error) {
    if (!(error instanceof PumacError)) {
      throw error;
    }
    const [{ code, what, why = "", where = "" }] = error.diagnostics;
    return { code, what, why, where };
  }
}

function exportsIn(root: string): readonly string[] {
  const names = existsSync(root) ? readdirSync(root).sort() : [];
  return names.filter((name) => existsSync(join(root, name, SET)) && existsSync(join(root, name, "model.onnx")));
}

const roots = process.argv.slice(2);
const all = roots.length > 0 ? roots : [join("models", "fixtures"), join(DATA, "fixtures-onnx")];
const known: readonly Tried[] = existsSync(RECORD) ? JSON.parse(readFileSync(RECORD, "utf8")) : [];
const tried = new Map(known.map((each) => [each.name, each]));
for (const root of all) {
  for (const name of exportsIn(root)) {
    const outcome = await outcomeOf(join(root, name));
    tried.set(name, { name, ...outcome });
    printNote(`${name}: ${"code" in outcome ? `${outcome.code} ${outcome.what}` : `${outcome.rounds} rounds`}`);
  }
}
const sorted = [...tried.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
writeFileSync(RECORD, `[\n${sorted.map((each) => JSON.stringify(each)).join(",\n")}\n]\n`);
writeFileSync(join("docs", "models.md"), pageOf(sorted));
printResult(`docs/models.md: ${sorted.length} exports`);
