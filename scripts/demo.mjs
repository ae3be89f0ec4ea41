/** `npm run demo`: installs and builds what is missing, then `pumac demo` from the root of the checkout. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { buildIfStale, install, root } from "./workspace.mjs";

install();
buildIfStale();
mkdirSync(join(root, ".cache"), { recursive: true });
const words = ["demo", ...process.argv.slice(2), "-o", join(".cache", "demo.pumac")];
const { status } = spawnSync(process.execPath, [join("dist", "cli", "main.js"), ...words], { cwd: root, stdio: "inherit" });
process.exit(status ?? 1);
