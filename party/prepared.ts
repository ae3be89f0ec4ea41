/**
 * What an evaluator keeps of material that was made ahead (runtime/material.ts): for each entry a folder, with a head
 * that says what it belongs to and holds its sealed keys, and at P2 the sealed material. And, in one file for all, the
 * ids of those that were used: an id stands there, on the disk, before anything is opened, and stays there for as long
 * as the entry could have been used. So whenever the party is stopped or loses its power, an entry is used or not, and
 * never twice; a folder that comes back from a copy of the disk is of no use as long as that file does not.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { type InferOutput, number, object, parse, string } from "valibot";
import { settleFolder, writeWhole, writing } from "../formats/files.js";
import { fail } from "../ir/diagnostics.js";
import { type Ahead, PIECE_OF_MATERIAL, SEED_BYTES, Sealer, TAG_BYTES } from "../runtime/material.js";
import type { KeptPart, Part } from "../runtime/prepare.js";

const OWN = 0o600;
const HEAD = object({
  plan: string(),
  /** The identity of the sharing of the weights, whose id it begins with. */
  weights: string(),
  /** The data owner's name, and who the three parties are, by their certificates. */
  asker: string(),
  trio: string(),
  /** Milliseconds since 1970. */
  expires: number(),
  /** Bytes on the disk, without the head. */
  bytes: number(),
  /** The sealed keys, hexadecimal. */
  keys: string(),
});
export type Head = InferOutput<typeof HEAD>;

/** What a question must agree in with the entry that it names. */
export type Claim = Pick<Head, "plan" | "asker" | "trio">;

const ID = /^[0-9a-f]{32}$/;

export class PreparedStore {
  private readonly folder: string;
  private readonly usedFile: string;
  private readonly entries = new Map<string, Head>();
  /** Ids that were used, with the time until which they are remembered. */
  private readonly used = new Map<string, number>();
  /** Bytes that entries take which are being made. */
  private coming = 0;

  /** Reads what there is, and removes what was used, has expired, or was never finished. `now`: milliseconds. */
  constructor(
    state: string,
    private readonly self: "P1" | "P2",
    now: number,
  ) {
    this.folder = join(state, "prepared");
    this.usedFile = join(this.folder, "used");
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    for (const line of existsSync(this.usedFile) ? readFileSync(this.usedFile, "utf8").split("\n") : []) {
      // A line that was not written to its end was not on the disk either when its entry would have been opened.
      const [id, expires] = line.split(" ");
      if (ID.test(id) && /^\d+$/.test(expires ?? "") && Number(expires) > now) {
        this.used.set(id, Number(expires));
      }
    }
    writeWhole(this.usedFile, "the list of used material", [...this.used].map(lineOf).join(""));
    settleFolder(this.folder);
    for (const name of readdirSync(this.folder).filter((name) => name !== "used")) {
      const head = ID.test(name) && !this.used.has(name) ? headIn(join(this.folder, name)) : undefined;
      if (head === undefined || head.expires <= now) {
        this.delete(name);
      } else {
        this.entries.set(name, head);
      }
    }
  }

  /** How many entries are kept, and the bytes of all. */
  get held(): { readonly count: number; readonly bytes: number } {
    const bytes = [...this.entries.values()].reduce((sum, entry) => sum + entry.bytes, this.coming);
    return { count: this.entries.size, bytes };
  }

  /** How many entries a data owner has. */
  countOf(asker: string): number {
    return [...this.entries.values()].filter((entry) => entry.asker === asker).length;
  }

  /** Whether there is such an entry, for who asks. */
  has(id: string, { plan, asker, trio }: Claim, now: number): boolean {
    this.expire(now);
    const entry = this.entries.get(id);
    return entry !== undefined && entry.plan === plan && entry.asker === asker && entry.trio === trio;
  }

  /** Keeps a part under an id that was never used; it counts once it is confirmed. E1001 where the disk is full. */
  async keep(
    id: string,
    given: Claim & { readonly expires: number; readonly foreseen: number },
    part: Part,
  ): Promise<KeptPart> {
    const { foreseen, ...claim } = given;
    if (!ID.test(id) || this.entries.has(id) || this.used.has(id) || existsSync(this.placeOfComing(id))) {
      throw fail({ code: "E0902", what: "an entry of this id was made before", where: this.self });
    }
    const place = this.placeOfComing(id);
    const sealed = (use: "keys" | "material") => new Sealer(part.key, id, use);
    this.coming += foreseen;
    let isOpen = true;
    const settle = (): void => {
      this.coming -= isOpen ? foreseen : 0;
      isOpen = false;
    };
    try {
      writing(place, "prepared material", () => void mkdirSync(place, { mode: 0o700 }));
      const sealer = sealed("material");
      const frames = part.frames;
      const bytes = frames === undefined ? 0 : await writeMaterial(join(place, "material"), frames, sealer);
      sealer.close();
      const keys = Buffer.from(sealed("keys").seal(0, true, part.secrets)).toString("hex");
      const head = { ...claim, weights: part.weights, bytes, keys };
      writeWhole(join(place, "head"), "prepared material", JSON.stringify(head));
      settleFolder(place);
      return {
        bytes,
        confirm: () => {
          writing(place, "prepared material", () => {
            renameSync(place, join(this.folder, id));
            settleFolder(this.folder);
          });
          settle();
          this.entries.set(id, head);
        },
        discard: () => {
          settle();
          rmSync(place, { recursive: true, force: true });
        },
      };
    } catch (error) {
      settle();
      rmSync(place, { recursive: true, force: true });
      throw error;
    }
  }

