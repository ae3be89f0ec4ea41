/**
 * Memory of frames that are sent, used again: fresh memory outside the heap is what garbage collection runs for, and
 * each of its runs looks through the whole plan. It has room for what a link writes before the payload, so that both
 * are one piece: of two a TLS socket makes a copy.
 */

/** Before every payload. A multiple of a cache line. */
const ROOM = 64;
const FRAMED = new WeakSet<ArrayBufferLike>();

/** Memory for payloads of up to so many bytes. */
export function frameMemory(bytes: number): Uint8Array<ArrayBuffer> {
  const memory = new ArrayBuffer(ROOM + bytes);
  FRAMED.add(memory);
  return new Uint8Array(memory, ROOM);
}

/**
 * The payload and `before` bytes in front of it, which are the link's to write; undefined where there is no room. Who
 * sends the same payload to two peers has the same bytes written twice. Another payload of this memory may go only when
 * these are sent.
 */
export function withRoom({ buffer, byteOffset, length }: Uint8Array, before: number): Uint8Array | undefined {
  return byteOffset === ROOM && FRAMED.has(buffer) ? new Uint8Array(buffer, ROOM - before, before + length) : undefined;
}

export class SentFrames {
  private readonly spare: Uint8Array[] = [];

  /** Sends a copy of bytes that may change at once. Its memory is used again when the transport has let go of it. */
  async send(bytes: Uint8Array, send: (frame: Uint8Array) => Promise<void>): Promise<void> {
    const at = this.spare.findIndex(({ length }) => length >= bytes.length);
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes.length, LEAST)));
    const memory = at < 0 ? frameMemory(size) : this.spare.splice(at, 1)[0];
    const frame = memory.subarray(0, bytes.length);
    frame.set(bytes);
    // Of a send that failed the memory may still be read.
    await send(frame);
    this.spare.push(memory);
  }
}

const LEAST = 1 << 10;
