/** What a peer says in JSON is taken only in the form that is due: the nearest thing that is none is refused. */
import { describe, expect, it } from "vitest";
import { receiveReports } from "../../client/client.js";
import { LocalNetwork } from "../../client/local/network.js";
import { PumacError } from "../../ir/diagnostics.js";
import { encodeControl } from "../../runtime/control.js";
import { shakeHands } from "../../runtime/handshake.js";
import { seededRandom } from "../../runtime/keys.js";
import { PARTIES } from "../../runtime/transport.js";

async function refusal(running: Promise<unknown>) {
  const error = await running.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(PumacError);
  return (error as PumacError).diagnostics[0];
}

const HEX = "0f".repeat(32);
const HELLO = { version: 1, party: "P1", plan: "p", weights: "w", inputs: "i", nonce: HEX, key: HEX };

describe("a hello", () => {
  /** What P0 says to a frame of P1 in a hello's place. */
  function answer(frame: Uint8Array) {
    const network = new LocalNetwork();
    const agreement = { version: 1, plan: "p", weights: "w", inputs: "i" };
    const shaking = refusal(shakeHands(network.transport("P0"), agreement, seededRandom("P0")));
    network.transport("P1").send("P0", frame);
    network.transport("P2").send("P0", encodeControl({ ...HELLO, party: "P2" }));
    return shaking;
  }

  it.each([
    ["nonce", HEX.slice(1)],
    ["nonce", `${HEX}0`],
    ["nonce", HEX.toUpperCase()],
    ["key", `${HEX.slice(2)}\n0`],
    ["version", "1"],
    ["party", "P3"],
    ["plan", 1],
    ["inputs", undefined],
    ["weights", null],
  ])("whose %s is %j is none, and the reason names the field", async (field, value) => {
    const { code, where, what, why } = await answer(encodeControl({ ...HELLO, [field]: value }));
    expect({ code, where, what }).toEqual({ code: "E0901", where: "P1", what: "a peer's first frame is not a hello" });
    expect(why).toMatch(field);
  });

  it.each(["[1]", "1", "null", "{", "", `"${"x".repeat(1 << 20)}"`])("is not %.20j", async (text) => {
    expect(await answer(new TextEncoder().encode(text))).toMatchObject({ code: "E0901", where: "P1" });
  });

  it("is refused in few words, whatever it says", async () => {
    const { why } = await answer(encodeControl({ ...HELLO, version: "x".repeat(5000) }));
    expect(why!.length).toBeLessThanOrEqual(200);
  });
});

describe("a report", () => {
  const seconds = { setup: 0, weights: 0, input: 0, run: 0 };
  const reportOf = (party: string) => ({
    party,
    sent: { P1: 4 },
    rounds: 2,
    seconds,
    cpu: null,
    cpuOfRun: null,
    memory: 5,
  });

  async function receive(changed: object) {
    const network = new LocalNetwork();
    for (const party of PARTIES) {
      const report = { ...reportOf(party), ...(party === "P1" ? changed : {}) };
      await network.transport(party).send("data", encodeControl(report));
    }
    return receiveReports(network.transport("data"));
  }

  it("is taken whole, without what is not known", async () => {
    expect((await receive({ more: 1 })).get("P1")).toEqual(reportOf("P1"));
  });

  it.each([
    { party: "P2" },
    { party: "P3" },
    { sent: { P1: "4" } },
    { rounds: null },
    { seconds: { ...seconds, run: "0" } },
    { cpu: undefined },
    { memory: "5" },
  ])("is not with %j", async (changed) => {
    expect(await refusal(receive(changed))).toMatchObject({ code: "E0901", where: "P1" });
  });
});
