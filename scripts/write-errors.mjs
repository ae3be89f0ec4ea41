/** `npm run docs`: writes the pages anew that are made from tables: the error catalogue and the ops of both levels. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildIfStale, root } from "./workspace.mjs";

buildIfStale();
const { catalogueMarkdown } = await import("../dist/cli/explain.js");
writeFileSync(join(root, "docs", "errors.md"), catalogueMarkdown());

const { describeLevel } = await import("../dist/ir/docs.js");
const { TENSOR } = await import("../dist/ir/tensor/index.js");
const { SHARE } = await import("../dist/ir/share/index.js");
for (const level of [TENSOR, SHARE]) {
  writeFileSync(join(root, "docs", `${level.name}-ops.md`), describeLevel(level));
}
