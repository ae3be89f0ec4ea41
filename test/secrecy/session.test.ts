/**
 * Protects: a session starts only on one plan and one sharing of each owner, an owner shares only with parties that
 * accepted, and every frame is as long as the plan says.
 */
import { describe, expect, it } from "vitest";
import { receiveOutputs, receiveReports, shareInputs } from "../../client/client.js";
import { LocalNetwork } from "../../client/local/network.js";
import { Sharer } from "../../client/sharing.js";
import { encodeControl } from "../../runtime/control.js";
import { PROTOCOL_VERSION } from "../../runtime/handshake.js";
import { createPortableKernels } from "../../runtime/kernels/portable.js";
import { systemRandom } from "../../runtime/keys.js";
import { MeteredTransport } from "../../runtime/measurement.js";
import { runSession, type SessionOptions } from "../../runtime/session.js";
import { PARTIES, type PartyName, type PeerName } from "../../runtime/transport.js";
import type { InputLayout } from "../../runtime/weight-store.js";
import { rejection } from "../runtime/mesh.js";

const layoutOf = (owner: "model" | "data" | "public", name: string): InputLayout => {
  return { owner, name, ring: 12, fraction: 4, shape: [3], elements: 3, block: 0, packedBytes: 5 };
};
const LAYOUTS: SessionOptions["layouts"] = {
  model: [layoutOf("model", "w")],
  data: [layoutOf("data", "x")],
  public: [layoutOf("public", "mask")],
};

type Frames = (party: PartyName) => readonly Uint8Array[];

/** What an owner sends each party, with some of it changed. */
interface Script {
  readonly offer?: (party: PartyName) => object;
  readonly seeds?: (party: PartyName) => Uint8Array;
  readonly words?: (party: PartyName) => Uint8Array;
  readonly open?: (party: PartyName) => Uint8Array;
}

function offerOf(owner: string): object {
  return { version: PROTOCOL_VERSION, plan: "plan", sharing: `sharing of ${owner}` };
}

function framesOf(owner: "model" | "data", script: Script): Frames {
  const seeds = script.seeds ?? ((party) => new Uint8Array(party === "P0" ? 32 : 16));
  const words = script.words ?? (() => new Uint8Array(5));
  const open = script.open ?? (() => new Uint8Array(5));
  return (party) => [
    encodeControl((script.offer ?? (() => offerOf(owner)))(party)),
    seeds(party),
    ...(party === "P0" ? [] : [words(party), ...(owner === "data" ? [open(party)] : [])]),
  ];
}

/** Three parties' sessions with owners that follow these scripts; the codes that the parties end with, or "ok". */
async function ends(scripts: Partial<Record<"model" | "data", Script>>): Promise<string[]> {
  const network = new LocalNetwork();
  for (const owner of ["model", "data"] as const) {
    const frames = framesOf(owner, scripts[owner] ?? {});
    for (const party of PARTIES) {
      for (const frame of frames(party)) {
        network
          .transport(owner)
          .send(party, frame)
          .catch(() => undefined);
      }
    }
  }
  const session = async (party: PartyName): Promise<string> => {
    const running = runSession(network.transport(party), {
      ...{ plan: "plan", layouts: LAYOUTS, random: systemRandom, clock: () => 0 },
      interpret: async ({ inputs, publicInput }) => {
        if (party !== "P0") {
          const words = await Promise.all([inputs.model.masked("w"), inputs.data.masked("x"), publicInput("mask")]);
          expect(words.map(({ length }) => length)).toEqual([5, 5, 5]);
        }
      },
    });
    const code = await running.then(
      () => "ok",
      () => rejection(running).then((found) => found.code),
    );
    if (code !== "ok") {
      network.close(party);
    }
    return code;
  };
  return await Promise.all(PARTIES.map(session));
}

const at =
  <T>(party: PartyName, changed: T, otherwise: T) =>
  (name: PartyName) =>
    name === party ? changed : otherwise;

