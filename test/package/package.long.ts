/** The package as users get it (`installed.ts`): its examples, the demo, its page of the library, all its types. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dataFolder } from "../jax/data.js";
import { example, folder, install, MODEL, modules, pumac, ROOT, typeErrors, writeTyped } from "./installed.js";

const STORIES = dataFolder("llama-stories260k");

install();

it("does what docs/library.md shows", () => {
  const [, program] = /```js\n(.*?)```/s.exec(readFileSync(join(ROOT, "docs", "library.md"), "utf8"))!;
  const place = join(folder, "shown");
  mkdirSync(place);
  cpSync(MODEL, place, { recursive: true });
  writeFileSync(join(place, "shown.mjs"), program);
  const printed = execFileSync(process.execPath, ["shown.mjs"], { cwd: place, encoding: "utf8" });
  expect(printed).toMatch(/^(\d+) rounds, \d+ bytes over all parties\nlogits -?[\d.]+,-?[\d.]+, \1 rounds\nE0202 /);
});

it("has types that hold together", () => {
  expect(typeErrors([writeTyped()], { strict: true })).toBe("");
});

describe("the examples", () => {
  const demo = join(modules, "pumac", "models", "bert-sst2");

  it("classify", () => {
    expect(example("classify.mjs", demo, "A fine film.").stdout).toMatch(
      /^\d+ rounds, \d+ bytes\npositive 0\.99\d\d\n$/,
    );
    const { stderr, status } = example("classify.mjs", folder, "A fine film.");
    expect([stderr, status]).toEqual([expect.stringMatching(/^E0301 /), 3]);
  });
  it("gate a build on what a model costs", () => {
    const model = join(demo, "bert_sst2.legacy.op14.onnx");
    const within = example("cost.mjs", model, "bytes<10MB,rounds<100");
    expect(within.stdout).toMatch(/^lan: 0\.\d\d s, most of it for \w+\nwan: .*\nwithin the budget\n$/);
    expect(within.status).toBe(0);
    expect(example("cost.mjs", model, "bytes<1kB").status).toBe(5);
  });
  it("answer a data set", () => {
    writeFileSync(join(folder, "reviews.tsv"), "sentence\tlabel\nA fine film.\t1\nA dull, bad film.\t0\n");
    const { stdout } = example("data-set.mjs", demo, "reviews.tsv");
    expect(stdout).toMatch(/^1 positive 0\.\d+\n2 negative 0\.\d+\n2 of 2 as the table says\n$/);
  });
});

describe.skipIf(STORIES === undefined)("the example that writes", () => {
  it("generates", () => {
    const name = join(STORIES!, "stories260K.dynamo.op18.static32.onnx");
    const words = [name, join(STORIES!, "tok512.bin"), "Once upon a", "2"];
    expect(example("generate.mjs", ...words).stdout).toMatch(/^a token: \d+ rounds, \d+ bytes\n time,\n$/);
  });
});

it("shows the demo, with the answer in the clear that it carries", () => {
  const { status, stdout } = pumac(["demo"]);
  expect(stdout).toMatch(/^in the clear, onnxruntime .* positive$/m);
  expect(stdout).toMatch(/^rounds and bytes are those predicted, exactly$/m);
  expect(status).toBe(0);
  const own = pumac(["demo", "A dull film, badly acted.", "-o", "own.pumac"]);
  expect(own.stdout).toMatch(/^in the clear, here .* negative$/m);
});
