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
import { SentFrames } from "./frames.js";
import type { Kernels, KernelsFactory } from "./kernels/interface.js";
import { type RunName, runKeys } from "./keys.js";
import { type Layout, ScratchSpace } from "./layout.js";
import type { Dealing, InputPort, RoleContext } from "./ops/role.js";
import { type Event, halvesOfIntegers, PAIRS_OF, type Script, scriptOf } from "./script.js";
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
  const script = await scriptOf(options.plan, options.party, options.kernels, options.observe !== undefined);
  const kernels = options.kernels(script.layout.bytes);
  const keys = runKeys(options.keys, options.run);
  const { state = new SecretState() } = options;
  try {
    const report = await new Run({ ...options, keys, state }, script, kernels).all();
    state.commit();
    return report;
  } finally {
    Object.values(keys).forEach((key) => void key.fill(0));
    kernels.close();
  }
}

/** How long one party may compute before its sockets get their turn. */
const TURN_MILLISECONDS = 5;

class Run {
  private readonly bytes: Uint8Array;
  private readonly frames = new SentFrames();
  private readonly scratch: ScratchSpace;
  private readonly dealing: Dealing;
  private readonly context: RoleContext;
  private readonly sent: Record<PeerName, number> = { P0: 0, P1: 0, P2: 0, model: 0, data: 0 };
  private readonly layout: Layout;
  private sending: Promise<void> | undefined;
  private rounds = 0;
  private turn = performance.now();

  constructor(
    private readonly options: PartyOptions & { readonly state: SecretState },
    private readonly script: Script,
    private readonly kernels: Kernels,
  ) {
    const { layout } = script;
    this.layout = layout;
    this.bytes = new Uint8Array(kernels.arena);
    this.scratch = new ScratchSpace(layout.scratch, layout.bytes - layout.scratch);
    this.dealing = this.openDealing({ bytes: this.bytes, start: layout.dealing });
    this.context = this.makeContext();
    for (const { offset, table } of layout.contents) {
      new Int32Array(kernels.arena, offset, table.length).set(table);
    }
  }

  async all(): Promise<RunReport> {
    for (const event of this.script.events) {
      const going = this.follow(event);
      if (going !== undefined) {
        await going;
      }
      if (performance.now() - this.turn > TURN_MILLISECONDS) {
        await this.yieldTurn();
      }
    }
    await this.finishDealing();
    return { rounds: this.rounds, sent: this.sent };
  }

  private follow(event: Event): void | Promise<void> {
    switch (event.kind) {
      case "kernels":
        return this.play(event);
      case "live":
        this.scratch.reset();
        return event.phase(this.context);
      case "flush":
        return (this.dealing as DealingWriter).flush();
      case "send":
        this.sending = this.send(this.peer, this.layout.outgoing, event.bytes);
        // The error, if any, is reported where the round is done.
        this.sending.catch(() => undefined);
        return;
      case "receive":
        return this.receive(event.bytes);
      case "done":
        return this.finishRound();
      case "value":
        return this.options.observe?.(event.step, this.kernels.arena);
    }
  }

  /** Calls of the tape, with the dealing that they write or need. */
  private play({ from, to, dealt }: Extract<Event, { kind: "kernels" }>): void | Promise<void> {
    const { dealing, kernels } = this;
    const { tape } = this.script;
    if (dealt > 0 && dealing instanceof DealingReader) {
      return dealing.read(dealt).then(() => tape.play(kernels, from, to));
    }
    if (dealt > 0) {
      (dealing as DealingWriter).wrote(dealt);
    }
    return tape.play(kernels, from, to);
  }

  private get peer(): "P1" | "P2" {
    return this.options.party === "P1" ? "P2" : "P1";
  }

  /** Sends bytes of the arena in one frame. */
  private send(to: PeerName, offset: number, length: number): Promise<void> {
    this.sent[to] += length;
    const bytes = this.bytes.subarray(offset, offset + length);
    return this.frames.send(bytes, (frame) => this.options.transport.send(to, frame));
  }

  /** The peer's message of the round. */
  private async receive(bytes: number): Promise<void> {
    const frame = await this.options.transport.receive(this.peer);
    if (frame.length !== bytes) {
      const what = `a message of ${frame.length} bytes, not ${bytes}`;
      throw fail({ code: "E0901", what, where: this.peer });
    }
    this.bytes.set(frame, this.layout.incoming);
    this.options.transport.release?.(this.peer, frame);
  }

  private async finishRound(): Promise<void> {
    await this.sending;
    this.rounds++;
    this.options.onRound?.(this.rounds, this.options.plan.rounds);
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
    registerKeys(options, kernels);
    return {
      party: options.party,
      kernels,
      scratch,
      dealing,
      inputs: inputPort(options, kernels),
      tables: layout.tables,
      key: (pair) => PAIRS_OF[options.party].indexOf(pair),
      constant: (value) => {
        const offset = scratch.take(8 * value.data.length);
        new Int32Array(kernels.arena, offset, 2 * value.data.length).set(halvesOfIntegers(value));
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

/** Gives the kernels the keys of this party's pairs: their handles are their places in the list of pairs. */
function registerKeys({ party, keys }: PartyOptions, kernels: Kernels): void {
  for (const [place, pair] of PAIRS_OF[party].entries()) {
    const key = keys[pair];
    if (key === undefined || kernels.key(key) !== place) {
      throw new Error(`${party} has no key of the pair ${pair}`);
    }
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
