/**
 * A model's owner shares weights with three parties that stay, once: then it may leave. Several plans of the same
 * weights take one sharing; what a party holds already is not sent again, after a broken connection too.
 *
 * The owner remembers the sharing's seeds, and which weight has which place in their streams, in its own state folder
 * (0600), and writes that down before anything is sent: a place is never used for another value.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type InferOutput, number, object, parse, record, string } from "valibot";
import { writeWhole } from "../../formats/files.js";
import type { LoadedPlan } from "../../formats/plan-file.js";
import { laneOf, type Topology } from "../../formats/topology.js";
import { type Diagnostic, fail } from "../../ir/diagnostics.js";
import { type Plan, programsOf } from "../../ir/plan/types.js";
import { packedBytes } from "../../ir/share/rules.js";
import { Rooms, type WeightStore } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { decodeControl, encodeControl } from "../../runtime/control.js";
import { PROTOCOL_VERSION } from "../../runtime/handshake.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { systemRandom } from "../../runtime/keys.js";
import {
  allWeights,
  blocksOf,
  DELETED,
  HELD,
  KEPT,
  type KeyedWeight,
  PIECE_BYTES,
  WANTED,
  WIDEST,
  weightsOf,
} from "../../runtime/requests.js";
import type { SocketTransport } from "../../runtime/socket-transport.js";
import { PARTIES, type PartyName } from "../../runtime/transport.js";
import { modelOwnerInTurn } from "../owners.js";
import { drawSeeds, type Seeds, Sharer } from "../sharing.js";
import { weightsDigest } from "../verified.js";
import { WordsAside } from "./aside.js";
import { askAll, connectParties } from "./connect.js";

/** A plan to share for, with the bytes of its file, and the model that it was compiled from. */
export interface SharedPlan extends LoadedPlan {
  readonly file: Uint8Array;
  readonly weights: WeightStore;
}

export interface ShareOptions {
  readonly topology: Topology;
  readonly timeout: number;
  /** One or more, of the same weights. */
  readonly plans: readonly SharedPlan[];
  /** Shares in words of 64 bits, so that every later plan of these weights finds what it needs. */
  readonly wide?: boolean;
  /** Ends the owner's work in the clear in the moment in which it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Hears how many weights are shared, of how many. */
  readonly onProgress?: (done: number, all: number) => void;
}

export interface ShareResult {
  readonly sharing: string;
  /** Weights that the plans take, and payload bytes sent to each party now. */
  readonly weights: number;
  readonly sent: Readonly<Record<PartyName, number>>;
}

const MEMORY = object({
  sharing: string(),
  /** SHA-256 of the weights. */
  weights: string(),
  first: string(),
  second: string(),
  /** By key: the block where its masks begin, and the bits of its words. */
  places: record(string(), object({ block: number(), ring: number() })),
  /** The first block that nothing has ever had. */
  next: number(),
});
type Memory = InferOutput<typeof MEMORY>;

/** Shares what the parties do not hold. E0802 where a party has not approved a plan: nothing is shared then. */
export async function shareModel(options: ShareOptions): Promise<ShareResult> {
  const { topology, timeout, plans } = options;
  const needed = allWeights(plans.flatMap(({ plan }) => programsOf(plan).map(weightsOf)));
  const rooms = new Rooms();
  const digest = weightsDigest(plans[0].plan, plans[0].weights, rooms);
  const memory = remembered(topology, digest) ?? freshMemory(digest);
  const transport = await connectParties("model", topology, memory.sharing, timeout);
  try {
    const held = await announce(transport, memory.sharing, plans);
    const planned = place(memory, [...needed.values()], held, options.wide === true);
    save(topology, planned);
    const missing = (party: PartyName): readonly string[] =>
      [...needed.keys()].filter((key) => held.get(party)!.get(key)?.block !== planned.places[key].block);
    const result = await send(transport, planned, { ...options, needed, missing, rooms });
    await transport.close();
    return result;
  } catch (error) {
    transport.abort(error);
    throw error;
  }
}

/** The same sharing with the parties of so many lanes of the topology, one after the other; bytes are of all lanes. */
export async function shareWithLanes(lanes: number, options: ShareOptions): Promise<ShareResult> {
  let all = await shareModel(options);
  for (let lane = 1; lane < lanes; lane++) {
    const { sent, ...rest } = await shareModel({ ...options, topology: laneOf(options.topology, lane) });
    const sum = (party: PartyName): number => all.sent[party] + sent[party];
    all = { ...rest, sent: { P0: sum("P0"), P1: sum("P1"), P2: sum("P2") } };
  }
  return all;
}

/** What each party holds of a sharing, by key. */
type Holdings = ReadonlyMap<PartyName, ReadonlyMap<string, { readonly block: number; readonly ring: number }>>;

