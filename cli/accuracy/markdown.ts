/** docs/accuracy.md's table of functions: stated and measured errors, rounds and bytes, of both profiles. */
import { FUNCTION_CASES, type FunctionCase } from "./cases.js";
import { type Measurement, measureFunction } from "./measure.js";

const PROFILES = ["fourier", "puma"] as const;

const HEADER = `| function | on | error | profile | stated | measured | mean | rounds | bytes online + offline |
|---|---|---|---|---|---|---|---|---|`;

/** Measures every case in the profiles that compute it and writes the rows, functions in the order of the table. */
export async function functionTable(): Promise<string> {
  const lines: string[] = [];
  for (const given of FUNCTION_CASES) {
    for (const profile of PROFILES) {
      const stated = given[profile];
      if (stated !== undefined) {
        lines.push(rowOf(given, profile, stated, await measureFunction(given, profile)));
      }
    }
  }
  return [HEADER, ...lines].join("\n");
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
