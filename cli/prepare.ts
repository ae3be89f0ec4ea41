/** `pumac prepare`: a data owner has P0's material made before its questions, which then pay the online time only. */
import type { Command } from "commander";
import { describePrepared } from "../analysis/measured.js";
import { type PrepareOptions, prepareLanes } from "../client/remote/prepare.js";
import { loadPlan } from "../formats/plan-file.js";
import { parseDays } from "../formats/quantities.js";
import { loadTopology } from "../formats/topology.js";
import { interrupted } from "./exit.js";
import { parseCount, parseSeconds, printJson, printResult, startProgress } from "./terminal.js";

interface PrepareFlags extends Pick<PrepareOptions, "sharing" | "count" | "timeout" | "drop"> {
  readonly topology: string;
  readonly lanes: number;
  readonly days: number;
  readonly json?: boolean;
}

export function addPrepare(program: Command): void {
  program
    .command("prepare")
    .description("have the parties make P0's material for later questions, which then need P1 and P2 only")
    .argument("<plan>", "the plan file that compile wrote")
    .requiredOption("--topology <file>", "this data owner's topology (pumac init)")
    .option("--sharing <id>", "which sharing of the weights (default: the newest that all parties keep)")
    .option("--count <number>", "for how many questions, of each lane; 0: how many there are", parseCount, 1)
    .option("--drop", "give up what was prepared (of one sharing, with --sharing), and make none")
    .option("--lanes <number>", "for so many lanes of the topology", parseCount, 1)
    .option("--days <number>", "for how long it is kept, at most 30", parseDays, 7 * 86_400_000)
    .option("--timeout <seconds>", "how long a silent party is waited for", parseSeconds, 60)
    .option("--json", "print one JSON document (pumac.prepare/1)")
    .action(async (path: string, { topology, days: keep, timeout, json, ...flags }: PrepareFlags) => {
      const loaded = loadPlan(path);
      const { update: onProgress, stop } = startProgress("preparing");
      const count = flags.drop === true ? 0 : flags.count;
      const given = { ...flags, count, keep, timeout: timeout * 1000, signal: interrupted, onProgress };
      const made = await prepareLanes(loaded, { ...given, topology: loadTopology(topology) }).finally(stop);
      if (json === true) {
        printJson({ schema: "pumac.prepare/1", plan: loaded.digest, ...made });
      } else {
        printResult(describePrepared(made));
      }
    });
}
