/** The log of a daemon on stderr: lines for people on a terminal, JSON (pino) otherwise. */
import { pino } from "pino";
import type { Log } from "../party/context.js";
import { colours, printNote } from "./terminal.js";

export function createLog(party: string): Log {
  if (process.stderr.isTTY) {
    const line = (paint: (text: string) => string, fields: object, message: string): void => {
      const rest = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
      const shown = rest.map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
      printNote(`${new Date().toISOString().slice(11, 19)} ${paint(message)} ${colours.dim(shown.join(" "))}`);
    };
    return { info: line.bind(undefined, colours.bold), warn: line.bind(undefined, colours.yellow) };
  }
  const log = pino(
    { base: { party }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
  return { info: (fields, message) => log.info(fields, message), warn: (fields, message) => log.warn(fields, message) };
}
