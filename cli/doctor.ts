/** `pumac doctor`: what this machine offers, and whether it is enough. Exit 10 when something that is needed fails. */
import type { Command } from "commander";
import { checkMachine } from "../analysis/machine.js";
import { checkTopology, throwProblems } from "../client/remote/doctor.js";
import { loadPlan } from "../formats/plan-file.js";
import { loadTopology } from "../formats/topology.js";
import { fail } from "../ir/diagnostics.js";
import { colours, parseSeconds, printJson, printResult } from "./terminal.js";

interface DoctorFlags {
  readonly json?: boolean;
  readonly topology?: string;
  readonly plan?: string;
  readonly timeout: number;
}

export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description("check this machine: Node, kernels, sockets, certificates, memory; or every link of a topology")
    .option("--topology <file>", "check every link to the parties and between them, instead")
    .option("--plan <file>", "with --topology: also whether this plan is approved and its weights are shared")
    .option("--timeout <seconds>", "how long a silent party is waited for", parseSeconds, 5)
    .option("--json", "print one JSON document")
    .action(async ({ json, topology, plan, timeout }: DoctorFlags) => {
      const digest = plan === undefined ? undefined : loadPlan(plan).digest;
      const links =
        topology === undefined ? undefined : await checkTopology(loadTopology(topology), timeout * 1000, digest);
      const checks = links ?? (await checkMachine());
      if (json === true) {
        printJson({ schema: "pumac.doctor/1", checks });
      } else {
        const paint = { ok: colours.green, slow: colours.yellow, failed: colours.red };
        checks.forEach(({ name, state, detail }) => {
          printResult(`${paint[state](state.padEnd(7))}${name.padEnd(15)}${detail}`);
        });
      }
      throwProblems(links ?? []);
      const failed = checks.filter(({ state }) => state === "failed");
      if (failed.length > 0) {
        throw fail(...failed.map(({ name, detail }) => ({ code: "E1001", what: detail, where: name }) as const));
      }
    });
}
