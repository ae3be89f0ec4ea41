/** How long a session waited for each of its peers: a transport that counts the time until frames are there. */
import type { PeerName, Transport } from "../runtime/transport.js";

export class WaitingTransport implements Transport {
  /** Seconds by peer. */
  readonly seconds: Record<string, number> = {};

  constructor(private readonly inner: Transport) {}

  get self(): PeerName {
    return this.inner.self;
  }

  send(to: PeerName, frame: Uint8Array): Promise<void> {
    return this.inner.send(to, frame);
  }

  async receive(from: PeerName): Promise<Uint8Array> {
    const since = performance.now();
    try {
      return await this.inner.receive(from);
    } finally {
      this.seconds[from] = (this.seconds[from] ?? 0) + (performance.now() - since) / 1000;
    }
  }

  release(from: PeerName, frame: Uint8Array): void {
    this.inner.release?.(from, frame);
  }
}
