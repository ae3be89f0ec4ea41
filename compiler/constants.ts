/** Constants of a model's file that became weights under names of the passes. */
import type { WeightStore } from "../ir/tensor/index.js";
import type { TensorValue } from "../ir/tensor/value.js";

/** A store that knows some weights by their values too. */
export function withConstants(store: WeightStore, constants: ReadonlyMap<string, TensorValue>): WeightStore {
  return constants.size === 0 ? store : { read: (name, room) => constants.get(name) ?? store.read(name, room) };
}
