/** Labelled sets: the forms that are read, what is refused and with which words, and what a set is summed up to. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zipSync } from "fflate";
import { dump } from "npyjs";
import { afterAll, describe, expect, it } from "vitest";
import { calibrationInputs } from "../../analysis/data/calibration.js";
import { scoresOf } from "../../analysis/data/evaluation.js";
import { type Examples, readExamples } from "../../analysis/data/examples.js";
import { shareOf, summarise } from "../../analysis/data/summary.js";
import { readNpz } from "../../formats/npz.js";
import { parseCsv, parseTsv } from "../../formats/table.js";
import { PumacError } from "../../ir/diagnostics.js";
import type { Plan } from "../../ir/plan/types.js";
import type { TensorType } from "../../ir/tensor/value.js";

const TOKENIZER = join(import.meta.dirname, "..", "..", "models", "bert-sst2", "tokenizer.json");
const folder = mkdtempSync(join(tmpdir(), "pumac-data-"));
afterAll(() => rmSync(folder, { recursive: true }));

const TEXT_INPUTS = new Map<string, TensorType>([
  ["input_ids", { dtype: "i64", shape: [2, 8] }],
  ["attention_mask", { dtype: "i64", shape: [2, 8] }],
]);
const NUMBER_INPUTS = new Map<string, TensorType>([["x", { dtype: "f32", shape: [1, 3] }]]);

function read(name: string, content: string | Uint8Array, inputs = TEXT_INPUTS, tokenizer = true): Promise<Examples> {
  const path = join(folder, name);
  writeFileSync(path, content);
  return readExamples(path, tokenizer ? TOKENIZER : undefined, inputs);
}

/** The code and text of what a call throws. */
async function problem(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (error instanceof PumacError) {
      return error.diagnostics.map(({ code, what, why }) => `${code} ${what}${why === undefined ? "" : `: ${why}`}`)[0];
    }
    throw error;
  }
  return "";
}

describe("a set of texts", () => {
  const forms = {
    "a.tsv": 'label\tsentence\n1\tgood .\n0\tbad, "very" .\n',
    "a.csv": 'text,label\r\ngood .,1\r\n"bad, ""very"" .",0\r\n',
    "a.jsonl": '{"content":"good .","label":1}\n{"content":"bad, \\"very\\" .","label":0}\n',
    "a.json": '[{"review":"good .","label":1},{"review":"bad, \\"very\\" .","label":0}]',
  };
  it.each(Object.entries(forms))("is read from %s", async (name, content) => {
    const examples = await read(name, content);
    expect(examples).toMatchObject({ count: 2, batch: 2, labels: [1, 0] });
    const [ids, reference] = [await read("b.tsv", forms["a.tsv"]), examples].map((each) =>
      each.inputs([1, 0]).get("input_ids"),
    );
    expect(ids).toEqual(reference);
    expect([...examples.inputs([0, 1]).get("attention_mask")!.data.subarray(0, 8)]).toEqual([1, 1, 1, 1, 0, 0, 0, 0]);
  });

  it("may lack labels, or know some only", async () => {
    expect((await read("c.tsv", "text\ngood\n")).labels).toEqual([undefined]);
    expect((await read("d.tsv", "text\tlabel\ngood\t-1\nbad\t0\n")).labels).toEqual([undefined, 0]);
  });

  it("is refused with words that help", async () => {
    expect(await problem(() => read("e.tsv", "a\tb\nx\t1\n"))).toBe(
      "E0202 the data set has no column of text: its columns are 'a', 'b'",
    );
    expect(await problem(() => read("f.tsv", "text\tlabel\nx\n"))).toMatch(/^E0301 .*row 1 has 1 cells/);
    expect(await problem(() => read("g.tsv", "text\tlabel\nx\tgood\n"))).toBe('E0202 the label of example 1 is "good"');
    expect(await problem(() => read("h.tsv", "text\tlabel\n"))).toMatch(/^E0202/);
    expect(await problem(() => read("i.xml", "<a/>"))).toMatch(/^E0301 .*'.xml'/);
    expect(await problem(() => read("j.tsv", "text\nx\n", TEXT_INPUTS, false))).toBe("E0201 text needs a tokenizer");
    expect(await problem(() => read("k.csv", 'text,label\na"b,1\n'))).toMatch(/^E0301 .*line 2/);
    expect(await problem(() => read("l.jsonl", '{"text":"a"}\n{"label":1}\n'))).toMatch(
      /^E0301 .*example 2 has no 'text'/,
    );
  });
});

