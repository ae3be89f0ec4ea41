/** Which parties are asked, for every command that asks more than once: those of a topology, or three started here. */
import type { Command } from "commander";
import { type Connection, type ConnectOptions, connect, type OpenPlan } from "../index.js";
import { interrupted } from "./exit.js";
import type { RunFlags } from "./run-common.js";
import { collect, parseSeconds, printNote, startProgress } from "./terminal.js";

export interface PartiesFlags extends Pick<RunFlags, "weights" | "trustPlan"> {
  readonly topology?: string;
  readonly local?: boolean;
  readonly timeout: number;
}

/** Adds which parties are asked to a command. */
export function partiesOptions(command: Command): Command {
  return command
    .option("--topology <file>", "ask the parties of this topology, which keep the model's shares")
    .option("--local", "start three parties on this machine and share the model with them first: no privacy")
    .option("--weights <file>", "with --local: the model, where it is not the one the plan names", collect, [])
    .option("--trust-plan <digest>", "with --local: share without compiling the model again", collect, [])
    .option("--timeout <seconds>", "how long a silent party is waited for", parseSeconds, 60);
}

/** Connects, and says where nothing is private. */
export async function connectAs(
  { topology, local, trustPlan: trusted, timeout }: PartiesFlags,
  plans: readonly OpenPlan[],
  watch: Pick<ConnectOptions, "onSeen" | "atOnce"> = {},
): Promise<Connection> {
  if (local === true) {
    printNote("All three parties run on this machine: this shows how it works, and gives no privacy.");
  }
  const { update: onProgress, stop } = startProgress("sharing weights");
  const options = { topology, local, trusted, timeout, signal: interrupted, onProgress, ...watch };
  return await connect(plans, options).finally(stop);
}
