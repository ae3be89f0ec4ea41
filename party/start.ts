/** A party from its topology file: the daemon, what its operator watches it by, and the topology read again. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { addressOf, identityOf, laneOf, loadTopology, type Topology } from "../formats/topology.js";
import { fail } from "../ir/diagnostics.js";
import { expiringSoon } from "../runtime/identity.js";
import { loadKernels } from "../runtime/kernels/load.js";
import { systemRandom } from "../runtime/keys.js";
import { processUsage } from "../runtime/memory.js";
import { collectLate, leaveNoCore, optimiseLate } from "../runtime/system.js";
import { PARTIES, type PartyName } from "../runtime/transport.js";
import type { Bounds } from "./admission.js";
import type { Log } from "./context.js";
import { PartyDaemon } from "./daemon.js";
import { Watch } from "./watch.js";

export interface PartyLimits extends Bounds {
  /** How long a silent peer is waited for, and a session may take, in seconds. */
  readonly timeout: number;
  readonly deadline: number;
  /** Questions that each data owner may ask in a day. */
  readonly quota: number;
  /** How much prepared material may take on the disk, in bytes. */
  readonly prepared: number;
  /** Which lane of the topology this process serves; the first without. */
  readonly lane?: number;
  /** Where /healthz, /readyz and /metrics are answered. */
  readonly watch?: { readonly host: string; readonly port: number };
}

/** A party that serves. */
export interface StartedParty {
  /** Reads the topology again: new certificates and addresses, for sessions from now on. */
  renew(): void;
  /** Lets running sessions finish. */
  stop(): Promise<void>;
}

/** Which party a topology is of. E0305 where it is an owner's. */
export function partyOf({ name, file }: Topology): PartyName {
  const party = PARTIES.find((each) => each === name);
  if (party === undefined) {
    const fix = "pumac init --party P0";
    throw fail({ code: "E0305", what: `it is of ${name}, which is no party`, where: file, fix });
  }
  return party;
}

/** Begins to serve; from then on the process leaves no core file. E0305: the topology; E1001: an address is taken. */
export async function startParty(file: string, given: PartyLimits & { readonly log: Log }): Promise<StartedParty> {
  const { log, watch: place, lane = 0 } = given;
  const topology = laneOf(loadTopology(file), lane);
  const party = partyOf(topology);
  collectLate();
  optimiseLate();
  if (!leaveNoCore()) {
    log.warn({ fix: "start it with ulimit -c 0" }, "a core file of this process would hold its shares");
  }
  const state = stateOf(topology, lane);
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const { create: kernels, warning } = loadKernels();
  const daemon = new PartyDaemon({
    ...given,
    party,
    listenAt: addressOf(topology, party),
    addresses: addressesOf(topology),
    identity: identityOf(topology),
    state,
    shelf: topology.folder,
    timeout: given.timeout * 1000,
    deadline: given.deadline * 1000,
    kernels,
    random: systemRandom,
    usage: processUsage,
    onEnd: (end) => watch?.record(end),
  });
  const watch = place === undefined ? undefined : new Watch(daemon);
  const at = await daemon.start();
  log.info({ ...at, state, ...(warning !== undefined && { slow: warning }) }, "listening");
  if (place !== undefined) {
    log.info({ host: place.host, port: await watch?.start(place) }, "watched");
  }
  for (const { name, days } of expiringSoon(identityOf(topology).pinned, Date.now())) {
    log.warn({ name, days }, "a certificate expires soon");
  }
  return {
    renew: () => readAgain(daemon, file, lane, log),
    stop: async () => {
      log.info({ sessions: daemon.admission.running }, "draining");
      await daemon.drain();
      watch?.close();
      log.info({}, "stopped");
    },
  };
}

/** What a lane keeps of its own: shares, sessions, audit. Plans and which are approved are the party's. */
export function stateOf({ folder }: Topology, lane: number): string {
  return lane === 0 ? folder : join(folder, `lane-${lane}`);
}

function readAgain(daemon: PartyDaemon, file: string, lane: number, log: Log): void {
  try {
    const fresh = laneOf(loadTopology(file), lane);
    daemon.renew(identityOf(fresh), addressesOf(fresh));
    log.info({ known: Object.keys(fresh.peers) }, "topology read again");
  } catch (error) {
    log.warn({ why: error instanceof Error ? error.message : String(error) }, "the topology stays as it was");
  }
}

function addressesOf(topology: Topology) {
  const [P0, P1, P2] = PARTIES.map((name) => addressOf(topology, name));
  return { P0, P1, P2 };
}
