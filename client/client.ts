/**
 * An owner in a session: offers the plan to the three parties, waits until they agree, shares its values and, as the
 * data owner, puts the revealed outputs together. The owner's own program (what it may compute in the clear before
 * sharing) has been run already: its values come by name.
 */
import { literal, nullable, number, object, optional, picklist, record, string } from "valibot";
import { fail } from "../ir/diagnostics.js";
import { packedBytes } from "../ir/share/rules.js";
import type { TensorValue } from "../ir/tensor/value.js";
import { decodeControl, encodeControl } from "../runtime/control.js";
import { PROTOCOL_VERSION } from "../runtime/handshake.js";
import type { RandomSource } from "../runtime/keys.js";
import type { MeteredTransport, OwnerReport, PartyReport } from "../runtime/measurement.js";
import { PIECE_BYTES } from "../runtime/requests.js";
import { nextRun } from "../runtime/session.js";
import { TRACE } from "../runtime/trace.js";
import { EVALUATORS, PARTIES, type PartyName, type Transport } from "../runtime/transport.js";
import type { InputLayout, Owner, Source } from "../runtime/weight-store.js";
import type { ClaimedEntry } from "./prepared.js";
import { drawSeeds, type Seeds, type Sharer } from "./sharing.js";

/** A revealed value as the plan declares it; the overflow guard's verdict has no name, and bits for a ring. */
export interface RevealLayout {
  readonly name: string | undefined;
  readonly ring: number;
  readonly fraction: number;
  readonly shape: readonly number[];
  readonly elements: number;
}

/** What an owner shares of a program's inputs, and with what. */
export interface SharedValues {
  readonly owner: Owner;
  readonly layouts: readonly InputLayout[];
  /** The public inputs, which the data owner sends; none at the model's owner. */
  readonly publicLayouts: readonly InputLayout[];
  /** The values by share input name; asked for once or twice each, in the order of the layouts, public ones last. */
  readonly values: (name: string, source: Source) => TensorValue;
  readonly sharer: Pick<Sharer, "check" | "mask">;
  readonly random: RandomSource;
  /** Hears the masked words of an input when they are sent, as P1 and P2 get them. */
  readonly onShared?: ((words: Uint8Array) => void) | undefined;
  /** Hears how many of the owner's inputs are shared. */
  readonly onProgress?: (done: number, all: number) => void;
}

export interface ClientOptions extends SharedValues {
  /** Hexadecimal digest of the plan. */
  readonly plan: string;
  /** The data owner's: the sharing of the weights that it asks about, where the parties keep some. */
  readonly weights?: string;
  /** The data owner's: material that was made ahead, which the session uses. */
  readonly entry?: ClaimedEntry | undefined;
}

const ACCEPTANCE = object({ accepted: literal(true) });

/** Inputs that are ready to be sent, in the order of their layouts, public ones last. */
export interface Masked {
  readonly seeds: Seeds;
  readonly words: readonly Uint8Array[];
}

/** A data owner's inputs, masked with fresh seeds. E0202 for a value that the plan does not allow. */
export async function maskInputs({ layouts, publicLayouts, sharer, values, random }: SharedValues): Promise<Masked> {
  const seeds = drawSeeds(random);
  const words: Uint8Array[] = [];
  for (const layout of [...layouts, ...publicLayouts]) {
    const known = layout.owner === "public" ? undefined : seeds;
    words.push(await sharer.mask(layout, values(layout.name, layout.owner), known));
  }
  return { seeds, words };
}

/**
 * Offers the plan, waits for the parties' agreement and shares every input of the owner; `masked`: a data owner's that
 * are being masked meanwhile. All values are looked at before anything is offered (E0202): whether a session begins is
 * all that a peer can see of them.
 */
export async function shareInputs(
  transport: MeteredTransport,
  options: ClientOptions,
  masked?: Promise<Masked>,
): Promise<OwnerReport> {
  const { entry } = options;
  if (entry === undefined) {
    const ready = await (masked ?? readied(options));
    await offerPlan(transport, options);
    return await giveShares(transport, options, ready);
  }
  await checkInputs(options);
  await offerPlan(transport, options, EVALUATORS);
  // All agree, and nothing of the entry has been used: from here on it is gone, whatever happens.
  entry.spend();
  const { keys, seeds } = entry;
  await Promise.all(EVALUATORS.map((party) => transport.send(party, Buffer.from(keys[party], "hex"))));
  const [first, second] = [seeds.first, seeds.second].map((seed) => Buffer.from(seed, "hex"));
  return await giveShares(transport, options, { seeds: { first, second }, areKnown: true });
}

/** A model's weights are looked at, and masked one after the other when they are sent: they are many. */
async function readied(options: SharedValues): Promise<Ready> {
  if (options.owner === "data") {
    return await maskInputs(options);
  }
  await checkInputs(options);
  return { seeds: drawSeeds(options.random) };
}

/** What an owner's inputs are masked with, and their words where they are masked already. */
interface Ready extends Pick<Masked, "seeds"> {
  readonly words?: Masked["words"];
  /** Whether the parties have the seeds. */
  readonly areKnown?: boolean;
}

/** E0202 for a value that the plan does not allow. */
async function checkInputs({ layouts, publicLayouts, sharer, values }: SharedValues): Promise<void> {
  for (const layout of [...layouts, ...publicLayouts]) {
    await sharer.check(layout, values(layout.name, layout.owner));
  }
}

