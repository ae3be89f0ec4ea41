/** What every front end gives: a tensor graph with every shape known, and where its weights are. */
import type { Diagnostic } from "../ir/diagnostics.js";
import type { Graph } from "../ir/graph.js";
import type { WeightStore } from "../ir/tensor/index.js";
import type { DType, TensorType } from "../ir/tensor/value.js";

/** The names that a model file declares. */
export interface DeclaredNames {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names of dimensions that may be bound. */
  readonly dims: readonly string[];
  /** JAX: the arguments in their order, and how many of them the weights file has. */
  readonly arguments?: { readonly names: readonly string[]; readonly filed: number };
}

export interface ImportedModel {
  readonly graph: Graph<TensorType>;
  readonly weights: WeightStore;
  readonly warnings: readonly Diagnostic[];
  /** The file's name without its ending, or the module's. */
  readonly name: string;
  /** The inputs with their shapes, in the model's order, without those whose value was given. */
  readonly inputs: readonly { readonly name: string; readonly dtype: DType; readonly shape: readonly number[] }[];
  /** JAX: all arguments in their order, weights too, and how many of them are in the weights file. */
  readonly arguments?: DeclaredNames["arguments"];
}
