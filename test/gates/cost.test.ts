/**
 * The product's promise as gates: rounds and bytes of whole inferences, all weights secret, none of them read. The
 * limits are what was reached, most of them those that the project set itself; a plan that exceeds one is a regression.
 * The larger models are compiled with two layers and with four, and what two more cost is counted for all the others;
 * with PUMAC_ALL=1 they are compiled whole.
 */
import { describe, expect, test } from "vitest";
import { costReport } from "../../analysis/cost.js";
import type { CompileOptions } from "../../compiler/compile.js";
import { ARCHITECTURES } from "../../models/architectures/index.js";
import { compileArchitecture, shortened } from "./support.js";

interface Gate {
  readonly model: string;
  readonly tokens: number;
  readonly options: CompileOptions;
  readonly rounds: number;
  /** Online and offline, over all links. */
  readonly bytes: number;
  readonly online?: number;
  /** Peaks of the parties' processes in MB, as measured (docs/performance.md). */
  readonly memory?: readonly [P0: number, P1: number, P2: number];
  readonly large?: true;
}

const TOKEN = { reveal: ["token"] };

const GATES: readonly Gate[] = [
  {
    ...{ model: "bert-base", tokens: 128, options: {}, rounds: 360, bytes: 0.65e9, online: 0.27e9 },
    memory: [181, 201, 262],
  },
  {
    model: "bert-base",
    tokens: 128,
    options: { profile: "puma" },
    rounds: 700,
    bytes: 1.65e9,
    large: true,
  },
  { model: "bert-large", tokens: 128, options: {}, rounds: 760, bytes: 1.8e9, large: true },
  { model: "gpt2", tokens: 32, options: TOKEN, rounds: 310, bytes: 0.155e9 },
  { model: "llama-7b", tokens: 8, options: TOKEN, rounds: 880, bytes: 0.55e9, large: true },
];

interface Cost {
  readonly rounds: number;
  readonly total: number;
  readonly online: number;
  /** In MB. */
  readonly memory: readonly number[];
}

async function costOf({ model, tokens, options }: Gate, layers: number): Promise<Cost> {
  const { plan } = await compileArchitecture(shortened(model, layers), tokens, options);
  const { rounds, bytes, memory } = costReport(plan).cost;
  const { P0, P1, P2 } = memory;
  return { rounds, total: bytes.total, online: bytes.online, memory: [P0, P1, P2].map((each) => each / 1e6) };
}

/** The cost at all layers, from that of the first and of the next few. */
async function extrapolated(gate: Gate, layers: number): Promise<Cost> {
  const [few, more] = [await costOf(gate, 2), await costOf(gate, 4)];
  const at = (pick: (cost: Cost) => number) => pick(few) + ((pick(more) - pick(few)) / 2) * (layers - 2);
  const [rounds, total, online] = [at((cost) => cost.rounds), at((cost) => cost.total), at((cost) => cost.online)];
  return { rounds, total, online, memory: more.memory };
}

describe("rounds and bytes of whole inferences", () => {
  test.each(GATES)("$model, $tokens tokens, $options.profile", async (gate) => {
    const { layers } = ARCHITECTURES[gate.model];
    const whole = gate.large !== true || process.env.PUMAC_ALL === "1";
    const cost = await (whole ? costOf(gate, layers) : extrapolated(gate, layers));
    expect(cost.rounds, "rounds").toBeLessThanOrEqual(gate.rounds);
    expect(cost.total, "bytes in all").toBeLessThanOrEqual(gate.bytes);
    expect(cost.online, "bytes online").toBeLessThanOrEqual(gate.online ?? gate.bytes);
    gate.memory?.forEach((measured, i) => {
      expect(Math.abs(cost.memory[i] / measured - 1), `memory of P${i}`).toBeLessThan(0.1);
    });
  });
});
