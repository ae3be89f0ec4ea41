/**
 * `npm run accuracy`: the bundled classifier over the development set of SST-2, by the three simulated roles, against
 * onnxruntime's logits. `--count N` takes the first N sentences, `--plan FILE` a compiled plan instead of a fresh one,
 * `--profile NAME` other approximations. Exit 5 where labels or logits differ by more than they may.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadPlan } from "../cli/plan-file.js";
import { parseCount, printNote, printResult, startProgress } from "../cli/terminal.js";
import { openWeights } from "../cli/weights.js";
import { compileModel } from "../compiler/compile.js";
import { planDigest } from "../ir/plan/codec.js";
import type { Plan } from "../ir/plan/types.js";
import { type Accuracy, classify, compareLogits, readSst2, TOKENS, wilsonInterval } from "./sst2.js";

const FOLDER = join("models", "bert-sst2");
const MODEL = join(FOLDER, "bert_sst2.legacy.op14.onnx");

/** What a profile may be off by: labels that agree, and the largest error of a logit. */
const BOUNDS: Readonly<Record<Plan["profile"], { readonly agreement: number; readonly error: number }>> = {
  fourier: { agreement: 0.995, error: 0.02 },
  puma: { agreement: 0.995, error: 0.05 },
};

function isProfile(name: string): name is Plan["profile"] {
  return Object.hasOwn(BOUNDS, name);
}

function percent(hits: number, count: number): string {
  const [low, high] = wilsonInterval(hits, count).map((share) => (100 * share).toFixed(2));
  return `${hits} of ${count} = ${((100 * hits) / count).toFixed(2)} %, 95 % interval ${low} to ${high} %`;
}

function describe(profile: string, result: Accuracy): string {
  const { count, agreed, correct, largestError, meanError } = result;
  const rows = [
    ["profile", profile],
    ["label as onnxruntime's", percent(agreed, count)],
    ...(correct === undefined
      ? []
      : [
          ["accuracy, private", percent(correct.privately, count)],
          ["accuracy, onnxruntime", percent(correct.plainly, count)],
        ]),
    ["largest logit error", largestError.toFixed(5)],
    ["mean logit error", `${meanError.toFixed(5)} (of the worse logit of a sentence)`],
  ];
  return rows.map(([what, value]) => `${what.padEnd(24)}${value}`).join("\n");
}

async function main(): Promise<number> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ options: { count: text, plan: text, profile: text } });
  const wanted = values.profile ?? "fourier";
  if (!isProfile(wanted)) {
    printNote(`there is no profile '${wanted}': choose ${Object.keys(BOUNDS).join(" or ")}`);
    return 2;
  }
  const dims = { b: 1, s: TOKENS };
  const plan =
    values.plan === undefined
      ? (await compileModel(MODEL, { dims, profile: wanted })).plan
      : loadPlan(values.plan).plan;
  const loaded = { plan, digest: planDigest(plan) };
  const weights = await openWeights({ model: MODEL }, plan);
  const { sentences, isWhole } = readSst2(FOLDER, process.env.PUMAC_DATA ?? join("..", "shared", "data"));
  if (!isWhole) {
    printNote(`no sst2/dev.tsv where PUMAC_DATA says: the ${sentences.length} bundled sentences only`);
  }
  const chosen = sentences.slice(0, values.count === undefined ? undefined : Math.max(1, parseCount(values.count)));
  const progress = startProgress("sentences");
  const logits: (readonly number[])[] = [];
  for (const [i, { ids }] of chosen.entries()) {
    logits.push(await classify(loaded, weights, ids, i + 1));
    progress.update(i + 1, chosen.length);
  }
  progress.stop();
  const result = compareLogits(chosen, logits);
  printResult(describe(plan.profile, result));
  const bounds = BOUNDS[plan.profile];
  return result.agreed >= bounds.agreement * result.count && result.largestError <= bounds.error ? 0 : 5;
}

process.exitCode = await main();
