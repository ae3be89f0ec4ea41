/**
 * The transport between processes: one link to each peer. What breaks one link ends the session: every receive, from
 * any peer, fails with the first cause, so that nobody waits for a peer that waits for the one that is gone.
 */
import type { Socket } from "node:net";
import { fail } from "../ir/diagnostics.js";
import { Link, type LinkLimits } from "./link.js";
import { spokenReason } from "./reason.js";
import type { PeerName, Transport } from "./transport.js";

/** The longest frame before a plan says more: control frames. */
const LONGEST_BEFORE_PLAN = 1 << 20;

export class SocketTransport implements Transport {
  private readonly links = new Map<PeerName, Link>();
  private readonly limits: LinkLimits;
  private readonly ending = new AbortController();
  private failure: Error | undefined;
  private closed = false;

  /** `timeout`: a peer that has been silent for so many milliseconds is given up. */
  constructor(
    readonly self: PeerName,
    timeout: number,
  ) {
    this.limits = { maximumFrame: LONGEST_BEFORE_PLAN, timeout };
  }

  /** The peers connected so far. */
  get peers(): ReadonlySet<PeerName> {
    return new Set(this.links.keys());
  }

  /** Aborted, with the cause, when the session has failed. */
  get signal(): AbortSignal {
    return this.ending.signal;
  }

  /** Hands over a connected socket whose other end is known to be `peer`. */
  attach(peer: PeerName, socket: Socket): void {
    if (this.failure !== undefined) {
      socket.destroy();
      return;
    }
    if (this.links.has(peer)) {
      socket.destroy();
      throw fail({ code: "E0901", what: `${peer} connected twice`, where: peer });
    }
    this.links.set(peer, new Link(peer, socket, this.limits, (error) => this.end(error)));
  }

  /** Allows data frames of up to so many bytes, which the plan foresees. */
  allowFrames(longest: number): void {
    this.limits.maximumFrame = Math.max(this.limits.maximumFrame, longest);
  }

  async send(to: PeerName, frame: Uint8Array): Promise<void> {
    await this.linkTo(to).send(frame);
  }

  async receive(from: PeerName): Promise<Uint8Array> {
    return await this.linkTo(from).receive();
  }

  release(from: PeerName, frame: Uint8Array): void {
    this.links.get(from)?.release(frame);
  }

  /** Says goodbye to every peer; to be called when this side has sent its last frame. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.links.values()].map((link) => link.finish()));
  }

  /** Ends the session for a cause that every peer hears. */
  abort(error: unknown): void {
    this.end(error instanceof Error ? error : new Error(String(error)));
  }

  private linkTo(peer: PeerName): Link {
    if (this.failure !== undefined) {
      throw this.failure;
    }
    const link = this.links.get(peer);
    if (link === undefined) {
      throw fail({ code: "E0601", what: `${peer} is not connected`, where: peer });
    }
    return link;
  }

  private end(error: Error): void {
    if (this.failure !== undefined || this.closed) {
      return;
    }
    this.failure = error;
    const reason = spokenReason(error, this.self);
    for (const link of this.links.values()) {
      link.abort(reason, error);
    }
    this.ending.abort(error);
  }
}
