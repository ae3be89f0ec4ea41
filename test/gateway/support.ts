/** A gateway in the test's process, with answers from a function instead of parties. */
import OpenAI from "openai";
import type { OwnerValues, SessionResult } from "../../client/owners.js";
import type { LoadedPlan } from "../../formats/plan-file.js";
import { type Encoder, TOP_IDS, TOP_LOGITS } from "../../formats/text.js";
import { Live } from "../../gateway/live.js";
import type { GivenPlan } from "../../gateway/served.js";
import { type GatewayOptions, startGateway } from "../../gateway/server.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { compileText } from "../lower/support.js";

let encoded = 0;
/** How often texts were made tokens: once before a question waits, once more when it has its turn. */
export const timesEncoded = (): number => encoded;

/** A character a token, from 2 on; 0 fills, 1 ends. */
const encoder: Encoder = {
  encode: async (texts) => {
    encoded++;
    return texts.map((text) => ({ ids: [...text].map((c) => c.charCodeAt(0)), closing: 0 }));
  },
  decode: async (ids) => ids.map((id) => String.fromCharCode(id)).join(""),
  paddingId: 0,
  endIds: [1],
};

const LENGTH = 40;

/** A plan of one text of 40 tokens with an output of this name and shape. */
function planOf(name: string, shape: readonly number[], rest: string): LoadedPlan {
  const type = `f32[${shape.join(",")}]`;
  const text = `%0 = input {name = "input_ids", dtype = "f32", shape = [1, ${LENGTH}]} : f32[1,${LENGTH}]
%1 = reduceSum %0 {axes = [1], keep = true} : f32[1,1]
${rest}
output "${name}" = %2 : ${type}`.replace(/ : f32\S+$/, "");
  const data = new Float64Array(LENGTH).fill(126);
  const inputs = new Map([["input_ids", { dtype: "f32", shape: [1, LENGTH], data }]] as const);
  const { plan } = compileText({ text, inputs }, { shared: ["input_ids"] });
  return { plan, digest: name };
}

const predicted = { rounds: 10, bytes: 1000, prompts: [], seconds: 0.5, network: "lan", memory: 1e6 };

/** A plan of one picture of 2 by 2 pixels. */
function pictures(): LoadedPlan {
  const shape = [1, 3, 2, 2];
  const text = `%0 = input {name = "pixel_values", dtype = "f32", shape = [1, 3, 2, 2]} : f32[1,3,2,2]
%1 = reduceSum %0 {axes = [2, 3], keep = false} : f32[1,3]
output "logits" = %1`;
  const data = Float64Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? 1 : -1));
  const inputs = new Map([["pixel_values", { dtype: "f32", shape, data }]] as const);
  return { plan: compileText({ text, inputs }, { shared: ["pixel_values"] }).plan, digest: "pixels" };
}

/** A plan of one text that reveals three logits of the next token. */
function sampled(): LoadedPlan {
  const text = `%0 = input {name = "input_ids", dtype = "f32", shape = [1, ${LENGTH}]} : f32[1,${LENGTH}]
%1 = slice %0 {starts = [0, 0], ends = [1, 3], steps = [1, 1]} : f32[1,3]
output "topk.logits" = %1
output "topk.ids" = %1`;
  const data = new Float64Array(LENGTH).fill(126);
  const inputs = new Map([["input_ids", { dtype: "f32", shape: [1, LENGTH], data }]] as const);
  return { plan: compileText({ text, inputs }, { shared: ["input_ids"] }).plan, digest: "sampled" };
}

/** A model that writes, one that classifies, one that embeds, one that looks. */
const PLANS: readonly GivenPlan[] = [
  ["writer", planOf("token", [1], "%2 = reshape %1 {shape = [1]} : f32[1]")],
  ["judge", planOf("logits", [1, 2], "%2 = concatenate %1, %1 {axis = 1} : f32[1,2]")],
  ["place", planOf("sentence_embedding", [1, 3], "%2 = concatenate %1, %1, %1 {axis = 1} : f32[1,3]")],
  ["eye", pictures()],
  ["sampler", sampled()],
].map(([id, loaded]) => ({
  id: id as string,
  loaded: loaded as LoadedPlan,
  reading: { encoder, labels: { names: ["bad", "good"], several: false } },
  template: undefined,
  predicted,
}));

/** What the parties answer to what they are asked: the ids of the text, without what fills. */
type Parties = (asked: readonly number[], signal: AbortSignal) => Promise<readonly number[]> | readonly number[];

/** Goes on with the letters that follow the last one: "ab" with "cdef…". */
export const alphabet: Parties = (asked) => [asked[asked.length - 1] + 1];

function result(name: string, data: readonly number[]): SessionResult {
  const value: TensorValue = { dtype: "f32", shape: [1, data.length], data: Float64Array.from(data) };
  const measured = { rounds: 10, bytes: { total: 1000 } } as SessionResult["measured"];
  return { alarm: false, outputs: new Map([[name, value]]), measured };
}

export interface Started {
  readonly url: string;
  readonly client: OpenAI;
  readonly live: Live;
  readonly bugs: unknown[];
  readonly post: (path: string, body: unknown, headers?: Readonly<Record<string, string>>) => Promise<Response>;
  readonly close: () => Promise<void>;
}

export async function startWith(parties: Parties, more: Partial<GatewayOptions> = {}): Promise<Started> {
  const live = new Live();
  const bugs: unknown[] = [];
  const { url, close } = await startGateway({
    ...{ plans: PLANS, live, isLocal: true, host: "127.0.0.1", port: 0, queue: { atOnce: 1, waiting: 1 } },
    connect: async () => ({
      ask: async ({ plan }, values: OwnerValues, { signal, onShared }) => {
        const given = [...values.value("data", plan.bindings[0].input).data];
        const ids = plan.shapes.pixel_values === undefined ? given.filter((id) => id !== 0) : given;
        onShared(Uint8Array.from(ids, (id) => (id * 167) & 255));
        const [answer, ...rest] = await parties(ids, signal);
        const { outputs, ...whole } = result(plan.reveals[0].name, [answer, ...rest]);
        const isSampled = plan.reveals.some(({ name }) => name === TOP_IDS);
        const three = isSampled ? result(TOP_IDS, [answer, answer + 1, answer + 2]).outputs : [];
        const logits = isSampled ? result(TOP_LOGITS, [1, 0.9, 0.8]).outputs : [];
        return { ...whole, outputs: new Map([...outputs, ...three, ...logits]) };
      },
      converse: () => Promise.reject(new Error("these plans keep nothing")),
      close: () => undefined,
    }),
    onBug: (error) => bugs.push(error),
    ...more,
  });
  const post: Started["post"] = (path, body, headers) =>
    fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  return { url, client, live, bugs, post, close };
}
