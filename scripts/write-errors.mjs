/** `npm run docs`: writes the pages anew that are made from tables: the error catalogue and the ops of both languages. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildIfStale, root } from "./workspace.mjs";

buildIfStale();
const { describeErrors, describeLanguage } = await import("../dist/ir/docs.js");
writeFileSync(join(root, "docs", "errors.md"), describeErrors());
const { TENSOR } = await import("../dist/ir/tensor/index.js");
const { SHARE } = await import("../dist/ir/share/index.js");
for (const language of [TENSOR, SHARE]) {
  writeFileSync(join(root, "docs", `${language.name}-ops.md`), describeLanguage(language));
}
