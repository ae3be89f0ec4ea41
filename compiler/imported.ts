/** What every front end gives: a tensor graph with every shape known, and where its weights are. */
import { type Diagnostic, fail } from "../ir/diagnostics.js";
import type { Graph } from "../ir/graph.js";
import { sameShape } from "../ir/shape.js";
import type { WeightStore } from "../ir/tensor/index.js";
import { type DType, sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";

/** An input's value: without a shape one number for every element, without a type in the model's. */
export interface GivenValue {
  readonly shape?: readonly number[];
  readonly data: ArrayLike<number>;
  readonly dtype?: DType | undefined;
}

/** A given value as the model declares the input; E0202 where it does not fit. */
export function valueFor(name: string, { shape, data, dtype }: GivenValue, type: TensorType): TensorValue {
  const isFill = shape === undefined && data.length === 1;
  const own = shape ?? (data.length === sizeOf(type.shape) ? type.shape : [data.length]);
  if (!isFill && (!sameShape(own, type.shape) || data.length !== sizeOf(type.shape))) {
    const [given, wanted] = [own, type.shape].map((each) => `[${each.join(", ")}]`);
    throw fail({ code: "E0202", what: `the value given for '${name}' is ${given}; the model declares ${wanted}` });
  }
  if (dtype !== undefined && dtype !== type.dtype) {
    const fix = "give values for the model's own inputs, in their types";
    throw fail({ code: "E0202", what: `input '${name}' is ${type.dtype}, not ${dtype}`, fix });
  }
  const values = isFill ? new Float64Array(sizeOf(type.shape)).fill(data[0]) : Float64Array.from(data);
  return { dtype: type.dtype, shape: type.shape, data: values };
}

/** The names that a model file declares. */
export interface DeclaredNames {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names of dimensions that may be bound. */
  readonly dims: readonly string[];
  /** ONNX: what the inputs' dimensions are, by input: numbers, or what is open by its name. */
  readonly shapes?: ReadonlyMap<string, readonly (number | string)[]>;
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
