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
  readonly large?: true;
}

const TOKEN = { reveal: ["token"] };

const GATES: readonly Gate[] = [
  { model: "bert-base", tokens: 128, options: {}, rounds: 365, bytes: 0.65e9, online: 0.27e9 },
  {
    model: "bert-base",
    tokens: 128,
    options: { profile: "puma" },
    rounds: 700,
    bytes: 1.65e9,
    large: true,
  },
  { model: "bert-large", tokens: 128, options: {}, rounds: 760, bytes: 1.8e9, large: true },
  { model: "gpt2", tokens: 32, options: TOKEN, rounds: 340, bytes: 0.155e9 },
  { model: "llama-7b", tokens: 8, options: TOKEN, rounds: 960, bytes: 0.55e9, large: true },
];

interface Cost {
  readonly rounds: number;
  readonly total: number;
  readonly online: number;
}

async function costOf({ model, tokens, options }: Gate, layers: number): Promise<Cost> {
  const { plan } = await compileArchitecture(shortened(model, layers), tokens, options);
  const { rounds, bytes } = costReport(plan).cost;
  return { rounds, total: bytes.total, online: bytes.online };
}

/** The cost at all layers, from that of the first and of the next few. */
async function extrapolated(gate: Gate, layers: number): Promise<Cost> {
  const [few, more] = [await costOf(gate, 2), await costOf(gate, 4)];
  const at = (pick: (cost: Cost) => number) => pick(few) + ((pick(more) - pick(few)) / 2) * (layers - 2);
  return { rounds: at(({ rounds }) => rounds), total: at(({ total }) => total), online: at(({ online }) => online) };
}

describe("rounds and bytes of whole inferences", () => {
  test.each(GATES)("$model, $tokens tokens, $options.profile", async (gate) => {
    const { layers } = ARCHITECTURES[gate.model];
    const whole = gate.large !== true || process.env.PUMAC_ALL === "1";
    const cost = await (whole ? costOf(gate, layers) : extrapolated(gate, layers));
    expect(cost.rounds, "rounds").toBeLessThanOrEqual(gate.rounds);
    expect(cost.total, "bytes in all").toBeLessThanOrEqual(gate.bytes);
    expect(cost.online, "bytes online").toBeLessThanOrEqual(gate.online ?? gate.bytes);
  });
});
