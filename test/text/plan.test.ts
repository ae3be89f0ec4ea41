/**
 * Protects: a plan that writes token by token is the model's (it compiles again to the same bytes, and of another model
 * it does not), and writes what the model writes through three parties, each run at the cost of its program.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { costOf, costReport } from "../../analysis/cost.js";
import { describePlan } from "../../analysis/describe.js";
import type { SharedPlan } from "../../client/remote/share.js";
import type { Sampling } from "../../client/sampling.js";
import { openForPlan } from "../../compiler/text/compile.js";
import { verifyPlan } from "../../compiler/verify.js";
import { openWeights } from "../../compiler/weights.js";
import { programsOf } from "../../ir/plan/types.js";
import { OWN_FIXTURES } from "../onnx/support.js";
import type { Three } from "../party/three.js";
import { rejection } from "../runtime/mesh.js";
import { writeDecoder } from "./decoders.js";
import { logitsAfter } from "./whole.js";
import { planOf, startWith, writeWith } from "./writing.js";

const KINDS = {
  "a model without a cache": "llama_lm.t5.legacy.eager.op14.dyn.ortall",
  "a model with its own": "gpt2_kv.t5.legacy.eager.op14.dyn.ortpy",
};
const OPTIONS = { context: 6, buckets: [3] };

describe.each(Object.entries(KINDS))("a plan of %s", (_, folder) => {
  const model = join(OWN_FIXTURES, folder, "model.onnx");
  let shared: SharedPlan;
  let three: Three;
  beforeAll(async () => {
    shared = await planOf(model, OPTIONS);
    three = await startWith(shared);
  });
  afterAll(() => three.stop());

  const write = (prompt: string, mostTokens: number) => writeWith(three, shared, prompt, mostTokens);

  it("compiles again to the same plan, and tells masks and positions to nobody", async () => {
    await expect(verifyPlan(shared.plan, { model })).resolves.toBeDefined();
    expect(shared.plan.parts.flatMap(({ disclosed }) => disclosed)).toEqual([]);
    const other = join(OWN_FIXTURES, Object.values(KINDS).find((each) => each !== folder)!, "model.onnx");
    expect(await rejection(openWeights({ model: other }, shared.plan))).toMatchObject({ code: "E0801" });
  });

  it.each(["3 14", "3 14 5", "7"])(
    "writes what the model writes after '%s', to the end of its context",
    async (prompt) => {
      const { written, ended } = await write(prompt, 9);
      const ids = prompt.split(" ").map(Number);
      expect(written).toHaveLength(OPTIONS.context - ids.length + 1);
      expect(ended).toBe("context");
      const all = [...ids, ...written.map(({ id }) => id)];
      const logits = await logitsAfter(model, all);
      for (const [i, { id, measured }] of written.entries()) {
        const after = logits[ids.length + i - 1];
        // Weights are at random: what is as likely but for the errors of fixed point is as right.
        expect(Math.max(...after) - after[id]).toBeLessThan(0.02);
        const program = i === 0 && ids.length > 1 ? shared.plan.parts[0] : shared.plan;
        const { rounds, bytes } = costOf(program);
        expect([measured.rounds, measured.bytes.total]).toEqual([rounds, bytes.total]);
      }
    },
  );

  it("takes no prompt that none of its programs holds", async () => {
    expect(await rejection(write("1 2 3 4", 1))).toMatchObject({ code: "E0202" });
    expect(await rejection(write("1 2 3 4 5 6 7", 1))).toMatchObject({ code: "E0202" });
  });
});

describe("a plan of a model that takes one token at a time", () => {
  it("reads a prompt token by token, at the cost of each, and compiles again to the same plan", async () => {
    const model = writeDecoder({ mask: true, positions: "input", fixed: 5 });
    const shared = await planOf(model, { context: 6 });
    await expect(verifyPlan(shared.plan, { model })).resolves.toBeDefined();
    const three = await startWith(shared);
    try {
      const { written, ended } = await writeWith(three, shared, "3 14 5", 9);
      expect([written.length, ended]).toEqual([4, "context"]);
      const any = writeDecoder({ mask: true, positions: "input" });
      const logits = await logitsAfter(any, [3, 14, 5, ...written.map(({ id }) => id)]);
      const { rounds, bytes } = costOf(shared.plan);
      for (const [i, { id, measured }] of written.entries()) {
        expect(Math.max(...logits[i + 2]) - logits[i + 2][id]).toBeLessThan(0.02);
        const runs = i === 0 ? 3 : 1;
        expect([measured.rounds, measured.bytes.total]).toEqual([runs * rounds, runs * bytes.total]);
      }
    } finally {
      await three.stop();
    }
  });
});

describe("a plan that reveals the largest logits", () => {
  it("takes the likeliest without a temperature, and draws what a seed says with one", async () => {
    const model = writeDecoder({ mask: true, positions: "input" });
    const shared = await planOf(model, { context: 6, buckets: [3], reveal: ["topk:4"] });
    await expect(verifyPlan(shared.plan, { model })).resolves.toBeDefined();
    const report = costReport(shared.plan);
    const [token, prompt] = [shared.plan, shared.plan.parts[0]].map((each) => costOf(each));
    expect(report.writing).toMatchObject({
      token: { rounds: token.rounds, bytes: token.bytes.total, perSecond: 1 / token.seconds.estimate },
      prompts: [{ length: 3, rounds: prompt.rounds, bytes: prompt.bytes.total, seconds: prompt.seconds.estimate }],
    });
    const text = describePlan(shared.plan, report);
    expect(text).toMatch(/^prompt +of up to 3 tokens: \d+ rounds, .* on lan$/m);
    expect(text).toMatch(/^token +\d+ rounds, .* on lan: \S+ a second$/m);
    expect(text).toMatch(
      /^P1, P2 +learns nothing but that a prompt has at most 3 tokens, and how many tokens are written/m,
    );
    expect(text).toMatch(/^data owner .*topk.logits \[1,1,4\] \(their scores are products/m);
    // What is kept is no owner's to share again.
    expect(token.bytes.input).toBeLessThan(prompt.bytes.input * 1.1);
    const three = await startWith(shared);
    try {
      const idsOf = async (sampling: Sampling) => {
        const { written } = await writeWith(three, shared, "3 14 5", 4, { sampling });
        const { rounds, bytes } = costOf(shared.plan);
        const costs = written.slice(1).map(({ measured }) => [measured.rounds, measured.bytes.total]);
        expect(costs).toEqual(costs.map(() => [rounds, bytes.total]));
        return written.map(({ id }) => id);
      };
      const greedy = await idsOf({});
      const drawn = await idsOf({ temperature: 9, seed: 4 });
      expect(await idsOf({ temperature: 9, seed: 4 })).toEqual(drawn);
      expect(drawn).not.toEqual(greedy);
      for (const ids of [greedy, drawn]) {
        const logits = await logitsAfter(model, [3, 14, 5, ...ids]);
        const ranks = ids.map((id, i) => logits[i + 2].filter((x) => x > logits[i + 2][id] + 0.02).length);
        expect(Math.max(...ranks)).toBeLessThan(ids === greedy ? 1 : 4);
      }
    } finally {
      await three.stop();
    }
  });
});

describe("a plan that writes a text at once", () => {
  it.each([
    ["the compiler's cache", { mask: false, positions: "past" }],
    ["the model's own", { mask: true, positions: "input" }],
  ] as const)("reveals nothing until the end, with %s", async (_, form) => {
    const model = writeDecoder(form);
    const shared = await planOf(model, { context: 6, buckets: [3], reveal: ["text"] });
    await expect(verifyPlan(shared.plan, { model })).resolves.toBeDefined();
    const programs = programsOf(shared.plan);
    expect(programs.map(({ reveals }) => reveals.map(({ name }) => name))).toEqual([[], [], ["text"]]);
    expect(describePlan(shared.plan, costReport(shared.plan))).toMatch(
      /^data owner .*only: text \[1,6\] \(the likeliest/m,
    );
    expect(costReport(shared.plan).plan.reveals).toEqual([{ value: "text", to: "data owner" }]);
    const three = await startWith(shared);
    try {
      for (const prompt of ["3 14 5", "7"]) {
        const ids = prompt.split(" ").map(Number);
        const { written, ended } = await writeWith(three, shared, prompt, 9);
        expect([written.length, ended]).toEqual([7 - ids.length, "context"]);
        const logits = await logitsAfter(model, [...ids, ...written.map(({ id }) => id)]);
        written.forEach(({ id }, i) => {
          const after = logits[ids.length + i - 1];
          expect(Math.max(...after) - after[id]).toBeLessThan(0.02);
        });
        const costs = [1, ...new Array<number>(written.length - 1).fill(0)].map((place) => costOf(programs[place]));
        expect(written.map(({ measured }) => [measured.rounds, measured.bytes.total])).toEqual(
          costs.map(({ rounds, bytes }) => [rounds, bytes.total]),
        );
      }
    } finally {
      await three.stop();
    }
  });
});

describe("the options of a plan that writes", () => {
  const model = join(OWN_FIXTURES, KINDS["a model without a cache"], "model.onnx");
  const encoderModel = join(OWN_FIXTURES, "bert_cls.t5.legacy.eager.op11.dyn", "model.onnx");
  it.each([
    ["prompts longer than the context", model, { context: 6, buckets: [7] }, "E0201"],
    ["a prompt of no tokens", model, { context: 6, buckets: [0] }, "E0201"],
    ["a context of one token", model, { context: 1 }, "E0201"],
    ["more logits than a plan reveals", model, { context: 6, reveal: ["topk:33"] }, "E0201"],
    ["a text at once without a prompt's program", model, { context: 6, buckets: [1], reveal: ["text"] }, "E0201"],
    ["two things to reveal", model, { context: 6, reveal: ["token", "topk:3"] }, "E0201"],
    ["another thing to reveal", model, { context: 6, reveal: ["logits"] }, "E0201"],
    ["a model whose tokens see later ones", encoderModel, { context: 6 }, "E0402"],
  ])("refuse %s", async (_, path, options, code) => {
    expect(await rejection(openForPlan(path, options).then(({ compile }) => compile(options)))).toMatchObject({ code });
  });
});
