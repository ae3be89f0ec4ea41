/** How much memory a plan's parties take, and whether a machine has it before a session starts there. */
import { availableParallelism, freemem } from "node:os";
import { revealLayouts } from "../client/owners.js";
import { fail } from "../ir/diagnostics.js";
import { type Plan, programsOf } from "../ir/plan/types.js";
import type { WordType } from "../ir/share/index.js";
import { roomsOf } from "../ir/tensor/index.js";
import { sizeOf } from "../ir/tensor/value.js";
import { dealtBytes, largestMessage } from "../runtime/party.js";
import { inputLayouts, stateBytes } from "../runtime/weight-store.js";
import { formatBytes } from "./units.js";

type PartyMemory = Readonly<Record<"P0" | "P1" | "P2", number>>;

/** Two seeds go to P0, one to each of P1 and P2, from every owner that shares anything. */
const SEED_BYTES = 16;

/** Bytes that the owners send: seeds to all, masked words to P1 and P2. */
export function inputBytes(plan: Plan): { P0: number; P12: number } {
  const owners = new Set<string>();
  let words = 0;
  for (const { op, attributes, type } of plan.steps) {
    if (op === "input" && attributes.owner !== "state") {
      words += Math.ceil((sizeOf(type.shape) * (type as WordType).ring) / 8);
      if (attributes.owner !== "public") {
        owners.add(String(attributes.owner));
      }
    }
  }
  return { P0: 2 * SEED_BYTES * owners.size, P12: SEED_BYTES * owners.size + words };
}

/**
 * What a party's process takes whatever it runs: Node, its libraries, TLS, what garbage collection leaves. Measured, as
 * the other factors here are, on plans of 1,000 to 7,800 steps: docs/performance.md.
 */
const BYTES_OF_NODE = 107e6;
/** What P2 holds of P0's frames that it has not used yet (runtime/link.ts), and of the memory that they came in. */
const MOST_DEALT = 40e6;
const PART_OF_DEALT = 1.5;
/** Words of a weight that are read at once where it is multiplied, and so many rows at least (ops/bilinear.ts). */
const WORDS_AT_ONCE = 1 << 19;
const ROWS_AT_ONCE = 32;
const BYTES_OF_WORD = 8;

/** What the steps of a program take beside its values: three copies of the largest, or a block of a weight. */
function scratchOf({ steps }: Plan): number {
  const sizes = steps.map(({ op, type, offsets }) => {
    const elements = sizeOf(type.shape);
    if (op !== "input") {
      return 3 * elements;
    }
    const rows = ROWS_AT_ONCE * (type.shape.at(-1) ?? 1);
    return offsets.P12 < 0 ? 2 * Math.min(elements, Math.max(WORDS_AT_ONCE, rows)) : 0;
  });
  return BYTES_OF_WORD * sizes.reduce((most, each) => Math.max(most, each), 0);
}

/** The words of the data owner's inputs, which P1 and P2 hold as they came; weights are read from a file. */
function givenBytes({ steps }: Plan): number {
  const layouts = [...inputLayouts(steps, "data"), ...inputLayouts(steps, "public")];
  return layouts.reduce((sum, { packedBytes }) => sum + packedBytes, 0);
}

/**
 * The peak of each party's process in bytes, an estimate: what the process takes anyway, and of its largest program the
 * arena, a question's inputs, a round's message as it comes and goes in memory of a power of two, and at P2 what is
 * dealt ahead; and what a conversation keeps.
 */
export function partyMemory(plan: Plan): PartyMemory {
  const most = (each: (program: Plan) => number): number => Math.max(...programsOf(plan).map(each));
  const room = (bytes: number): number => (bytes === 0 ? 0 : 2 ** Math.ceil(Math.log2(bytes)));
  const evaluator = most((each) => {
    const message = largestMessage(each);
    return each.arena.P12 + scratchOf(each) + givenBytes(each) + 2 * (message + room(message));
  });
  const kept = BYTES_OF_NODE + stateBytes(plan, "P12");
  return {
    P0: BYTES_OF_NODE + most((each) => each.arena.P0 + scratchOf(each)) + stateBytes(plan, "P0"),
    P1: kept + evaluator,
    P2: kept + evaluator + most((each) => Math.ceil(PART_OF_DEALT * Math.min(dealtBytes(each), MOST_DEALT))),
  };
}