  /**
   * Uses an entry. First its id is written down and on the disk; then it is taken out of the folder; only then is it
   * opened. E0803 where the entry is not there, or belongs to another sharing of the weights; E0306 where it is
   * damaged. Who gives the key away has masked its inputs already: the entry is gone too where its id cannot be written
   * down, on a full disk say.
   */
  async use(id: string, claim: Claim & { readonly weights: string }, key: Uint8Array, now: number): Promise<Ahead> {
    const head = this.entries.get(id);
    const isKept = head !== undefined && this.has(id, claim, now);
    if (!isKept || head.weights !== claim.weights) {
      if (isKept) {
        this.delete(id);
      }
      const fix = "ask again; pumac prepare makes new material";
      throw fail({ code: "E0803", what: "this party keeps no such material for the question", where: this.self, fix });
    }
    const place = join(this.folder, id);
    const file = this.self === "P2" ? await open(join(place, "material"), "r").catch(() => undefined) : undefined;
    try {
      this.mark(id, head.expires);
    } catch (error) {
      await file?.close();
      throw error;
    } finally {
      this.delete(id);
    }
    const sealer = new Sealer(key, id, "keys");
    const secrets = sealer.open(0, true, Buffer.from(head.keys, "hex"));
    sealer.close();
    const material = new Sealer(key, id, "material");
    key.fill(0);
    if (secrets === undefined || (this.self === "P2" && file === undefined)) {
      await file?.close();
      throw damaged(place);
    }
    return {
      keys: { [this.self === "P1" ? "01" : "02"]: secrets.subarray(0, -SEED_BYTES) },
      seed: secrets.subarray(-SEED_BYTES),
      ...(file && { frames: materialIn(file, head.bytes, material, place) }),
      close: () => {
        secrets.fill(0);
        material.close();
        void file?.close();
      },
    };
  }

  /** Removes the entries of a plan, or of a sharing; how many, and the bytes that they took. */
  remove(isMeant: (head: Head) => boolean): { readonly entries: number; readonly bytes: number } {
    const gone = [...this.entries].filter(([, head]) => isMeant(head));
    gone.forEach(([id]) => void this.delete(id));
    return { entries: gone.length, bytes: gone.reduce((sum, [, { bytes }]) => sum + bytes, 0) };
  }

  /** Removes what has expired. */
  expire(now: number): void {
    this.remove(({ expires }) => expires <= now);
  }

  private placeOfComing(id: string): string {
    return join(this.folder, `.${id}`);
  }

  private delete(name: string): void {
    this.entries.delete(name);
    rmSync(join(this.folder, name), { recursive: true, force: true });
  }

  /** From the end of this call on, whatever happens, the entry has been used. */
  private mark(id: string, expires: number): void {
    if (this.used.has(id)) {
      throw fail({ code: "E0902", what: "this material has been used", where: this.self });
    }
    writing(this.usedFile, "the list of used material", () => {
      const descriptor = openSync(this.usedFile, "a", OWN);
      try {
        // What an earlier call could not write to its end must not become part of this line.
        writeSync(descriptor, `\n${lineOf([id, expires])}`);
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
    });
    this.used.set(id, expires);
  }
}

function lineOf([id, expires]: readonly [string, number]): string {
  return `${id} ${expires}\n`;
}

function headIn(place: string): Head | undefined {
  try {
    return parse(HEAD, JSON.parse(readFileSync(join(place, "head"), "utf8")));
  } catch {
    return undefined;
  }
}

function damaged(where: string): Error {
  const fix = "ask again; pumac prepare makes new material";
  return fail({ code: "E0306", what: "prepared material is damaged", where, fix });
}

/** Seals P0's frames, in pieces of one size, into a file that is on the disk at the end; its bytes. */
async function writeMaterial(path: string, frames: () => Promise<Uint8Array>, sealer: Sealer): Promise<number> {
  const piece = Buffer.alloc(PIECE_OF_MATERIAL);
  let filled = 0;
  let number = 0;
  let written = 0;
  const fails = (error: unknown): never =>
    writing(path, "prepared material", () => {
      throw error;
    });
  const file = await open(path, "wx", OWN).catch(fails);
  const flush = async (isLast: boolean): Promise<void> => {
    const sealed = sealer.seal(number++, isLast, piece.subarray(0, filled));
    for (let at = 0; at < sealed.length; ) {
      at += (await file.write(sealed, at, sealed.length - at, written + at).catch(fails)).bytesWritten;
    }
    written += sealed.length;
    filled = 0;
  };
  try {
    for (let frame = await frames(); frame.length > 0; frame = await frames()) {
      for (let at = 0; at < frame.length; ) {
        if (filled === piece.length) {
          await flush(false);
        }
        const some = frame.subarray(at, at + piece.length - filled);
        piece.set(some, filled);
        filled += some.length;
        at += some.length;
      }
    }
    await flush(true);
    await file.datasync().catch(fails);
    return written;
  } finally {
    piece.fill(0);
    await file.close();
  }
}

/** The material of an entry as P0's frames, an empty one last. E0306 where it is not what was sealed. */
function materialIn(file: FileHandle, bytes: number, sealer: Sealer, where: string): () => Promise<Uint8Array> {
  const whole = PIECE_OF_MATERIAL + TAG_BYTES;
  let number = 0;
  let at = 0;
  let isOver = false;
  return async () => {
    if (isOver || at === bytes) {
      return new Uint8Array(0);
    }
    const isLast = bytes - at <= whole;
    const sealed = Buffer.alloc(Math.min(whole, bytes - at));
    const { bytesRead } = await file.read(sealed, 0, sealed.length, at);
    const opened = bytesRead === sealed.length ? sealer.open(number++, isLast, sealed) : undefined;
    if (opened === undefined) {
      throw damaged(where);
    }
    at += sealed.length;
    isOver = isLast;
    return opened;
  };
}
