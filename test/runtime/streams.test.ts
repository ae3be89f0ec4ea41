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
  const reader = new DealingReader(network.transport("P2"), to);
  const write = (bytes: number, fill: number) =>
    writer.write(bytes, (offset) => {
      from.bytes.fill(fill, offset, offset + bytes);
    });
  const read = async (bytes: number) => {
    const offset = await reader.read(bytes);
    return to.bytes.slice(offset, offset + bytes);
  };
  return { network, writer, reader, write, read };
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