/**
 * What an owner's process takes whatever it shares or asks: Node, the command, TLS, and what is left of a plan and a
 * model's file that were read. Measured, as above, on models of 4 to 400 MB of weights: docs/performance.md.
 */
const BYTES_OF_SHARING = 138e6;
const BYTES_OF_ASKING = 125e6;
/** The process of `run`, which is both owners. */
const BYTES_OF_BOTH = 155e6;

/** An owner's process at its peak, and the parties'. */
export type ProcessMemory = PartyMemory & Readonly<Record<"model" | "data", number>>;

/**
 * The peak of every process in bytes, an estimate: the parties' as above; the model owner's with its weights, as they
 * are evaluated one after the other into rooms that are used again; the data owner's with what its program makes.
 */
export function processMemory(plan: Plan): ProcessMemory {
  const [weights, inputs] = [weightRooms(plan), inputRooms(plan)];
  return { ...partyMemory(plan), model: BYTES_OF_SHARING + weights, data: BYTES_OF_ASKING + inputs };
}

function weightRooms(plan: Plan): number {
  return Math.max(...programsOf(plan).map(({ owners }) => roomsOf(owners.model).inTurn));
}

/**
 * The data owner's values are all held until they are shared, one after the other in words; of the answer two shares
 * come in words, and its numbers are held as they came and as they are given.
 */
function inputRooms(plan: Plan): number {
  const words = (each: Plan) =>
    inputLayouts(each.steps, "data").reduce((most, { packedBytes }) => Math.max(most, packedBytes), 0);
  const answer = (each: Plan) =>
    revealLayouts(each).reduce((sum, { elements, ring }) => sum + 2 * elements * (BYTES_OF_WORD + ring / 8), 0);
  const of = (each: Plan) => roomsOf(each.owners.data).outputs + words(each) + answer(each);
  return Math.ceil(Math.max(...programsOf(plan).map(of)));
}

/** Bytes that this process may still take, as its machine and its control group have them. */
export function memoryLeft(): number {
  // From Node 20.13 on; it knows of control groups.
  return process.availableMemory?.() ?? freemem();
}

/** Of the memory that is left, the part that lanes may take. */
const PART_FOR_LANES = 0.8;
/** The two evaluators of a lane compute at the same time; P0 is done early and waits. */
const CORES_OF_LANE = 2;

/** How many lanes, three parties each, this machine's memory and cores carry: one at least. */
export function lanesCarried(plan: Plan): number {
  const { P0, P1, P2 } = partyMemory(plan);
  const byMemory = Math.floor((PART_FOR_LANES * memoryLeft()) / (P0 + P1 + P2));
  return Math.max(1, Math.min(byMemory, Math.floor(availableParallelism() / CORES_OF_LANE)));
}

/**
 * Refuses what does not fit: E1001 with what the processes on this machine need, and what it has left. `held`: what
 * this process, which is both owners, has taken already.
 */
export function checkMemory(plan: Plan, left = memoryLeft(), held = process.memoryUsage.rss()): void {
  const owners = Math.max(BYTES_OF_BOTH + weightRooms(plan) + inputRooms(plan), held);
  const memory = { ...partyMemory(plan), owners };
  const needed = memory.P0 + memory.P1 + memory.P2 + owners - held;
  if (needed > left) {
    const each = Object.entries(memory).map(([party, bytes]) => `${party} ${formatBytes(bytes)}`);
    const more = `${formatBytes(needed)} more of memory`;
    throw fail({
      code: "E1001",
      what: `parties and owners need ${more}, this machine has ${formatBytes(left)} left`,
      where: "memory",
      why: `their peaks together: ${each.join(", ")}; a session that runs out of memory dies in the middle`,
      fix: "run fewer tokens or a smaller batch, end other processes, or raise the limit of the control group",
    });
  }
}
