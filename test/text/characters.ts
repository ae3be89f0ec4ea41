/** The small character model of ours, and what onnxruntime writes with it. */
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { loadEncoder } from "../../formats/text.js";

const FOLDER = join(import.meta.dirname, "..", "..", "models", "characters");

export const CHARACTERS = join(FOLDER, "model.onnx");
export const DRAFT = join(FOLDER, "draft.onnx");
export const encoder = loadEncoder(join(FOLDER, "tokenizer.json"));

/** The likeliest next token of ids that stand at an offset of so many places, the others masked. */
export type Oracle = (ids: readonly number[], length?: number, offset?: number) => Promise<number>;

export async function oracleOf(path: string): Promise<Oracle> {
  const session = await InferenceSession.create(path);
  return async (ids, length = ids.length, offset = 0) => {
    const feeds = Object.entries(paddedInputs(ids, length, offset)).map(([name, data]) => {
      const tensor = new Tensor("int64", BigInt64Array.from(data.map(BigInt)), [1, length]);
      return [name, tensor] as const;
    });
    const { logits } = await session.run(Object.fromEntries(feeds));
    const words = logits.dims[2];
    const last = offset + ids.length - 1;
    const row = Array.from((logits.data as Float32Array).subarray(last * words, (last + 1) * words));
    return row.indexOf(Math.max(...row));
  };
}

/** The model's inputs for ids with places that are masked before and behind them. */
export function paddedInputs(
  ids: readonly number[],
  length: number,
  offset: number,
): Record<"input_ids" | "attention_mask" | "position_ids", number[]> {
  const at = Array.from({ length }, (_, i) => i - offset);
  const isToken = at.map((place) => place >= 0 && place < ids.length);
  return {
    input_ids: at.map((place, i) => (isToken[i] ? ids[place] : 0)),
    attention_mask: isToken.map((each) => (each ? 1 : 0)),
    position_ids: at.map((place) => Math.max(0, place)),
  };
}

/** So many tokens after a text, the likeliest each time. */
export async function greedy(oracle: Oracle, ids: readonly number[], count: number): Promise<number[]> {
  const all = [...ids];
  for (let i = 0; i < count; i++) {
    all.push(await oracle(all));
  }
  return all.slice(ids.length);
}

export async function idsOf(text: string): Promise<readonly number[]> {
  const [{ ids }] = await encoder.encode([text]);
  return ids;
}
