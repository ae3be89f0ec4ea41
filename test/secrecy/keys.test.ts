/**
 * Protects: no two streams have one key. A mask that two pairs, two sessions or two purposes share is a mask that
 * somebody can take away.
 */
import { hkdfSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { drawSeeds } from "../../client/sharing.js";
import { derivePairKeys, ephemeralKey, pairOf, seededRandom, sha256, systemRandom } from "../../runtime/keys.js";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const transcript = (text: string) => sha256(Buffer.from(text));

describe("an owner's seeds", () => {
  it("are two: P1 holds the first, P2 the second, and whoever held both would hold every mask", () => {
    const { first, second } = drawSeeds(systemRandom);
    expect([first.length, second.length]).toEqual([16, 16]);
    expect(hex(first)).not.toBe(hex(second));
    const again = drawSeeds(systemRandom);
    expect(new Set([first, second, again.first, again.second].map(hex)).size).toBe(4);
  });
});

describe("a pair's keys", () => {
  const [own, peer] = [ephemeralKey(seededRandom("a")), ephemeralKey(seededRandom("b"))];

  it("differ by transcript, pair and purpose, not even by their beginnings the same", () => {
    const kinds = [
      ["t", "01"],
      ["u", "01"],
      ["t", "02"],
      ["t", "12"],
    ] as const;
    const keys = kinds.flatMap(([text, pair]) => {
      const { stream, confirmation } = derivePairKeys(own, peer.publicKey, transcript(text), pair);
      expect([stream.length, confirmation.length]).toEqual([16, 32]);
      return [hex(stream), hex(confirmation).slice(0, 32), hex(confirmation).slice(32)];
    });
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("are the same at both ends, and another's with another key", () => {
    const at = transcript("t");
    const other = ephemeralKey(seededRandom("c"));
    expect(derivePairKeys(own, peer.publicKey, at, "01")).toEqual(derivePairKeys(peer, own.publicKey, at, "01"));
    expect(derivePairKeys(own, other.publicKey, at, "01").stream).not.toEqual(
      derivePairKeys(own, peer.publicKey, at, "01").stream,
    );
  });

  it("are refused for what is no point: too short, or a point of small order", () => {
    for (const length of [0, 31]) {
      expect(() => derivePairKeys(own, new Uint8Array(length).fill(9), transcript("t"), "01")).toThrow();
    }
    expect(() => derivePairKeys(own, new Uint8Array(32), transcript("t"), "01")).toThrow();
    expect(() => derivePairKeys(own, new Uint8Array(32).fill(9), transcript("t"), "01")).not.toThrow();
  });

  it("have one name at both ends", () => {
    expect([pairOf("P0", "P1"), pairOf("P1", "P0"), pairOf("P2", "P1"), pairOf("P2", "P0")]).toEqual([
      "01",
      "01",
      "12",
      "02",
    ]);
  });
});

describe("random sources", () => {
  it("give what is asked for, never the same twice", () => {
    for (const random of [systemRandom, seededRandom("s")]) {
      const drawn = Array.from({ length: 20 }, () => hex(random(16)));
      expect(new Set(drawn).size).toBe(20);
      expect(random(5).length).toBe(5);
    }
    expect(hex(seededRandom("s")(16))).not.toBe(hex(seededRandom("t")(16)));
    expect(hex(seededRandom("s")(16))).toBe(hex(seededRandom("s")(16)));
  });

  it("for simulations are HKDF-SHA256 of the seed", () => {
    const expected = new Uint8Array(hkdfSync("sha256", "s", "pumac simulation", "call 0", 40));
    expect(seededRandom("s")(40)).toEqual(expected);
  });
});
