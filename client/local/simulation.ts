/**
 * The three roles and both owners in one process, over links that deliver in seeded order. Everything is as in a real
 * session (handshake, shares, rounds, bytes), except that whoever runs it holds all shares.
 */

import type { LoadedPlan } from "../../formats/plan-file.js";
import { type PartyOptions, runParty } from "../../runtime/interpreter.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { type RandomSource, seededRandom, systemRandom } from "../../runtime/keys.js";
import { runSession } from "../../runtime/session.js";
import { PARTIES, type PartyName, type PeerName } from "../../runtime/transport.js";
import { inputLayouts } from "../../runtime/weight-store.js";
import { type KeptSharing, type OwnerValues, runOwnerClients, type SessionResult } from "../owners.js";
import { LocalNetwork } from "./network.js";

/** Hears that a party has completed a step, and sees its arena. */
export type Observe = (party: PartyName, step: number, arena: ArrayBuffer) => void;

export interface SimulationOptions {
  /** Hears how many rounds are done, of how many. */
  readonly onRound?: ((done: number, all: number) => void) | undefined;
  readonly observe?: Observe;
  /** A sharing of the weights that many sessions use. */
  readonly kept?: KeptSharing;
  /** Gives outputs although the overflow guard has found them to be noise. */
  readonly showAlarmed?: boolean | undefined;
  /** Ends the simulation, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Runs a plan on the owners' values inside this process; `seed` makes it reproducible. */
export async function simulate(
  loaded: LoadedPlan,
  values: OwnerValues,
  seed: number | undefined,
  { onRound = () => undefined, observe = () => undefined, kept, showAlarmed, signal }: SimulationOptions = {},
): Promise<SessionResult> {
  signal?.throwIfAborted();
  const network = new LocalNetwork(seed === undefined ? {} : { seed });
  const randomOf = (peer: string): RandomSource =>
    seed === undefined ? systemRandom : seededRandom(`${peer} of simulation ${seed}`);
  const parties = PARTIES.map((party) =>
    simulateParty(party, network, loaded, randomOf(party), {
      onRound: party === "P1" ? onRound : () => undefined,
      observe: (step, arena) => observe(party, step, arena),
    }),
  );
  const transports = { model: network.transport("model"), data: network.transport("data") };
  const owners = runOwnerClients(transports, {
    ...loaded,
    values,
    random: randomOf("owners"),
    showAlarmed,
    ...(kept && { kept }),
  });
  const abort = (): void => PARTIES.forEach((party) => void network.close(party));
  signal?.addEventListener("abort", abort);
  try {
    const [result] = await Promise.all([
      owners.catch((error: unknown) => giveUp(network, "data", error)),
      ...parties.map((running, i) => running.catch((error: unknown) => giveUp(network, PARTIES[i], error))),
    ]);
    return result;
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Closes a failed peer's links, so that nobody waits for it. */
function giveUp(network: LocalNetwork, peer: PeerName, error: unknown): never {
  network.close(peer);
  throw error;
}

async function simulateParty(
  party: PartyName,
  network: LocalNetwork,
  { plan, digest }: LoadedPlan,
  random: RandomSource,
  hooks: Pick<PartyOptions, "onRound" | "observe">,
): Promise<void> {
  await runSession(network.transport(party), {
    plan: digest,
    layouts: {
      model: inputLayouts(plan.steps, "model"),
      data: inputLayouts(plan.steps, "data"),
      public: inputLayouts(plan.steps, "public"),
    },
    random,
    interpret: (session) => runParty({ ...session, plan, party, kernels: loadKernels().create, ...hooks }),
    clock: () => performance.now() / 1000,
  });
}
