/** Has three parties in the test's process write with a plan. */
import { type Ending, type GenerateOptions, generate, type Written } from "../../client/generate.js";
import { converse } from "../../client/remote/converse.js";
import type { SharedPlan } from "../../client/remote/share.js";
import type { CompileOptions } from "../../compiler/compile.js";
import { openForPlan } from "../../compiler/text/compile.js";
import { openWeights } from "../../compiler/weights.js";
import type { Encoder } from "../../formats/text.js";
import { decodePlan, digestIn, encodePlan } from "../../ir/plan/codec.js";
import { startThree, type Three } from "../party/three.js";

/** Ids as words: "3 1 4". */
export const encoder: Encoder = {
  encode: async (texts) => texts.map((text) => ({ ids: text.split(" ").map(Number), closing: 0 })),
  decode: async (ids) => ids.join(" "),
  paddingId: 0,
  endIds: [],
};

/** A plan that writes, with its weights, ready to be shared. */
export async function planOf(model: string, options: CompileOptions): Promise<SharedPlan> {
  const opened = await openForPlan(model, options);
  const file = encodePlan((await opened.compile(options)).plan);
  const plan = decodePlan(file);
  const { weightsFile: weights } = options;
  return {
    plan,
    file,
    digest: digestIn(file),
    weights: await openWeights({ model, ...(weights && { weights }) }, plan),
  };
}

/** Three parties that have its weights. */
export async function startWith(shared: SharedPlan): Promise<Three> {
  const three = await startThree();
  three.approve(shared.digest);
  await three.share(shared);
  return three;
}

/** What the parties write after a prompt, of ids as words unless there is another encoder. */
export async function writeWith(
  three: Three,
  shared: SharedPlan,
  prompt: string,
  mostTokens: number,
  more: Partial<GenerateOptions> = {},
): Promise<{ written: Written[]; ended: Ending }> {
  const begin = () => converse(shared, { topology: three.topology("clinic"), timeout: 20_000 });
  const ask = () => Promise.reject(new Error("a single question"));
  const asked = { encoder, ask, converse: begin, prompt, mostTokens, stops: [], ...more };
  const writing = generate({ plan: shared.plan, ...asked });
  const written: Written[] = [];
  for (let step = await writing.next(); ; step = await writing.next()) {
    if (step.done === true) {
      return { written, ended: step.value };
    }
    written.push(step.value);
  }
}
