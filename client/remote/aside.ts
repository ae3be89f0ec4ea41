/**
 * Masked words that wait until all of a model's weights were looked at: nothing is sent before, and a large model's
 * words are too many for memory. They lie in a file that has no name any more while it is written, so that nothing is
 * left behind whatever happens; without the owner's seeds they say nothing.
 */
import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { isShortage } from "../../formats/files.js";
import { frameMemory } from "../../runtime/frames.js";
import { PIECE_BYTES } from "../../runtime/requests.js";

export class WordsAside {
  /** Whether all words that were given are here; where the disk is too small they are not, and no more is wrong. */
  isWhole = true;
  private readonly file: number;
  private written = 0;
  private read = 0;
  private readonly piece = frameMemory(PIECE_BYTES);

  /** Words wait on the folder's disk. */
  constructor(folder: string) {
    const path = join(folder, `.aside-${process.pid}`);
    this.file = openSync(path, "w+", 0o600);
    rmSync(path, { force: true });
  }

  /** Puts words at the end. */
  put(words: Uint8Array): void {
    try {
      for (let at = 0; this.isWhole && at < words.length; ) {
        const count = writeSync(this.file, words, at, words.length - at, this.written);
        at += count;
        this.written += count;
      }
    } catch (error) {
      if (!isShortage(error)) {
        throw error;
      }
      this.isWhole = false;
    }
  }

  /** The next words in the order in which they were put, `length` of them, in pieces that hold until the next one. */
  *take(length: number): Generator<Uint8Array> {
    for (const end = this.read + length; this.read < end; ) {
      const piece = this.piece.subarray(0, Math.min(PIECE_BYTES, end - this.read));
      for (let got = 0; got < piece.length; ) {
        const count = readSync(this.file, piece, got, piece.length - got, this.read);
        if (count === 0) {
          throw new Error("words that were put aside are gone");
        }
        got += count;
        this.read += count;
      }
      yield piece;
    }
  }

  close(): void {
    closeSync(this.file);
  }
}
