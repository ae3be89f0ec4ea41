/** `pumac simulate`: a plan with all three roles in this process, for trying things out and for accuracy questions. */
import type { Command } from "commander";
import { prepareRun, presentRun, type RunFlags, runOptions } from "./run-common.js";
import { simulate } from "./simulation.js";
import { parseCount, startProgress } from "./terminal.js";

interface SimulateFlags extends RunFlags {
  readonly seed?: number;
}

export function addSimulate(program: Command): void {
  runOptions(program.command("simulate").description("run a plan with all three roles in this process (no privacy)"))
    .option("--seed <n>", "make the run reproducible", parseCount)
    .action(async (planPath: string, flags: SimulateFlags) => {
      const prepared = await prepareRun(planPath, flags);
      const progress = startProgress("simulating");
      const result = await simulate(prepared.loaded, prepared.values, flags.seed, progress.update).finally(
        progress.stop,
      );
      presentRun(prepared, result, flags);
    });
}
