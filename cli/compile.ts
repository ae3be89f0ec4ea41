/** `pumac compile`: a model file becomes a plan file. */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { basename, extname, join } from "node:path";
import type { Command } from "commander";
import { costOf } from "../analysis/cost.js";
import { formatBytes } from "../analysis/units.js";
import { disclosureOf } from "../client/knowledge.js";
import { DEFAULT_PRECISION } from "../compiler/compile.js";
import { parseDims, parseShapes, parseValue } from "../formats/bindings.js";
import { isFolder } from "../formats/checkpoint.js";
import { writeWhole, writing } from "../formats/files.js";
import { parseFraction } from "../formats/quantities.js";
import { type CompileOptions, compile as compilePlan, type Samples } from "../index.js";
import { fail } from "../ir/diagnostics.js";
import { revealsOf } from "../ir/plan/types.js";
import { interrupted } from "./exit.js";
import { givenBy } from "./inputs.js";
import {
  collect,
  type Progress,
  parseCount,
  printAlways,
  printJson,
  printNote,
  printProblem,
  startProgress,
} from "./terminal.js";

interface CompileFlags {
  readonly output?: string;
  readonly shape: readonly string[];
  readonly dim: readonly string[];
  readonly profile: string;
  readonly secret: readonly string[];
  readonly public: readonly string[];
  readonly value: readonly string[];
  readonly reveal: readonly string[];
  readonly dump?: string;
  readonly guard: boolean;
  readonly network?: string;
  readonly weightsArgs: readonly string[];
  readonly weights?: string;
  readonly calibrate: readonly string[];
  readonly tokenizer?: string;
  readonly fraction?: number;
  readonly context?: number;
  readonly buckets: readonly string[];
  readonly guesses?: number;
  readonly assumeRanges?: boolean;
  readonly json?: boolean;
}

const DEFAULT_FRACTIONS = `default ${DEFAULT_PRECISION.activation} of values, ${DEFAULT_PRECISION.weight} of weights`;
const PROFILES = ["fourier", "puma"] as const;

export function addCompile(program: Command): void {
  program
    .command("compile")
    .description("compile a model to a plan")
    .argument("[model]", "ONNX (.onnx, data beside it), StableHLO text (.mlir), HLO proto (.hlo.pb), HF folder")
    .option("-o, --output <plan>", "where to write the plan (default: the model's name with .pumac)")
    .option("--shape <name=AxB>", "bind an input's shape, for example input_ids=1x128", collect, [])
    .option("--dim <name=n>", "bind symbolic dimensions, for example batch=1,sequence=128", collect, [])
    .option("--profile <name>", `the approximations: ${PROFILES.join(", ")}`, "fourier")
    .option(
      "--secret <name...>",
      "inputs that only the data owner knows (default: all that are not public)",
      collect,
      [],
    )
    .option(
      "--public <name...>",
      "inputs that all may know (default: integers used as masks, positions or token types and for nothing else)",
      collect,
      [],
    )
    .option("--network <spec>", "the network to plan for: lan, wan, or BANDWIDTH,RTT such as 400mbps,40ms")
    .option("--value <name=value>", "an input's value, known to all: a number or true, @file.npy, …", collect, [])
    .option(
      "--reveal <name...>",
      "outputs to reveal, or only where scores are largest: token (the next one), draw, topk:K, text, label (a class)",
      collect,
      [],
    )
    .option("--context <tokens>", "a plan that writes text: how many tokens it sees (pumac generate)", parseCount)
    .option("--buckets <n,…>", "with --context: lengths of prompts, of which the parties learn no more", collect, [])
    .option("--guesses <k>", "with --context: check so many guesses of generate --draft in one pass", parseCount)
    .option("--weights <file>", "JAX: a .safetensors file with the weights, by tree path")
    .option("--weights-args <path...>", "JAX: arguments that are weights, by tree path, argN or N-M", collect, [])
    .option(
      "--calibrate <source>",
      'inputs whose values say how large secrets may become: a test data folder, a data set, or text:"…"',
      collect,
      [],
    )
    .option("--tokenizer <file>", "the model's tokenizer.json, for --calibrate with text")
    .option("--assume-ranges", "take ranges from the structure instead of measuring them (less sure, faster)")
    .option("--fraction <bits>", `fractional bits of values and weights, 8 to 20 (${DEFAULT_FRACTIONS})`, parseFraction)
    .option("--no-guard", "leave the overflow guard out: a value outside its range is a wrong answer without a word")
    .option(
      "--dump <folder>",
      "write the graph after each pass that changed it (its syntax: docs/tensor-ops.md, docs/share-ops.md)",
    )
    .option("--json", "print one JSON document (pumac.compile/1)")
    .action(compile);
}