describe("a session", () => {
  it("runs when owners follow the plan", async () => {
    expect(await ends({})).toEqual(["ok", "ok", "ok"]);
  });

  it.each(["model", "data"] as const)("stops everybody when %s shares twice: another sharing at P1", async (owner) => {
    const offer = at("P1", { ...offerOf(owner), sharing: "another" }, offerOf(owner));
    expect(await ends({ [owner]: { offer } })).toEqual(["E0801", "E0801", "E0801"]);
  });

  it.each([
    ["of the next version", { version: PROTOCOL_VERSION + 1 }, "E0801"],
    ["of the version before", { version: PROTOCOL_VERSION - 1 }, "E0801"],
    ["of a version that is a text", { version: String(PROTOCOL_VERSION) }, "E0901"],
    ["without a version", { version: undefined }, "E0901"],
    ["of another plan", { plan: "plam" }, "E0801"],
    ["of a plan that only begins like it", { plan: "plan0" }, "E0801"],
    ["without a sharing", { sharing: undefined }, "E0901"],
    ["with a sharing that is a number", { sharing: 7 }, "E0901"],
  ])("refuses an offer %s", async (_, change, code) => {
    for (const owner of ["model", "data"] as const) {
      const found = await ends({ [owner]: { offer: () => ({ ...offerOf(owner), ...change }) } });
      expect(found).toEqual([code, code, code]);
    }
  });

  it("refuses seeds and words that are a byte too short or too long, and only at who got them", async () => {
    const bytes = (length: number) => new Uint8Array(length);
    for (const owner of ["model", "data"] as const) {
      for (const wrong of [15, 17]) {
        expect((await ends({ [owner]: { seeds: at("P1", bytes(wrong), bytes(16)) } }))[1]).toBe("E0901");
        expect((await ends({ [owner]: { seeds: at("P2", bytes(wrong), bytes(16)) } }))[2]).toBe("E0901");
      }
      for (const wrong of [16, 31, 33]) {
        expect((await ends({ [owner]: { seeds: at("P0", bytes(wrong), bytes(16)) } }))[0]).toBe("E0901");
      }
      for (const wrong of [0, 4, 6]) {
        expect((await ends({ [owner]: { words: at("P1", bytes(wrong), bytes(5)) } }))[1]).toBe("E0901");
        expect((await ends({ [owner]: { words: at("P2", bytes(wrong), bytes(5)) } }))[2]).toBe("E0901");
      }
    }
    for (const wrong of [4, 6]) {
      expect((await ends({ data: { open: at("P2", bytes(wrong), bytes(5)) } }))[2]).toBe("E0901");
    }
  });
});

describe("an owner", () => {
  const layouts = LAYOUTS.data;
  const value = { dtype: "f32" as const, shape: [3], data: new Float64Array(3) };
  const common = { owner: "data" as const, plan: "plan", publicLayouts: [], random: systemRandom, values: () => value };

  /** The frames that an owner sends each party, when the parties answer its offer like this. */
  async function sentFor(answers: Readonly<Record<PartyName, object>>) {
    const sent = new Map<PeerName, Uint8Array[]>(PARTIES.map((party) => [party, []]));
    const network = new LocalNetwork({ tap: (from, to, frame) => from === "data" && sent.get(to)!.push(frame) });
    for (const party of PARTIES) {
      void network.transport(party).send("data", encodeControl(answers[party]));
    }
    const sharer = new Sharer(createPortableKernels);
    const work = shareInputs(new MeteredTransport(network.transport("data")), { ...common, layouts, sharer });
    const code = await work.then(
      () => "ok",
      () => rejection(work).then((found) => found.code),
    );
    return { code, sent };
  }
  const yes = { accepted: true };

  it.each(PARTIES)("shares nothing when %s does not accept", async (party) => {
    for (const answer of [{}, { accepted: false }, { accepted: 1 }, { accepted: "true" }]) {
      const { code, sent } = await sentFor({ P0: yes, P1: yes, P2: yes, [party]: answer });
      expect(code).toBe("E0901");
      expect([...sent.values()].map((frames) => frames.length)).toEqual([1, 1, 1]);
    }
  });

  it("gives each party its own seed only, and P0 no words", async () => {
    const { code, sent } = await sentFor({ P0: yes, P1: yes, P2: yes });
    expect(code).toBe("ok");
    const [, both] = sent.get("P0")!;
    const [, first, words] = sent.get("P1")!;
    const [, second, same] = sent.get("P2")!;
    expect([...sent.values()].map((frames) => frames.length)).toEqual([2, 3, 3]);
    expect(Buffer.concat([first, second])).toEqual(Buffer.from(both));
    expect(first).not.toEqual(second);
    expect(words).toEqual(same);
  });

  it("refuses a share of an answer that is a byte too short or too long, and a report of another party", async () => {
    const reveals = [{ name: "y", ring: 12, fraction: 4, shape: [3], elements: 3 }];
    for (const [first, second] of [
      [4, 5],
      [6, 5],
      [5, 4],
      [5, 6],
    ]) {
      const network = new LocalNetwork();
      void network.transport("P1").send("data", new Uint8Array(first));
      void network.transport("P2").send("data", new Uint8Array(second));
      const opened = receiveOutputs(network.transport("data"), reveals, new Sharer(createPortableKernels));
      expect(await rejection(opened)).toEqual({ code: "E0901", where: first === 5 ? "P2" : "P1" });
    }
    const network = new LocalNetwork();
    void network.transport("P0").send("data", encodeControl({ party: "P1", sent: {}, seconds: {} }));
    expect(await rejection(receiveReports(network.transport("data")))).toEqual({ code: "E0901", where: "P0" });
  });
});