/** Gives the parties the plans; by party, the keys that it holds and where their masks begin. */
async function announce(transport: SocketTransport, sharing: string, plans: readonly SharedPlan[]): Promise<Holdings> {
  const digests = plans.map(({ digest }) => digest);
  const request = encodeControl({ do: "share", version: PROTOCOL_VERSION, sharing, plans: digests });
  for (const [party, answer] of await askAll(transport, request)) {
    const { wanted } = decodeControl(answer, party, WANTED);
    for (const digest of wanted) {
      const plan = plans.find((each) => each.digest === digest);
      if (plan === undefined) {
        throw fail({ code: "E0901", what: "a party asks for another plan", where: party });
      }
      await transport.send(party, plan.file);
    }
  }
  const held = new Map<PartyName, ReadonlyMap<string, { readonly block: number; readonly ring: number }>>();
  const problems: Diagnostic[] = [];
  for (const party of PARTIES) {
    const answer = decodeControl(await transport.receive(party), party, HELD);
    held.set(party, new Map(Object.entries(answer.held)));
    const waiting = digests.filter((digest) => answer.plans[digest] !== "approved");
    problems.push(...waiting.map((digest) => unapproved(party, digest)));
  }
  if (problems.length > 0) {
    throw fail(...problems);
  }
  return held;
}

function unapproved(where: PartyName, digest: string): Diagnostic {
  const what = `${where} has the plan now, and has not approved it`;
  const fix = `at ${where}: pumac trust approve ${digest}; then share again`;
  return { code: "E0802", what, where, why: "a party runs approved plans only; nothing was shared", fix };
}

/**
 * Gives every weight that has none a place, and a new one where it needs a wider ring than before. E0801 where a party
 * holds something that this owner does not remember.
 */
function place(memory: Memory, needed: readonly KeyedWeight[], held: Holdings, wide: boolean): Memory {
  for (const [party, entries] of held) {
    for (const { block } of entries.values()) {
      if (block >= memory.next) {
        const what = `${party} holds a weight of the sharing that is not remembered here`;
        const fix = `pumac share --delete ${memory.sharing}, and share again`;
        throw fail({ code: "E0801", what, where: party, fix });
      }
    }
  }
  const places = { ...memory.places };
  let { next } = memory;
  for (const { key, elements, ring } of needed) {
    if (places[key] === undefined || places[key].ring < ring) {
      places[key] = { block: next, ring: wide ? WIDEST : ring };
      next += blocksOf(elements);
    }
  }
  return { ...memory, places, next };
}

interface Sending extends ShareOptions {
  readonly needed: ReadonlyMap<string, KeyedWeight>;
  readonly missing: (party: PartyName) => readonly string[];
  readonly rooms: Rooms;
}

async function send(transport: SocketTransport, memory: Memory, sending: Sending): Promise<ShareResult> {
  const { needed, missing, rooms, onProgress, signal } = sending;
  const seeds: Seeds = { first: bytesOf(memory.first), second: bytesOf(memory.second) };
  const evaluators = ["P1", "P2"] as const;
  const keys = new Set([...needed.keys()].filter((key) => evaluators.some((party) => missing(party).includes(key))));
  const parts = partsOf(sending.plans, keys);
  const layoutOf = new Map([...keys].map((key) => [key, placed(needed.get(key)!, memory)]));
  const sharer = new Sharer(loadKernels().create);
  const sent = { P0: 0, P1: 0, P2: 0 };
  const give = async (party: PartyName, frame: Uint8Array): Promise<void> => {
    sent[party] += frame.length;
    await transport.send(party, frame);
  };
  let aside: WordsAside | undefined;
  try {
    // Every value is looked at before anything is sent. Its words wait for that on the disk, or, where that is full, it
    // is evaluated again when its turn comes: all of a large model's in memory are too many.
    aside = new WordsAside(folderOf(sending.topology));
    for await (const [key, value] of valuesOf(parts, signal, rooms)) {
      await sharer.maskInto(layoutOf.get(key)!, value, seeds, (words) => void aside?.put(words));
    }
    for (const party of PARTIES) {
      const lacks = new Set(missing(party));
      const coming = parts.flatMap(({ program }) => program.outputs.map(({ name }) => name));
      const rest = [...lacks].filter((key) => !keys.has(key));
      const entries = [...coming.filter((key) => lacks.has(key)), ...rest].map((key) => ({
        key,
        ...memory.places[key],
      }));
      await transport.send(party, encodeControl({ entries }));
    }
    await give("P0", Buffer.concat([seeds.first, seeds.second]));
    await give("P1", seeds.first);
    await give("P2", seeds.second);
    let done = 0;
    const anew = async function* () {
      for await (const [key, value] of valuesOf(parts, signal, rooms)) {
        yield [key, pieces(await sharer.mask(layoutOf.get(key)!, value, seeds))] as const;
      }
    };
    for await (const [key, words] of aside.isWhole ? waiting(aside, parts, layoutOf) : anew()) {
      const receivers = evaluators.filter((party) => missing(party).includes(key));
      for (const piece of words) {
        await Promise.all(receivers.map((party) => give(party, piece)));
      }
      onProgress?.(++done, keys.size);
    }
  } finally {
    sharer.close();
    aside?.close();
  }
  for (const party of PARTIES) {
    decodeControl(await transport.receive(party), party, KEPT);
  }
  return { sharing: memory.sharing, weights: needed.size, sent };
}

