/** The program `pumac`. Exit statuses and error text: exit.ts. */
import { handleSignals, reportError } from "./exit.js";
import { createProgram } from "./program.js";

handleSignals();
try {
  await (await createProgram(process.argv[2])).parseAsync();
  process.exit(0);
} catch (error) {
  process.exit(reportError(error));
}
