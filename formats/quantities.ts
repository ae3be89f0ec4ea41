/** Quantities as an option of the command line gives them; E0201 for what is none. */
import { fail } from "../ir/diagnostics.js";

function parseNumber(text: string, isValid: (value: number) => boolean, what: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!isValid(value)) {
    throw fail({ code: "E0201", what: `'${text}' is not ${what}` });
  }
  return value;
}

/** A whole number from 0 on, as an option's value. */
export function parseCount(text: string): number {
  return parseNumber(text, (value) => Number.isSafeInteger(value) && value >= 0, "a whole number");
}

const SIZE = { "": 1, kB: 1e3, MB: 1e6, GB: 1e9 } as const;

/** A number of bytes: 500MB, 4GB. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(kB|MB|GB|)$/.exec(text);
  if (match === null || Number(match[1]) === 0) {
    throw fail({ code: "E0201", what: `'${text}' is not a number of bytes`, fix: "write 500MB or 4GB" });
  }
  return Number(match[1]) * SIZE[match[2] as keyof typeof SIZE];
}

/** A positive number of seconds, at most a day. */
export function parseSeconds(text: string): number {
  return parseNumber(text, (value) => value > 0 && value <= 86_400, "a number of seconds");
}

/** A positive number of days, at most thirty, in milliseconds. */
export function parseDays(text: string): number {
  return 86_400_000 * parseNumber(text, (value) => value > 0 && value <= 30, "a number of days, at most 30");
}

/** More bits give smaller errors and dearer plans; rings end at 64 bits. */
export function parseFraction(text: string): number {
  const bits = Number(text);
  if (!Number.isInteger(bits) || bits < 8 || bits > 20) {
    throw fail({ code: "E0201", what: `'${text}' is no number of fractional bits`, fix: "write --fraction 8 to 20" });
  }
  return bits;
}

/** `1000/day`. */
export function parseQuota(text: string): number {
  const match = /^(\d+)\/day$/.exec(text);
  if (match === null) {
    throw fail({ code: "E0201", what: `'${text}' is no quota`, fix: "write 1000/day" });
  }
  return Number(match[1]);
}

/** `9100`, `127.0.0.1:9100`. */
export function parsePlace(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:(.+):)?(\d+)$/.exec(text);
  if (match === null) {
    throw fail({ code: "E0201", what: `'${text}' is no place to listen at`, fix: "write 9100, or HOST:9100" });
  }
  return { host: match[1] ?? "127.0.0.1", port: Number(match[2]) };
}
