/** How long a session waited for each of its peers: a transport that counts the time until frames are there. */
import type { PeerName, Transport } from "../runtime/transport.js";

export class WaitingTransport implements Transport {
  /** Seconds by peer. */
  readonly seconds: Record<string, number> = {};
  /** Who is waited for now, the longest first. */
  private readonly awaited: PeerName[] = [];

  constructor(private readonly inner: Transport) {}

  get self(): PeerName {
    return this.inner.self;
  }

  /** Who has been waited for longest, of those that are waited for now. */
  get missing(): PeerName | undefined {
    return this.awaited[0];
  }

  send(to: PeerName, frame: Uint8Array): Promise<void> {
    return this.inner.send(to, frame);
  }

  async receive(from: PeerName): Promise<Uint8Array> {
    const since = performance.now();
    this.awaited.push(from);
    try {
      return await this.inner.receive(from);
    } finally {
      this.awaited.splice(this.awaited.indexOf(from), 1);
      this.seconds[from] = (this.seconds[from] ?? 0) + (performance.now() - since) / 1000;
    }
  }

  release(from: PeerName, frame: Uint8Array): void {
    this.inner.release?.(from, frame);
  }
}
