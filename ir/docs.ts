/**
 * Pages made from tables, so that they cannot say anything else than the program: the ops of a language
 * (`docs/tensor-ops.md`, `docs/share-ops.md`) and the errors (`docs/errors.md`). `npm run docs` writes them, tests
 * compare.
 */
import { CATALOGUE, type DiagnosticCode } from "./catalogue.js";
import type { Language, OpDefinition } from "./graph.js";
import { MENDS } from "./mends.js";

/** What the page says before its table, by language. */
const INTRODUCTIONS: Readonly<Record<string, string>> = {
  tensor:
    "What a model says, over real numbers: values have a type and a fixed shape, such as `f32[48,128]`. Front ends " +
    "emit these ops, passes rewrite them, lowering turns the secret ones into ops of the share language.",
  share:
    "What the protocol suite offers, over rings Z_2^k: `masked<k,f>` and `additive<k,f>` words of k bits that mean " +
    "x·2^-f, `bits`, `maskedBits`, and one-hot vectors `hot<w>`. A plan is a list of these ops.",
};

/** The page of a language, in Markdown. */
export function describeLanguage<T>(language: Language<T>): string {
  const rows = Object.entries(language.ops).map(([name, definition]) => describeOp(name, definition));
  return [
    `# Ops of the ${language.name} language`,
    "",
    `Made from the op table in \`ir/${language.name}\`. ${INTRODUCTIONS[language.name] ?? ""}`.trimEnd(),
    "",
    "| op | arguments | attributes | meaning |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

function describeOp<T>(name: string, { arity, attributes, doc }: OpDefinition<T>): string {
  const [least, most] = arity;
  const count = least === most ? String(least) : most > 1000 ? `${least} or more` : `${least} to ${most}`;
  const kinds = Object.entries(attributes).map(([attribute, kind]) => `\`${attribute}\` ${kind}`);
  return `| \`${name}\` | ${count} | ${kinds.join(", ")} | ${doc.replaceAll("|", "\\|")} |`;
}

/** docs/errors.md: the catalogue as a page. */
export function describeErrors(): string {
  const head = [
    "# Errors",
    "",
    "Made from `ir/catalogue.ts` and `ir/mends.ts`; `pumac explain CODE` prints the same.",
    "The first two digits of a code are its exit status.",
    "Other exit statuses: 0 ok, 1 a bug in pumac, 130 and 143 ended by a signal.",
    "",
    "| code | exit | what | explanation | for example | mend |",
    "|---|---|---|---|---|---|",
  ];
  const cell = (text: string) => text.replaceAll("|", "\\|");
  const rows = Object.entries(CATALOGUE).map(([code, { exit, title, explain: page }]) => {
    const { example, mend } = MENDS[code as DiagnosticCode];
    return `| ${[code, exit, title, ...[page, example, mend].map(cell)].join(" | ")} |`;
  });
  return `${[...head, ...rows].join("\n")}\n`;
}
