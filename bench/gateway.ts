/**
 * `npm run bench:gateway -- [QUESTIONS]`: what the gateway adds to a question, with parties that answer at once. The
 * same texts are tokenised and made a question of by a function call and over HTTP; the difference is HTTP's, the
 * checks' and the queue's.
 */
import { join } from "node:path";
import { inputValues } from "../client/inputs.js";
import { dataInputs, runDataOwner, type SessionResult } from "../client/owners.js";
import { loadEncoder, textInputs } from "../formats/text.js";
import { Live } from "../gateway/live.js";
import { startGateway } from "../gateway/server.js";
import { compile } from "../index.js";
import { printResult } from "./terminal.js";

const questions = Number(process.argv[2] ?? "1000");
const folder = join("models", "bert-sst2");
const tokenizer = join(folder, "tokenizer.json");
const TEXT = "A warm and funny film, well acted.";

const loaded = await compile(join(folder, "bert_sst2.legacy.op14.onnx"), { dims: { b: 1, s: 32 } });
const result: SessionResult = {
  alarm: false,
  outputs: new Map([["logits", { dtype: "f32", shape: [1, 2], data: Float64Array.of(-3, 3) }]]),
  measured: { rounds: loaded.cost.rounds, bytes: loaded.cost.bytes } as unknown as SessionResult["measured"],
};
const encoder = loadEncoder(tokenizer);
const gateway = await startGateway({
  plans: [
    {
      ...{ id: "reviews", loaded, template: undefined, reading: { encoder } },
      predicted: { rounds: 0, bytes: 0, prompts: [], seconds: 0, network: "lan", memory: 0 },
    },
  ],
  ...{ host: "127.0.0.1", port: 0, isLocal: true, live: new Live(), queue: { atOnce: 1, waiting: 1 } },
  connect: async () => ({
    ask: async () => result,
    converse: () => Promise.reject(new Error("a classifier does not talk")),
    close: () => undefined,
  }),
  onBug: (error) => {
    throw error;
  },
});

async function timed(ask: () => Promise<unknown>): Promise<number> {
  for (let i = 0; i < questions / 10; i++) {
    await ask();
  }
  const began = performance.now();
  for (let i = 0; i < questions; i++) {
    await ask();
  }
  return (performance.now() - began) / questions;
}

const inputs = dataInputs(loaded.plan);
const direct = await timed(async () => {
  const tensors = Object.fromEntries(textInputs(encoder.paddingId, await encoder.encode([TEXT]), inputs));
  return runDataOwner(loaded.plan, await inputValues({ tensors }, inputs), new Map());
});
const body = JSON.stringify({ model: "reviews", input: TEXT });
const headers = { "content-type": "application/json" };
const served = await timed(async () =>
  (await fetch(`${gateway.url}/v1/classify`, { method: "POST", body, headers })).json(),
);
await gateway.close();
printResult(`a question made by a call     ${direct.toFixed(3)} ms`);
printResult(`a question over the gateway   ${served.toFixed(3)} ms`);
printResult(`the gateway adds              ${(served - direct).toFixed(3)} ms`);
