/** The interpreter on the local transport: faults end in a stated error, values survive any delivery order. */
import { describe, expect, test } from "vitest";
import { LocalNetwork } from "../../client/local/network.js";
import { emit, NO_MEANING } from "../../compiler/emit.js";
import { PumacError } from "../../ir/diagnostics.js";
import { Builder } from "../../ir/graph.js";
import { SHARE } from "../../ir/share/index.js";
import { runParty } from "../../runtime/interpreter.js";
import { unpackHalves } from "../../runtime/kernels/packing.js";
import { createPortableKernels } from "../../runtime/kernels/portable.js";
import { ONLY_RUN } from "../../runtime/keys.js";
import type { PeerName } from "../../runtime/transport.js";
import { planOf, recorder, runPlan } from "../share/harness.js";

/** Three rounds of squaring beside a comparison, four rounds in all. */
function program() {
  const builder = new Builder(SHARE);
  let x = builder.emit("input", [], { owner: "data", name: "x", ring: 60, fraction: 0, shape: [300] });
  // x is so small that m and the mask have the same top bit, but for chances of 2^-56: the bit is 1.
  const same = builder.emit("complement", [builder.emit("topBit", [x], { offset: 0 })]);
  const bit = builder.emit("remaskBits", [same]);
  for (let i = 0; i < 3; i++) {
    x = builder.emit("remask", [builder.emit("multiply", [x, x], { drop: 0 })]);
  }
  const node = builder.emit("remask", [builder.emit("timesBit", [bit, x])]);
  return builder.finish([{ name: "y", node: builder.emit("reveal", [node], { name: "y" }) }]);
}

function chain() {
  return planOf(program());
}

const counting = (_name: string, count: number) => BigUint64Array.from({ length: count }, (_, i) => BigInt(i % 9));

describe("a run", () => {
  test("gives the same value in every delivery order, with and without delay", async () => {
    const plan = chain();
    const square = plan.steps.findLastIndex((step) => step.op === "multiply") + 1;
    for (const options of [{ seed: 1 }, { seed: 2 }, { seed: 3 }, { delay: 0.002 }]) {
      const outcome = await runPlan(plan, counting, options);
      expect(outcome.reports.P1.rounds).toBe(plan.rounds);
      const found = plan.steps.findIndex((step, i) => step.op === "remask" && i >= square);
      expect(outcome.valueOf(found).value[8]).toBe(8n ** 8n);
    }
  });

  test("reveals the right value when places are reused, as the compiler plans them", async () => {
    const header = {
      name: "chain",
      profile: "fourier",
      modelDigest: "",
      shapes: {},
      bindings: [],
      choices: [],
      formulas: [],
      published: [],
      disclosed: [],
      record: "{}",
      ranges: { method: "structure by choice", inputs: 0, margin: 1 },
    } as const;
    const empty = { nodes: [], outputs: [] };
    const plan = emit(program(), NO_MEANING, { ...header, owners: { model: empty, data: empty } });
    expect(plan.arena.P12).toBeLessThan(chain().arena.P12);
    const { tap, frames } = recorder();
    const outcome = await runPlan(plan, counting, { seed: 5, tap });
    expect(outcome.reports.P1.rounds).toBe(4);
    const shares = (["P1>data", "P2>data"] as const).map((link) => {
      const words = new BigUint64Array(300);
      const [frame] = frames.get(link)!;
      unpackHalves(frame, 0, 300, 60, new Uint32Array(words.buffer), 0);
      return words;
    });
    const opened = shares[0].map((word, i) => BigInt.asUintN(60, word + shares[1][i]));
    expect(opened).toEqual(counting("x", 300).map((value) => value ** 8n));
  });

  test("ends with E0601 wherever a link fails", async () => {
    const plan = chain();
    const faults: { from: PeerName; to: PeerName; frame: number }[] = [
      { from: "P0", to: "P2", frame: 0 },
      { from: "P1", to: "P2", frame: 0 },
      { from: "P2", to: "P1", frame: 2 },
      { from: "P1", to: "data", frame: 0 },
    ];
    for (const fault of faults) {
      const error: unknown = await runPlan(plan, counting, { faults: [fault] }).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(PumacError);
      expect((error as PumacError).diagnostics[0].code).toBe("E0601");
    }
  });
});

describe("a peer that does not follow the plan", () => {
  const plan = chain();
  const inputs = {
    first: new Uint8Array(16),
    second: new Uint8Array(16),
    block: () => 0,
    masked: () => new Uint8Array(Math.ceil((300 * 60) / 8)),
  };

  function party(party: "P1" | "P2", network: LocalNetwork) {
    const keys = { "01": new Uint8Array(16), "02": new Uint8Array(16), "12": new Uint8Array(16) };
    const transport = network.transport(party);
    return runParty({
      plan,
      party,
      transport,
      keys,
      run: ONLY_RUN,
      kernels: createPortableKernels,
      inputs: { model: inputs, data: inputs },
    });
  }

  test("a message of another length is E0901", async () => {
    const network = new LocalNetwork();
    const running = party("P1", network);
    await network.transport("P2").send("P1", new Uint8Array(7));
    await expect(running).rejects.toThrow("E0901");
  });

  test("an empty frame of dealing is E0901", async () => {
    const network = new LocalNetwork();
    const running = party("P2", network);
    await network.transport("P0").send("P2", new Uint8Array(0));
    await expect(running).rejects.toThrow("E0901");
  });

  test("masked words of another length are E0202", async () => {
    const network = new LocalNetwork();
    const short = { ...inputs, masked: () => new Uint8Array(3) };
    const options = { plan, party: "P1" as const, transport: network.transport("P1"), kernels: createPortableKernels };
    const running = runParty({
      ...options,
      keys: { "01": new Uint8Array(16), "12": new Uint8Array(16) },
      run: ONLY_RUN,
      inputs: { model: short, data: short },
    });
    await expect(running).rejects.toThrow("E0202");
  });
});
