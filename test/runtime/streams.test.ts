/** P0's dealing: cut into frames, put together again, and used to the last byte: neither more nor less. */
import { describe, expect, test } from "vitest";
import { LocalNetwork } from "../../client/local/network.js";
import { DealingReader, DealingWriter, FRAME_BYTES, NO_DEALING } from "../../runtime/streams.js";
import { rejection } from "./mesh.js";

const LARGEST = 3000;

function ends() {
  const network = new LocalNetwork();
  const region = () => ({ bytes: new Uint8Array(FRAME_BYTES + LARGEST + 7), start: 7 });
  const [from, to] = [region(), region()];
  const writer = new DealingWriter(network.transport("P0"), from);
  const inner = network.transport("P2");
  const lengths: number[] = [];
  const receive: typeof inner.receive = async (from) => {
    const frame = await inner.receive(from);
    lengths.push(frame.length);
    return frame;
  };
  const reader = new DealingReader({ self: "P2", send: inner.send, receive }, to);
  const write = (bytes: number, fill: number) =>
    writer.write(bytes, (offset) => {
      from.bytes.fill(fill, offset, offset + bytes);
    });
  const read = async (bytes: number) => {
    const offset = await reader.read(bytes);
    return to.bytes.slice(offset, offset + bytes);
  };
  return { network, writer, reader, write, read, lengths };
}

describe("a dealing", () => {
  test("comes as it was dealt, over many frames", async () => {
    const { writer, reader, write, read } = ends();
    const sections = Array.from({ length: 900 }, (_, i) => ({ bytes: (i * 37) % (LARGEST + 1), fill: i % 251 }));
    const dealing = (async () => {
      for (const { bytes, fill } of sections) {
        await write(bytes, fill);
      }
      await writer.finish();
    })();
    for (const { bytes, fill } of sections) {
      expect((await read(bytes)).every((byte) => byte === fill)).toBe(true);
    }
    await reader.finish();
    await dealing;
    expect(writer.written).toBe(sections.reduce((sum, { bytes }) => sum + bytes, 0));
    expect(writer.written).toBeGreaterThan(FRAME_BYTES);
  });

  test("comes in frames of bounded size, each as soon as it is full, and is read across their borders", async () => {
    const { writer, reader, write, read, lengths } = ends();
    await write(FRAME_BYTES - 2, 1);
    await write(2, 2);
    // It is full to the byte: nothing more is waited for.
    expect(await read(2)).toEqual(Uint8Array.of(1, 1));
    expect(lengths).toEqual([FRAME_BYTES]);
    await write(1, 3);
    await writer.finish();
    for (let left = FRAME_BYTES - 4 - 2; left > 0; left -= LARGEST) {
      await read(Math.min(LARGEST, left));
    }
    expect(await read(5)).toEqual(Uint8Array.of(1, 1, 2, 2, 3));
    await reader.finish();
    expect(lengths).toEqual([FRAME_BYTES, 1, 0]);
  });

  test("of nothing ends well", async () => {
    const { writer, reader } = ends();
    await writer.finish();
    await reader.finish();
  });

  test("of a byte more than is used is E0901", async () => {
    const { writer, reader, write, read } = ends();
    await write(9, 1);
    await writer.finish();
    await read(8);
    expect(await rejection(reader.finish())).toEqual({ code: "E0901", where: "P0" });
  });

  test("of a frame more than is used is E0901", async () => {
    const { network, writer, reader, write, read } = ends();
    await write(8, 1);
    await (writer as unknown as { flush(): Promise<void> }).flush();
    await network.transport("P0").send("P2", Uint8Array.of(1));
    await read(8);
    expect(await rejection(reader.finish())).toEqual({ code: "E0901", where: "P0" });
  });

  test("of a byte less than is used is E0901, and so is an end in the middle", async () => {
    const { writer, write, read } = ends();
    await write(7, 1);
    await writer.finish();
    expect(await rejection(read(8))).toEqual({ code: "E0901", where: "P0" });
  });

  test("is P0's to write and P2's to read", async () => {
    const { writer, reader } = ends();
    expect(() => writer.read()).toThrow("P0 reads no dealing");
    expect(() => reader.write()).toThrow("P2 deals nothing");
    expect(() => NO_DEALING.read(1)).toThrow("P1 is dealt nothing");
    expect(() => NO_DEALING.write(1, () => undefined)).toThrow("P1 deals nothing");
  });
});
