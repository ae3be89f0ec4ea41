/** examples/three-organisations/walk.sh, from keys to the last answer, as the README shows it. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { MAIN, temporaryFolder } from "./command.js";

it.each(["", "loopback"])("walks through three organisations (network: %j)", (network) => {
  const folder = temporaryFolder();
  const pumac = join(folder, "pumac");
  writeFileSync(pumac, `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`, { mode: 0o755 });
  const script = join(import.meta.dirname, "..", "..", "examples", "three-organisations", "walk.sh");
  const port = String(20_000 + (process.pid % 20_000));
  const env = { ...process.env, PUMAC: pumac, PORT: port, NETWORK: network };
  const { status, stdout, stderr } = spawnSync("bash", [script, join(folder, "walk")], { encoding: "utf8", env });
  // What becomes public is said even where --quiet asks for silence; nothing else is.
  expect(stderr.split("\n").filter((line) => line !== "" && !line.startsWith("public: "))).toEqual([]);
  expect(status).toBe(0);
  expect(stdout.match(/class [01] 0\.\d+$/gm)).toHaveLength(5);
  expect(stdout).toMatch(/error\[E0601\]: P1 /);
  expect(stdout).toMatch(/error\[E0802\]: P2 has not approved the plan/);
});
