/**
 * `pumac run`: three party processes on this machine, this process as both owners, then the answer. The real
 * transport, the real handshake; no privacy, because all shares are on one machine, and it says so.
 */
import type { Command } from "commander";
import { checkMemory } from "../analysis/memory.js";
import { type LocalPartiesOptions, withLocalParties } from "../client/local/parties.js";
import { KeptSharing, type LocalOwnersOptions, runDataOwner, runOwnerClients } from "../client/owners.js";
import type { LoadedPlan } from "../formats/plan-file.js";
import type { SessionResult } from "../index.js";
import { systemRandom } from "../runtime/keys.js";
import { answerData } from "./data.js";
import { interrupted } from "./exit.js";
import { type Asked, prepareRun, presentRun, type RunFlags, runOptions, startRounds } from "./run-common.js";
import { parseSeconds, printNote } from "./terminal.js";

export interface RealRunFlags extends RunFlags {
  readonly tls?: boolean;
  readonly timeout: number;
}

/** What was run, and what came of it. */
interface LocalRun {
  readonly prepared: Asked;
  readonly result: SessionResult;
}

export function addRun(program: Command): void {
  withRunFlags(program.command("run")).action(async (planPath: string, flags: RealRunFlags) => {
    if (flags.data === undefined) {
      await runLocally(planPath, flags);
    } else {
      const session = sessionOf(planPath, flags);
      await answerData(planPath, { ...flags, data: flags.data }, (loaded, owned) => {
        const kept = new KeptSharing();
        return (inputs) =>
          session(loaded, { values: runDataOwner(loaded.plan, inputs, owned), kept, showAlarmed: true });
      });
    }
  });
}

type Local = Partial<Pick<LocalOwnersOptions, "kept" | "showAlarmed">> & Pick<LocalOwnersOptions, "values">;

/** A session of three party processes and both owners, again and again. */
function sessionOf(planPath: string, flags: RealRunFlags, watch: Partial<LocalPartiesOptions> = {}) {
  printNote("All three parties run on this machine: this shows how it works, and gives no privacy.");
  const options = {
    planPath,
    tls: flags.tls === true,
    timeout: flags.timeout * 1000,
    signal: interrupted,
    ...watch,
  };
  return (loaded: LoadedPlan, local: Local): Promise<SessionResult> => {
    checkMemory(loaded.plan);
    return withLocalParties(options, (transports) =>
      runOwnerClients(transports, { ...loaded, ...local, random: systemRandom }),
    );
  };
}

/** The arguments and options of `run`. */
export function withRunFlags(command: Command): Command {
  return runOptions(command.description("run a plan with three party processes on this machine"))
    .option("--tls", "connect over TLS 1.3 on the loopback interface instead of Unix sockets")
    .option("--timeout <seconds>", "how long any side waits for another", parseSeconds, 120);
}

/** Runs a plan and shows what came of it. */
export async function runLocally(planPath: string, flags: RealRunFlags): Promise<LocalRun> {
  const prepared = await prepareRun(planPath, flags);
  const { loaded, values } = prepared;
  const progress = startRounds("running", loaded.plan);
  const session = sessionOf(planPath, flags, {
    onStarted: (processes: object) => printNote(`parties: ${describe(processes)}`),
    onRound: progress.update,
  });
  const result = await session(loaded, { values }).finally(progress.stop);
  await presentRun(prepared, result, flags);
  return { prepared, result };
}

function describe(processes: object): string {
  return Object.entries(processes)
    .map(([party, id]) => `${party} is process ${id}`)
    .join(", ");
}
