/** Frames over real sockets: whole, in order, bounded; and every way in which a peer can fail is a stated error. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { dial } from "../../runtime/connect.js";
import { SocketTransport } from "../../runtime/socket-transport.js";
import { connectMesh, listen, type Mesh, rejection } from "../runtime/mesh.js";

let mesh: Mesh | undefined;
afterEach(() => {
  mesh?.close();
  mesh = undefined;
});

const folder = mkdtempSync(join(tmpdir(), "pumac-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A party on a Unix socket that nobody has called yet. */
async function listeningAlone(name: "P2", timeout: number) {
  const path = join(folder, `${randomBytes(4).toString("hex")}.sock`);
  const transport = new SocketTransport(name, timeout);
  return { transport, path, listener: await listen(transport, { path }, undefined, timeout) };
}

describe.each([{ tls: false }, { tls: true }])("a mesh with TLS $tls", ({ tls }) => {
  it("delivers frames of any size whole and in order, both ways at once", async () => {
    mesh = await connectMesh({ tls, timeout: 20_000 });
    const [one, two] = [mesh.of("P1"), mesh.of("P2")];
    one.allowFrames(4 << 20);
    two.allowFrames(4 << 20);
    const frames = [0, 1, 5, 4096, 70_001, 4 << 20].map((length) => new Uint8Array(randomBytes(length)));
    const sendAll = async (from: SocketTransport, to: "P1" | "P2"): Promise<void> => {
      for (const frame of frames) {
        await from.send(to, frame);
      }
    };
    const sent = [sendAll(one, "P2"), sendAll(two, "P1")];
    for (const frame of frames) {
      expect(Buffer.compare(await two.receive("P1"), frame)).toBe(0);
      expect(Buffer.compare(await one.receive("P2"), frame)).toBe(0);
    }
    await Promise.all(sent);
  });

  it("receives into memory that was given back, and changes no frame that was not", async () => {
    mesh = await connectMesh({ tls, timeout: 20_000 });
    const [one, two] = [mesh.of("P1"), mesh.of("P2")];
    const frames = [1 << 20, 70_001, 900_000, 66_000, 1 << 20, 300_000].map((n) => new Uint8Array(randomBytes(n)));
    const kept: Uint8Array[] = [];
    const memory = new Set<ArrayBufferLike>();
    for (let turn = 0; turn < 4; turn++) {
      for (const [i, frame] of frames.entries()) {
        const [, received] = await Promise.all([one.send("P2", frame), two.receive("P1")]);
        expect(Buffer.compare(received, frame)).toBe(0);
        memory.add(received.buffer);
        if (turn === 0 && i < 2) {
          kept.push(received);
        } else {
          two.release("P1", received);
          two.release("P1", received);
        }
      }
    }
    expect(memory.size).toBeLessThan(8);
    expect(kept.every((frame, i) => Buffer.compare(frame, frames[i]) === 0)).toBe(true);
  });

  it("ends every receive of every peer with the same cause when one gives up", async () => {
    mesh = await connectMesh({ tls, timeout: 20_000 });
    const waiting = [
      rejection(mesh.of("P1").receive("P2")),
      rejection(mesh.of("P2").receive("P0")),
      rejection(mesh.of("data").receive("P2")),
    ];
    const { fail } = await import("../../ir/diagnostics.js");
    mesh.of("P0").abort(fail({ code: "E0801", what: "the plans differ", where: "P0" }));
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => ({ code: "E0801", where: "P0" })));
  });
});

describe("a link", () => {
  it("refuses a frame longer than the plan foresees before it is read", async () => {
    mesh = await connectMesh({ tls: false, timeout: 20_000 });
    const received = rejection(mesh.of("P1").receive("P2"));
    mesh
      .of("P2")
      .send("P1", new Uint8Array((1 << 20) + 1))
      .catch(() => undefined);
    expect(await received).toEqual({ code: "E0901", where: "P2" });
  });

  it("waits for a peer that lives, and gives up one that is silent", async () => {
    const { transport, listener, path } = await listeningAlone("P2", 100);
    const silent = connect(path);
    silent.write(`model   ${"0".repeat(32)}`);
    const data = new SocketTransport("data", 100);
    await dial(data, "P2", { path }, undefined, 1000);
    await listener.complete;
    const answer = transport.receive("data").then(
      () => "a frame",
      (error: Error) => error.message,
    );
    expect(await rejection(transport.receive("model"))).toEqual({ code: "E0602", where: "model" });
    expect(await answer).toContain("model did not answer");
    listener.close();
    silent.destroy();
  });

  it("holds back a bounded number of bytes that nobody asks for: the sender waits", async () => {
    mesh = await connectMesh({ tls: false, timeout: 20_000 });
    const [one, two] = [mesh.of("P1"), mesh.of("P2")];
    let sent = 0;
    const sending = (async () => {
      for (; sent < 60; sent++) {
        await one.send("P2", new Uint8Array(1 << 20));
      }
    })();
    // 32 MiB at the receiver, and what two sockets hold.
    await expect.poll(() => sent, { timeout: 20_000 }).toBeGreaterThan(30);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(sent).toBeLessThan(45);
    for (let i = 0; i < 60; i++) {
      expect((await two.receive("P1")).length).toBe(1 << 20);
    }
    await sending;
  });

  it("waits for callers only so long", async () => {
    const { listener } = await listeningAlone("P2", 50);
    expect(await rejection(listener.complete)).toEqual({ code: "E0602", where: "model" });
    listener.close();
  });

  it("delivers what was sent before a goodbye, and is no failure after it", async () => {
    mesh = await connectMesh({ tls: false, timeout: 20_000 });
    await mesh.of("P0").send("P2", Uint8Array.of(1, 2, 3));
    await mesh.of("P0").close();
    await mesh.of("P1").send("P2", Uint8Array.of(4));
    expect([...(await mesh.of("P2").receive("P1"))]).toEqual([4]);
    expect([...(await mesh.of("P2").receive("P0"))]).toEqual([1, 2, 3]);
    expect(await rejection(mesh.of("P2").receive("P0"))).toEqual({ code: "E0601", where: "P0" });
  });

  it("keeps no memory when it is finished", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    mesh = await connectMesh({ tls: false, timeout: 20_000 });
    const [one, two] = [mesh.of("P1"), mesh.of("P2")];
    const received = async (): Promise<WeakRef<ArrayBufferLike>> => {
      await one.send("P2", new Uint8Array(1 << 20));
      const frame = await two.receive("P1");
      two.release("P1", frame);
      return new WeakRef(frame.buffer);
    };
    const memory = await received();
    await Promise.all([one.close(), two.close()]);
    const isKept = (): boolean => {
      collect();
      return memory.deref() !== undefined;
    };
    await expect.poll(isKept).toBe(false);
  });

  it("survives noise from a stranger: a frame of an unknown kind ends the session as a violation", async () => {
    const { transport, listener, path } = await listeningAlone("P2", 5000);
    const stranger = connect(path);
    stranger.end();
    const noisy = connect(path);
    noisy.write(Buffer.concat([Buffer.from(`model   ${"0".repeat(32)}`), Buffer.from([1, 0, 0, 0, 77, 9])]));
    const data = new SocketTransport("data", 5000);
    await dial(data, "P2", { path }, undefined, 1000);
    await listener.complete;
    expect(await rejection(transport.receive("model"))).toEqual({ code: "E0901", where: "model" });
    listener.close();
    noisy.destroy();
  });
});
