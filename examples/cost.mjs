/** Fails a build where a model has become too dear to ask: `node cost.mjs model.onnx 'bytes<10MB,rounds<100'` */
import { checkBudget, compile, inspect, PumacError } from "pumac";

const [model, budget] = process.argv.slice(2);
const plan = await compile(model, { dims: { b: 1, s: 48 }, assumeRanges: true });
for (const network of ["lan", "wan"]) {
  const report = inspect(plan, { network });
  const [dearest] = report.ops.toSorted((a, b) => b.bytes.total - a.bytes.total);
  const seconds = report.cost.seconds.estimate.toFixed(2);
  console.log(`${network}: ${seconds} s, most of it for ${dearest.name}`);
}
try {
  checkBudget(budget, inspect(plan));
  console.log("within the budget");
} catch (error) {
  if (!(error instanceof PumacError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