/** numpy.savez_compressed of x = [[1, 2, 3], [4, 5, 6]] in float32 and label = [1, 0], by NumPy 2.4.6. */
const SAVEZ_COMPRESSED = [
  "UEsDBC0AAAAIAAAAIQB8nN6i//////////8FABQAeC5ucHkBABAAmAAAAAAAAABYAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6l",
  "oG6TZqKuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6CsaaOgq1CmQDLgaGBnsGBgYHIALiBiBeAMQHHABQSwMELQAA",
  "AAgAAAAhAHH7Oav//////////wkAFABsYWJlbC5ucHkBABAAkAAAAAAAAABIAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6T",
  "aaGuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6mjoKtQoUAC5GBlQAAFBLAQItAy0AAAAIAAAAIQB8nN6iWAAAAJgA",
  "AAAFAAAAAAAAAAAAAACAAQAAAAB4Lm5weVBLAQItAy0AAAAIAAAAIQBx+zmrSAAAAJAAAAAJAAAAAAAAAAAAAACAAY8AAABsYWJl",
  "bC5ucHlQSwUGAAAAAAIAAgBqAAAAEgEAAAAA",
].join("");

describe("a set of tensors", () => {
  const rows = new Float32Array([1, 2, 3, 4, 5, 6]);
  const labels = new BigInt64Array([1n, 0n]);
  const archive = zipSync({
    "x.npy": [new Uint8Array(dump(rows, [2, 3])), { level: 6 }],
    "label.npy": [new Uint8Array(dump(labels, [2])), { level: 0 }],
  });

  it("is read from .npz and from JSON, an example at a time", async () => {
    for (const [name, content] of [
      ["a.npz", archive],
      ["numpy.npz", Buffer.from(SAVEZ_COMPRESSED, "base64")],
      ["x.json", '{"x":[[1,2,3],[4,5,6]],"label":[1,0]}'],
    ] as const) {
      const examples = await read(name, content, NUMBER_INPUTS);
      expect(examples).toMatchObject({ count: 2, batch: 1, labels: [1, 0] });
      expect(examples.inputs([1]).get("x")).toMatchObject({ shape: [1, 3], data: Float64Array.of(4, 5, 6) });
    }
  });

  it("fills batches, in any order", async () => {
    const inputs = new Map<string, TensorType>([["x", { dtype: "f32", shape: [2, 3] }]]);
    const examples = await read("b.npz", archive, inputs);
    expect(examples.batch).toBe(2);
    expect([...examples.inputs([1, 0]).get("x")!.data]).toEqual([4, 5, 6, 1, 2, 3]);
  });

  it("is refused with words that help", async () => {
    expect(await problem(() => read("c.npz", archive.subarray(0, 40), NUMBER_INPUTS))).toMatch(/^E0301/);
    const other = new Map<string, TensorType>([["y", { dtype: "f32", shape: [1, 3] }]]);
    expect(await problem(() => read("d.npz", archive, other))).toBe("E0202 the data set has no input 'y'");
    const wide = new Map<string, TensorType>([["x", { dtype: "f32", shape: [1, 4] }]]);
    expect(await problem(() => read("e.npz", archive, wide))).toMatch(
      /^E0202 'x' has shape \[2,3\], needed is \[2,4\]/,
    );
    const wrong = '{"x":[[1,2,3]],"label":[1,0]}';
    expect(await problem(() => read("f.json", wrong, NUMBER_INPUTS))).toMatch(/^E0301 .*different lengths/);
  });
});

