/**
 * One party's run of a plan: the steps in order, each in this party's role. P1 and P2 exchange one message a round, as
 * soon as the round's last opening is prepared, and compute what does not need it while it travels. P0 reads nothing
 * from anyone: it deals, and the transport holds it back when P2 does not keep up. Every send is masked by the roles;
 * `reveal` alone sends something else, and only to the data owner.
 *
 * It assumes a checked plan (ir/plan/check), keys of the session that were never used before, and links that are
 * authentic. A session may run several programs, one after the other: every run has keys of its own, derived from the
 * session's and the run's number, so that no two runs share a stream position. What a run keeps, later ones read.
 */
import { fail } from "../ir/diagnostics.js";
import type { Plan } from "../ir/plan/types.js";
import type { Pair } from "../ir/share/index.js";
import { packedBytes } from "../ir/share/rules.js";
import type { TensorValue } from "../ir/tensor/value.js";
import { SentFrames } from "./frames.js";
import type { Kernels, KernelsFactory } from "./kernels/interface.js";
import { type RunName, runKeys } from "./keys.js";
import { type Layout, laidOut, type PartyStep, ScratchSpace } from "./layout.js";
import { type Dealing, type InputPort, isOpening, type OpeningRoles, type RoleContext } from "./ops/role.js";
import { SecretState } from "./state.js";
import { DealingReader, DealingWriter, NO_DEALING, type Region } from "./streams.js";
import type { PartyName, PeerName, Transport } from "./transport.js";
import type { InputShares, OwnerShares } from "./weight-store.js";

export interface PartyOptions {
  readonly plan: Plan;
  readonly party: PartyName;
  readonly transport: Transport;
  readonly kernels: KernelsFactory;
  /** The session's keys of the pairs that this party belongs to. */
  readonly keys: Partial<Readonly<Record<Pair, Uint8Array>>>;
  /** Which run of the session this is, and of which of its programs. */
  readonly run: RunName;
  /** What runs of the session keep at this party. */
  readonly state?: SecretState;
  readonly inputs: InputShares;
  /** Values of public inputs, packed to their rings, at P1 and P2. */
  readonly publicInput?: (name: string) => Uint8Array;
  /** Hears of every round that is done, at P1 and P2. */
  readonly onRound?: (done: number, all: number) => void;
  /** Sees the arena when a step's value is complete: for tests and `simulate`, where one process plays all roles. */
  readonly observe?: (step: number, arena: ArrayBuffer) => void;
}

/** What the run really took. */
export interface RunReport {
  /** Messages exchanged between P1 and P2, each way. */
  readonly rounds: number;
  /** Payload bytes sent, by receiver. */
  readonly sent: Readonly<Record<PeerName, number>>;
}

/** Runs this party's part of the plan. Rejects with a diagnostic when a peer fails; the session is then over. */
export async function runParty(options: PartyOptions): Promise<RunReport> {
  const { steps, layout } = await laidOut(options.plan, options.party);
  const kernels = options.kernels(layout.bytes);
  const keys = runKeys(options.keys, options.run);
  const { state = new SecretState() } = options;
  try {
    const report = await new Run({ ...options, keys, state }, steps, layout, kernels).all();
    state.commit();
    return report;
  } finally {
    Object.values(keys).forEach((key) => void key.fill(0));
    kernels.close();
  }
}

/** How long one party may compute before its sockets get their turn. */
const TURN_MILLISECONDS = 5;

interface Pending {
  readonly index: number;
  readonly step: PartyStep;
  readonly roles: OpeningRoles;
  /** Offset of the section in the round's message. */
  readonly offset: number;
}

class Run {
  private readonly bytes: Uint8Array;
  private readonly frames = new SentFrames();
  private readonly scratch: ScratchSpace;
  private readonly dealing: Dealing;
  private readonly context: RoleContext;
  private readonly sent: Record<PeerName, number> = { P0: 0, P1: 0, P2: 0, model: 0, data: 0 };
  /** Openings of each round that are not prepared yet. */
  private readonly missing = new Map<number, number>();
  private pending: Pending[] = [];
  private outgoing = 0;
  private sending: Promise<void> | undefined;
  private rounds = 0;
  private turn = performance.now();

