/** `pumac bench`: private answers beside the same models in the clear, on this machine (analysis/bench). */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type Command, Option } from "commander";
import { type BenchedModel, type BenchLine, bench } from "../analysis/bench/measure.js";
import { BENCH_FORMS } from "../analysis/bench/table.js";
import { parseNetwork } from "../compiler/network.js";
import { parseDims } from "../formats/bindings.js";
import { ARCHITECTURES, writeArchitecture } from "../models/architectures/index.js";
import { collect, parseCount, printNote, printResult, writePart } from "./terminal.js";

interface BenchFlags {
  readonly output: keyof typeof BENCH_FORMS | "jsonl";
  readonly length: readonly string[];
  readonly layers?: number;
  readonly dim: readonly string[];
  readonly profile: readonly ("fourier" | "puma")[];
  readonly network?: string;
  readonly threads?: number;
  readonly sessions: number;
}

export function addBench(program: Command): void {
  program
    .command("bench")
    .description("measure private answers beside the same models in the clear: CPU of all processes, wall, memory")
    .argument("<models...>", `model files, or ${Object.keys(ARCHITECTURES).join(", ")} with random weights`)
    .option("--length <tokens>", "of models by name; may be given several times (default: 128)", collect, [])
    .option("--layers <n>", "of models by name, instead of all", parseCount)
    .option("--dim <name=n>", "bind symbolic dimensions of model files", collect, [])
    .option("--profile <name>", "fourier or puma; may be given several times (default: fourier)", collect, [])
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

async function run(models: readonly string[], flags: BenchFlags): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pumac-bench-"));
  if (flags.threads !== undefined) {
    process.env.PUMAC_THREADS = String(flags.threads);
  }
  const lines: BenchLine[] = [];
  try {
    for (const make of casesOf(models, flags, folder)) {
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

/** Every model at every length and profile, written when its turn comes. */
function casesOf(models: readonly string[], flags: BenchFlags, folder: string): readonly (() => BenchedModel)[] {
  const network = flags.network === undefined ? {} : { network: parseNetwork(flags.network) };
  const common = { planPath: join(folder, "plan.pumac"), sessions: flags.sessions };
  const profiles = flags.profile.length === 0 ? (["fourier"] as const) : flags.profile;
  return models.flatMap((name) =>
    profiles.flatMap((profile): readonly (() => BenchedModel)[] => {
      const options = { ...network, profile, assumeRanges: true };
      if (!Object.hasOwn(ARCHITECTURES, name)) {
        const label = `${basename(name)}, ${profile}`;
        return [() => ({ ...common, name: label, path: name, options: { ...options, dims: parseDims(flags.dim) } })];
      }
      const lengths = flags.length.length === 0 ? [128] : flags.length.map(parseCount);
      return lengths.map((length) => () => {
        const { path, reveal } = writeArchitecture(folder, name, length, flags.layers);
        return { ...common, name: `${name}, ${length} tokens, ${profile}`, path, options: { ...options, reveal } };
      });
    }),
  );
}
