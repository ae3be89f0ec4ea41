/**
 * What a session did, and when: its parts, its rounds, and every frame with its peer and its bytes. A data owner may
 * ask for it with its question (`--trace`); a party then gives its own with its report. Lengths and times of frames are
 * what whoever watches the wires sees anyway, and a plan foresees; no value is in it, and none has an influence on it.
 */
import { array, type InferOutput, number, object, picklist, tuple } from "valibot";
import { PARTIES, type PeerName, type Transport } from "./transport.js";

const PEER = picklist([...PARTIES, "model", "data"]);
const PARTS = ["asking", "waiting", "agreeing", "input", "running", "over", "sharing", "receiving"] as const;
type Part = (typeof PARTS)[number];

/** Times are microseconds from a zero that lies in the moment in which a party answers where a plan stands. */
export const TRACE = object({
  /** How long a party took from the question to its zero. */
  took: number(),
  /** Where each part began. */
  parts: array(tuple([picklist(PARTS), number()])),
  /** Where each round ended, at P1 and P2. */
  rounds: array(number()),
  /** What was done, with whom, from when, for how long, and the payload bytes. */
  frames: array(tuple([picklist(["send", "receive"]), PEER, number(), number(), number()])),
  /** Frames and rounds beyond those that are listed. */
  omitted: number(),
});
export type Trace = InferOutput<typeof TRACE>;

/** A report is a control frame, and holds so many frames and rounds. */
const MOST_LISTED = 10_000;

/** A transport that notes what it does. */
export class TracedTransport implements Transport {
  private readonly zero = performance.now();
  private readonly noted: Trace;

  /** `took`: milliseconds. */
  constructor(
    private readonly inner: Transport,
    took = 0,
  ) {
    this.noted = { took: Math.round(1000 * took), parts: [], rounds: [], frames: [], omitted: 0 };
  }

  get self(): PeerName {
    return this.inner.self;
  }

  get trace(): Trace {
    return this.noted;
  }

  /** Microseconds since the zero. */
  get now(): number {
    return Math.round(1000 * (performance.now() - this.zero));
  }

  /** A part of the session begins. */
  part(name: Part): void {
    this.noted.parts.push([name, this.now]);
  }

  /** A round is done. */
  round(): void {
    this.list(() => void this.noted.rounds.push(this.now));
  }

  async send(to: PeerName, frame: Uint8Array): Promise<void> {
    const began = this.now;
    await this.inner.send(to, frame);
    this.list(() => void this.noted.frames.push(["send", to, began, this.now - began, frame.length]));
  }

  async receive(from: PeerName): Promise<Uint8Array> {
    const began = this.now;
    const frame = await this.inner.receive(from);
    this.list(() => void this.noted.frames.push(["receive", from, began, this.now - began, frame.length]));
    return frame;
  }

  release(from: PeerName, frame: Uint8Array): void {
    this.inner.release?.(from, frame);
  }

  private list(note: () => void): void {
    const { rounds, frames } = this.noted;
    if (rounds.length + frames.length < MOST_LISTED) {
      note();
    } else {
      this.noted.omitted++;
    }
  }
}
