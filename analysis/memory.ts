/** How much memory a plan's parties take, and whether a machine has it before a session starts there. */
import { availableParallelism, freemem } from "node:os";
import { fail } from "../ir/diagnostics.js";
import { type Plan, programsOf } from "../ir/plan/types.js";
import type { WordType } from "../ir/share/index.js";
import { sizeOf } from "../ir/tensor/value.js";
import { stateBytes } from "../runtime/weight-store.js";
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

/** What Node, its libraries, TLS and steps take in a party's process: measured on plans of 500 to 7,000 steps. */
const BYTES_OF_NODE = 103e6;
const BYTES_OF_STEP = 15e3;

/**
 * The peak of each party's process in bytes, an estimate: the arena of its largest program, what the process takes
 * anyway, the masked words of weights and inputs, which P1 and P2 hold as they came, packed, to the end of the session,
 * and what a conversation keeps.
 */
export function partyMemory(plan: Plan): PartyMemory {
  const programs = programsOf(plan);
  const most = (each: (program: Plan) => number): number => Math.max(...programs.map(each));
  const shared = { P0: most((each) => inputBytes(each).P0), P12: most((each) => inputBytes(each).P12) };
  const steps = programs.reduce((sum, each) => sum + each.steps.length, 0);
  const anyway = BYTES_OF_NODE + steps * BYTES_OF_STEP;
  const evaluator = most(({ arena }) => arena.P12) + anyway + shared.P12 + stateBytes(plan, "P12");
  return {
    P0: most(({ arena }) => arena.P0) + anyway + shared.P0 + stateBytes(plan, "P0"),
    P1: evaluator,
    P2: evaluator,
  };
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

/** Refuses what does not fit: E1001 with what the processes on this machine need, and what it has left. */
export function checkMemory(plan: Plan, left = memoryLeft()): void {
  const memory = partyMemory(plan);
  const needed = memory.P0 + memory.P1 + memory.P2;
  if (needed > left) {
    const each = Object.entries(memory).map(([party, bytes]) => `${party} ${formatBytes(bytes)}`);
    throw fail({
      code: "E1001",
      what: `the three parties need ${formatBytes(needed)} of memory, this machine has ${formatBytes(left)} left`,
      where: "memory",
      why: `their peaks together: ${each.join(", ")}; a session that runs out of memory dies in the middle`,
      fix: "run fewer tokens or a smaller batch, end other processes, or raise the limit of the control group",
    });
  }
}
