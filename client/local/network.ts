/**
 * Links inside one process: every frame is delivered whole and in order on its link, but the order among links is
 * random from a seed, with an optional delay per frame and a bandwidth per link. A fault closes a link at its n-th
 * frame. For tests and `simulate`: `run` and real sessions use sockets.
 */
import { fail } from "../../ir/diagnostics.js";
import { seededNumbers } from "../../ir/seeded.js";
import type { PeerName, Transport } from "../../runtime/transport.js";

export interface LocalOptions {
  /** Seed of the delivery order. */
  readonly seed?: number;
  /** Seconds that a frame travels, whatever its size. */
  readonly delay?: number;
  /** Bytes per second of a link; unlimited without. */
  readonly bandwidth?: number;
  /** The n-th frame (from 0) from one peer to another is lost, and the link closed. */
  readonly faults?: readonly { readonly from: PeerName; readonly to: PeerName; readonly frame: number }[];
  /** Sees every frame as it is sent. */
  readonly tap?: (from: PeerName, to: PeerName, frame: Uint8Array) => void;
}

/** A sender that awaits `send` runs ahead of its peer by at most about this much. */
const HIGH_WATER_BYTES = 8 << 20;

interface Waiting {
  readonly resolve: (frame: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

/** One direction between two peers. */
class Link {
  /** Frames whose timer runs: the next timer delivers the first of them, so that order does not depend on timers. */
  readonly travelling: Uint8Array[] = [];
  private readonly arrived: Uint8Array[] = [];
  private readonly waiting: Waiting[] = [];
  private readonly blocked: (() => void)[] = [];
  private held = 0;
  private underWay = 0;
  private closed = false;

  constructor(
    readonly from: PeerName,
    readonly to: PeerName,
  ) {}

  /** Counts a frame as under way; resolves when there is room for more. */
  accept(frame: Uint8Array): Promise<void> {
    this.held += frame.length;
    this.underWay++;
    return this.held <= HIGH_WATER_BYTES ? Promise.resolve() : new Promise((resolve) => this.blocked.push(resolve));
  }

  deliver(frame: Uint8Array): void {
    this.underWay--;
    const next = this.waiting.shift();
    if (next === undefined) {
      this.arrived.push(frame);
    } else {
      this.release(frame);
      next.resolve(frame);
    }
    this.end();
  }

  take(): Promise<Uint8Array> {
    const frame = this.arrived.shift();
    if (frame !== undefined) {
      this.release(frame);
      return Promise.resolve(frame);
    }
    return this.closed && this.underWay === 0
      ? Promise.reject(this.gone(this.from))
      : new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  /** No more frames; those under way arrive. */
  close(): void {
    this.closed = true;
    this.end();
  }

  private end(): void {
    if (!this.closed || this.underWay > 0) {
      return;
    }
    for (const { reject } of this.waiting.splice(0)) {
      reject(this.gone(this.from));
    }
    for (const resume of this.blocked.splice(0)) {
      resume();
    }
  }

  private release(frame: Uint8Array): void {
    this.held -= frame.length;
    while (this.held <= HIGH_WATER_BYTES && this.blocked.length > 0) {
      this.blocked.shift()!();
    }
  }

  get isClosed(): boolean {
    return this.closed;
  }

  gone(peer: PeerName): Error {
    return fail({ code: "E0601", what: `${peer} closed its connection`, where: peer, fix: "start a new session" });
  }
}

/** All links of a session in one process. */
export class LocalNetwork {
  private readonly links = new Map<string, Link>();
  private readonly sentFrames = new Map<string, number>();
  private readonly busyUntil = new Map<string, number>();
  /** Frames under way, in order for each link; one of the links is picked at random to deliver next. */
  private readonly underWay = new Map<string, { readonly link: Link; readonly frames: Uint8Array[] }>();
  private readonly random: () => number;
  private scheduled = false;

  constructor(private readonly options: LocalOptions = {}) {
    this.random = seededNumbers(options.seed ?? 1);
  }

  /** The network as one peer sees it. */
  transport(self: PeerName): Transport {
    return {
      self,
      send: (to, frame) => this.send(self, to, frame),
      receive: (from) => this.link(from, self).take(),
    };
  }

  /** Closes every link of a peer, as when its process ends. */
  close(peer: PeerName): void {
    for (const other of ["P0", "P1", "P2", "model", "data"] as const) {
      this.link(peer, other).close();
      this.link(other, peer).close();
    }
  }

  private link(from: PeerName, to: PeerName): Link {
    const key = `${from}>${to}`;
    const link = this.links.get(key) ?? new Link(from, to);
    this.links.set(key, link);
    return link;
  }

  private send(from: PeerName, to: PeerName, bytes: Uint8Array): Promise<void> {
    // The sender's memory is its own again when this resolves, which may be before the receiver looks.
    const frame = bytes.slice();
    const link = this.link(from, to);
    const key = `${from}>${to}`;
    const number = this.sentFrames.get(key) ?? 0;
    this.sentFrames.set(key, number + 1);
    if (this.options.faults?.some((fault) => fault.from === from && fault.to === to && fault.frame === number)) {
      link.close();
    }
    if (link.isClosed) {
      return Promise.reject(link.gone(to));
    }
    const room = link.accept(frame);
    this.options.tap?.(from, to, frame);
    const wait = this.travelTime(key, frame.length);
    if (wait > 0) {
      link.travelling.push(frame);
      setTimeout(() => link.deliver(link.travelling.shift()!), wait * 1000);
    } else {
      this.queue(key, link, frame);
    }
    return room;
  }

  /** Seconds until a frame that is sent now arrives. */
  private travelTime(key: string, bytes: number): number {
    const { delay = 0, bandwidth } = this.options;
    if (bandwidth === undefined) {
      return delay;
    }
    const now = performance.now() / 1000;
    const free = Math.max(now, this.busyUntil.get(key) ?? 0) + bytes / bandwidth;
    this.busyUntil.set(key, free);
    return free - now + delay;
  }

  private queue(key: string, link: Link, frame: Uint8Array): void {
    const entry = this.underWay.get(key) ?? { link, frames: [] };
    entry.frames.push(frame);
    this.underWay.set(key, entry);
    if (!this.scheduled) {
      this.scheduled = true;
      setImmediate(() => this.deliverOne());
    }
  }

  private deliverOne(): void {
    const keys = [...this.underWay.keys()];
    const key = keys[Math.floor(this.random() * keys.length)];
    const { link, frames } = this.underWay.get(key)!;
    link.deliver(frames.shift()!);
    if (frames.length === 0) {
      this.underWay.delete(key);
    }
    this.scheduled = this.underWay.size > 0;
    if (this.scheduled) {
      setImmediate(() => this.deliverOne());
    }
  }
}
