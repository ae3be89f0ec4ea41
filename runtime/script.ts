/**
 * A party's run of a plan, written down before it begins: which kernels are called between two messages, on which
 * places. It follows from the plan and the party alone, since no role decides by a secret; so a party that stays writes
 * it once, and a run neither looks at a step again nor puts a call together. What does depend on a run (the words that
 * an owner gave, a public mask that decides, what is kept or shown) is left to the roles: such a step is live.
 */
import type { Plan } from "../ir/plan/types.js";
import type { Pair } from "../ir/share/index.js";
import type { TensorValue } from "../ir/tensor/value.js";
import type { KernelsFactory, Tape } from "./kernels/interface.js";
import { plainTape } from "./kernels/tape.js";
import { type Layout, laidOut, type PartyStep, ScratchSpace } from "./layout.js";
import { type Dealing, isOpening, type OpeningRoles, type Phase, type RoleContext } from "./ops/role.js";
import { FRAME_BYTES, NO_DEALING } from "./streams.js";
import type { PartyName } from "./transport.js";

/** What a party does next. */
export type Event =
  /** Calls [from, to) of the tape. `dealt`: bytes that P0 writes with them, or that P2 takes before them. */
  | { readonly kind: "kernels"; readonly from: number; readonly to: number; readonly dealt: number }
  | { readonly kind: "live"; readonly phase: (context: RoleContext) => void | Promise<void> }
  /** P0: a frame of dealing is full. */
  | { readonly kind: "flush" }
  /** The round's message is whole; then the peer's is needed; then the round is done. */
  | { readonly kind: "send" | "receive"; readonly bytes: number }
  | { readonly kind: "done" }
  /** A step's value is complete, where somebody looks. */
  | { readonly kind: "value"; readonly step: number };

export interface Script {
  readonly layout: Layout;
  readonly tape: Tape;
  readonly events: readonly Event[];
}

/** The pairs that a party belongs to: places in this list are their keys' handles. */
export const PAIRS_OF: Readonly<Record<PartyName, readonly Pair[]>> = {
  P0: ["01", "02"],
  P1: ["01", "12"],
  P2: ["02", "12"],
};

/** By plan, party, whether values are looked at, and whose tape it is. */
const known = new WeakMap<Plan, Map<string, Promise<Script>>>();

/** The script of a plan at a party. `observed`: somebody looks at every step's value. */
export function scriptOf(plan: Plan, party: PartyName, kernels: KernelsFactory, observed: boolean): Promise<Script> {
  const ofPlan = known.get(plan) ?? new Map<string, Promise<Script>>();
  known.set(plan, ofPlan);
  const name = `${party} ${observed} ${kernels.tape === undefined}`;
  const found = ofPlan.get(name) ?? write(plan, party, (kernels.tape ?? plainTape)(), observed);
  ofPlan.set(name, found);
  return found;
}

async function write(plan: Plan, party: PartyName, tape: Tape, observed: boolean): Promise<Script> {
  const { steps, layout } = await laidOut(plan, party);
  return { layout, tape, events: await new Writer(party, steps, layout, tape, observed).all(plan.rounds) };
}

interface Pending {
  readonly index: number;
  readonly step: PartyStep;
  readonly roles: OpeningRoles;
  /** Offset of the section in the round's message. */
  readonly offset: number;
}

class Writer {
  private readonly events: Event[] = [];
  private readonly scratch: ScratchSpace;
  private readonly context: RoleContext;
  /** Openings of each round that are not prepared yet. */
  private readonly missing = new Map<number, number>();
  private pending: Pending[] = [];
  private outgoing = 0;
  private rounds = 0;
  /** Where the calls begin that no event has yet, and the dealing that goes with them. */
  private from = 0;
  private dealt = 0;
  /** P0: bytes of the frame that is not full. */
  private held = 0;
  private isLive = false;

  constructor(
    private readonly party: PartyName,
    private readonly steps: readonly PartyStep[],
    private readonly layout: Layout,
    private readonly tape: Tape,
    private readonly observed: boolean,
  ) {
    this.scratch = new ScratchSpace(layout.scratch, layout.bytes - layout.scratch);
    this.context = this.makeContext();
    for (const step of steps) {
      if (isOpening(step.roles)) {
        this.missing.set(step.round, (this.missing.get(step.round) ?? 0) + 1);
      }
    }
  }

  async all(rounds: number): Promise<readonly Event[]> {
    const { party } = this;
    for (const [index, step] of this.steps.entries()) {
      const { roles, round } = step;
      if (party !== "P0") {
        await this.reach(isOpening(roles) ? round - 1 : round);
      }
      if (isOpening(roles) && party !== "P0") {
        await this.prepare(step, index, roles);
      } else {
        await this.phase(isOpening(roles) ? roles.P0 : roles[party], step);
        this.value(index);
      }
    }
    if (party !== "P0") {
      await this.reach(rounds);
    }
    this.end();
    return this.events;
  }