  constructor(
    private readonly options: PartyOptions & { readonly state: SecretState },
    private readonly steps: readonly PartyStep[],
    private readonly layout: Layout,
    private readonly kernels: Kernels,
  ) {
    this.bytes = new Uint8Array(kernels.arena);
    this.scratch = new ScratchSpace(layout.scratch, layout.bytes - layout.scratch);
    this.dealing = this.openDealing({ bytes: this.bytes, start: layout.dealing });
    this.context = this.makeContext();
    for (const { offset, table } of layout.contents) {
      new Int32Array(kernels.arena, offset, table.length).set(table);
    }
    for (const step of steps) {
      if (isOpening(step.roles)) {
        this.missing.set(step.round, (this.missing.get(step.round) ?? 0) + 1);
      }
    }
  }

  async all(): Promise<RunReport> {
    const evaluator = this.options.party !== "P0";
    for (const [index, step] of this.steps.entries()) {
      // Most steps wait for nothing: then nothing is awaited, since a plan has thousands of them.
      const needed = isOpening(step.roles) ? step.round - 1 : step.round;
      if (evaluator && this.rounds < needed) {
        await this.reach(needed);
      }
      this.scratch.reset();
      const running = this.runStep(step, index);
      if (running !== undefined) {
        await running;
      }
      if (performance.now() - this.turn > TURN_MILLISECONDS) {
        await this.yieldTurn();
      }
    }
    if (evaluator) {
      await this.reach(this.options.plan.rounds);
    }
    await this.finishDealing();
    return { rounds: this.rounds, sent: this.sent };
  }

  private runStep(step: PartyStep, index: number): void | Promise<void> {
    const { party, observe } = this.options;
    const { roles } = step;
    if (isOpening(roles) && party !== "P0") {
      return this.prepare(step, index, roles);
    }
    const phase = isOpening(roles) ? roles.P0 : roles[party];
    const running = phase?.(this.context, step);
    if (observe === undefined) {
      return running;
    }
    return Promise.resolve(running).then(() => observe(index, this.kernels.arena));
  }

  /** Writes an opening's section of the round's message, and sends that when it is whole. */
  private async prepare(step: PartyStep, index: number, roles: OpeningRoles): Promise<void> {
    const offset = this.outgoing;
    this.outgoing += roles.section(step);
    await roles[this.evaluator].prepare(this.context, step, this.layout.outgoing + offset);
    this.pending.push({ index, step, roles, offset });
    const missing = this.missing.get(step.round)! - 1;
    this.missing.set(step.round, missing);
    if (missing === 0) {
      this.sendMessage();
    }
  }

  /** This party, which is no P0. */
  private get evaluator(): "P1" | "P2" {
    return this.options.party === "P2" ? "P2" : "P1";
  }

  private get peer(): "P1" | "P2" {
    return this.options.party === "P1" ? "P2" : "P1";
  }

  private sendMessage(): void {
    const { outgoing } = this.layout;
    this.sending = this.send(this.peer, outgoing, this.outgoing);
    // The error, if any, is reported where the round is awaited.
    this.sending.catch(() => undefined);
  }

  /** Sends bytes of the arena in one frame. */
  private send(to: PeerName, offset: number, length: number): Promise<void> {
    this.sent[to] += length;
    const bytes = this.bytes.subarray(offset, offset + length);
    return this.frames.send(bytes, (frame) => this.options.transport.send(to, frame));
  }

