/** docs/models.md: what became of every export that was tried, family by family. */
import { formatBytes } from "../../analysis/units.js";

/** A run: the shape of the first input, the plan's cost, the largest error and what --expect allows. */
interface Answered {
  readonly shape: readonly number[];
  readonly rounds: number;
  readonly bytes: number;
  readonly error: number;
  readonly allowed: number;
}

/** A refusal: its first diagnostic. */
interface Refused {
  readonly code: string;
  readonly what: string;
  readonly why: string;
  readonly where: string;
}

export type Outcome = Answered | Refused;
export type Tried = Outcome & { readonly name: string };

const HEADS: Readonly<Record<string, string>> = {
  cls: "classifier of sequences",
  lm: "language model",
  kv: "language model with a cache",
  enc: "encoder",
  model: "no head",
};

/** A class of Hugging Face's, or a family and its head. */
const CLASS = /^(.+?)(For\w+|LMHeadModel|MTModel|EncoderModel|TextModel|VisionModel\w*|BaseModel|Model)$/;

/** Family, head and exporter of a folder's name. */
function partsOf(name: string): readonly [family: string, head: string, exporter: string] {
  const [first, ...rest] = name.replace(/^optimum\.(\w+)\.(\w+)$/, "$1_$2.optimum").split(".");
  const exporter = rest.map((part) => part.replace(/^t(\d)$/, "transformers $1")).join(", ");
  const [, family, head] = CLASS.exec(first) ?? [];
  const [own, kind = ""] = first.split("_");
  return family === undefined ? [own, HEADS[kind] ?? kind, exporter] : [family, head, exporter];
}

/** The page. */
export function pageOf(tried: readonly Tried[]): string {
  const answered = tried.filter((each): each is Answered & Tried => "rounds" in each);
  const refused = tried.filter((each): each is Refused & Tried => "code" in each);
  const right = answered.filter(({ error, allowed }) => error <= allowed).length;
  const rows = answered.map(({ name, shape, rounds, bytes, error, allowed }) => {
    const [family, head, exporter] = partsOf(name);
    const told = `${error.toPrecision(2)}${error > allowed ? " **too much**" : ""}`;
    const cells = [family, head, exporter, shape.join("×"), rounds, formatBytes(bytes), told, allowed.toPrecision(2)];
    return `| ${cells.join(" | ")} |`;
  });
  const refusals = refused.map(({ name, code, what, why }) => {
    const [family, head, exporter] = partsOf(name);
    return `| ${[family, head, exporter, code, `${what}${why === "" ? "" : `: ${why}`}`].join(" | ")} |`;
  });
  return `# Models that were tried

Made by \`npm run models\` from recorded exports: small models with random weights, each compiled at default options,
run by the three simulated roles, and compared with what the exporter's runtime gives. Of ${tried.length} exports
${right} are right. Rounds and bytes are exact and of these sizes; what a real model costs, \`pumac inspect\` says.
The error is the largest of all outputs, beside what \`--expect\` allows: 2⁻⁹ of the largest value, and 0.02 at least.
An export that was not run again keeps what its last run gave. Rows of zeros, as a padding
token's embedding often is, stay zeros through norms since; Lfm2, DeepSeek, OLMoE, Ernie, Jamba, Mamba 2, Persimmon and
BitNet were right in exports of our own afterwards, which are not in this table.
Hugging Face folders, which need no exporter, are in [exporting.md](exporting.md#a-hugging-face-folder): models of ten
architectures and their heads are compared with Hugging Face's own answers in \`test/onnx/checkpoints.test.ts\`.

| family | head | exporter | input | rounds | bytes | error | allowed |
|---|---|---|---|---|---|---|---|
${rows.join("\n")}

## Refused

What no form of the protocol suite can do, or what nobody has written yet, is told when the plan is made, all at once,
with what to export instead. An E0503 is not of the plan: the overflow guard withheld an answer at default options; with
\`--calibrate\` on inputs like those that will be asked it is given.

| family | head | exporter | code | what and why |
|---|---|---|---|---|
${refusals.join("\n")}
`;
}
