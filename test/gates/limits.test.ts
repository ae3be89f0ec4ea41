/**
 * What compiling itself costs, and what it decides by the network: memory of BERT-base's compile, which reads no
 * weight and must not grow with the number of elements; what looking for leaks in its plan costs; and plans that buy
 * bytes with rounds only where that pays.
 */
import { describe, expect, test } from "vitest";
import { costReport } from "../../analysis/cost.js";
import { parseNetwork } from "../../compiler/network.js";
import { checkPlan } from "../../ir/plan/check.js";
import { planDigest } from "../../ir/plan/codec.js";
import { ARCHITECTURES } from "../../models/architectures/index.js";
import { peakMemory } from "../../runtime/memory.js";
import { compileArchitecture, shortened } from "./support.js";

describe("compiling", () => {
  const name = "BERT-base grows the process by less than 1 GB, and its plan is checked in less than a second";
  test.skipIf(process.platform !== "linux")(name, async () => {
    const before = process.memoryUsage().rss;
    const { plan } = await compileArchitecture(ARCHITECTURES["bert-base"], 128);
    const growth = peakMemory() - before;
    expect(growth).toBeLessThan(1e9);
    // What a compile and each party does before it accepts the plan, in processor time: the machine may be busy.
    const began = process.cpuUsage();
    checkPlan(plan);
    const { user, system } = process.cpuUsage(began);
    expect((user + system) / 1e6).toBeLessThan(1);
  });
});

test("a table is shared in the bits that its rows need, not in those of what is made of them", async () => {
  const { plan } = await compileArchitecture(shortened("bert-base", 1), 128);
  const table = plan.steps.find(({ op, type }) => op === "input" && type.shape[0] === 30522)!;
  const ids = plan.steps.find(({ op, type }) => op === "input" && type.shape.at(-1) === 30522)!;
  expect(table.attributes.ring).toBeLessThanOrEqual(20);
  expect(ids.attributes.ring).toBeLessThanOrEqual(20);
});

describe("the network decides", () => {
  const planned = async (network: string) => {
    const { plan } = await compileArchitecture(shortened("bert-base", 2), 128, { network: parseNetwork(network) });
    return { digest: planDigest(plan), cost: costReport(plan).cost };
  };

  test("20gbps,40ms takes fewer rounds, 20gbps,0.1ms fewer bytes", async () => {
    const [wide, near] = [await planned("20gbps,40ms"), await planned("20gbps,0.1ms")];
    expect(wide.digest).not.toBe(near.digest);
    expect(wide.cost.rounds).toBeLessThan(near.cost.rounds);
    expect(near.cost.bytes.total).toBeLessThan(wide.cost.bytes.total);
  });
});
