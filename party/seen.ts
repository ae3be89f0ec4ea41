/**
 * What a party of a trial sees, for whoever started all three on one machine (`pumac serve --local`): how much came,
 * from whom, and the first bytes of it. All of it is masked. Seeds come before the interpreter begins, and are not
 * looked at.
 */
import type { EstablishedSession } from "../runtime/session.js";
import type { Seen } from "../runtime/staying.js";
import type { PartyName, PeerName, Transport } from "../runtime/transport.js";
import type { InputLayout } from "../runtime/weight-store.js";

/** So many bytes of a frame are shown. */
const SHOWN = 24;
/** Between two reports pass so many milliseconds. */
const BETWEEN = 80;

/** Watches one session. */
export class SeenFrames {
  private bytes = 0;
  private rounds = 0;
  private last = -BETWEEN;
  private latest: Pick<Seen, "from" | "words"> | undefined;

  constructor(
    private readonly party: PartyName,
    private readonly onSeen: (seen: Seen) => void,
  ) {}

  /** The session, with every frame that the interpreter takes looked at; `data`: the data owner's inputs. */
  over(session: EstablishedSession, data: readonly InputLayout[]): EstablishedSession {
    for (const { name } of this.party === "P0" ? [] : data) {
      this.see("data", session.inputs.data.masked(name) as Uint8Array);
    }
    return { ...session, transport: this.watched(session.transport) };
  }

  round(done: number): void {
    this.rounds = done;
  }

  /** Says what came so far. */
  report(): void {
    if (this.latest !== undefined) {
      const { party, bytes, rounds, latest } = this;
      this.onSeen({ party, bytes, rounds, ...latest });
    }
  }

  private watched(inner: Transport): Transport {
    return {
      self: inner.self,
      send: (to, frame) => inner.send(to, frame),
      receive: async (from) => {
        const frame = await inner.receive(from);
        this.see(from, frame);
        return frame;
      },
      release: (from, frame) => inner.release?.(from, frame),
    };
  }

  private see(from: PeerName, frame: Uint8Array): void {
    this.bytes += frame.length;
    this.latest = { from, words: Uint8Array.from(frame.subarray(0, SHOWN)) };
    const now = performance.now();
    if (now - this.last >= BETWEEN) {
      this.last = now;
      this.report();
    }
  }
}
