/**
 * A party with a process of its own: it listens, finds its peers, runs one session and says goodbye. It prints
 * nothing and never ends the process; whoever starts it decides what an error means.
 */
import { definitionOf } from "../ir/graph.js";
import { type Plan, programsOf } from "../ir/plan/types.js";
import { SHARE } from "../ir/share/index.js";
import { type Address, dial, type Listener, listen } from "./connect.js";
import type { Identity } from "./identity.js";
import { runParty } from "./interpreter.js";
import type { KernelsFactory } from "./kernels/interface.js";
import { systemRandom } from "./keys.js";
import type { PartyReport } from "./measurement.js";
import { runSession } from "./session.js";
import { SocketTransport } from "./socket-transport.js";
import { PARTIES, type PartyName } from "./transport.js";
import { inputLayouts } from "./weight-store.js";

export interface PartyProcessOptions {
  readonly party: PartyName;
  readonly plan: Plan;
  /** Hexadecimal. */
  readonly digest: string;
  readonly kernels: KernelsFactory;
  readonly listenAt: Address;
  /** TLS with this identity, or none. */
  readonly identity: Identity | undefined;
  /** How long to wait for peers to connect, and for a silent one, in milliseconds. */
  readonly timeout: number;
  readonly usage: () => { readonly cpu: number; readonly memory: number };
  readonly clock: () => number;
  /** Hears how many rounds are done, of how many. */
  readonly onRound?: (done: number, all: number) => void;
}

/** A party that listens already; `run` dials the others and runs the session. */
export interface ListeningParty {
  readonly address: Address;
  run(addresses: Readonly<Record<PartyName, Address>>): Promise<PartyReport>;
  /** Ends at once, telling every peer. */
  abort(error: Error): void;
}

/** Starts to listen for the other parties and the clients. */
export async function startParty(options: PartyProcessOptions): Promise<ListeningParty> {
  const transport = new SocketTransport(options.party, options.timeout);
  transport.allowFrames(longestFrame(options.plan));
  const listener = await listen(transport, options.listenAt, options.identity, options.timeout);
  return {
    address: listener.address,
    run: async (addresses) => {
      try {
        return await runConnected(transport, listener, addresses, options);
      } catch (error) {
        transport.abort(error);
        throw error;
      } finally {
        listener.close();
      }
    },
    abort: (error) => {
      transport.abort(error);
      listener.close();
    },
  };
}

async function runConnected(
  transport: SocketTransport,
  listener: Listener,
  addresses: Readonly<Record<PartyName, Address>>,
  options: PartyProcessOptions,
): Promise<PartyReport> {
  const { party, plan, identity, timeout, onRound } = options;
  const watch = onRound === undefined ? {} : { onRound };
  const lower = PARTIES.filter((name) => name < party);
  await Promise.all(lower.map((name) => dial(transport, name, addresses[name], identity, timeout)));
  await listener.complete;
  const report = await runSession(transport, {
    plan: options.digest,
    layouts: {
      model: inputLayouts(plan.steps, "model"),
      data: inputLayouts(plan.steps, "data"),
      public: inputLayouts(plan.steps, "public"),
    },
    random: systemRandom,
    interpret: (session) => runParty({ ...session, plan, party, kernels: options.kernels, ...watch }),
    usage: options.usage,
    clock: options.clock,
  });
  await transport.close();
  return report;
}

/** Kernels that leave nothing in their memory: a process that goes on may be given it again. */
export function wiping(factory: KernelsFactory): KernelsFactory {
  return (bytes) => {
    const kernels = factory(bytes);
    const close = (): void => {
      new Uint8Array(kernels.arena).fill(0);
      kernels.close();
    };
    return { ...kernels, close };
  };
}

/** What a party runs of a plan: the rest, as large again, would be looked through by every garbage collection. */
export function withoutNotes(plan: Plan): Plan {
  const none = { nodes: [], outputs: [] };
  const parts = plan.parts.map(withoutNotes);
  return { ...plan, origins: [], values: [], formulas: [], owners: { model: none, data: none }, parts };
}

/** The longest frame that a plan foresees, in bytes: an input, a round's openings, or all that P0 deals. */
export function longestFrame(plan: Plan): number {
  return Math.max(...programsOf(plan).map(longestFrameOf));
}

function longestFrameOf({ steps, rounds }: Plan): number {
  const openings = new Array<number>(rounds + 1).fill(0);
  let dealt = 0;
  let longest = 0;
  for (const step of steps) {
    const types = step.args.map((index) => steps[index].type);
    const { offline, online, output } = definitionOf(SHARE, step.op).cost(types, step.attributes, step.type);
    openings[step.round] += online;
    dealt += offline;
    longest = Math.max(longest, output);
  }
  const inputs = (["model", "data", "public"] as const).flatMap((source) => inputLayouts(steps, source));
  return Math.max(longest, dealt, ...openings, ...inputs.map(({ packedBytes }) => packedBytes));
}
