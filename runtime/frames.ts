/**
 * Memory of frames that are sent, used again: fresh memory outside the heap is what garbage collection runs for, and
 * each of its runs looks through the whole plan.
 */
export class SentFrames {
  private readonly spare: ArrayBuffer[] = [];

  /** Sends a copy of bytes that may change at once. Its memory is used again when the transport has let go of it. */
  async send(bytes: Uint8Array, send: (frame: Uint8Array) => Promise<void>): Promise<void> {
    const at = this.spare.findIndex(({ byteLength }) => byteLength >= bytes.length);
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes.length, LEAST)));
    const memory = at < 0 ? new ArrayBuffer(size) : this.spare.splice(at, 1)[0];
    const frame = new Uint8Array(memory, 0, bytes.length);
    frame.set(bytes);
    // Of a send that failed the memory may still be read.
    await send(frame);
    this.spare.push(memory);
  }
}

const LEAST = 1 << 10;
