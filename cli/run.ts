/**
 * `pumac run`: three parties as processes of this machine, this process as both owners, then the answer. The code is
 * that of parties on three machines; no privacy, because all shares are on one machine, and it says so.
 */
import type { Command } from "commander";
import { checkMemory } from "../analysis/memory.js";
import { askTrio, startTrio, type TrioOptions } from "../client/local/trio.js";
import { runDataOwner } from "../client/owners.js";
import type { SharedPlan } from "../client/remote/share.js";
import { traceInto } from "../client/trace.js";
import type { ImportedModel } from "../compiler/imported.js";
import type { LoadedPlan } from "../formats/plan-file.js";
import { prepareSharing, type SessionResult } from "../index.js";
import { answerData } from "./data.js";
import { interrupted } from "./exit.js";
import { type Asked, prepareRun, presentRun, type RunFlags, runOptions, startRounds, watched } from "./run-common.js";
import { parseSeconds, printNote } from "./terminal.js";

export interface RealRunFlags extends RunFlags {
  readonly timeout: number;
}

/** What was run, and what came of it. */
interface LocalRun {
  readonly prepared: Asked & { readonly loaded: LoadedPlan; readonly model: ImportedModel };
  readonly result: SessionResult;
}

export function addRun(program: Command): void {
  withRunFlags(program.command("run")).action(async (planPath: string, flags: RealRunFlags) => {
    const { data } = flags;
    if (data === undefined) {
      return void (await runLocally(planPath, flags));
    }
    await answerData(planPath, { ...flags, data }, async (opened, options, use) => {
      const { loaded, model, shared } = await watched("opening the model", prepareSharing(opened, options));
      return withParties(shared, flags, {}, (ask) => {
        const roles = (inputs: Asked["inputs"]) => ask(runDataOwner(loaded.plan, inputs, new Map()), true);
        return use({ model, roles });
      });
    });
  });
}

type Ask = (values: ReturnType<typeof runDataOwner>, showAlarmed?: boolean) => Promise<SessionResult>;

/** Three parties that a plan's weights are shared with, and what asks them. */
async function withParties<T>(
  plan: SharedPlan,
  flags: RealRunFlags,
  watch: Pick<TrioOptions, "onStarted" | "onReady" | "onRound">,
  use: (ask: Ask) => Promise<T>,
): Promise<T> {
  printNote("All three parties run on this machine: this shows how it works, and gives no privacy.");
  checkMemory(plan.plan);
  const timeout = flags.timeout * 1000;
  const onTrace = traceInto(flags, plan.digest);
  const trio = await startTrio({ plans: [plan], timeout, signal: interrupted, again: false, ...watch });
  try {
    return await use((values, showAlarmed = false) => askTrio(plan, values, trio, { timeout, showAlarmed, onTrace }));
  } finally {
    trio.close();
  }
}

/** The arguments and options of `run`. */
export function withRunFlags(command: Command): Command {
  return runOptions(command.description("run a plan with three party processes on this machine"))
    .option("--tls", "as always: TLS 1.3 on the loopback interface")
    .option("--trace <file>", "write what all sides did when, for Perfetto (Chrome's trace events)")
    .option("--timeout <seconds>", "how long any side waits for another", parseSeconds, 120);
}

/** Runs a plan and shows what came of it. */
export async function runLocally(planPath: string, flags: RealRunFlags): Promise<LocalRun> {
  const prepared = await prepareRun(planPath, flags, async (opened, inputs, options) => {
    const checked = await prepareSharing(opened, options);
    return { ...checked, values: runDataOwner(opened.plan, inputs, new Map()) };
  });
  const { loaded, shared, values } = prepared;
  const progress = startRounds("running", loaded.plan);
  const processes: string[] = [];
  const watch = {
    onStarted: (party: string, id: number) => void processes.push(`${party} is process ${id}`),
    onReady: () => printNote(`parties: ${processes.join(", ")}`),
    onRound: progress.update,
  };
  const result = await withParties(shared, flags, watch, (ask) => ask(values)).finally(progress.stop);
  await presentRun(prepared, result, flags);
  return { prepared, result };
}
