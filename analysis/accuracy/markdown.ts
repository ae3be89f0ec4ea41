/** docs/accuracy.md's table of functions: stated and measured errors, rounds and bytes, of both profiles. */
import { FUNCTION_CASES, type FunctionCase } from "./cases.js";
import { type Measurement, measureFunction } from "./measure.js";
import type { Measured } from "./plots.js";

const PROFILES = ["fourier", "puma"] as const;

const HEADER = `| function | on | error | profile | stated | measured | mean | rounds | bytes online + offline |
|---|---|---|---|---|---|---|---|---|`;

/** Measures cases in the profiles that compute it. */
export async function measureAll(cases: readonly FunctionCase[] = FUNCTION_CASES): Promise<Measured> {
  const all = new Map<FunctionCase, Map<"fourier" | "puma", Measurement>>();
  for (const given of cases) {
    const profiles = new Map<"fourier" | "puma", Measurement>();
    for (const profile of PROFILES) {
      if (given[profile] !== undefined) {
        profiles.set(profile, await measureFunction(given, profile));
      }
    }
    all.set(given, profiles);
  }
  return all;
}

/** The rows of the table, functions in the order of the cases. */
export function functionTable(measured: Measured): string {
  const rows = [...measured].flatMap(([given, profiles]) =>
    [...profiles].map(([profile, measurement]) => rowOf(given, profile, given[profile]!, measurement)),
  );
  return [HEADER, ...rows].join("\n");
}

function rowOf(given: FunctionCase, profile: string, stated: number, measured: Measurement): string {
  const domain = given.inputs.map((input) => input.domain).join(" × ");
  const bytes = `${measured.onlineBytes.toFixed(0)} + ${measured.offlineBytes.toFixed(0)}`;
  const errors = [stated, measured.maximum, measured.mean].map(formatError);
  const name = given.name.replaceAll("|", "\\|");
  return `| ${[name, domain, given.distance, profile, ...errors, measured.rounds, bytes].join(" | ")} |`;
}

/** Two digits and a power of ten: 5.9·10⁻⁴. */
function formatError(error: number): string {
  if (error === 0) {
    return "0";
  }
  const [digits, exponent] = error.toExponential(1).split("e");
  const raised = [...String(Math.abs(Number(exponent)))].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]).join("");
  return `${digits}·10${exponent.startsWith("-") ? "⁻" : ""}${raised}`;
}
