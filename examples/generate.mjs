/** Writes a text with three parties here: `node generate.mjs model.onnx tokenizer.json "Once upon a time" 8`. */
import { compile, connect, generate, inspect, PumacError } from "pumac";

const [model, tokenizer, prompt, count] = process.argv.slice(2);
const ending = new AbortController();
process.once("SIGINT", () => ending.abort(new Error("interrupted")));
const { signal } = ending;

let parties;
try {
  const plan = await compile(model, { reveal: ["token"], signal });
  const { rounds, bytes } = inspect(plan).cost;
  console.log(`a token: ${rounds} rounds, ${bytes.total} bytes`);
  // With `topology: "clinic.toml"` instead of `local` the parties are three organisations', and it is private.
  parties = await connect(plan, { local: true, trusted: [plan.digest], signal });
  for await (const { text } of generate(parties, { prompt, tokenizer, maxTokens: Number(count), signal })) {
    process.stdout.write(text);
  }
  process.stdout.write("\n");
} catch (error) {
  if (!(error instanceof PumacError)) throw error;
  for (const { code, what, fix } of error.diagnostics) console.error(code, what, fix ?? "");
  process.exitCode = error.exitCode;
} finally {
  parties?.close();
}
