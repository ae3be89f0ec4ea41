/** `npm run docs`: writes docs/errors.md anew from the built error catalogue. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildIfStale, root } from "./workspace.mjs";

buildIfStale();
const { catalogueMarkdown } = await import("../dist/cli/explain.js");
writeFileSync(join(root, "docs", "errors.md"), catalogueMarkdown());
