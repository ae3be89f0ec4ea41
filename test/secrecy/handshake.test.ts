/**
 * Protects: three parties start only if all of them saw the same three hellos, each with a nonce of its own. Otherwise
 * whoever sits on one link could make two sessions share a transcript, and with it their keys.
 */
import { afterEach, describe, expect, it } from "vitest";
import type { PumacError } from "../../ir/diagnostics.js";
import { encodeControl } from "../../runtime/control.js";
import { type Agreement, PROTOCOL_VERSION, shakeHands } from "../../runtime/handshake.js";
import { type RandomSource, systemRandom } from "../../runtime/keys.js";
import { PARTIES, type PartyName, type PeerName, type Transport } from "../../runtime/transport.js";
import { connectMesh, type Mesh, rejection } from "../runtime/mesh.js";

const AGREEMENT: Agreement = { version: PROTOCOL_VERSION, plan: "aa", weights: "bb", inputs: "cc" };

let mesh: Mesh | undefined;
afterEach(() => {
  mesh?.close();
  mesh = undefined;
});

/** The transport with what comes from a peer changed: the n-th frame from it, by `change`. */
function bent(inner: Transport, peer: PeerName, n: number, change: (frame: Uint8Array) => Uint8Array): Transport {
  let count = 0;
  return {
    self: inner.self,
    send: (to, frame) => inner.send(to, frame),
    receive: async (from) => {
      const frame = await inner.receive(from);
      return from === peer && count++ === n ? change(frame) : frame;
    },
  };
}

/** Shakes hands at all three, `wrap` changes what a party hears; the code each ends with, "ok" without one. */
async function codes(wrap: (transport: Transport) => Transport, random: RandomSource = systemRandom) {
  mesh = await connectMesh({ tls: false, timeout: 5000 });
  const of = mesh.of;
  const shake = async (name: PartyName): Promise<string> => {
    const shaking = shakeHands(wrap(of(name)), AGREEMENT, random);
    const ends = shaking.then(
      () => "ok",
      async (error: unknown) => {
        of(name).abort(error);
        return (await rejection(shaking)).code;
      },
    );
    return await ends;
  };
  return await Promise.all(PARTIES.map(shake));
}

/** A hello with one field changed. */
function helloWith(change: (hello: Record<string, unknown>) => Record<string, unknown>) {
  return (frame: Uint8Array) => encodeControl(change(JSON.parse(Buffer.from(frame).toString())));
}

/** Another hexadecimal text of the same length. */
const flipped = (text: unknown) => String(text).replace(/^./, (digit) => (digit === "0" ? "1" : "0"));

