/**
 * The documentation of a language's ops as a page, made from the op table, so that it cannot say anything else than the
 * compiler. `docs/tensor-ops.md` and `docs/share-ops.md` are these pages; `npm run docs` writes them, a test compares.
 */
import type { Language, OpDefinition } from "./graph.js";

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
