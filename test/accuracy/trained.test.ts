/**
 * Samples of what `npm run accuracy` runs in full: the trained classifier on the 20 sentences whose ids are bundled
 * (PUMAC_ALL=1, and the set at hand: 100), the sorter, the story teller; and that results are summed up and kept right.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sortTask, storiesTask } from "../../bench/accuracy/decoders.js";
import { Ledger, readResults, withTable } from "../../bench/accuracy/ledger.js";
import { missed, modelTable, type Result, resultOf } from "../../bench/accuracy/result.js";
import { sst2Task } from "../../bench/accuracy/sst2.js";
import type { Item, Task } from "../../bench/accuracy/task.js";

const ROOT = join(import.meta.dirname, "..", "..");
const DATA = process.env.PUMAC_DATA ?? join(ROOT, "..", "shared", "data");
const WHOLE = process.env.PUMAC_ALL === "1";
const COUNT = WHOLE ? 100 : 20;

describe("trained models answer as the plain ones", () => {
  it(
    `the classifier, on ${COUNT} sentences`,
    async () => {
      const task = await sst2Task("fourier", join(ROOT, "models", "bert-sst2"), WHOLE ? DATA : "");
      const items: Item[] = [];
      while (items.length < COUNT) {
        items.push(...(await task.run(items.length)));
      }
      const result = resultOf(task, items, "");
      expect(missed(result, { ...task.bounds, agreement: 1 })).toEqual([]);
    },
    COUNT * 15_000,
  );

  it.skipIf(!existsSync(join(DATA, "gpt-nano-sort")))("the sorter, on 54 of 729 inputs", async () => {
    const task = await sortTask("fourier", DATA);
    const items = [...(await task.run(0)), ...(await task.run(14 * task.batch))];
    expect(items.map(({ place }) => place)).toEqual(items.map((_, i) => (i < 27 ? i : 351 + i)));
    const result = resultOf(task, items, "");
    expect(result.right).toEqual({ privately: 54, plainly: 54, labelled: 54 });
    expect(missed(result, task.bounds)).toEqual([]);
  });

  it.skipIf(!existsSync(join(DATA, "llama-stories260k")))("the story teller, on 32 tokens", async () => {
    const task = await storiesTask("fourier", DATA, 32);
    const result = resultOf(task, await task.run(0), "");
    expect(result.count).toBe(32);
    expect(missed(result, task.bounds)).toEqual([]);
    expect(result.perplexity!.plainly).toBeGreaterThan(1.05);
  });
});

const ITEMS: readonly Item[] = [
  {
    place: 0, agreed: true, right: { privately: true, plainly: true }, error: 0.01,
    loss: { privately: 1, plainly: 1 },
  },
  {
    place: 1, agreed: false, right: { privately: false, plainly: true }, error: 0.03,
    formulas: { agreed: true, right: { privately: false, plainly: true }, error: 0.005 },
    loss: { privately: 2, plainly: 1.5 },
  },
]; // biome-ignore format: values

const TASK: Task = {
  ...{ set: "sst2", profile: "puma", digest: "aa", model: "M", unit: "things", against: "doubles" },
  ...{ total: 2, batch: 1, rounds: 3, bytes: 4_000, run: async () => [] },
  bounds: { agreement: 0.5, error: 0.02, accuracy: 0.4, perplexity: 0.5 },
};

describe("a result", () => {
  const result = resultOf(TASK, ITEMS, "2026-01-02");

  it("sums items up", () => {
    expect(result).toMatchObject({ count: 2, agreed: 1, formulas: { agreed: 1, right: 0, error: 0.005 } });
    expect(result.right).toEqual({ privately: 1, plainly: 2, labelled: 2 });
    expect(result.error).toEqual({ largest: 0.03, mean: 0.02 });
    expect(result.perplexity!.privately).toBeCloseTo(Math.exp(1.5), 12);
    expect(result.perplexity!.plainly).toBeCloseTo(Math.exp(1.25), 12);
  });

  it("misses every bound that it misses", () => {
    // Beside formulas of which one answer is equal and none right, one of two is all that is asked for.
    expect(missed(result, TASK.bounds)).toEqual([
      "accuracy off by 0.5, more than 0.4",
      "an error of 0.03, more than 0.025",
      expect.stringMatching(/^perplexity higher by 0.99/),
    ]);
    const { formulas: _, ...alone } = result;
    expect(missed(alone, { agreement: 0.6, error: 0.03, accuracy: 0.5, perplexity: 1 })).toEqual([
      "1 equal answers, fewer than 1.2",
    ]);
    expect(missed(alone, { agreement: 0.5, error: 0.03, accuracy: 0.5 })).toEqual([]);
  });

  it("is a line of the page, which is that of the results that are kept", () => {
    const line = modelTable([result]).split("\n").at(-1);
    expect(line).toContain("| M | puma | 2 of 2 things | 1 (50.0 %, 9.5 to 90.5 %), against doubles |");
    const page = readFileSync(join(ROOT, "docs", "accuracy.md"), "utf8");
    const results = readResults(join(ROOT, "docs", "accuracy.json"));
    expect(results.length).toBeGreaterThan(0);
    expect(withTable(page, results)).toBe(page);
    expect(withTable(withTable("# Page\n", [result]), results as Result[])).toContain(modelTable(results));
  });
});

describe("a run under way", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "pumac-ledger-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("goes on where it was stopped, by the same plan", () => {
    const ledger = new Ledger(TASK, folder);
    expect(ledger.resume()).toEqual([]);
    ledger.begin();
    ledger.append(ITEMS.slice(0, 1));
    ledger.append(ITEMS.slice(1));
    expect(new Ledger(TASK, folder).resume()).toEqual(ITEMS);
    expect(new Ledger({ ...TASK, digest: "bb" }, folder).resume()).toEqual([]);
    const path = join(folder, "sst2-puma.jsonl");
    writeFileSync(path, readFileSync(path, "utf8").slice(0, -5));
    expect(new Ledger(TASK, folder).resume()).toEqual(ITEMS.slice(0, 1));
    ledger.end();
    expect(ledger.resume()).toEqual([]);
  });
});
