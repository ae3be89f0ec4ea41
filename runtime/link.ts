/**
 * One connection to one peer, as frames. On the wire a frame is its payload's length (4 bytes, little-endian), its kind
 * (1 byte) and the payload. Data frames carry the protocol; a goodbye says that the peer has sent its last frame; an
 * abort says why (reason.ts), so that every party ends for the same stated cause; a pulse says that the peer lives.
 * A peer that computes for an hour sends pulses and is waited for; one that sends nothing at all is given up.
 *
 * A declared length is checked before anything is allocated for it. Frames that nobody has asked for yet are held
 * back up to a bound, then the socket is left unread and the sender waits.
 */
import type { Socket } from "node:net";
import { fail, PumacError } from "../ir/diagnostics.js";
import { withRoom } from "./frames.js";
import { encodeReason, type Reason, readReason } from "./reason.js";
import type { PeerName } from "./transport.js";

const KIND = { data: 0, goodbye: 1, abort: 2, pulse: 3 } as const;
const HEADER_BYTES = 5;
const NOTHING = new Uint8Array(0);

/** Frames are left on the socket once this many bytes (and at least one frame) wait to be asked for. */
const MOST_HELD_BACK = 32 << 20;
/** The same of what a model's owner sends, which is written to a file as it comes. */
const MOST_OF_WEIGHTS = 8 << 20;

/** Large frames are received into memory that was given back: fresh memory is what garbage collection runs for. */
const LEAST_REUSED = 1 << 16;
const MOST_SPARE = 32;

/** A pulse is sent so many times within the time after which a silent peer is given up. */
const PULSES_PER_TIMEOUT = 4;
/** And at least every so many milliseconds: the peer may be less patient than this side. */
const LONGEST_PAUSE = 250;

/** Bytes of a longer frame that its sender has more of within the time: more than its pulses would be. */
const LEAST_OF_FRAME = 4096;

