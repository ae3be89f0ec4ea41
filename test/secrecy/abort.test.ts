/**
 * Protects: whoever gives up tells its peers nothing that depends on its values. Over all errors an owner can raise,
 * the bytes on the wire are the same; what is wrong with an input is found before a session begins.
 */
import { createServer, type Server, type Socket } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { shareInputs } from "../../client/client.js";
import { Sharer } from "../../client/sharing.js";
import { CATALOGUE, type DiagnosticCode } from "../../ir/catalogue.js";
import { fail, PumacError } from "../../ir/diagnostics.js";
import { dial } from "../../runtime/connect.js";
import { createPortableKernels } from "../../runtime/kernels/portable.js";
import { systemRandom } from "../../runtime/keys.js";
import { MeteredTransport } from "../../runtime/measurement.js";
import { encodeReason, readReason, spokenReason } from "../../runtime/reason.js";
import { SocketTransport } from "../../runtime/socket-transport.js";
import { PARTIES, type PeerName } from "../../runtime/transport.js";
import type { InputLayout } from "../../runtime/weight-store.js";

const CODES = Object.keys(CATALOGUE) as DiagnosticCode[];
const BETWEEN_PEERS: readonly DiagnosticCode[] = ["E0601", "E0602", "E0701", "E0801", "E0803", "E0901", "E1002"];
const PEERS: readonly PeerName[] = ["P0", "P1", "P2", "model", "data"];

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
  }
});

/** Three parties that only listen and keep what they hear. */
async function eavesdroppers() {
  const heard = PARTIES.map(() => [] as Buffer[]);
  const sockets: Socket[] = [];
  const addresses = await Promise.all(
    PARTIES.map(
      (_, i) =>
        new Promise<{ host: string; port: number }>((resolve) => {
          const server = createServer((socket) => {
            sockets.push(socket);
            socket.on("data", (chunk) => heard[i].push(chunk)).on("error", () => undefined);
          });
          servers.push(server);
          server.listen(0, "127.0.0.1", () =>
            resolve({ host: "127.0.0.1", port: (server.address() as { port: number }).port }),
          );
        }),
    ),
  );
  const ended = async (): Promise<Buffer[]> => {
    await Promise.all(
      sockets.map((socket) => socket.closed || new Promise((resolve) => socket.once("close", resolve))),
    );
    return heard.map((chunks) => Buffer.concat(chunks));
  };
  return { addresses, ended };
}

/** All that three parties hear of an owner whose work ends like this. */
async function heardOf(work: (transport: SocketTransport) => Promise<void>): Promise<string[]> {
  const { addresses, ended } = await eavesdroppers();
  const transport = new SocketTransport("data", 5000);
  for (const [i, party] of PARTIES.entries()) {
    await dial(transport, party, addresses[i], undefined, 1000);
  }
  await work(transport).catch((error: unknown) => transport.abort(error));
  return (await ended()).map((bytes) => bytes.toString("latin1"));
}

/** An owner that shares these numbers in a ring of 16 bits, 8 of them fractional. */
function sharing(numbers: readonly number[], name = "x") {
  return async (transport: SocketTransport): Promise<void> => {
    const layout: InputLayout = {
      ...{ owner: "data", name, ring: 16, fraction: 8, shape: [3], elements: 3, block: 0, packedBytes: 6 },
    };
    const sharer = new Sharer(createPortableKernels);
    const value = { dtype: "f32" as const, shape: [3], data: Float64Array.from(numbers) };
    const common = { owner: "data" as const, plan: "aa", layouts: [layout], publicLayouts: [], random: systemRandom };
    await shareInputs(new MeteredTransport(transport), { ...common, sharer, values: () => value });
  };
}

describe("an owner that gives up", () => {
  it("sends the same bytes whatever is wrong with its values, and offered nothing before", async () => {
    const works = [
      sharing([1, 2, 128]),
      sharing([-128.1, 0, 0]),
      sharing([Number.NaN, 0, 0]),
      sharing([0, Number.POSITIVE_INFINITY, 0], "token_ids"),
      sharing([0, 0]),
      () => Promise.reject(new Error("a bug with a value of 17 in it")),
      () => Promise.reject(fail({ code: "E1001", what: "no memory", where: "data", why: "needs 12345 bytes" })),
    ];
    const heard = await Promise.all(works.map(heardOf));
    const frame = heard[0][0];
    const greeting = `data    ${"0".repeat(32)}`;
    expect(frame.startsWith(greeting)).toBe(true);
    expect(frame.slice(greeting.length + 5)).toBe('{"code":"E0601","where":"data"}');
    for (const each of heard) {
      expect(each).toEqual([frame, frame, frame]);
    }
  });

  it("shares the last number that fits", async () => {
    const { addresses, ended } = await eavesdroppers();
    const transport = new SocketTransport("data", 200);
    for (const [i, party] of PARTIES.entries()) {
      await dial(transport, party, addresses[i], undefined, 1000);
    }
    await sharing([127.99, -128, 0])(transport).catch((error: unknown) => transport.abort(error));
    expect((await ended())[0].toString("latin1")).toContain('"sharing":"');
  });
});

describe("a reason", () => {
  const texts = fc.oneof(fc.string(), fc.constantFrom<string>(...PEERS));
  const errors = fc.record({ code: fc.constantFrom(...CODES), what: fc.string(), where: texts, why: fc.string() });

  it("is one of few, whatever the error says", () => {
    const sent = new Set<string>();
    const property = fc.property(errors, fc.constantFrom(...PEERS), (diagnostic, self) => {
      const reason = spokenReason(fail(diagnostic), self);
      sent.add(Buffer.from(encodeReason(reason)).toString());
      const isOwn = !BETWEEN_PEERS.includes(diagnostic.code);
      expect(reason).toEqual({
        code: isOwn ? "E0601" : diagnostic.code,
        where: !isOwn && PEERS.includes(diagnostic.where as PeerName) ? diagnostic.where : self,
      });
    });
    fc.assert(property, { numRuns: 2000 });
    expect(sent.size).toBeLessThanOrEqual(BETWEEN_PEERS.length * PEERS.length);
    expect(spokenReason(new Error("bug"), "P1")).toEqual({ code: "E0601", where: "P1" });
  });

  it("is read back in this house's words, and anything else is a violation", () => {
    for (const code of BETWEEN_PEERS) {
      const frame = encodeReason(spokenReason(fail({ code, what: "secret", where: "P2" }), "P1"));
      expect(readReason(frame, "P1")).toMatchObject({ code, where: "P2" });
      expect(JSON.stringify(readReason(frame, "P1"))).not.toContain("secret");
    }
    const text = (value: object) => new TextEncoder().encode(JSON.stringify(value));
    const bad = [
      { code: "E0202", where: "data" },
      { code: "E0601", where: "somebody" },
      { code: "toString", where: "P1" },
      { where: "P1" },
      { code: "E0601" },
    ];
    for (const each of bad) {
      expect(() => readReason(text(each), "P1")).toThrow(PumacError);
      expect(() => readReason(text(each), "P1")).toThrow(/E0901/);
    }
  });
});