describe("what a plan is calibrated on", () => {
  const idsOf = (inputs: Awaited<ReturnType<typeof calibrationInputs>>) =>
    inputs.map((each) => [...each.get("input_ids")!.data].filter((_, i) => i % 8 === 1));

  const ofTexts = (...texts: readonly string[]) => calibrationInputs([{ texts, tokenizer: TOKENIZER }], TEXT_INPUTS);

  it("is texts, as many at a time as the model takes, the last again where one is missing", async () => {
    const one = idsOf(await ofTexts("good", "bad"));
    const three = idsOf(await ofTexts("good", "bad", "bad"));
    expect(one).toHaveLength(1);
    expect(one[0][0]).not.toBe(one[0][1]);
    expect(three).toEqual([one[0], [one[0][1], one[0][1]]]);
  });

  it("is a data set's first examples", async () => {
    const path = join(folder, "many.tsv");
    writeFileSync(path, `text\n${"good\n".repeat(70)}`);
    expect(await calibrationInputs([{ data: path, tokenizer: TOKENIZER }], TEXT_INPUTS)).toHaveLength(32);
    expect(await problem(() => calibrationInputs([{ folder: join(folder, "none") }], TEXT_INPUTS))).toMatch(/^E0301/);
  });
});

describe("the parts", () => {
  it("CSV with line ends in cells and empty ones at the end", () => {
    expect([...parseCsv('a,b\n"x\ny",\n,z')]).toEqual([
      ["a", ["x\ny", ""]],
      ["b", ["", "z"]],
    ]);
    expect(parseTsv("a\tb\n1\t2").get("b")).toEqual(["2"]);
  });

  it("an archive whose file is compressed in a way that is not read", () => {
    const archive = Buffer.from(zipSync({ "x.npy": Uint8Array.of(1, 2) }));
    const entry = archive.indexOf(Buffer.from([0x50, 0x4b, 1, 2]));
    archive.writeUInt16LE(12, entry + 10);
    expect(() => readNpz(archive)).toThrow("compression type 12");
  });

  it("an archive whose directory gives a file another size", () => {
    const archive = Buffer.from(zipSync({ "x.npy": new Uint8Array(100) }));
    const entry = archive.indexOf(Buffer.from([0x50, 0x4b, 1, 2]));
    archive.writeUInt32LE(101, entry + 24);
    expect(() => readNpz(archive)).toThrow("'x.npy' has 100 bytes");
  });

  it("the output with a row of scores for each example", async () => {
    const plan = (reveals: readonly (readonly [string, readonly number[]])[]) =>
      ({ reveals: reveals.map(([name, shape]) => ({ name, shape, to: "data owner" })) }) as unknown as Plan;
    expect(
      scoresOf(
        plan([
          ["hidden", [2, 8, 4]],
          ["pooled", [2, 4]],
          ["logits", [2, 3]],
        ]),
        2,
      ),
    ).toBe("logits");
    expect(await problem(() => scoresOf(plan([["hidden", [2, 8, 4]]]), 2))).toMatch(
      /^E0202 no output.*hidden \[2,8,4\]/,
    );
  });

  it("sums up agreement, accuracy and errors", () => {
    const alarm = false;
    const scored = [
      { index: 0, label: 0, privately: [0.875, -1], plainly: [1, -1], alarm },
      { index: 1, label: 0, privately: [0, -0.25], plainly: [-0.5, 0.5], alarm },
      { index: 2, label: undefined, privately: [2, 1], plainly: [2, 1], alarm },
      { index: 3, label: 1, privately: [900, -77], plainly: [1, 2], alarm: true },
    ];
    const { agreement, accuracy, different, ...rest } = summarise(scored);
    expect(rest).toEqual({ count: 3, alarms: [3], largestError: 0.75, meanError: 0.875 / 3 });
    expect([agreement.hits, agreement.count]).toEqual([2, 3]);
    expect([accuracy!.privately.hits, accuracy!.plainly.hits, accuracy!.plainly.count]).toEqual([2, 1, 2]);
    expect(different.map(({ index }) => index)).toEqual([1]);
    const { low, high } = shareOf(8, 10);
    expect([low, high].map((share) => share.toFixed(3))).toEqual(["0.490", "0.943"]);
    expect(summarise([{ index: 0, label: 1, privately: [0.2], plainly: [-0.1], alarm }]).accuracy!.privately.hits).toBe(
      1,
    );
  });
});
