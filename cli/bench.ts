/** `pumac bench`: private answers beside the same models in the clear, on this machine (analysis/bench). */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { casesOf, type Sweep } from "../analysis/bench/cases.js";
import { type BenchLine, bench } from "../analysis/bench/measure.js";
import { BENCH_FORMS } from "../analysis/bench/table.js";
import { ARCHITECTURES, writeArchitecture } from "../models/architectures/index.js";
import { collect, parseCount, printNote, printResult, writePart } from "./terminal.js";

interface BenchFlags extends Sweep {
  readonly output: keyof typeof BENCH_FORMS | "jsonl";
  readonly layers?: number;
  readonly threads?: number;
}

export function addBench(program: Command): void {
  program
    .command("bench")
    .description("measure private answers beside the same models in the clear: CPU of all processes, wall, memory")
    .argument("<models...>", `model files, or ${Object.keys(ARCHITECTURES).join(", ")} with random weights`)
    .option("--length <tokens>", "of models by name; may be given several times (default: 128)", counts, [])
    .option("--layers <n>", "of models by name, instead of all", parseCount)
    .option("--dim <name=n>", "bind symbolic dimensions of model files", collect, [])
    .addOption(new Option("--profile <name...>", "one or both").choices(["fourier", "puma"]).default(["fourier"]))
    .option("--network <spec>", "what plans are made for, and their time is estimated on")
    .option("--threads <n>", "of each party's kernels (default: one for each core)", parseCount)
    .option("--sessions <n>", "of either kind, the cheapest of which counts", parseCount, 2)
    .addOption(
      new Option("-o, --output <form>", "of what is printed")
        .choices(["table", "json", "jsonl", "html"])
        .default("table"),
    )
    .action(run);
}

const counts = (text: string, others: readonly number[]): readonly number[] => [...others, parseCount(text)];

async function run(models: readonly string[], flags: BenchFlags): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pumac-bench-"));
  if (flags.threads !== undefined) {
    process.env.PUMAC_THREADS = String(flags.threads);
  }
  const lines: BenchLine[] = [];
  try {
    const write = (name: string, length: number) => writeArchitecture(folder, name, length, flags.layers);
    for (const make of casesOf(models, flags, folder, { names: Object.keys(ARCHITECTURES), write })) {
      const model = make();
      printNote(`${model.name} …`);
      lines.push(await bench(model));
      if (flags.output === "jsonl") {
        writePart(`${JSON.stringify(lines.at(-1))}\n`);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (flags.output !== "jsonl") {
    printResult(BENCH_FORMS[flags.output](lines));
  }
}
