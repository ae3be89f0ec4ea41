/**
 * Files of the build, for tests that start processes. Other tests import the sources: a build older than these would
 * be another program under the same name, so it is refused. `npm test` builds first; an editor's runner may not.
 */
import { join } from "node:path";
import { isStale } from "../scripts/workspace.mjs";

/** The path of a built file, `builtFile("cli", "main.js")`; throws where a source is newer than the build. */
export function builtFile(...path: readonly string[]): string {
  if (isStale()) {
    throw new Error("dist/ is older than the sources: npm run build");
  }
  return join(import.meta.dirname, "..", "dist", ...path);
}