/** Offers a plan to the parties and waits until all of them accept. */
export async function offerPlan(
  transport: Transport,
  { plan, weights, random }: Pick<ClientOptions, "plan" | "weights" | "random">,
  parties: readonly PartyName[] = PARTIES,
): Promise<void> {
  const sharing = Buffer.from(random(32)).toString("hex");
  const offer = encodeControl({ version: PROTOCOL_VERSION, plan, sharing, ...(weights !== undefined && { weights }) });
  await Promise.all(parties.map((party) => transport.send(party, offer)));
  for (const party of parties) {
    decodeControl(await transport.receive(party), party, ACCEPTANCE, "a party's answer to an offer is no acceptance");
  }
}

/** Asks the parties for a run of a program of an accepted plan, and gives them the data owner's inputs of it. */
export async function giveRun(transport: MeteredTransport, program: number, given: SharedValues): Promise<OwnerReport> {
  const ready = await readied(given);
  await Promise.all(PARTIES.map((party) => transport.send(party, nextRun(program))));
  return await giveShares(transport, given, ready);
}

/** Shares the values; what was sent. */
async function giveShares(transport: MeteredTransport, given: SharedValues, ready: Ready): Promise<OwnerReport> {
  const phase = given.owner === "model" ? "weights" : "input";
  const before = PARTIES.map((party) => transport.bytes(phase, party));
  transport.phase = phase;
  if (ready.areKnown !== true && given.layouts.length > 0) {
    await sendSeeds(transport, ready.seeds);
  }
  await sendShares(transport, given, ready);
  transport.phase = "control";
  const [P0, P1, P2] = PARTIES.map((party, i) => transport.bytes(phase, party) - before[i]);
  return { sent: { P0, P1, P2 } };
}

/** Gives each party the seeds that are its own. */
async function sendSeeds(transport: Transport, { first, second }: Seeds): Promise<void> {
  await transport.send("P0", Buffer.concat([first, second]));
  await transport.send("P1", first);
  await transport.send("P2", second);
}

async function sendShares(transport: Transport, options: SharedValues, { seeds, words: masked }: Ready): Promise<void> {
  const layouts = [...options.layouts, ...options.publicLayouts];
  for (const [i, layout] of layouts.entries()) {
    const isPublic = layout.owner === "public";
    const mask = () =>
      options.sharer.mask(layout, options.values(layout.name, layout.owner), isPublic ? undefined : seeds);
    const words = masked?.[i] ?? (await mask());
    if (!isPublic) {
      options.onShared?.(words);
    }
    for (let at = 0; at < words.length; at += PIECE_BYTES) {
      const piece = words.subarray(at, at + PIECE_BYTES);
      await Promise.all([transport.send("P1", piece), transport.send("P2", piece)]);
    }
    options.onProgress?.(i + 1, layouts.length);
  }
}

/** Of a revealed value's ring a quarter on either side is its range: what is beyond, by a half, has perhaps wrapped. */
const LARGEST_PART = 3 / 8;

/** What the data owner receives. */
export interface Answer {
  readonly outputs: ReadonlyMap<string, TensorValue>;
  /** Set by the overflow guard: some value left the range that the plan was made for, and the outputs mean nothing. */
  readonly alarm: boolean;
}

/** The data owner's outputs: for each reveal of the plan, in order, one share from each evaluator. */
export async function receiveOutputs(
  transport: Transport,
  reveals: readonly RevealLayout[],
  sharer: Sharer,
): Promise<Answer> {
  const outputs = new Map<string, TensorValue>();
  const isGuarded = reveals.some(({ name }) => name === undefined);
  let alarm = false;
  for (const { name, ring, fraction, shape, elements } of reveals) {
    const shares = [await transport.receive("P1"), await transport.receive("P2")];
    for (const [i, share] of shares.entries()) {
      if (share.length !== packedBytes(elements, ring)) {
        const what = `a share of '${name ?? "the verdict"}' has the wrong length`;
        throw fail({ code: "E0901", what, where: `P${i + 1}` });
      }
    }
    if (name === undefined) {
      alarm ||= !Buffer.from(shares[0]).equals(shares[1]);
      continue;
    }
    const data = await sharer.open(shares[0], shares[1], { ring, fraction }, elements);
    alarm ||= isGuarded && data.some((value) => Math.abs(value) > LARGEST_PART * 2 ** (ring - fraction));
    outputs.set(name, { dtype: "f32", shape, data });
  }
  return { outputs, alarm };
}

const REPORT = object({
  party: picklist(PARTIES),
  sent: record(string(), number()),
  rounds: number(),
  seconds: object({ setup: number(), weights: number(), input: number(), run: number() }),
  cpu: nullable(number()),
  cpuOfRun: nullable(number()),
  memory: nullable(number()),
  trace: optional(TRACE),
});

/** The reports of these parties, which end the session. */
export async function receiveReports(
  transport: Transport,
  parties: readonly PartyName[] = PARTIES,
): Promise<ReadonlyMap<PartyName, PartyReport>> {
  const reports = new Map<PartyName, PartyReport>();
  for (const party of parties) {
    const report = decodeControl(await transport.receive(party), party, REPORT, "a party's last frame is no report");
    if (report.party !== party) {
      throw fail({ code: "E0901", what: `a party reports as ${report.party}`, where: party });
    }
    reports.set(party, report);
  }
  return reports;
}