  /** Completes rounds until `round` of them are done. */
  private async reach(round: number): Promise<void> {
    const { party, plan, onRound } = this.options;
    while (this.rounds < round) {
      if (this.sending === undefined || party === "P0") {
        throw new Error(`round ${this.rounds + 1} is needed before its openings are prepared`);
      }
      const frame = await this.options.transport.receive(this.peer);
      if (frame.length !== this.outgoing) {
        throw fail({
          code: "E0901",
          what: `a message of ${frame.length} bytes, not ${this.outgoing}`,
          where: this.peer,
        });
      }
      this.bytes.set(frame, this.layout.incoming);
      this.options.transport.release?.(this.peer, frame);
      const { pending } = this;
      this.pending = [];
      for (const { index, step, roles, offset } of pending) {
        this.scratch.reset();
        await roles[party].complete(this.context, step, this.layout.incoming + offset);
        this.options.observe?.(index, this.kernels.arena);
      }
      await this.sending;
      this.sending = undefined;
      this.outgoing = 0;
      this.rounds++;
      onRound?.(this.rounds, plan.rounds);
    }
  }

  private openDealing(region: Region): Dealing {
    const { party, transport } = this.options;
    switch (party) {
      case "P0":
        return new DealingWriter(transport, region);
      case "P1":
        return NO_DEALING;
      case "P2":
        return new DealingReader(transport, region);
    }
  }

  private async finishDealing(): Promise<void> {
    if (this.dealing instanceof DealingWriter) {
      await this.dealing.finish();
      this.sent.P2 = this.dealing.written;
    } else if (this.dealing instanceof DealingReader) {
      await this.dealing.finish();
    }
  }

  private async yieldTurn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.turn = performance.now();
  }

  private makeContext(): RoleContext {
    const { options, kernels, scratch, bytes, layout, dealing } = this;
    const handles = new Map(Object.entries(options.keys).map(([pair, key]) => [pair, kernels.key(key)]));
    return {
      party: options.party,
      kernels,
      scratch,
      dealing,
      inputs: inputPort(options, kernels),
      tables: layout.tables,
      key: (pair) => {
        const handle = handles.get(pair);
        if (handle === undefined) {
          throw new Error(`${options.party} has no key of the pair ${pair}`);
        }
        return handle;
      },
      constant: (value) => {
        const offset = scratch.take(8 * value.data.length);
        writeIntegers(kernels.arena, offset, value);
        return offset;
      },
      publicWords: (offset, count) => new BigUint64Array(kernels.arena, offset, count),
      load: (source, offset) => bytes.set(source, offset),
      recall: (name, offset, length) => options.state.recall(name, bytes.subarray(offset, offset + length)),
      keep: (name, offset, length) => options.state.keep(name, bytes.slice(offset, offset + length)),
      reveal: (offset, length) => this.send("data", offset, length),
    };
  }
}

/** Integers of a tensor as words: doubles hold them exactly, in two halves. */
function writeIntegers(arena: ArrayBuffer, offset: number, { data }: TensorValue): void {
  const halves = new Int32Array(arena, offset, 2 * data.length);
  for (let i = 0; i < data.length; i++) {
    const high = Math.floor(data[i] / 2 ** 32);
    halves[2 * i] = (data[i] - high * 2 ** 32) | 0;
    halves[2 * i + 1] = high;
  }
}

/** The owners' inputs: seeds become key handles once, masked words are taken where they are used. */
function inputPort({ inputs, publicInput }: PartyOptions, kernels: Kernels): InputPort {
  const handle = (seed: Uint8Array | undefined): number => (seed === undefined ? -1 : kernels.key(seed));
  const seeds = ({ first, second }: OwnerShares) => ({ first: handle(first), second: handle(second) });
  const handles = { model: seeds(inputs.model), data: seeds(inputs.data) };
  const ownerOf = (owner: string): "model" | "data" => (owner === "model" ? "model" : "data");
  return {
    masks: (owner, name) => ({ ...handles[ownerOf(owner)], block: inputs[ownerOf(owner)].block(name) }),
    open: async (owner, name, elements, ring) => {
      const shares = inputs[ownerOf(owner)];
      const bits = owner === "public" ? ring : (shares.ring?.(name) ?? ring);
      const words = owner === "public" ? publicInput?.(name) : await shares.masked(name);
      if (words?.length !== packedBytes(elements, bits) || bits < ring) {
        throw fail({ code: "E0202", what: "the masked words of an input have the wrong length", where: name });
      }
      return { words, bits, forget: shares.forget };
    },
  };
}