describe("a handshake", () => {
  it.each(["nonce", "key"])("in which P2 hears another %s of P1 than P0 does stops everybody", async (field) => {
    const change = helloWith((hello) => ({ ...hello, [field]: flipped(hello[field]) }));
    const found = await codes((transport) => (transport.self === "P2" ? bent(transport, "P1", 0, change) : transport));
    expect(found).toEqual(["E0801", "E0801", "E0801"]);
  });

  it.each([
    ["one bit", (frame: Uint8Array) => Uint8Array.from(frame, (byte, i) => (i === frame.length - 1 ? byte ^ 1 : byte))],
    ["one byte less", (frame: Uint8Array) => frame.subarray(1)],
    ["one byte more", (frame: Uint8Array) => Uint8Array.of(...frame, 0)],
    ["nothing", () => new Uint8Array(0)],
  ])("whose confirmation is changed by %s is refused", async (_, change) => {
    const found = await codes((transport) => (transport.self === "P1" ? bent(transport, "P0", 1, change) : transport));
    expect(found).toEqual(["E0801", "E0801", "E0801"]);
  });

  it("in which a party plays another one's role stops everybody, and names it", async () => {
    const change = helloWith((hello) => ({ ...hello, party: "P0" }));
    const from = (transport: Transport) => (transport.self === "P1" ? transport : bent(transport, "P1", 0, change));
    expect(await codes(from)).toEqual(["E0801", "E0801", "E0801"]);
    mesh?.close();
    mesh = await connectMesh({ tls: false, timeout: 5000 });
    const of = mesh.of;
    const [first, ...others] = PARTIES.map((name) => shakeHands(from(of(name)), AGREEMENT, systemRandom));
    others.forEach((each) => void each.catch(() => undefined));
    const error: unknown = await first.catch((reason: unknown) => reason);
    const why = "P0 is P0, P1 is P0, P2 is P2";
    expect((error as PumacError).diagnostics[0]).toMatchObject({ where: "P1", why });
  });

  it("takes no confirmation that is its own, sent back", async () => {
    mesh = await connectMesh({ tls: false, timeout: 5000 });
    const of = mesh.of;
    // P1 plays honestly up to the hellos, and then repeats what P0 confirms.
    const echo = async (): Promise<void> => {
      const inner = of("P1");
      let sent = 0;
      await shakeHands(
        {
          self: "P1",
          send: async (to, frame) => {
            sent++;
            await inner.send(to, to === "P0" && sent > 2 ? await inner.receive("P0") : frame);
          },
          receive: (from) => inner.receive(from),
        },
        AGREEMENT,
        systemRandom,
      );
    };
    echo().catch(() => undefined);
    shakeHands(of("P2"), AGREEMENT, systemRandom).catch(() => undefined);
    expect((await rejection(shakeHands(of("P0"), AGREEMENT, systemRandom))).code).toBe("E0801");
  });

  it.each([
    ["no nonce", (hello: object) => ({ ...hello, nonce: undefined })],
    ["a nonce that is short by a digit", (hello: Record<string, unknown>) => shortened(hello, "nonce")],
    ["a nonce that is long by a digit", (hello: object) => ({ ...hello, nonce: "0".repeat(65) })],
    ["a nonce in capitals", (hello: Record<string, unknown>) => ({ ...hello, nonce: "A".repeat(64) })],
    ["a key that is short by a digit", (hello: Record<string, unknown>) => shortened(hello, "key")],
    ["a key that is long by a digit", (hello: object) => ({ ...hello, key: "0".repeat(65) })],
    ["a key of small order", (hello: object) => ({ ...hello, key: "0".repeat(64) })],
    ["a version that is a text", (hello: object) => ({ ...hello, version: "1" })],
    ["a plan that is a number", (hello: object) => ({ ...hello, plan: 1 })],
    ["weights that are a list", (hello: object) => ({ ...hello, weights: ["bb"] })],
    ["a role that there is not", (hello: object) => ({ ...hello, party: "P3" })],
    ["no inputs", (hello: object) => ({ ...hello, inputs: null })],
  ])("refuses a hello with %s as a violation", async (_, change) => {
    const bad = helloWith(change as (hello: Record<string, unknown>) => Record<string, unknown>);
    const found = await codes((transport) => (transport.self === "P0" ? bent(transport, "P1", 0, bad) : transport));
    expect(found).toEqual(["E0901", "E0901", "E0901"]);
  });

  it("gives every hello a nonce and a key of its own", async () => {
    const fresh: string[] = [];
    const noted = (inner: Transport): Transport => ({
      self: inner.self,
      receive: (from) => inner.receive(from),
      send: async (to, frame) => {
        const text = Buffer.from(frame).toString();
        // A hello goes to both peers; the one to the first of them is enough. (A confirmation may begin with any byte.)
        if (text.startsWith('{"version"') && to === PARTIES.find((name) => name !== inner.self)) {
          fresh.push(JSON.parse(text).nonce, JSON.parse(text).key);
        }
        await inner.send(to, frame);
      },
    });
    for (let session = 0; session < 2; session++) {
      expect(await codes(noted)).toEqual(["ok", "ok", "ok"]);
      mesh?.close();
    }
    expect(fresh).toHaveLength(12);
    expect(new Set(fresh).size).toBe(12);
  });
});

function shortened(hello: Record<string, unknown>, field: string): Record<string, unknown> {
  return { ...hello, [field]: String(hello[field]).slice(1) };
}
