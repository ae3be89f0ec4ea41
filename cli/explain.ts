/** `pumac explain CODE`: the page of the error catalogue about one code. */
import type { Command } from "commander";
import { CATALOGUE, type DiagnosticCode } from "../ir/catalogue.js";
import { fail } from "../ir/diagnostics.js";
import { MENDS } from "../ir/mends.js";
import { printJson, printResult } from "./terminal.js";

export function addExplain(program: Command): void {
  program
    .command("explain")
    .description("explain an error code")
    .argument("<code>", "for example E0203")
    .option("--json", "print one JSON document")
    .action((code: string, options: { json?: boolean }) => explain(code.toUpperCase(), options.json === true));
}

function explain(code: string, json: boolean): void {
  if (!Object.hasOwn(CATALOGUE, code)) {
    const fix = `the codes are ${Object.keys(CATALOGUE).join(", ")}`;
    throw fail({ code: "E0201", what: `there is no code '${code}'`, fix });
  }
  const { exit, title, explain: page } = CATALOGUE[code as DiagnosticCode];
  const { example, mend } = MENDS[code as DiagnosticCode];
  if (json) {
    printJson({ schema: "pumac.explain/1", code, exit, title, explain: page, example, mend });
  } else {
    printResult(`${code}: ${title} (exit status ${exit})\n\n${page}\n\nexample: ${example}\nmend:    ${mend}`);
  }
}
