/**
 * What the three simulated roles hold of a value, put together: possible only where one process plays all of them
 * (`simulate`, tests), by looking into each party's arena as its step completes. A real party sees its own arena only.
 */
import type { Plan, Step } from "../../ir/plan/types.js";
import { componentBytes, elementBytes, type HotType, type ShareValue } from "../../ir/share/index.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { PARTIES, type PartyName } from "../../runtime/transport.js";

/** A party's components of a value: of a masked one P0's two masks, the evaluators' m and own mask; else one share. */
type Held = readonly Uint8Array[];

function copyOf(step: Step, party: PartyName, arena: ArrayBuffer): Held {
  const { type } = step;
  const masked = type.kind === "masked" || type.kind === "maskedBits";
  const bytes = sizeOf(type.shape) * elementBytes(type);
  // A value without elements has no place.
  const offset = Math.max(0, party === "P0" ? step.offsets.P0 : step.offsets.P12);
  const components = masked ? 2 : party === "P0" ? 0 : 1;
  return Array.from({ length: components }, (_, i) =>
    new Uint8Array(arena, offset + i * componentBytes(type), bytes).slice(),
  );
}

/** The words of a component, in 64 bits each. */
function wordsOf(step: Step, bytes: Uint8Array): BigUint64Array {
  return elementBytes(step.type) === 8
    ? new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8)
    : BigUint64Array.from(bytes, BigInt);
}

/** The digits whose one-hot vectors two parties' shares are of; throws where one is not one-hot. */
function hotDigits({ width }: HotType, one: Uint8Array, two: Uint8Array): BigUint64Array {
  const length = Math.max(1, 2 ** width / 8);
  return BigUint64Array.from({ length: one.length / length }, (_, i) => {
    let digit = -1n;
    for (let bit = 0; bit < 2 ** width; bit++) {
      const at = i * length + (bit >> 3);
      if ((((one[at] ^ two[at]) >> (bit & 7)) & 1) === 1) {
        if (digit >= 0n) {
          throw new Error("the shared digit is not one-hot");
        }
        digit = BigInt(bit);
      }
    }
    if (digit < 0n) {
      throw new Error("the shared digit is not one-hot");
    }
    return digit;
  });
}

/** Puts a value together, and checks that both evaluators hold the same m and P0 the same masks as they. */
function reconstruct(step: Step, held: Readonly<Record<PartyName, Held>>): ShareValue {
  const { type } = step;
  if (type.kind === "hot") {
    return { type, value: hotDigits(type, held.P1[0], held.P2[0]) };
  }
  const ring = "ring" in type ? type.ring : 1;
  const words = (component: Uint8Array) => wordsOf(step, component).map((word) => BigInt.asUintN(ring, word));
  const [one, two] = [words(held.P1[0]), words(held.P2[0])];
  const sum = (a: BigUint64Array, b: BigUint64Array) => a.map((word, i) => BigInt.asUintN(ring, word + b[i]));
  if (type.kind === "additive" || type.kind === "bits") {
    return { type, value: sum(one, two) };
  }
  const masks = [words(held.P1[1]), words(held.P2[1])];
  const same = (a: BigUint64Array, b: BigUint64Array) => a.every((word, i) => word === b[i]);
  if (!same(one, two) || !held.P0.every((dealt, i) => same(words(dealt), masks[i]))) {
    throw new Error(`the parties hold different components of ${step.op}`);
  }
  const mask = sum(masks[0], masks[1]);
  return { type, mask, value: one.map((word, i) => BigInt.asUintN(ring, word - mask[i])) };
}

/** A step's value from the arenas of the three parties. */
export function valueFrom(step: Step, arenas: Readonly<Record<PartyName, ArrayBuffer>>): ShareValue {
  const [P0, P1, P2] = PARTIES.map((party) => copyOf(step, party, arenas[party]));
  return reconstruct(step, { P0, P1, P2 });
}

/**
 * Follows a simulation: `observe` is told when a party has completed a step; `onValue` gets the values of the wanted
 * steps, in the order of the plan, each as soon as all three have it.
 */
export class RoleTrace {
  private readonly held = new Map<number, Map<PartyName, Held>>();
  private next = 0;

  constructor(
    private readonly plan: Plan,
    private readonly isWanted: (step: number) => boolean,
    private readonly onValue: (step: number, value: ShareValue) => void,
  ) {
    this.skip();
  }

  readonly observe = (party: PartyName, index: number, arena: ArrayBuffer): void => {
    if (!this.isHeld(index)) {
      return;
    }
    const parties = this.held.get(index) ?? new Map<PartyName, Held>();
    this.held.set(index, parties.set(party, copyOf(this.plan.steps[index], party, arena)));
    this.deliver();
  };

  private deliver(): void {
    for (let parties = this.held.get(this.next); parties?.size === PARTIES.length; parties = this.held.get(this.next)) {
      this.held.delete(this.next);
      const [P0, P1, P2] = PARTIES.map((party) => parties!.get(party)!);
      this.onValue(this.next, reconstruct(this.plan.steps[this.next], { P0, P1, P2 }));
      this.next++;
      this.skip();
    }
  }

  private skip(): void {
    while (this.next < this.plan.steps.length && !this.isHeld(this.next)) {
      this.next++;
    }
  }

  /** Whether a step's value is wanted, and somewhere: a weight that is read where it is multiplied has no place. */
  private isHeld(index: number): boolean {
    const { op, type, offsets } = this.plan.steps[index];
    return this.isWanted(index) && (op !== "input" || offsets.P12 >= 0 || sizeOf(type.shape) === 0);
  }
}
