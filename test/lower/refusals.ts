/**
 * Whatever a model computes of secrets, however large or small its values are, it compiles or ends in diagnostics that
 * name its node: never in an error that says that pumac is wrong. A sweep over all ops with random arguments.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hasSecretMeaning } from "../../compiler/lower/index.js";
import { PumacError } from "../../ir/diagnostics.js";
import { Builder } from "../../ir/graph.js";
import { TENSOR, TENSOR_OPS, type TensorOpName } from "../../ir/tensor/index.js";
import { isFloat, type TensorType } from "../../ir/tensor/value.js";
import { print } from "../../ir/text.js";
import { EXAMPLES, type Example } from "../tensor/examples.js";
import { compileText } from "./support.js";

export const SECRET = (Object.keys(TENSOR_OPS) as TensorOpName[]).filter(hasSecretMeaning);
const SCALES = [2 ** -24, 1, 300, 2 ** 24];

/** The op on secret arguments, its indices public constants; all floats times a scale. */
export function modelOf(op: TensorOpName, { args, attributes }: Example, scale: number) {
  const values = args.map((x) => (isFloat(x.dtype) ? { ...x, data: x.data.map((each) => each * scale) } : x));
  const builder = new Builder<TensorType>(TENSOR);
  const nodes = values.map((value, i) => {
    const { dtype, shape } = value;
    return TENSOR_OPS[op].traits.clear.includes(i)
      ? builder.emit("constant", [], { value }, `c${i}`)
      : builder.emit("input", [], { name: `x${i}`, dtype, shape }, `x${i}`);
  });
  const graph = builder.finish([{ name: "y", node: builder.emit(op, nodes, attributes, "the node") }]);
  return { text: print(graph, TENSOR), inputs: new Map(values.map((value, i) => [`x${i}`, value])) };
}

/** The sweep, with so many random arguments for each op. */
export function sweep(numRuns: number): void {
  describe.each(["fourier", "puma"] as const)("profile %s", (profile) => {
    it.each(SECRET)("%s compiles, or is refused by name", (op) => {
      const law = (example: Example, scale: number) => {
        const model = modelOf(op, example, scale);
        try {
          compileText(model, { shared: [...model.inputs.keys()], profile });
        } catch (error) {
          expect(error).toBeInstanceOf(PumacError);
          const { diagnostics } = error as PumacError;
          expect(diagnostics.every(({ code, where }) => code.startsWith("E0") && where !== undefined)).toBe(true);
        }
      };
      fc.assert(fc.property(EXAMPLES[op], fc.constantFrom(...SCALES), law), { numRuns, seed: 1, endOnFailure: true });
    });
  });
}
