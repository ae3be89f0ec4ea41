/** Embeddings out of outputs: pooled by the model, or the mean over a text's tokens and not over what fills. */
import { expect, it } from "vitest";
import { embeddingIn, embeddingsOf } from "../../gateway/served.js";
import type { TensorValue } from "../../ir/tensor/value.js";

function tensor(shape: readonly number[], data: readonly number[]): TensorValue {
  return { dtype: "f32", shape, data: Float64Array.from(data) };
}

it("takes what the model pooled, whichever comes first", () => {
  const pooled = tensor([1, 2], [5, 6]);
  const outputs = new Map([
    ["last_hidden_state", tensor([1, 2, 2], [1, 2, 3, 4])],
    ["pooler_output", pooled],
  ]);
  expect(embeddingIn(outputs)).toBe(pooled);
  expect(embeddingsOf(pooled, [2]).map((each) => [...each])).toEqual([[5, 6]]);
});

it("takes the mean over each text's own tokens otherwise; of a picture over all places", () => {
  const states = tensor([2, 3, 2], [1, 2, 3, 4, 9, 9, 10, 20, 9, 9, 9, 9]);
  expect(embeddingIn(new Map([["last_hidden_state", states]]))).toBe(states);
  expect(embeddingsOf(states, [2, 1]).map((each) => [...each])).toEqual([
    [2, 3],
    [10, 20],
  ]);
  expect([...embeddingsOf(tensor([1, 2, 1], [1, 3]), [0])[0]]).toEqual([2]);
});

it("finds none in scores of classes", () => {
  expect(embeddingIn(new Map([["logits", tensor([1, 2], [0, 1])]]))).toBeUndefined();
});
