/**
 * What a party keeps of shared weights: for each sharing a folder with its part of the seeds, the packed masked words
 * one after the other (at P1 and P2), and a journal, a line for each weight that has arrived whole. The words are
 * mapped into memory: all sessions use the one copy that the system keeps of the file.
 *
 * A weight has its place in the seeds' streams for ever: the same place is never given to another one.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { type InferOutput, number, object, parse, string, union } from "valibot";
import { appendLines, writing } from "../formats/files.js";
import { fail } from "../ir/diagnostics.js";
import { packedBytes } from "../ir/share/rules.js";
import { blocksOf, type KeyedWeight } from "../runtime/requests.js";
import { forgetPages, mapFile } from "../runtime/system.js";
import type { PartyName } from "../runtime/transport.js";
import type { OwnerShares } from "../runtime/weight-store.js";

const OWN = 0o600;
const SEED_BYTES = 16;
/** So many bytes are looked at before their memory is given back. */
const AT_A_TIME = 4 << 20;
/** So much may have to be sent again after a loss of power, in bytes. */
const MOST_UNSETTLED = 64 << 20;

/** A weight that has arrived. */
interface Entry {
  /** Where its masks begin in the seeds' streams, and how many blocks they take. */
  readonly block: number;
  readonly blocks: number;
  /** Bits of its words. */
  readonly ring: number;
  /** Where its words lie in the file. */
  readonly at: number;
  readonly bytes: number;
  /** SHA-256 of the words; empty at P0. */
  readonly digest: string;
}

const LINE = union([
  object({
    ...{ entry: string(), block: number(), blocks: number(), ring: number() },
    ...{ at: number(), bytes: number(), digest: string() },
  }),
  object({ plan: string() }),
  object({ owner: string(), created: number(), seeds: string() }),
]);

type Line = InferOutput<typeof LINE>;

/** One sharing as this party holds it. */
export class Sharing {
  /** By key. A weight that came again in a wider ring is held there; its old place stays taken. */
  private readonly entries = new Map<string, Entry>();
  private readonly taken: Entry[] = [];
  private readonly plans = new Set<string>();
  private checked: Promise<void> | undefined;
  private size = 0;
  private mapped: Uint8Array = new Uint8Array(0);
  /** Weights that have come whole, of which the journal does not speak yet. */
  private readonly unsettled: Line[] = [];
  private unsettledBytes = 0;
  private constructor(
    readonly id: string,
    readonly folder: string,
    private readonly self: PartyName,
    readonly owner: string,
    readonly created: number,
    /** The party's part of the seeds: one at P1 and P2, both at P0. */
    readonly seeds: Uint8Array,
  ) {}

  /** Begins a sharing. `created`: milliseconds since 1970. */
  static create(
    folder: string,
    id: string,
    self: PartyName,
    from: { owner: string; created: number; seeds: Uint8Array },
  ) {
    const place = join(folder, id);
    const seeds = Buffer.from(from.seeds).toString("hex");
    writing(place, "a sharing", () => void mkdirSync(place, { recursive: true, mode: 0o700 }));
    appendLines(join(place, "journal"), "a sharing", [JSON.stringify({ ...from, seeds })]);
    return new Sharing(id, place, self, from.owner, from.created, Uint8Array.from(from.seeds));
  }

  /** Reads a sharing's journal; undefined where its first line was never written. E0306 where it is damaged. */
  static load(folder: string, id: string, self: PartyName): Sharing | undefined {
    const place = join(folder, id);
    const file = join(place, "journal");
    const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
    // A line that a stopped party had not written to its end is not there: what it stood for is sent again.
    const whole = lines.slice(0, -1).map((line) => lineOf(line, file));
    const [head, ...rest] = whole;
    if (head === undefined || !("owner" in head)) {
      return undefined;
    }
    const seeds = new Uint8Array(Buffer.from(head.seeds, "hex"));
    const sharing = new Sharing(id, place, self, head.owner, head.created, seeds);
    rest.forEach((line) => void sharing.note(line));
    return sharing;
  }

  get held(): ReadonlyMap<string, Entry> {
    return this.entries;
  }

  get bytes(): number {
    return this.size;
  }

