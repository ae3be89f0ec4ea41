/**
 * What a data owner keeps of questions whose material was made ahead (runtime/material.ts): a file for each entry, its
 * own (0600), with its two seeds and the keys under which P1 and P2 keep their parts. Who asks takes the file by giving
 * it another name, which only one process can; and removes it for good, on the disk, before anything is masked with the
 * seeds or a key is given away. A process that is stopped between the two loses the entry; nothing is ever used twice.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type InferOutput, number, object, parse, pipe, regex, string } from "valibot";
import { settleFolder, writeWhole, writing } from "../formats/files.js";
import { addressOf, identityOf, type Topology } from "../formats/topology.js";
import { trioOf } from "../runtime/identity.js";
import { PARTIES } from "../runtime/transport.js";

const HEX = (bytes: number) => pipe(string(), regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`), "no hexadecimal"));
const ENTRY = object({
  id: HEX(16),
  plan: HEX(32),
  sharing: HEX(16),
  /** The three parties: certificates and addresses. */
  trio: string(),
  /** Milliseconds since 1970. */
  expires: number(),
  seeds: object({ first: HEX(16), second: HEX(16) }),
  keys: object({ P1: HEX(32), P2: HEX(32) }),
});

/** An entry as it is kept; seeds and keys hexadecimal. */
export type Entry = InferOutput<typeof ENTRY>;

/** Another process has used an entry that this one held: a copy of the disk had brought it back. */
export class EntryGone extends Error {}

/** An entry that this process alone holds, until it is spent or given back. */
export interface ClaimedEntry extends Entry {
  /** It is gone for good: from now on its seeds and keys may be used, once. EntryGone where it was gone before. */
  readonly spend: () => void;
  /** It is not to be used any more. */
  readonly discard: () => void;
  /** It was not used, and may be taken again. */
  readonly release: () => void;
}

/** Milliseconds after its end for which an entry is not removed that somebody has taken: far longer than a question. */
const LEFT = 3_600_000;

/** Who the parties of a topology are, and where. */
export function trioOfTopology(topology: Topology): string {
  const at = PARTIES.map((party) => addressOf(topology, party));
  return `${trioOf(identityOf(topology))} ${at.map(({ host, port }) => `${host}:${port}`).join(" ")}`;
}

function folderOf({ folder }: Topology): string {
  return join(folder, "prepared");
}

/** Keeps an entry; when this returns it is on the disk. */
export function keepEntry(topology: Topology, entry: Entry): void {
  const folder = folderOf(topology);
  const what = "what is kept of prepared material";
  writing(folder, what, () => void mkdirSync(folder, { recursive: true, mode: 0o700 }));
  writeWhole(join(folder, `${entry.id}.json`), what, JSON.stringify(entry));
  settleFolder(folder);
}

/** Removes an entry that is not to be used. */
export function dropEntry(topology: Topology, id: string): void {
  rmSync(join(folderOf(topology), `${id}.json`), { force: true });
}

/** The entries of a plan for the parties of a topology, oldest first; what has expired is removed. */
export function entriesOf(topology: Topology, plan: string, now: number): readonly Entry[] {
  const trio = trioOfTopology(topology);
  const entries = namesIn(folderOf(topology)).flatMap((name) => {
    const path = join(folderOf(topology), name);
    const entry = read(path);
    if (entry === undefined) {
      return [];
    }
    const isFree = name.endsWith(".json");
    // Who has taken it may be about to use it, or was stopped and has left it under its other name.
    if (entry.expires + (isFree ? 0 : LEFT) <= now) {
      rmSync(path, { force: true });
    }
    const isOurs = entry.plan === plan && entry.trio === trio;
    return isFree && isOurs && entry.expires > now ? [entry] : [];
  });
  return entries.sort((a, b) => a.expires - b.expires);
}

/** Takes one entry of a plan, which nobody else can take then; undefined where there is none. */
export function claimEntry(topology: Topology, plan: string, sharing: string | undefined): ClaimedEntry | undefined {
  const folder = folderOf(topology);
  for (const entry of entriesOf(topology, plan, Date.now())) {
    const [free, taken] = ["json", "taken"].map((state) => join(folder, `${entry.id}.${state}`));
    if ((sharing === undefined || entry.sharing === sharing) && isMoved(free, taken)) {
      const spend = (): void => {
        if (!isRemoved(folder, taken)) {
          throw new EntryGone(entry.id);
        }
      };
      const discard = (): void => void isRemoved(folder, taken);
      return { ...entry, spend, discard, release: () => void isMoved(taken, free) };
    }
  }
  return undefined;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => /^[0-9a-f]{32}\.(json|taken)$/.test(name));
  } catch {
    return [];
  }
}

/** Undefined where another process has it, or where it is no entry. */
function read(path: string): Entry | undefined {
  try {
    return parse(ENTRY, JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return undefined;
  }
}

/** Removes an entry's file for good; false where it was gone. Of two processes one at most removes it. */
function isRemoved(folder: string, path: string): boolean {
  let isThere = true;
  writing(path, "what is kept of prepared material", () => {
    try {
      rmSync(path);
    } catch (error) {
      isThere = false;
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
        throw error;
      }
    }
    settleFolder(folder);
  });
  return isThere;
}

function isMoved(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch {
    return false;
  }
}
