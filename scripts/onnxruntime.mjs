/** The reference in the clear: onnxruntime on the same model and the same text, tokenised by the same code. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "./workspace.mjs";

/** The logits of the bundled classifier for a text, padded to `length` tokens; undefined without onnxruntime. */
export async function referenceLogits(model, tokenizer, text, length) {
  if (!existsSync(join(root, "node_modules", "onnxruntime-node"))) {
    return undefined;
  }
  const { InferenceSession, Tensor } = await import("onnxruntime-node");
  const { encodeTexts, loadEncoder } = await import("../dist/formats/text.js");
  const session = await InferenceSession.create(model);
  const types = new Map(session.inputNames.map((name) => [name, { dtype: "i64", shape: [1, length] }]));
  const feeds = {};
  for (const [name, { data, shape }] of encodeTexts(loadEncoder(tokenizer), [text], types)) {
    feeds[name] = new Tensor("int64", BigInt64Array.from(data, BigInt), shape);
  }
  const results = await session.run(feeds);
  return [...results[session.outputNames[0]].data];
}
