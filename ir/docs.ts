/**
 * The documentation of a level's ops as a page, made from the op table, so that it cannot say anything else than the
 * compiler. `docs/tensor-ops.md` and `docs/share-ops.md` are these pages; `npm run docs` writes them, a test compares.
 */
import type { Level, OpDefinition } from "./graph.js";

/** What the page says before its table, by level. */
const INTRODUCTIONS: Readonly<Record<string, string>> = {
  tensor:
    "What a model says, over real numbers: values have a type and a fixed shape, such as `f32[48,128]`. Front ends " +
    "emit these ops, passes rewrite them, lowering turns the secret ones into ops of the share level.",
  share:
    "What the protocol suite offers, over rings Z_2^k: `masked<k,f>` and `additive<k,f>` words of k bits that mean " +
    "x·2^-f, `bits`, `maskedBits`, and one-hot vectors `hot<w>`. A plan is a list of these ops.",
};

/** The page of a level, in Markdown. */
export function describeLevel<T>(level: Level<T>): string {
  const rows = Object.entries(level.ops).map(([name, definition]) => describeOp(name, definition));
  return [
    `# Ops of the ${level.name} level`,
    "",
    `Made from the op table in \`ir/${level.name}\`. ${INTRODUCTIONS[level.name] ?? ""}`.trimEnd(),
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
