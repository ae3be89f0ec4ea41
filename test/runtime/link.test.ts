/**
 * Protects: how a link ends. Whoever is left hears why, also when it was writing in that moment; and a peer that reads
 * nothing, or never closes its side, holds a socket for the timeout and no longer.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, describe, expect, it } from "vitest";
import { fail } from "../../ir/diagnostics.js";
import { frameMemory, SentFrames } from "../../runtime/frames.js";
import { Link } from "../../runtime/link.js";
import { rejection } from "./mesh.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-test-"));
afterAll(() => rmSync(folder, { recursive: true }));
let pairs = 0;

/** Both ends of one connection; the second reads nothing until a link is put over it. */
async function pair(): Promise<readonly [Socket, Socket]> {
  const path = join(folder, `${pairs++}.sock`);
  const server = createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const taken = new Promise<Socket>((resolve) => void server.once("connection", resolve));
  const near = connect(path);
  const far = await taken;
  server.close();
  far.on("error", () => undefined);
  return [near, far];
}

const linkOver = (socket: Socket, timeout: number): Link =>
  new Link("P1", socket, { maximumFrame: 1 << 20, timeout }, () => undefined);

const REASON = { code: "E0901", where: "P2" } as const;
const giveUp = (link: Link): void => link.abort(REASON, fail({ ...REASON, what: "P2 broke the protocol" }));
const REST = 30;

describe("frames", () => {
  it("arrive whole and in order, with room for a header before them or without, and stay as they were", async () => {
    const [near, far] = await pair();
    const [one, other] = [linkOver(near, 5000), linkOver(far, 5000)];
    const memory = frameMemory(90_000);
    memory.forEach((_, i) => {
      memory[i] = i % 251;
    });
    const parts = [
      [0, 90_000],
      [0, 70_000],
      [3, 11],
      [5, 80_000],
      [0, 0],
      [64, 70_000],
    ] as const;
    const payloads = [...parts.map(([from, to]) => memory.subarray(from, to)), Uint8Array.of(1, 2, 3)];
    const before = Buffer.from(memory);
    const frames = new SentFrames();
    const sending = (async () => {
      for (const bytes of payloads) {
        const copies = [0, 1].map(() => frames.send(bytes, (frame) => one.send(frame)));
        await Promise.all([...copies, one.send(bytes)]);
      }
    })();
    for (const payload of payloads) {
      for (let copies = 0; copies < 3; copies++) {
        expect(Buffer.compare(await other.receive(), payload)).toBe(0);
      }
    }
    await sending;
    expect(before.equals(memory)).toBe(true);
  });
});

describe("a link that is ended", () => {
  it("tells why to a peer that writes before it reads", async () => {
    const [near, far] = await pair();
    giveUp(linkOver(near, 5000));
    for (let i = 0; i < 3; i++) {
      await pause(REST);
      far.write("what comes too late");
    }
    await pause(REST);
    expect(await rejection(linkOver(far, 5000).receive())).toEqual(REASON);
    await expect.poll(() => [near.destroyed, far.destroyed]).toEqual([true, true]);
  });

  it("is given up where a frame is longer than what ever comes of it but pulses", async () => {
    const [near, far] = await pair();
    const link = linkOver(near, 300);
    far.resume();
    far.write(Uint8Array.of(0, 0, 1, 0, 0));
    const pulses = setInterval(() => far.write(Uint8Array.of(0, 0, 0, 0, 1)), 50);
    try {
      expect((await rejection(link.receive())).code).toBe("E0602");
    } finally {
      clearInterval(pulses);
    }
  });

  it("tells why to a peer that broke the protocol", async () => {
    const [near, far] = await pair();
    const link = new Link("P1", near, { maximumFrame: 10, timeout: 5000 }, () => giveUp(link));
    far.write(Uint8Array.of(11, 0, 0, 0, 0, 1, 2, 3));
    expect((await rejection(link.receive())).code).toBe("E0901");
    expect(await rejection(linkOver(far, 5000).receive())).toEqual(REASON);
  });

  it.each([
    ["gives up", (link: Link) => Promise.resolve(giveUp(link))],
    ["says goodbye", (link: Link) => link.finish()],
  ])("and %s is rid of a peer that reads nothing, after the timeout", async (_, end) => {
    const [near, far] = await pair();
    const timeout = 200;
    const link = linkOver(near, timeout);
    const sending = Promise.allSettled([1, 2, 3, 4].map(() => link.send(new Uint8Array(1 << 20))));
    const began = performance.now();
    const pulses = setInterval(() => far.write(Uint8Array.of(0, 0, 0, 0, 3)), REST);
    await end(link);
    await sending;
    await expect.poll(() => near.destroyed).toBe(true);
    clearInterval(pulses);
    expect(performance.now() - began).toBeLessThan(10 * timeout);
    far.destroy();
  });

  it("waits no longer than for the timeout for a peer that has said goodbye and takes nothing", async () => {
    const [near, far] = await pair();
    const link = linkOver(near, 200);
    far.write(Uint8Array.of(0, 0, 0, 0, 1));
    await pause(REST);
    const sending = Promise.all([1, 2, 3, 4].map(() => link.send(new Uint8Array(1 << 20))));
    expect((await rejection(sending)).code).toBe("E0602");
    far.destroy();
  });
});