interface Waiter {
  readonly resolve: (frame: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

export interface LinkLimits {
  /** The longest data frame that the peer may send, in bytes. */
  maximumFrame: number;
  /** A peer that has been silent for so many milliseconds is given up. */
  readonly timeout: number;
}

export class Link {
  private readonly waiting: Uint8Array[] = [];
  private heldBack = 0;
  private readonly spare: ArrayBufferLike[] = [];
  private waiter: Waiter | undefined;
  private failure: Error | undefined;
  /** The peer has said goodbye; this side has. */
  private peerFinished = false;
  private finished = false;
  /** The last frame to the peer is under way, and this side of the socket closed. */
  private left = false;
  private lastHeard = performance.now();
  /** Bytes of a frame that came since. */
  private trickled = 0;
  private suspected = false;
  private readonly pulse: NodeJS.Timeout;

  private readonly header = new Uint8Array(HEADER_BYTES);
  private headerFilled = 0;
  private kind = 0;
  private payload: Uint8Array | undefined;
  private payloadFilled = 0;

  /** Takes over a connected socket. `onFailure` hears once why the link broke, unless both sides had finished. */
  constructor(
    readonly peer: PeerName,
    private readonly socket: Socket,
    private readonly limits: LinkLimits,
    private readonly onFailure: (error: Error) => void,
  ) {
    socket.setNoDelay?.(true);
    socket.on("data", (chunk: Uint8Array) => this.hear(chunk));
    socket.on("error", () => this.lost());
    socket.on("close", () => this.lost());
    socket.resume();
    this.pulse = setInterval(() => this.beat(), Math.min(limits.timeout / PULSES_PER_TIMEOUT, LONGEST_PAUSE));
    this.pulse.unref();
  }

  /** Sends a data frame; resolves when the socket has taken it. */
  send(frame: Uint8Array): Promise<void> {
    return this.write(KIND.data, frame);
  }

  /** The next data frame, in order; see `Transport.receive`. */
  receive(): Promise<Uint8Array> {
    const frame = this.waiting.shift();
    if (frame !== undefined) {
      this.heldBack -= frame.length;
      this.resume();
      return Promise.resolve(frame);
    }
    if (this.failure !== undefined || this.peerFinished) {
      return Promise.reject(this.failure ?? unreachable(this.peer, "it had finished before this party had"));
    }
    if (this.waiter !== undefined) {
      return Promise.reject(new Error(`two receives from ${this.peer} at once`));
    }
    return new Promise((resolve, reject) => {
      this.waiter = { resolve, reject };
    });
  }

  /** Takes back the memory of a frame from here that nobody looks at any more. */
  release({ buffer }: Uint8Array): void {
    if (buffer.byteLength >= LEAST_REUSED && this.spare.length < MOST_SPARE && !this.spare.includes(buffer)) {
      this.spare.push(buffer);
    }
  }

  /** Says goodbye and closes this side; frames that were sent before still arrive. */
  async finish(): Promise<void> {
    if (this.failure === undefined) {
      await this.leave(KIND.goodbye, NOTHING);
    }
    this.spare.length = 0;
    this.finished = true;
    clearInterval(this.pulse);
  }

  /** Tells the peer the reason, and closes; receives on this side end with the error itself. */
  abort(reason: Reason, error: Error): void {
    void this.leave(KIND.abort, encodeReason(reason));
    this.fail(error);
    if (this.socket.isPaused()) {
      this.socket.resume();
    }
  }

  /**
   * Sends the last frame and closes this side; resolves when the socket has taken it. The other side is read on until
   * the peer closes it: a socket that is closed with a peer's frames unread refuses them, and who writes to it may hear
   * of that before it has read why. Whoever does not close its side, or does not read, holds the socket for the timeout
   * and nothing else; no process waits for it.
   */
  private async leave(kind: number, payload: Uint8Array): Promise<void> {
    const { socket } = this;
    if (this.left || socket.destroyed) {
      return;
    }
    this.left = true;
    const timer = setTimeout(() => socket.destroy(), this.limits.timeout).unref();
    socket.once("close", () => clearTimeout(timer));
    const taken = this.peerFinished && kind === KIND.abort ? undefined : this.put(kind, payload);
    socket.end();
    await taken?.catch(() => undefined);
    socket.unref();
  }

  /** Ends every receive on this link with this error, from now on. */
  fail(error: Error): void {
    if (this.failure !== undefined) {
      return;
    }
    this.failure = error;
    clearInterval(this.pulse);
    this.spare.length = 0;
    this.waiting.length = 0;
    this.waiter?.reject(error);
    this.waiter = undefined;
    this.onFailure(error);
  }

  /**
   * Sends a pulse and listens for the peer's. Late timers run before the sockets are read, so a peer is given up only
   * if it is still silent at the next beat: a party that was busy itself blames nobody.
   */
  private beat(): void {
    if (!this.left && !this.socket.writableNeedDrain) {
      this.write(KIND.pulse, NOTHING).catch(() => undefined);
    }
    const silent = performance.now() - this.lastHeard > this.limits.timeout;
    // A peer that has said goodbye sends no pulses, and need not: as long as it takes what is sent to it.
    const isNeeded = !this.peerFinished || this.socket.writableLength > 0;
    if (silent && this.suspected && !this.socket.isPaused() && isNeeded) {
      this.fail(timedOut(this.peer, this.limits.timeout));
      this.socket.destroy();
    }
    this.suspected = silent;
  }

  private resume(): void {
    if (this.socket.isPaused()) {
      this.lastHeard = performance.now();
      this.socket.resume();
    }
  }

  /** In the middle of a frame a few bytes are no sign of life: whoever lied about its length fills it with pulses. */
  private hear(chunk: Uint8Array): void {
    this.read(chunk);
    this.trickled += chunk.length;
    const isBetween = this.payload === undefined && this.headerFilled === 0;
    if (isBetween || this.trickled >= LEAST_OF_FRAME) {
      this.lastHeard = performance.now();
      this.trickled = 0;
    }
  }

  private write(kind: number, payload: Uint8Array): Promise<void> {
    return this.failure === undefined ? this.put(kind, payload) : Promise.reject(this.failure);
  }

  private put(kind: number, payload: Uint8Array): Promise<void> {
    const whole = withRoom(payload, HEADER_BYTES);
    const header = whole ?? new Uint8Array(HEADER_BYTES);
    new DataView(header.buffer, header.byteOffset).setUint32(0, payload.length, true);
    header[4] = kind;
    return new Promise((resolve, reject) => {
      const done = (error?: Error | null): void => {
        if (error === undefined || error === null) {
          resolve();
        } else {
          this.lost();
          reject(this.failure ?? unreachable(this.peer, "the connection was closed"));
        }
      };
      this.socket.cork();
      if (payload.length === 0 || whole !== undefined) {
        this.socket.write(header, done);
      } else {
        this.socket.write(header);
        this.socket.write(payload, done);
      }
      this.socket.uncork();
    });
  }

  private lost(): void {
    if (!this.finished && !this.peerFinished) {
      this.fail(unreachable(this.peer, "the connection was closed in the middle of the session"));
    }
  }

  private read(chunk: Uint8Array): void {
    try {
      let at = 0;
      while (at < chunk.length && this.failure === undefined) {
        at += this.payload === undefined ? this.readHeader(chunk, at) : this.readPayload(chunk, at, this.payload);
      }
    } catch (error) {
      this.fail(error instanceof PumacError ? error : violation(this.peer, String(error)));
      if (!this.left) {
        this.socket.destroy();
      }
    }
  }

  private readHeader(chunk: Uint8Array, at: number): number {
    const taken = Math.min(HEADER_BYTES - this.headerFilled, chunk.length - at);
    this.header.set(chunk.subarray(at, at + taken), this.headerFilled);
    this.headerFilled += taken;
    if (this.headerFilled === HEADER_BYTES) {
      const length = new DataView(this.header.buffer).getUint32(0, true);
      if (length > this.limits.maximumFrame) {
        throw violation(this.peer, `a frame of ${length} bytes, longer than the plan allows`);
      }
      this.kind = this.header[4];
      this.headerFilled = 0;
      this.payload = this.roomFor(length);
      this.payloadFilled = 0;
      if (length === 0) {
        this.complete(this.payload);
      }
    }
    return taken;
  }

  /** Memory for a frame: of its own, or a spare one's. Sizes are powers of two, so that other frames fit there too. */
  private roomFor(length: number): Uint8Array {
    if (length < LEAST_REUSED) {
      return new Uint8Array(length);
    }
    const at = this.spare.findIndex(({ byteLength }) => byteLength >= length);
    const room = at < 0 ? new ArrayBuffer(2 ** Math.ceil(Math.log2(length))) : this.spare.splice(at, 1)[0];
    return new Uint8Array(room, 0, length);
  }

  private readPayload(chunk: Uint8Array, at: number, payload: Uint8Array): number {
    const taken = Math.min(payload.length - this.payloadFilled, chunk.length - at);
    payload.set(chunk.subarray(at, at + taken), this.payloadFilled);
    this.payloadFilled += taken;
    if (this.payloadFilled === payload.length) {
      this.complete(payload);
    }
    return taken;
  }

  private complete(payload: Uint8Array): void {
    this.payload = undefined;
    if (this.kind === KIND.data) {
      this.deliver(payload);
    } else if (this.kind === KIND.goodbye) {
      this.peerFinished = true;
      this.waiter?.reject(unreachable(this.peer, "it had finished before this party had"));
    } else if (this.kind === KIND.abort) {
      this.peerFinished = true;
      this.fail(fail(readReason(payload, this.peer)));
    } else if (this.kind !== KIND.pulse) {
      throw violation(this.peer, `a frame of unknown kind ${this.kind}`);
    }
  }

  private deliver(frame: Uint8Array): void {
    if (this.waiter !== undefined) {
      this.waiter.resolve(frame);
      this.waiter = undefined;
      return;
    }
    this.waiting.push(frame);
    this.heldBack += frame.length;
    if (this.heldBack > (this.peer === "model" ? MOST_OF_WEIGHTS : MOST_HELD_BACK)) {
      this.socket.pause();
    }
  }
}

function unreachable(peer: PeerName, why: string): PumacError {
  return fail({ code: "E0601", what: `${peer} is gone`, where: peer, why, fix: "start a new session" });
}

function timedOut(peer: PeerName, timeout: number): PumacError {
  const why = `it has been silent for ${timeout / 1000} seconds`;
  return fail({ code: "E0602", what: `${peer} did not answer in time`, where: peer, why, fix: "start a new session" });
}

function violation(peer: PeerName, what: string): PumacError {
  return fail({ code: "E0901", what: `${peer} broke the protocol: ${what}`, where: peer });
}
