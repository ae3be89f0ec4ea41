/**
 * What a party writes down of sessions: an audit record, one line for each session that asked, and the ids of sessions
 * for as long as they could be used again. Names, digests, counts and times; never a value.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { nullable, number, object, optional, parse, picklist, record, string } from "valibot";
import { appendLines, writeWhole } from "../formats/files.js";
import { fail } from "../ir/diagnostics.js";

const AUDIT = object({
  /** When the session ended, ISO 8601. */
  time: string(),
  session: string(),
  /** The data owner's name in the topology. */
  asker: string(),
  plan: nullable(string()),
  sharing: nullable(string()),
  /** Whether material was made, or used that was made before. */
  prepared: optional(nullable(picklist(["made", "used"])), null),
  /** Payload bytes that this party sent, by receiver. */
  sent: record(string(), number()),
  rounds: number(),
  seconds: number(),
  /** "answered", "prepared", or the code that ended it and in which phase. */
  outcome: string(),
  phase: nullable(string()),
});
export type AuditLine = ReturnType<typeof parseAudit>;

function parseAudit(line: string) {
  return parse(AUDIT, JSON.parse(line));
}

function auditFile(state: string): string {
  return join(state, "audit.jsonl");
}

/** Appends a session to the audit record. */
export function writeAudit(state: string, line: AuditLine): void {
  appendLines(auditFile(state), "the audit record", [JSON.stringify(line)]);
}

/** The audit record, oldest first. E0301 where a line is none. */
export function readAudit(state: string): readonly AuditLine[] {
  const file = auditFile(state);
  if (!existsSync(file)) {
    return [];
  }
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.map((line, i) => {
    try {
      return parseAudit(line);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw fail({ code: "E0301", what: `line ${i + 1} is no audit line`, where: file, why });
    }
  });
}

/** An id may be this old, or this far ahead, in milliseconds: what clocks of different houses may differ by. */
const WINDOW = 600_000;

/** The ids of sessions that were asked for, in a file, so that a party that was restarted knows them too. */
export class SessionIds {
  private readonly used = new Map<string, number>();
  private readonly file: string;

  constructor(state: string, now: number) {
    this.file = join(state, "session-ids");
    for (const line of existsSync(this.file) ? readFileSync(this.file, "utf8").split("\n") : []) {
      const [id, at] = line.split(" ");
      if (Number(at) > now - WINDOW) {
        this.used.set(id, Number(at));
      }
    }
    writeWhole(this.file, "the list of session ids", [...this.used].map(([id, at]) => `${id} ${at}\n`).join(""));
  }

  /** Whether the id, drawn at `at`, is fresh; from now on it is not. */
  use(id: string, at: number, now: number): boolean {
    if (this.used.has(id) || Math.abs(now - at) > WINDOW) {
      return false;
    }
    for (const [old, when] of this.used) {
      if (when < now - WINDOW) {
        this.used.delete(old);
      }
    }
    this.used.set(id, at);
    appendLines(this.file, "the list of session ids", [`${id} ${at}`]);
    return true;
  }
}

/** How many sessions each data owner has been answered since a moment, by the audit record and from then on. */
export class Quota {
  private readonly asked = new Map<string, number[]>();

  /** `most`: questions in `period` milliseconds. */
  constructor(
    private readonly most: number,
    private readonly period: number,
    past: readonly AuditLine[],
  ) {
    for (const { asker, time, outcome } of past) {
      if (outcome === "answered") {
        this.count(asker, Date.parse(time));
      }
    }
  }

  /** Whether one more question is allowed now. */
  allows(asker: string, now: number): boolean {
    const recent = (this.asked.get(asker) ?? []).filter((at) => at > now - this.period);
    this.asked.set(asker, recent);
    return recent.length < this.most;
  }

  /** Counts a question. */
  count(asker: string, now: number): void {
    if (!Number.isFinite(this.most)) {
      return;
    }
    this.asked.set(asker, [...(this.asked.get(asker) ?? []), now]);
  }
}
