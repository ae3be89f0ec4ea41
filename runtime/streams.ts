/**
 * P0's dealing as a byte stream: sections of packed words and bits in the order of the plan, cut into frames of
 * bounded size wherever a frame is full. P0 writes ahead as far as the transport lets it; P2 takes frames as it needs
 * them, so that what it holds back is what the transport buffers. All material is used once, in order, and an empty
 * frame ends it: whoever is dealt a byte more, or a frame more, than the plan uses stops.
 */
import { fail } from "../ir/diagnostics.js";
import { SentFrames } from "./frames.js";
import type { Dealing } from "./ops/role.js";
import type { Transport } from "./transport.js";

/** A frame is sent when it holds this much; it may exceed it by less than one section. */
export const FRAME_BYTES = 1 << 20;

/** A region of the arena that the streams use as their buffer. */
export interface Region {
  readonly bytes: Uint8Array;
  readonly start: number;
}

/** P0's end. The region holds FRAME_BYTES and the largest section. */
export class DealingWriter implements Dealing {
  /** Bytes written so far. */
  written = 0;
  private held = 0;
  private readonly frames = new SentFrames();

  constructor(
    private readonly transport: Transport,
    private readonly region: Region,
  ) {}

  async write(bytes: number, write: (offset: number) => void | Promise<void>): Promise<void> {
    await write(this.region.start + this.held);
    this.wrote(bytes);
    if (this.held >= FRAME_BYTES) {
      await this.flush();
    }
  }

  /** Sections of so many bytes were written where they belong, behind those that are held. */
  wrote(bytes: number): void {
    this.held += bytes;
    this.written += bytes;
  }

  /** Sends what is held and says that it was all; the last call of a run. */
  async finish(): Promise<void> {
    await this.flush();
    await this.transport.send("P2", new Uint8Array(0));
  }

  /** Sends what is held. */
  async flush(): Promise<void> {
    if (this.held > 0) {
      const { bytes, start } = this.region;
      const held = bytes.subarray(start, start + this.held);
      this.held = 0;
      await this.frames.send(held, (frame) => this.transport.send("P2", frame));
    }
  }

  read(): Promise<number> {
    throw new Error("P0 reads no dealing");
  }
}

/** P2's end. The region holds the largest section. */
export class DealingReader implements Dealing {
  private frame = new Uint8Array(0);
  private used = 0;

  constructor(
    private readonly transport: Transport,
    private readonly region: Region,
  ) {}

  async read(bytes: number): Promise<number> {
    const { start } = this.region;
    for (let got = 0; got < bytes; ) {
      if (this.used === this.frame.length) {
        this.frame = await this.nextFrame();
        this.used = 0;
      }
      const piece = this.frame.subarray(this.used, this.used + bytes - got);
      this.region.bytes.set(piece, start + got);
      this.used += piece.length;
      got += piece.length;
    }
    return start;
  }

  /** Every byte that P0 sent has been used: otherwise the parties ran different programs (E0901). */
  async finish(): Promise<void> {
    if (this.used !== this.frame.length || (await this.transport.receive("P0")).length > 0) {
      throw fail({ code: "E0901", what: "P0 dealt more than the plan uses", where: "P0" });
    }
  }

  write(): Promise<void> {
    throw new Error("P2 deals nothing");
  }

  private async nextFrame(): Promise<Uint8Array<ArrayBuffer>> {
    this.transport.release?.("P0", this.frame);
    const frame = await this.transport.receive("P0");
    if (frame.length === 0) {
      throw fail({ code: "E0901", what: "P0 sent an empty frame", where: "P0" });
    }
    return frame as Uint8Array<ArrayBuffer>;
  }
}

/** P1 neither deals nor receives: its halves are the k01 stream. */
export const NO_DEALING: Dealing = {
  write() {
    throw new Error("P1 deals nothing");
  },
  read() {
    throw new Error("P1 is dealt nothing");
  },
};