async function compile(given: string | undefined, stated: CompileFlags): Promise<void> {
  const { model, flags } = given === undefined ? withoutModel(stated) : { model: given, flags: stated };
  const compiled = await compilePlan(model, { ...compileOptions(flags), ...progressOf(flags), signal: interrupted });
  const { plan, digest, warnings, ranges } = compiled;
  for (const warning of warnings) {
    printProblem(warning, "warning");
  }
  const path = flags.output ?? `${basename(model, isFolder(model) ? "" : extname(model))}.pumac`;
  compiled.save(path);
  const cost = costOf(plan);
  const { name, profile, shapes, reveals, published, disclosed } = { ...plan, reveals: revealsOf(plan) };
  if (flags.json === true) {
    const described = { path, digest, model: name, profile, shapes, reveals, published, disclosed, ranges };
    printJson({ schema: "pumac.compile/1", plan: described, cost, warnings });
  } else {
    printNote(`${path}: ${plan.steps.length} steps, ${cost.rounds} rounds, ${formatBytes(cost.bytes.total)} in all`);
    printNote(`digest ${digest}`);
    if (flags.dump !== undefined) {
      printNote(`${flags.dump}: the graphs, in the syntax of docs/tensor-ops.md and docs/share-ops.md`);
    }
    disclosureOf(plan).forEach(printAlways);
  }
}

/** People see on how many inputs a compile is calibrated, and how far it is. */
function progressOf({ json, calibrate }: CompileFlags): Pick<CompileOptions, "onCalibration" | "onProgress"> {
  if (json === true || calibrate.length === 0) {
    return {};
  }
  let progress: Progress | undefined;
  return {
    onCalibration: (inputs) => {
      printNote(`calibrating on ${inputs} ${inputs === 1 ? "input" : "inputs"} …`);
      progress = startProgress("calibrating");
    },
    onProgress: (done, all) => {
      progress?.update(done, all);
      if (done === all) {
        progress?.stop();
      }
    },
  };
}

/** `--secret a b MODEL`: the names took the model with them, which is a file and the last of its list. */
function withoutModel(flags: CompileFlags): { readonly model: string; readonly flags: CompileFlags } {
  for (const list of ["secret", "public", "reveal", "weightsArgs"] as const) {
    const last = flags[list].at(-1);
    if (last !== undefined && existsSync(last)) {
      return { model: last, flags: { ...flags, [list]: flags[list].slice(0, -1) } };
    }
  }
  throw fail({
    code: "E0201",
    what: "no model is given",
    fix: "write pumac compile MODEL, with the model's file first",
  });
}

/** What --calibrate gives: texts all together, else folders of test data and data sets. */
function samplesOf(sources: readonly string[], tokenizer: string | undefined): readonly Samples[] {
  const isText = (source: string): boolean => source.startsWith("text:");
  const { texts = [] } = givenBy({ input: sources.filter(isText) });
  const isFolder = (source: string): boolean => !existsSync(source) || statSync(source).isDirectory();
  const others = sources.filter((source) => !isText(source));
  return [
    ...(texts.length === 0 ? [] : [{ texts, tokenizer }]),
    ...others.map((source) => ({ [isFolder(source) ? "folder" : "data"]: source, tokenizer })),
  ];
}

function compileOptions(flags: CompileFlags): CompileOptions {
  const profile = PROFILES.find((name) => name === flags.profile);
  if (profile === undefined) {
    throw fail({
      code: "E0201",
      what: `there is no profile '${flags.profile}'`,
      fix: `choose ${PROFILES.join(" or ")}`,
    });
  }
  const { dump } = flags;
  if (dump !== undefined) {
    writing(dump, "the dump", () => mkdirSync(dump, { recursive: true }));
  }
  return {
    shapes: parseShapes(flags.shape),
    dims: parseDims(flags.dim),
    profile,
    calibrate: samplesOf(flags.calibrate, flags.tokenizer),
    ...(flags.value.length === 0 ? {} : { values: Object.fromEntries(flags.value.map(parseValue)) }),
    ...(flags.assumeRanges === true && { assumeRanges: true }),
    ...(flags.network === undefined ? {} : { network: flags.network }),
    ...(flags.weights === undefined ? {} : { weightsFile: flags.weights }),
    ...(flags.fraction === undefined ? {} : { precision: { activation: flags.fraction, weight: flags.fraction } }),
    guard: flags.guard,
    weightArguments: flags.weightsArgs.flatMap((names) => names.split(",")),
    secret: flags.secret.flatMap((names) => names.split(",")),
    public: flags.public.flatMap((names) => names.split(",")),
    ...(flags.reveal.length === 0 ? {} : { reveal: flags.reveal.flatMap((names) => names.split(",")) }),
    ...(flags.context === undefined ? {} : { context: flags.context }),
    ...(flags.guesses !== undefined && { guesses: flags.guesses }),
    ...(flags.buckets.length === 0
      ? {}
      : { buckets: flags.buckets.flatMap((each) => each.split(",").map(parseCount)) }),
    ...(dump === undefined ? {} : { dump: writerIn(dump) }),
  };
}

/** Writes the text of a graph into the folder of --dump. */
function writerIn(folder: string): (name: string, text: string) => void {
  return (name, text) => {
    const path = join(folder, `${name}.txt`);
    writeWhole(path, "the dump", text);
  };
}
