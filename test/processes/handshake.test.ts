/** The handshake: equal keys on each pair, different in each session; any disagreement is E0801 at all three. */
import { afterEach, describe, expect, it } from "vitest";
import { receiveReports, shareInputs } from "../../client/client.js";
import { Sharer } from "../../client/sharing.js";
import { CATALOGUE } from "../../ir/catalogue.js";
import type { PumacError } from "../../ir/diagnostics.js";
import { type Agreement, shakeHands } from "../../runtime/handshake.js";
import { createPortableKernels } from "../../runtime/kernels/portable.js";
import { seededRandom, systemRandom } from "../../runtime/keys.js";
import { MeteredTransport } from "../../runtime/measurement.js";
import { runSession } from "../../runtime/session.js";
import { PARTIES, type PartyName, type PeerName } from "../../runtime/transport.js";
import { connectMesh, type Mesh, PEERS, rejection } from "../runtime/mesh.js";

const AGREEMENT: Agreement = { version: 1, plan: "aa", weights: "bb", inputs: "cc" };

let mesh: Mesh | undefined;
afterEach(() => {
  mesh?.close();
  mesh = undefined;
});

/** Runs a handshake of three parties; gives all keys as text, `pair@party`. */
async function keysOf(seeded: boolean): Promise<ReadonlyMap<string, string>> {
  mesh = await connectMesh({ tls: false, timeout: 10_000 });
  const of = mesh.of;
  const shakes = PARTIES.map(async (name) => {
    const keys = await shakeHands(of(name), AGREEMENT, seeded ? seededRandom(`seed ${name}`) : systemRandom);
    return Object.entries(keys).map(([pair, key]) => [`${pair}@${name}`, Buffer.from(key).toString("hex")] as const);
  });
  const all = new Map((await Promise.all(shakes)).flat());
  mesh.close();
  return all;
}

describe("a handshake", () => {
  it("gives each pair one key that the third party does not have, new in each session", async () => {
    const first = await keysOf(false);
    expect([...first.keys()].sort()).toEqual(["01@P0", "01@P1", "02@P0", "02@P2", "12@P1", "12@P2"]);
    expect(first.get("01@P0")).toBe(first.get("01@P1"));
    expect(first.get("02@P0")).toBe(first.get("02@P2"));
    expect(first.get("12@P1")).toBe(first.get("12@P2"));
    expect(new Set([...first.values(), ...(await keysOf(false)).values()]).size).toBe(6);
  });

  it("is reproducible from seeds, for simulation", async () => {
    expect(await keysOf(true)).toEqual(await keysOf(true));
  });

  it.each([
    ["version", 2],
    ["plan", "zz"],
    ["weights", "zz"],
    ["inputs", "zz"],
    ["session", "zz"],
    ["asker", "zz"],
    ["longestFrame", 99],
    ["purpose", "zz"],
  ] as const)("stops all three when %s differs, and says what each has", async (field, other) => {
    mesh = await connectMesh({ tls: false, timeout: 10_000 });
    const of = mesh.of;
    const common: Agreement = { ...AGREEMENT, session: "dd", asker: "ee", longestFrame: 5, purpose: "ff" };
    const offered = (name: PartyName): Agreement => (name === "P1" ? { ...common, [field]: other } : common);
    const shaking = PARTIES.map((name) => shakeHands(of(name), offered(name), systemRandom));
    for (const each of await Promise.allSettled(shaking)) {
      const [said] = ((each as PromiseRejectedResult).reason as PumacError).diagnostics;
      const why = `P0 ${common[field]}, P1 ${other}, P2 ${common[field]}`;
      expect(said).toMatchObject({ code: "E0801", why });
      expect(CATALOGUE[said.code].exit).toBe(8);
    }
  });

  it("refuses something else than a hello", async () => {
    mesh = await connectMesh({ tls: false, timeout: 10_000 });
    const error = rejection(shakeHands(mesh.of("P0"), AGREEMENT, systemRandom));
    await mesh.of("P1").send("P0", Uint8Array.of(0, 1, 2));
    await mesh.of("P2").send("P0", Uint8Array.of(0, 1, 2));
    expect(await error).toEqual({ code: "E0901", where: "P1" });
  });
});

describe("a session", () => {
  const none = { model: [], data: [], public: [] };

  /** Runs three parties and two owners on a plan without inputs; gives what each ends with. */
  async function outcomes(plans: Readonly<Partial<Record<PeerName, string>>>): Promise<readonly string[]> {
    mesh = await connectMesh({ tls: false, timeout: 10_000 });
    const of = mesh.of;
    const sharer = new Sharer(createPortableKernels);
    const values = () => {
      throw new Error("no values are asked for");
    };
    const party = async (name: PeerName): Promise<unknown> =>
      await runSession(of(name), {
        plan: plans[name] ?? "plan",
        layouts: none,
        random: systemRandom,
        interpret: async () => undefined,
        clock: () => performance.now() / 1000,
      });
    const owner = async (name: "model" | "data"): Promise<unknown> => {
      const transport = new MeteredTransport(of(name));
      const plan = plans[name] ?? "plan";
      const nothing = { owner: name, plan, layouts: [], publicLayouts: [], values, sharer, random: systemRandom };
      await shareInputs(transport, nothing);
      return name === "data" ? await receiveReports(transport) : undefined;
    };
    const run = async (name: PeerName): Promise<string> => {
      try {
        await (name === "model" || name === "data" ? owner(name) : party(name));
        return "ok";
      } catch (error) {
        of(name).abort(error);
        return (error as PumacError).diagnostics[0].code;
      }
    };
    return await Promise.all(PEERS.map(run));
  }

  it("ends well when all hold the same plan", async () => {
    expect(await outcomes({})).toEqual(["ok", "ok", "ok", "ok", "ok"]);
  });

  it.each(PEERS)("ends with E0801 at everybody when %s holds another plan", async (name) => {
    expect(await outcomes({ [name]: "another" })).toEqual(["E0801", "E0801", "E0801", "E0801", "E0801"]);
  });
});
