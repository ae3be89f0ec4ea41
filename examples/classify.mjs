/** Classifies a sentence privately: compiles the model once, then asks. `node classify.mjs FOLDER "A fine film."` */
import { answersOf, compile, describeAnswer, labelsBeside, PumacError, simulate } from "pumac";

const [folder, text] = process.argv.slice(2);
const model = `${folder}/bert_sst2.legacy.op14.onnx`;
const tokenizer = `${folder}/tokenizer.json`;

try {
  const plan = await compile(model, { dims: { b: 1, s: 48 } });
  const { rounds, bytes } = plan.cost;
  console.log(`${rounds} rounds, ${bytes.total} bytes`);
  const { outputs } = await simulate(plan, { texts: [text], tokenizer }, { signal: AbortSignal.timeout(60_000) });
  const answers = await answersOf(outputs, new Map(), { labels: labelsBeside(model) });
  answers.forEach((answer) => console.log(describeAnswer(answer)));
} catch (error) {
  if (!(error instanceof PumacError)) throw error;
  for (const { code, what, fix } of error.diagnostics) console.error(code, what, fix ?? "");
  process.exitCode = error.exitCode;
}
