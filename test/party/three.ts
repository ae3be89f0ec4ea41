/** Three parties that stay and two owners in the test's process, over TLS on the loopback interface; a small plan. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createIdentities } from "../../client/identities.js";
import { inputValues } from "../../client/inputs.js";
import { topologyHere } from "../../client/local/trio.js";
import { dataInputs, type OwnerValues, runDataOwner } from "../../client/owners.js";
import { type AskOptions, askParties } from "../../client/remote/ask.js";
import { type SharedPlan, type ShareOptions, shareModel } from "../../client/remote/share.js";
import { openModel } from "../../compiler/weights.js";
import type { Topology } from "../../formats/topology.js";
import { compile } from "../../index.js";
import { encodePlan } from "../../ir/plan/codec.js";
import type { PartySettings, SessionEnd } from "../../party/context.js";
import { PartyDaemon } from "../../party/daemon.js";
import type { Address } from "../../runtime/connect.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { systemRandom } from "../../runtime/keys.js";
import { PARTIES, type PartyName } from "../../runtime/transport.js";

const MODEL = join(import.meta.dirname, "..", "..", "models", "fixtures", "bert_cls.t5.legacy.eager.op11.dyn");
const NAMES = ["P0", "P1", "P2", "lab", "clinic", "stranger"] as const;
export type Name = (typeof NAMES)[number];

/** A plan of the small model for texts of this length, and the inputs that its first test data are cut from. */
export async function smallPlan(sequence = 8): Promise<SharedPlan & { readonly values: OwnerValues }> {
  const model = join(MODEL, "model.onnx");
  const { plan, digest } = await compile(model, { dims: { batch: 1, seq: sequence } });
  const { weights } = await openModel({ model }, plan);
  const inputs = [...dataInputs(plan)].map(([name, { shape }]) => {
    const data = new Float64Array(shape.reduce((product, size) => product * size, 1)).fill(1);
    return [name, { shape, data }] as const;
  });
  const values = runDataOwner(
    plan,
    await inputValues({ tensors: Object.fromEntries(inputs) }, dataInputs(plan)),
    new Map(),
  );
  return { plan, digest, weights, values, file: encodePlan(plan) };
}

export interface Three {
  readonly of: Readonly<Record<PartyName, PartyDaemon>>;
  readonly ends: SessionEnd[];
  readonly state: (name: Name) => string;
  readonly topology: (name: Name) => Topology;
  readonly approve: (digest: string) => void;
  readonly share: (plan: SharedPlan, options?: Partial<ShareOptions>) => ReturnType<typeof shareModel>;
  readonly ask: (
    plan: SharedPlan & { readonly values: OwnerValues },
    options?: Partial<AskOptions>,
  ) => ReturnType<typeof askParties>;
  /** Stops a party and starts it again with what it kept, at the same place. */
  readonly restart: (party: PartyName, settings?: Partial<PartySettings>) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Starts three parties; `settings` may be other ones for each, and all who call may be led through another address. */
export async function startThree(
  settings: Partial<PartySettings> | ((party: PartyName) => Partial<PartySettings>) = {},
  through: (at: Address) => Promise<Address> = async (at) => at,
): Promise<Three> {
  const folder = mkdtempSync(join(tmpdir(), "pumac-test-"));
  const identities = await createIdentities(NAMES, 1);
  const state = (name: Name): string => join(folder, name);
  NAMES.forEach((name) => void mkdirSync(state(name)));
  const addresses: Record<PartyName, Address> = { P0: ANY, P1: ANY, P2: ANY };
  /** Where each listens; who calls may be led there from elsewhere. */
  const own: Record<PartyName, Address> = { P0: ANY, P1: ANY, P2: ANY };
  const ends: SessionEnd[] = [];
  const known = Object.fromEntries(
    Object.entries(identities.get("P0")!.pinned).filter(([name]) => name !== "stranger"),
  );
  const start = async (party: PartyName, more: Partial<PartySettings>): Promise<PartyDaemon> => {
    const daemon = new PartyDaemon({
      ...{ party, listenAt: own[party], addresses, state: state(party), sessions: 4, memory: 4e9, queue: 16 },
      identity: { ...identities.get(party)!, pinned: known },
      ...{ timeout: 5000, deadline: 60_000, quota: Number.POSITIVE_INFINITY, prepared: 1e9, random: systemRandom },
      kernels: loadKernels().create,
      log: { info: () => undefined, warn: () => undefined },
      onEnd: (end) => ends.push(end),
      usage: () => ({ cpu: 0, memory: 0 }),
      ...more,
    });
    const at = await daemon.start();
    own[party] = at;
    addresses[party] = addresses[party] === ANY ? await through(at) : addresses[party];
    return daemon;
  };
  const of = {} as Record<PartyName, PartyDaemon>;
  for (const party of PARTIES) {
    of[party] = await start(party, typeof settings === "function" ? settings(party) : settings);
  }
  const topology = (name: Name): Topology => topologyHere(name, identities.get(name)!, addresses, state(name));
  return {
    of,
    ends,
    state,
    topology,
    approve: (digest) => PARTIES.forEach((party) => void of[party].plans.approve(digest)),
    share: (plan, options = {}) => shareModel({ topology: topology("lab"), timeout: 5000, plans: [plan], ...options }),
    ask: (plan, options = {}) =>
      askParties(plan, plan.values, { topology: topology("clinic"), timeout: 5000, ...options }),
    restart: async (party, more = {}) => {
      await of[party].drain();
      of[party] = await start(party, more);
    },
    stop: async () => {
      await Promise.all(PARTIES.map((party) => of[party].drain()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const ANY: Address = { host: "127.0.0.1", port: 0 };
