/**
 * A share program run by the three roles in one process, without the compiler: steps in the order of their rounds,
 * every value in a place of its own, stream positions one after the other. Used by the law tests.
 */
import { randomBytes } from "node:crypto";
import { LocalNetwork, type LocalOptions } from "../../client/local/network.js";
import { valueFrom } from "../../client/local/roles.js";
import { definitionOf, type Graph, type Node } from "../../ir/graph.js";
import type { Plan, Step } from "../../ir/plan/types.js";
import { POWER_INDEX_BITS } from "../../ir/share/decays.js";
import { heldBytes, SHARE, type ShareType, type ShareValue, type WordType } from "../../ir/share/index.js";
import { packedBytes } from "../../ir/share/rules.js";
import { cosineQuarter, negativePowers, tableAngleOf } from "../../ir/share/tables.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { type RunReport, runParty } from "../../runtime/interpreter.js";
import type { Kernels, KernelsFactory } from "../../runtime/kernels/interface.js";
import { packHalves } from "../../runtime/kernels/packing.js";
import { createPortableKernels } from "../../runtime/kernels/portable.js";
import { streamBytes } from "../../runtime/kernels/portable-stream.js";
import { ONLY_RUN, type RunName } from "../../runtime/keys.js";
import type { SecretState } from "../../runtime/state.js";
import { PARTIES, type PartyName, type PeerName } from "../../runtime/transport.js";
import { inputLayouts, type OwnerShares } from "../../runtime/weight-store.js";

type ShareNode = Node<ShareType>;

const EMPTY = { nodes: [], outputs: [] };

/** How many openings lie on the longest chain up to each node. */
export function depthsOf(graph: Graph<ShareType>): ReadonlyMap<ShareNode, number> {
  const depths = new Map<ShareNode, number>();
  for (const node of graph.nodes) {
    const own = costOf(node).depth;
    depths.set(node, own + Math.max(0, ...node.args.map((argument) => depths.get(argument)!)));
  }
  return depths;
}

export function costOf(node: ShareNode) {
  const types = node.args.map((argument) => argument.type);
  return definitionOf(SHARE, node.op).cost(types, node.attributes, node.type);
}

/** A plan for a share program: no place is used twice. */
export function planOf(graph: Graph<ShareType>): Plan {
  const depths = depthsOf(graph);
  const when = (node: ShareNode) => depths.get(node)! - (costOf(node).depth === 1 ? 0.5 : 0);
  const order = [...graph.nodes].sort((a, b) => when(a) - when(b));
  const index = new Map(order.map((node, i) => [node, i]));
  const next = new Map<string, number>();
  const take = (stream: string, bytes: number) => {
    const block = next.get(stream) ?? 0;
    next.set(stream, block + Math.ceil(bytes / 16));
    return block;
  };
  const arena = { P0: 0, P12: 0 };
  const offset = (party: "P0" | "P12", bytes: number) => {
    arena[party] += bytes;
    return bytes === 0 ? -1 : arena[party] - bytes;
  };
  const steps = order.map((node): Step => {
    const draws = definitionOf(SHARE, node.op).draws(
      node.args.map((argument) => argument.type),
      node.attributes,
      node.type,
    );
    const offsets = { P0: offset("P0", heldBytes(node.type, "P0")), P12: offset("P12", heldBytes(node.type, "P12")) };
    return {
      op: node.op,
      args: node.args.map((argument) => index.get(argument)!),
      attributes: node.attributes,
      type: node.type,
      origin: 0,
      round: depths.get(node)!,
      draws: draws.map(({ pair, bytes }) => ({
        pair,
        block: node.op === "input" ? take(`${node.attributes.owner} ${pair}`, bytes) : take(pair, bytes),
      })),
      offsets,
    };
  });
  return {
    version: 1,
    name: "law",
    profile: "fourier",
    modelDigest: "",
    shapes: {},
    rounds: Math.max(0, ...depths.values()),
    steps,
    origins: [{ node: "law", op: "" }],
    values: [],
    owners: { model: EMPTY, data: EMPTY },
    bindings: [],
    reveals: [],
    formulas: [],
    choices: [],
    published: [],
    disclosed: [],
    record: "{}",
    ranges: { method: "structure by choice", inputs: 0, margin: 1 },
    tables: tablesOf(order),
    arena,
    parts: [],
  };
}

function tablesOf(nodes: readonly ShareNode[]): Plan["tables"] {
  const angles = nodes
    .map((node) => node.attributes.angle)
    .filter((angle) => typeof angle === "number")
    .map(tableAngleOf);
  const fractions = nodes.flatMap(({ op, args }) =>
    op === "exponential" ? [(args[0].type as WordType).fraction] : op === "decays" ? [POWER_INDEX_BITS] : [],
  );
  return {
    cosines: new Map(angles.map((angle) => [angle, cosineQuarter(angle)])),
    exponentials: new Map(fractions.map((fraction) => [fraction, negativePowers(fraction)])),
  };
}