  serves(plan: string): boolean {
    return this.plans.has(plan);
  }

  /** Notes that all weights of a plan are here. */
  serve(plan: string): void {
    if (!this.plans.has(plan)) {
      this.write([{ plan }]);
      this.note({ plan });
    }
  }

  /** Whether so many blocks from this one on hide nothing yet. */
  isFree(block: number, blocks: number): boolean {
    return this.taken.every((each) => block + blocks <= each.block || each.block + each.blocks <= block);
  }

  /**
   * Keeps a weight; after the next `settle` a loss of power does not take it back. `piece` gives its words, packed, in
   * all those of `ring` bits; none at P0, and takes them back through `done`. Gives their bytes.
   */
  async keep(
    { key, elements }: KeyedWeight,
    { block, ring }: { readonly block: number; readonly ring: number },
    piece: (left: number) => Promise<Uint8Array>,
    done: (words: Uint8Array) => void = () => undefined,
  ): Promise<number> {
    const bytes = this.self === "P0" ? 0 : packedBytes(elements, ring);
    const hash = createHash("sha256");
    const at = this.size;
    if (bytes > 0) {
      const file = await open(this.words, existsSync(this.words) ? "r+" : "wx", OWN);
      try {
        for (let got = 0; got < bytes; ) {
          const words = await piece(bytes - got);
          hash.update(words);
          await writeAll(file, words, at + got).catch((error: unknown) => this.fails(error));
          got += words.length;
          done(words);
        }
      } finally {
        await file.close();
      }
    }
    const digest = bytes > 0 ? hash.digest("hex") : "";
    this.checked = undefined;
    const line = { entry: key, block, blocks: blocksOf(elements), ring, at, bytes, digest };
    this.note(line);
    this.unsettled.push(line);
    this.unsettledBytes += bytes;
    if (this.unsettledBytes > MOST_UNSETTLED) {
      await this.settle();
    }
    return bytes;
  }

  /** Has the words that were kept on the disk, and then the journal's lines about them: in this order. */
  async settle(): Promise<void> {
    if (this.unsettledBytes > 0) {
      const file = await open(this.words, "r+");
      const synced = file.datasync().catch((error: unknown) => this.fails(error));
      await synced.finally(() => file.close());
      this.unsettledBytes = 0;
    }
    this.write(this.unsettled);
    this.unsettled.length = 0;
  }

  /** What a session needs of it. E0803 where a weight of the plan has not arrived. */
  sharesFor(weights: readonly KeyedWeight[]): OwnerShares {
    const fitting = ({ key, ring }: KeyedWeight): Entry | undefined => {
      const entry = this.entries.get(key);
      return entry !== undefined && entry.ring >= ring ? entry : undefined;
    };
    const entries = new Map(weights.map((weight) => [weight.name, fitting(weight)]));
    const entryOf = (name: string): Entry => {
      const entry = entries.get(name);
      if (entry === undefined) {
        throw fail({ code: "E0803", what: "a weight of the plan has not arrived", where: this.self });
      }
      return entry;
    };
    weights.forEach(({ name }) => void entryOf(name));
    const seed = (which: "first" | "second"): Uint8Array | undefined =>
      this.seeds.length === 0 || this.self === (which === "first" ? "P2" : "P1")
        ? undefined
        : this.seeds.slice(which === "first" ? 0 : this.seeds.length - SEED_BYTES).subarray(0, SEED_BYTES);
    return {
      first: seed("first"),
      second: seed("second"),
      block: (name) => entryOf(name).block,
      masked: (name) => this.read(entryOf(name)),
      forget: forgetPages,
      ring: (name) => entryOf(name).ring,
    };
  }

  /** Sees, once in the party's life, that the words are those that came. E0306 where they are not. */
  check(): Promise<void> {
    this.checked ??= this.compare().catch((error: unknown) => {
      this.checked = undefined;
      throw error;
    });
    return this.checked;
  }

  private async compare(): Promise<void> {
    for (const [key, entry] of this.entries) {
      if (entry.bytes > 0) {
        const words = await this.read(entry);
        const hash = createHash("sha256");
        for (let at = 0; at < words.length; at += AT_A_TIME) {
          const piece = words.subarray(at, at + AT_A_TIME);
          hash.update(piece);
          forgetPages(piece);
        }
        if (hash.digest("hex") !== entry.digest) {
          throw damaged(this.words, `the words of weight ${key.slice(0, 12)} are others than those that came`);
        }
      }
    }
  }

