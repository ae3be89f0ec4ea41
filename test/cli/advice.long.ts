/** Every advice that names an option is followed: the error comes, what it says is done, and the error is gone. */
import { cpSync } from "node:fs";
import { CommanderError } from "commander";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createProgram } from "../../cli/program.js";
import { PumacError } from "../../ir/diagnostics.js";
import { at, BERT, BOUND, CASES, removeFiles, writeFiles } from "./advice.js";

/** What the command line writes to a terminal. */
let printed = "";
vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  const writeSync = (descriptor: number, bytes: Uint8Array, ...rest: never[]): number => {
    if (descriptor > 2) {
      return real.writeSync(descriptor, bytes, ...rest);
    }
    printed += Buffer.from(bytes).toString();
    return bytes.length;
  };
  return { ...real, writeSync };
});

/** What a command says: its warnings, and the errors that it ends with. */
async function saidBy(words: readonly string[]): Promise<string> {
  printed = "";
  const program = await createProgram(words[0]);
  try {
    await program.parseAsync([...words], { from: "user" });
    return printed;
  } catch (error) {
    if (error instanceof PumacError || error instanceof CommanderError) {
      return `${printed}\n${error.message}`;
    }
    throw error;
  }
}

describe("advice", () => {
  afterAll(removeFiles);
  beforeAll(async () => {
    writeFiles();
    const short = ["compile", BERT, ...BOUND, "-o", at("short.pumac")];
    const model = ["model", "--config", at("config.json"), "--no-weights", "--sequence", "4", "-o", at("bert.onnx")];
    const made = [
      short,
      ["compile", at("double.onnx"), ...["--calibrate", at("few.jsonl")], "-o", at("double.pumac")],
      model,
      ["model", "--config", at("config.json"), "--sequence", "8", "-o", at("gpt.onnx")],
      ["compile", at("bert.onnx"), "-o", at("cost.pumac")],
    ];
    for (const words of made) {
      expect(await saidBy(words)).not.toContain("error[");
    }
    cpSync(at("short.pumac"), at("moved.pumac"));
  });

  it.each(CASES)("mends: $fix", async ({ fix, wrong, right }) => {
    const said = await saidBy(wrong);
    const found = said.split(/(?=^(?:error|warning)\[)/m).find((each) => each.includes(fix));
    expect(found, said).toBeDefined();
    const [head] = found!.split("\n");
    for (const words of right) {
      const now = await saidBy(words);
      expect(now).not.toContain(head);
      expect(now).not.toContain("error[");
    }
  });
});