/** Values of the inputs, by name, as words. */
export type Values = (name: string, count: number) => BigUint64Array;

/** One owner's sharing: seeds, and the packed masked words. */
function shareOwner(
  plan: Plan,
  owner: "model" | "data",
  values: Values,
  seed: (label: string) => Uint8Array,
): OwnerShares {
  const [first, second] = [seed(`${owner} first`), seed(`${owner} second`)];
  const layouts = new Map(inputLayouts(plan.steps, owner).map((layout) => [layout.name, layout]));
  return {
    first,
    second,
    block: (name) => layouts.get(name)!.block,
    masked: (name) => {
      const { elements, ring, block } = layouts.get(name)!;
      const words = values(name, elements);
      const masks = [first, second].map(
        (key) => new BigUint64Array(streamBytes(key, block, 8 * elements).buffer, 0, elements),
      );
      return pack(
        words.map((word, i) => BigInt.asUintN(64, word + masks[0][i] + masks[1][i])),
        ring,
      );
    },
  };
}

function pack(words: BigUint64Array, bits: number): Uint8Array {
  const packed = new Uint8Array(packedBytes(words.length, bits));
  packHalves(new Uint32Array(words.buffer), 0, words.length, bits, packed, 0);
  return packed;
}

export interface Outcome {
  readonly reports: Readonly<Record<PartyName, RunReport>>;
  /** The value of a step, put together from the parties' arenas. */
  readonly valueOf: (step: number) => ShareValue;
  readonly arenas: Readonly<Record<PartyName, ArrayBuffer>>;
  /** Frees the arenas. */
  readonly close: () => void;
}

export interface RunOptions extends LocalOptions {
  /** Default: portable. */
  readonly kernels?: (party: PartyName) => KernelsFactory;
  /** Key material by label; random without. */
  readonly seed?: number;
  readonly keyOf?: (label: string) => Uint8Array;
  /** Which run of a session it is, and what the parties have kept in earlier ones. */
  readonly run?: RunName;
  readonly states?: Readonly<Record<PartyName, SecretState>>;
}

/** Runs a plan in the three roles and gives access to what they hold at the end. */
export async function runPlan(plan: Plan, values: Values, options: RunOptions = {}): Promise<Outcome> {
  const drawn = new Map<string, Uint8Array>();
  const material = (label: string): Uint8Array => {
    const key = drawn.get(label) ?? options.keyOf?.(label) ?? randomBytes(16);
    drawn.set(label, key);
    return key;
  };
  const network = new LocalNetwork(options);
  const open: Kernels[] = [];
  const arenas = {} as Record<PartyName, ArrayBuffer>;
  const inputs = {
    model: shareOwner(plan, "model", values, material),
    data: shareOwner(plan, "data", values, material),
  };
  const pairs = { P0: ["01", "02"], P1: ["01", "12"], P2: ["02", "12"] } as const;
  const run = async (party: PartyName): Promise<RunReport> => {
    const factory: KernelsFactory = options.kernels?.(party) ?? createPortableKernels;
    try {
      return await runParty({
        plan,
        party,
        transport: network.transport(party),
        kernels: Object.assign(
          (bytes: number) => {
            const kernels = factory(bytes);
            arenas[party] = kernels.arena;
            open.push(kernels);
            return { ...kernels, close: () => undefined };
          },
          { tape: factory.tape },
        ),
        keys: Object.fromEntries(pairs[party].map((pair) => [pair, material(pair)])),
        run: options.run ?? ONLY_RUN,
        ...(options.states && { state: options.states[party] }),
        inputs,
        publicInput: (name) => {
          const step = plan.steps.find(({ attributes }) => attributes.name === name)!;
          return pack(values(name, sizeOf(step.type.shape)), (step.type as WordType).ring);
        },
      });
    } finally {
      network.close(party);
    }
  };
  const results = await Promise.allSettled(PARTIES.map(run));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) {
    throw failed.reason;
  }
  const [P0, P1, P2] = results.map((result) => (result as PromiseFulfilledResult<RunReport>).value);
  return {
    reports: { P0, P1, P2 },
    arenas,
    valueOf: (step) => valueFrom(plan.steps[step], arenas),
    close: () => {
      for (const kernels of open) {
        kernels.close();
      }
    },
  };
}

/** Frames by link. */
export function recorder(): {
  readonly tap: NonNullable<LocalOptions["tap"]>;
  readonly frames: Map<string, Uint8Array[]>;
} {
  const frames = new Map<string, Uint8Array[]>();
  const tap = (from: PeerName, to: PeerName, frame: Uint8Array) => {
    const key = `${from}>${to}`;
    frames.set(key, [...(frames.get(key) ?? []), frame]);
  };
  return { tap, frames };
}
