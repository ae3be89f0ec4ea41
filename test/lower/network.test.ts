/**
 * What the network decides changes bytes and rounds, never the answer: every function, planned where only bytes cost
 * anything and where only rounds do, keeps its stated error. Together they run every alternative of the lowering:
 * whole digits and halves, tournaments in pairs and in large groups.
 */
import { describe, expect, test } from "vitest";
import { FUNCTION_CASES, type FunctionCase } from "../../analysis/accuracy/cases.js";
import { measureFunction } from "../../analysis/accuracy/measure.js";
import { parseNetwork } from "../../compiler/network.js";

const FEW_BYTES = parseNetwork("1kbps,1us");
const FEW_ROUNDS = parseNetwork("1000gbps,100s");

/** A row of different values, of which neither the first nor the last is the largest. */
function row(op: string, length: number): FunctionCase {
  const attributes = op === "argmax" ? { axis: 1, keep: false, last: false } : { axes: [1], keep: false };
  const data = Float64Array.from({ length: 3 * length }, (_, i) => ((i * 7919) % 1009) / 64 - 8);
  const values = () => ({ dtype: "f64", shape: [3, length], data }) as const;
  return { name: op, op, attributes, distance: "absolute", inputs: [{ domain: "", values }], fourier: 1e-3 };
}

const ROWS = [2, 7, 13, 61].flatMap((length) => [row("argmax", length), row("reduceMaximum", length)]);

describe.each(["fourier", "puma"] as const)("profile %s", (profile) => {
  const cases = [...FUNCTION_CASES, ...ROWS].filter((given) => given[profile] !== undefined);
  test.each(cases)("$name for every network", async (given) => {
    const [bytes, rounds] = [
      await measureFunction(given, profile, 2, FEW_BYTES),
      await measureFunction(given, profile, 3, FEW_ROUNDS),
    ];
    expect(bytes.maximum).toBeLessThanOrEqual(given[profile]!);
    expect(rounds.maximum).toBeLessThanOrEqual(given[profile]!);
    expect(rounds.rounds).toBeLessThanOrEqual(bytes.rounds);
    const total = ({ onlineBytes, offlineBytes }: typeof bytes) => onlineBytes + offlineBytes;
    expect(total(bytes)).toBeLessThanOrEqual(total(rounds) * 1.02);
  });
});