  /** What the system says of a file that is written: E1001 for a full disk. */
  private fails(error: unknown): never {
    return writing(this.words, "a sharing", () => {
      throw error;
    });
  }

  private get words(): string {
    return join(this.folder, "words");
  }

  /** Words by position; nobody writes to them. E0306 where the file has become shorter. */
  private async read({ at, bytes }: Entry): Promise<Uint8Array> {
    const end = at + bytes;
    const size = statSync(this.words, { throwIfNoEntry: false })?.size ?? 0;
    if (size < end) {
      throw damaged(this.words, size === 0 ? "it is gone" : "it is too short");
    }
    if (this.mapped.length < end) {
      this.mapped = mapFile(this.words) ?? this.mapped;
    }
    return this.mapped.length < end ? await this.readInto(new Uint8Array(bytes), at) : this.mapped.subarray(at, end);
  }

  /** The same for a system that maps no files. */
  private async readInto(words: Uint8Array, at: number): Promise<Uint8Array> {
    const file = await open(this.words, "r");
    try {
      await file.read(words, 0, words.length, at);
      return words;
    } finally {
      await file.close();
    }
  }

  private write(lines: readonly Line[]): void {
    const texts = lines.map((line) => JSON.stringify(line));
    appendLines(join(this.folder, "journal"), "a sharing", texts);
  }

  private note(line: Line): void {
    if ("plan" in line) {
      this.plans.add(line.plan);
    } else if ("entry" in line) {
      const { entry, ...rest } = line;
      this.entries.set(entry, rest);
      this.taken.push(rest);
      this.size = Math.max(this.size, rest.at + rest.bytes);
    }
  }
}

/** Writes all bytes: a disk that fills up takes some of them first, and refuses only what comes then. */
async function writeAll(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
  }
}

function lineOf(line: string, file: string): Line {
  try {
    return parse(LINE, JSON.parse(line));
  } catch (error) {
    throw damaged(file, error instanceof Error ? error.message : String(error));
  }
}

function damaged(where: string, why: string): Error {
  const fix = "delete the sharing (pumac share --delete ID) and share the model again";
  return fail({ code: "E0306", what: "what this party keeps of a sharing is damaged", where, why, fix });
}

/** All sharings of a party. */
export class SharingStore {
  private readonly folder: string;
  private readonly sharings = new Map<string, Sharing>();

  /** Reads what there is. `onDamaged` hears of sharings that cannot be used. */
  constructor(
    state: string,
    private readonly self: PartyName,
    onDamaged: (error: unknown) => void = () => undefined,
  ) {
    this.folder = join(state, "sharings");
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    for (const id of readdirSync(this.folder)) {
      try {
        const sharing = Sharing.load(this.folder, id, self);
        if (sharing !== undefined) {
          this.sharings.set(id, sharing);
        }
      } catch (error) {
        onDamaged(error);
      }
    }
  }

  /** All of them. */
  list(): readonly Sharing[] {
    return [...this.sharings.values()];
  }

  get(id: string): Sharing | undefined {
    return this.sharings.get(id);
  }

  create(id: string, owner: string, created: number, seeds: Uint8Array): Sharing {
    const sharing = Sharing.create(this.folder, id, this.self, { owner, created, seeds });
    this.sharings.set(id, sharing);
    return sharing;
  }

  /** Those that serve a plan, the newest first. */
  serving(plan: string): readonly Sharing[] {
    return [...this.sharings.values()].filter((sharing) => sharing.serves(plan)).sort((a, b) => b.created - a.created);
  }

  /** Deletes a sharing; how many bytes it took. */
  remove(id: string): number {
    const place = join(this.folder, id);
    const bytes = readdirSync(place).reduce((sum, name) => sum + statSync(join(place, name)).size, 0);
    this.sharings.get(id)?.seeds.fill(0);
    this.sharings.delete(id);
    rmSync(place, { recursive: true, force: true });
    return bytes;
  }
}
