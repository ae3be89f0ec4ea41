/** Where values come from: the data of the caller, the weights of the model's owner, and public constants. */
import { SOURCE } from "../traits.js";
import { integers, refuse, type TensorOp } from "../types.js";
import { DTYPES, type DType, type TensorValue } from "../value.js";

function declared(doc: string): TensorOp {
  return {
    traits: SOURCE,
    doc,
    arity: [0, 0],
    attributes: { name: "string", dtype: "string", shape: "integers" },
    infer: (_, attributes) => {
      const dtype = attributes.dtype as DType;
      refuse(!DTYPES.includes(dtype), `no type '${String(dtype)}'`);
      return { dtype, shape: integers(attributes, "shape") };
    },
    evaluate: (_, attributes) => {
      throw new Error(`'${String(attributes.name)}' has no value of its own`);
    },
  };
}

export const SIGNATURE = {
  input: declared("A value that the caller gives, by name."),
  parameter: declared("A weight of the model's owner, by name; its values are in a weight store, never in a graph."),
  constant: {
    traits: SOURCE,
    doc: "A public value, known when the model is compiled.",
    arity: [0, 0],
    attributes: { value: "tensor" },
    infer: (_, attributes) => {
      const { dtype, shape } = attributes.value as TensorValue;
      return { dtype, shape };
    },
    evaluate: (_, attributes) => attributes.value as TensorValue,
  },
} as const satisfies Record<string, TensorOp>;
