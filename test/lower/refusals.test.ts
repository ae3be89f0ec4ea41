/** The sweep of `refusals.ts` in short, and what is always refused. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { PumacError } from "../../ir/diagnostics.js";
import { TENSOR_OPS } from "../../ir/tensor/index.js";
import { EXAMPLES } from "../tensor/examples.js";
import { modelOf, SECRET, sweep } from "./refusals.js";
import { compileText } from "./support.js";

sweep(8);

it.each(SECRET.filter((op) => TENSOR_OPS[op].traits.clear.length > 0))("%s with an index outside is refused", (op) => {
  const [example] = fc.sample(
    EXAMPLES[op].filter(({ args }) => args.every(({ data }) => data.length > 0)),
    { numRuns: 1, seed: 1 },
  );
  const args = example.args.map((x, i) => (i === 1 ? { ...x, data: x.data.map(() => 1000) } : x));
  const model = modelOf(op, { ...example, args }, 1);
  expect(() => compileText(model, { shared: [...model.inputs.keys()] })).toThrow(/the node/);
  expect(() => compileText(model, { shared: [...model.inputs.keys()] })).toThrow(PumacError);
  expect(() => compileText(model, { public: [...model.inputs.keys()] })).toThrow(PumacError);
  expect(() => compileText(model, { shared: [...model.inputs.keys()], weights: false, calibration: [] })).toThrow(
    /the node/,
  );
});