  /** Notes what a role does, or, where that depends on the run, leaves it to the role. */
  private async phase(phase: Phase | undefined, step: PartyStep): Promise<void> {
    if (phase === undefined) {
      return;
    }
    const { events, tape, from, dealt } = this;
    const [noted, calls] = [events.length, tape.length];
    this.isLive = false;
    this.scratch.reset();
    await phase(this.context, step);
    if (this.isLive) {
      events.length = noted;
      tape.cut(calls);
      [this.from, this.dealt] = [from, dealt];
      this.end();
      events.push({ kind: "live", phase: (context) => phase(context, step) });
    }
  }

  /** An opening's section of the round's message; the message goes out when it is whole. */
  private async prepare(step: PartyStep, index: number, roles: OpeningRoles): Promise<void> {
    const offset = this.outgoing;
    this.outgoing += roles.section(step);
    const { prepare } = roles[this.evaluator];
    await this.phase((context) => prepare(context, step, this.layout.outgoing + offset), step);
    this.pending.push({ index, step, roles, offset });
    const missing = this.missing.get(step.round)! - 1;
    this.missing.set(step.round, missing);
    if (missing === 0) {
      this.end({ kind: "send", bytes: this.outgoing });
    }
  }

  /** This party, which is no P0. */
  private get evaluator(): "P1" | "P2" {
    return this.party === "P2" ? "P2" : "P1";
  }

  /** Completes rounds until `round` of them are done. */
  private async reach(round: number): Promise<void> {
    while (this.rounds < round) {
      const { pending, outgoing } = this;
      if (pending.length === 0) {
        throw new Error(`round ${this.rounds + 1} is needed before its openings are prepared`);
      }
      this.end({ kind: "receive", bytes: outgoing });
      this.pending = [];
      for (const { index, step, roles, offset } of pending) {
        const { complete } = roles[this.evaluator];
        await this.phase((context) => complete(context, step, this.layout.incoming + offset), step);
        this.value(index);
      }
      this.end({ kind: "done" });
      this.outgoing = 0;
      this.rounds++;
    }
  }

  private value(step: number): void {
    if (this.observed) {
      this.end({ kind: "value", step });
    }
  }

  /** Ends a piece of the tape, before something else. */
  private end(next?: Event): void {
    const { tape, from, dealt } = this;
    if (tape.length > from || dealt > 0) {
      this.events.push({ kind: "kernels", from, to: tape.length, dealt });
    }
    this.from = tape.length;
    this.dealt = 0;
    if (next !== undefined) {
      this.events.push(next);
    }
  }

  private makeContext(): RoleContext {
    const { party, layout, scratch, tape } = this;
    const live = (): void => {
      this.isLive = true;
    };
    return {
      party,
      kernels: tape.recorder,
      scratch,
      dealing: this.makeDealing(),
      inputs: {
        masks: () => {
          live();
          return { first: 0, second: 0, block: 0 };
        },
        open: () => {
          live();
          return { words: new Uint8Array(0), bits: 64 };
        },
      },
      tables: layout.tables,
      key: (pair) => PAIRS_OF[party].indexOf(pair),
      constant: (value) => {
        const offset = scratch.take(8 * value.data.length);
        tape.recorder.put(offset, halvesOfIntegers(value));
        return offset;
      },
      publicWords: (_, count) => {
        live();
        return new BigUint64Array(count);
      },
      load: live,
      recall: live,
      keep: live,
      reveal: async () => live(),
    };
  }

  /** Sections lie where a run has them: at P0 one after the other in the frame, at P2 in what was taken at once. */
  private makeDealing(): Dealing {
    const { dealing: start, dealt: most } = this.layout;
    switch (this.party) {
      case "P0":
        return {
          ...NO_DEALING,
          write: async (bytes, write) => {
            await write(start + this.held);
            this.held += bytes;
            this.dealt += bytes;
            if (this.held >= FRAME_BYTES) {
              this.end({ kind: "flush" });
              this.held = 0;
            }
          },
        };
      case "P1":
        return NO_DEALING;
      case "P2":
        return {
          ...NO_DEALING,
          read: async (bytes) => {
            if (this.dealt + bytes > most) {
              this.end();
            }
            this.dealt += bytes;
            return start + this.dealt - bytes;
          },
        };
    }
  }
}

/** Integers of a tensor as words: doubles hold them exactly, in two halves. */
export function halvesOfIntegers({ data }: TensorValue): Int32Array {
  const halves = new Int32Array(2 * data.length);
  for (let i = 0; i < data.length; i++) {
    const high = Math.floor(data[i] / 2 ** 32);
    halves[2 * i] = (data[i] - high * 2 ** 32) | 0;
    halves[2 * i + 1] = high;
  }
  return halves;
}