/** The words of the weights that wait, in their order. */
function* waiting(aside: WordsAside, parts: readonly Part[], layoutOf: ReadonlyMap<string, KeyedWeight>) {
  for (const { name } of parts.flatMap(({ program }) => program.outputs)) {
    yield [name, aside.take(layoutOf.get(name)!.packedBytes)] as const;
  }
}

function* pieces(words: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < words.length; at += PIECE_BYTES) {
    yield words.subarray(at, at + PIECE_BYTES);
  }
}

/** A weight as it is shared: at its place, in its words' bits. */
function placed(weight: KeyedWeight, { places }: Memory): KeyedWeight {
  const { block, ring } = places[weight.key];
  return { ...weight, block, ring, packedBytes: packedBytes(weight.elements, ring) };
}

/** What is needed of one of the owner's programs; its outputs are named by the weights' keys. */
interface Part {
  readonly program: Plan["owners"]["model"];
  readonly weights: WeightStore;
}

/** The parts of the programs that give these weights, each weight once. */
function partsOf(plans: readonly SharedPlan[], keys: ReadonlySet<string>): readonly Part[] {
  const left = new Set(keys);
  const programs = plans.flatMap(({ plan, weights }) => programsOf(plan).map((each) => ({ plan: each, weights })));
  return programs.map(({ plan, weights }) => {
    const { nodes, outputs } = plan.owners.model;
    const nodeOf = new Map(outputs.map(({ name, node }) => [name, node]));
    const wanted = weightsOf(plan).filter(({ key }) => left.delete(key));
    const named = wanted.map(({ name, key }) => {
      const { output } = plan.bindings.find(({ input, owner }) => input === name && owner === "model")!;
      return { name: key, node: nodeOf.get(output)! };
    });
    return { program: { nodes, outputs: named }, weights };
  });
}

/** The weights of these parts by key, one after the other, each good until the next one is asked for. */
async function* valuesOf(
  parts: readonly Part[],
  signal: AbortSignal | undefined,
  rooms: Rooms,
): AsyncGenerator<readonly [key: string, value: TensorValue]> {
  for (const { program, weights } of parts) {
    yield* modelOwnerInTurn(program, weights, signal, rooms);
  }
}

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

function folderOf({ folder }: Topology): string {
  return join(folder, "sharings");
}

/** A sharing of the same weights that this owner began before. */
function remembered(topology: Topology, digest: string): Memory | undefined {
  const folder = folderOf(topology);
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    if (name.endsWith(".json")) {
      const memory = readMemory(join(folder, name));
      if (memory.weights === digest) {
        return memory;
      }
    }
  }
  return undefined;
}

function readMemory(file: string): Memory {
  try {
    return parse(MEMORY, JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const fix = "move it away: the model is then shared anew";
    throw fail({ code: "E0301", what: "what is remembered of a sharing cannot be read", where: file, why, fix });
  }
}

function freshMemory(weights: string): Memory {
  const { first, second } = drawSeeds(systemRandom);
  const [sharing, one, two] = [systemRandom(16), first, second].map((bytes) => Buffer.from(bytes).toString("hex"));
  return { sharing, weights, first: one, second: two, places: {}, next: 0 };
}

function save(topology: Topology, memory: Memory): void {
  mkdirSync(folderOf(topology), { recursive: true, mode: 0o700 });
  const file = join(folderOf(topology), `${memory.sharing}.json`);
  writeWhole(file, "what is remembered of a sharing", JSON.stringify(memory));
}

/** What a party said of a deletion. */
export interface Deleted {
  readonly party: PartyName;
  readonly found: boolean;
  readonly bytes: number;
}

/** Removes a sharing at every party, and what is remembered of it here. */
export async function deleteSharing(sharing: string, topology: Topology, timeout: number): Promise<readonly Deleted[]> {
  const transport = await connectParties("model", topology, sharing, timeout);
  try {
    const request = encodeControl({ do: "delete", version: PROTOCOL_VERSION, sharing });
    const answers = [...(await askAll(transport, request))];
    const deleted = answers.map(([party, answer]) => ({ party, ...decodeControl(answer, party, DELETED) }));
    await transport.close();
    rmSync(join(folderOf(topology), `${sharing}.json`), { force: true });
    return deleted;
  } catch (error) {
    transport.abort(error);
    throw error;
  }
}
