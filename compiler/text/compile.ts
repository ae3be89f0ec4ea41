/**
 * A language model becomes a plan that writes token by token: one program for the next token, which goes on from the
 * keys and values that earlier runs kept at the parties, and one for each length of prompts, which begin with nothing.
 * All are over one sharing of the weights. Whether the model was exported with a cache or without one, every program
 * takes the window's newest tokens, the last at its end.
 */
import { fail } from "../../ir/diagnostics.js";
import { Builder } from "../../ir/graph.js";
import type { Plan } from "../../ir/plan/types.js";
import { evaluateGraph, TENSOR } from "../../ir/tensor/index.js";
import { sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";
import { canonicalise } from "../../passes/canonicalise.js";
import { fuse } from "../../passes/fuse.js";
import { depthFirst } from "../../passes/order.js";
import type { TensorGraph, TensorNode } from "../../passes/rewriter.js";
import type { ModelInputs } from "../calibrate.js";
import {
  type Carried,
  type Compiled,
  type CompileOptions,
  compileImported,
  importNamed,
  type Measured,
  measureImported,
  planMeasured,
} from "../compile.js";
import { withConstants } from "../constants.js";
import { importModel, type ModelSources } from "../import.js";
import type { DeclaredNames, ImportedModel } from "../imported.js";
import { inputsOf } from "../outputs.js";
import { syntheticSamples } from "../synthetic.js";
import { type CachedGraph, tokensOf, withCache } from "./cache.js";
import { exportedCache, isPast, isPresent } from "./exported.js";

/** A language model that is to be compiled, and what calibration inputs of it are: whole windows. */
export interface TextModel {
  readonly inputs: ImportedModel["inputs"];
  readonly compile: (options: CompileOptions) => Promise<Compiled>;
}

/** Opens a model for whatever plan the options ask for. */
export async function openForPlan(path: string, options: CompileOptions): Promise<TextModel> {
  if (options.context !== undefined) {
    return await openText(path, options);
  }
  const model = await importNamed(path, options);
  const compile = (more: CompileOptions): Promise<Compiled> => Promise.resolve(compileImported(model, more));
  return { inputs: inputsOf(model, options.reveal), compile };
}

/** Reads a language model again for a plan that was made of it: a whole window, and what its programs are made of. */
export async function readText(
  path: string,
  options: CompileOptions,
): Promise<{ model: ImportedModel; graphs: readonly TensorGraph[] }> {
  const bound = { ...options, dims: options.dims ?? {}, shapes: options.shapes ?? {} };
  const { text, window } = await sourceOf(path, options, (shapesOf) => importModel(path, { ...bound, shapesOf }));
  const programs = [window, await nextProgram(text)];
  for (const rows of text.buckets.filter((each) => each !== text.context)) {
    programs.push(await promptProgram(text, rows));
  }
  return { model: text.whole, graphs: programs.map(({ model }) => model.graph) };
}

/** Opens a language model for a plan that writes. E0402 where it cannot be made to, E0201 for the options. */
async function openText(path: string, options: CompileOptions): Promise<TextModel> {
  const { text, window } = await sourceOf(path, options, (shapesOf) => importNamed(path, options, shapesOf));
  return { inputs: window.model.inputs, compile: (more) => compileText(text, window, more) };
}

async function sourceOf(
  path: string,
  options: CompileOptions,
  importAt: (shapesOf: ModelSources["shapesOf"]) => Promise<ImportedModel>,
): Promise<{ text: TextSource; window: Program }> {
  const wanted = options.context!;
  const buckets = bucketsOf(options, wanted);
  const read = (rows: number, past: number): Promise<ImportedModel> =>
    importAt((declared) => shapesFor(declared, options.dims ?? {}, rows, past));
  const whole = await read(wanted, 0);
  // A model of one length has it, whatever is asked for.
  const context = tokensOf(whole.graph).type.shape.at(-1)!;
  if (context < wanted) {
    const what = `the model was exported for ${context} tokens, and --context asks for ${wanted}`;
    const fix = "export it with a dynamic length, or give a shorter --context";
    throw fail({ code: "E0402", what, where: path, fix });
  }
  const text: TextSource = { context, buckets: options.buckets === undefined ? [context] : buckets, read, whole };
  return { text, window: program(text, whole, { rows: context, isContinued: false }) };
}

/** What the programs of a plan are made of. */
interface TextSource {
  readonly context: number;
  readonly buckets: readonly number[];
  /** The model for so many new tokens, after so many that an exported cache has. */
  readonly read: (rows: number, past: number) => Promise<ImportedModel>;
  /** For a whole window. */
  readonly whole: ImportedModel;
}

interface Program extends Pick<CachedGraph, "kept"> {
  readonly model: ImportedModel;
}

function bucketsOf({ buckets, reveal = ["token"] }: CompileOptions, context: number): readonly number[] {
  const given = [...new Set(buckets ?? [context])].sort((a, b) => a - b);
  const isLength = (each: number) => Number.isInteger(each) && each >= 1 && each <= context;
  if (!isLength(context) || context < 2 || !given.every(isLength)) {
    const what = `prompts of ${given.join(", ")} tokens in a context of ${context}`;
    throw fail({ code: "E0201", what, fix: "give --buckets as lengths up to --context, which is 2 or more" });
  }
  if (reveal.join() !== "token") {
    const fix = "add --reveal token";
    throw fail({ code: "E0201", what: "a plan with --context reveals the next token, and nothing else", fix });
  }
  return given.filter((each) => each > 1);
}

/** Shapes of inputs whose dimensions are open: one text of `rows` tokens, after `past` others. */
function shapesFor(
  { shapes = new Map() }: DeclaredNames,
  dims: Readonly<Record<string, number>>,
  rows: number,
  past: number,
): Readonly<Record<string, readonly number[]>> {
  const open = [...shapes].filter(([, shape]) => shape.some((each) => typeof each === "string"));
  const lengthOf = (name: string): number => (isPast(name) ? past : /mask/i.test(name) ? past + rows : rows);
  return Object.fromEntries(
    open.map(([name, shape]) => [
      name,
      shape.map((each, axis) =>
        typeof each === "number" ? each : axis === 0 && shape.length > 1 ? 1 : (dims[each] ?? lengthOf(name)),
      ),
    ]),
  );
}

/** One program over the tokens of a model that was read for it. */
function program(
  text: TextSource,
  model: ImportedModel,
  { rows, isContinued }: { rows: number; isContinued: boolean },
): Program {
  const { context } = text;
  const options = { rows, isContinued, context };
  const { nodes, outputs } = depthFirst(model.graph);
  const graph = { nodes, outputs: outputs.filter(({ name }) => name === logitsOf(outputs).name || isPresent(name)) };
  const length = tokensOf(graph).type.shape.at(-1);
  const exported = exportedCache(graph, model, options);
  const { graph: whole, kept } = exported ?? withCache(fuse(canonicalise(graph)), options);
  const cached = renamed(withNextToken(whole), length === context ? "" : ` of ${length} tokens`);
  const inputs = cached.nodes.flatMap(({ op, attributes, type: { dtype, shape } }) => {
    const name = String(attributes.name);
    return op === "input" && !kept.some((each) => each.name === name) ? [{ name, dtype, shape }] : [];
  });
  return { model: { ...model, graph: cached, inputs }, kept };
}

function logitsOf(outputs: TensorGraph["outputs"]): TensorGraph["outputs"][number] {
  return outputs.find(({ name }) => name === "logits") ?? outputs[0];
}

/** The graph whose only output of its own is the likeliest next token after the last one. */
function withNextToken(graph: TensorGraph): TensorGraph {
  const logits = logitsOf(graph.outputs);
  const { shape } = logits.node.type;
  if (shape.length < 2 || shape.length > 3) {
    const why = `'${logits.name}' has shape [${shape}], not [batch, tokens, words]`;
    throw fail({ code: "E0201", what: "the model has no logits to choose a token from", where: logits.name, why });
  }
  const builder = new Builder<TensorType>(TENSOR);
  graph.nodes.forEach((node) => void builder.append(node));
  const last = shape.length - 2;
  const starts = shape.map((size, axis) => (axis === last ? size - 1 : 0));
  const row = builder.emit("slice", [logits.node], { starts, ends: shape, steps: shape.map(() => 1) }, "token");
  const node = builder.emit("argmax", [row], { axis: last + 1, keep: false, last: false }, "token");
  const others = graph.outputs.filter(({ name }) => name !== logits.name);
  return { nodes: builder.nodes, outputs: [{ name: "token", node }, ...others] };
}

async function compileText(text: TextSource, window: Program, options: CompileOptions): Promise<Compiled> {
  const { context, buckets } = text;
  const { reveal: _, ...given } = options;
  const names = window.kept.map(({ name }) => name);
  const records = options.records;
  const ofProgram = (i: number): CompileOptions => (records === undefined ? given : { ...given, record: records[i] });
  const whole =
    records === undefined
      ? measureImported(window.model, given, { names, bounds: new Map(), rings: new Map() })
      : undefined;
  const next = await nextProgram(text);
  const measured = measureNext(next, whole, ofProgram(0), names);
  const decode = planMeasured(measured, ofProgram(0));
  const rings = new Map(
    decode.plan.steps.flatMap(({ op, attributes, type }) =>
      op === "input" && attributes.owner === "state" && "ring" in type ? [[String(attributes.name), type.ring]] : [],
    ),
  );
  const { bounds } = measured.carried!;
  const parts: Plan[] = [];
  const constants = new Map<string, TensorValue>();
  for (const [i, rows] of buckets.entries()) {
    const isWhole = rows === context;
    const prompt = isWhole ? window : await promptProgram(text, rows);
    const carried: Carried = { names, bounds, rings };
    const own = {
      ...ofProgram(i + 1),
      ...(given.calibration && { calibration: given.calibration.map((each) => fitted(each, prompt)) }),
    };
    const known = isWhole && whole !== undefined ? { ...whole, carried } : measureImported(prompt.model, own, carried);
    known.placed.publication.weights.forEach((value, name) => void constants.set(name, value));
    parts.push(planMeasured(known, own).plan);
  }
  return { ...decode, plan: { ...decode.plan, parts }, weights: withConstants(decode.weights, constants) };
}

/** The program that reads prompts of up to so many tokens. */
async function promptProgram(text: TextSource, rows: number): Promise<Program> {
  return program(text, await text.read(rows, 0), { rows, isContinued: false });
}

/** The same graph with constants of other names: where they are weights, they are not those of another length. */
function renamed({ nodes, outputs }: TensorGraph, suffix: string): TensorGraph {
  const copies = new Map<TensorNode, TensorNode>();
  for (const node of nodes) {
    const origin = node.op === "constant" ? node.origin + suffix : node.origin;
    copies.set(node, { ...node, origin, args: node.args.map((argument) => copies.get(argument)!) });
  }
  return { nodes: [...copies.values()], outputs: outputs.map(({ name, node }) => ({ name, node: copies.get(node)! })) };
}

/** The program of the next token: of a model without a cache one row of its window. */
async function nextProgram(text: TextSource): Promise<Program> {
  const { context, read, whole } = text;
  const hasCache = whole.inputs.some(({ name }) => isPast(name));
  return program(text, hasCache ? await read(1, context - 1) : whole, { rows: 1, isContinued: true });
}

/** Measures the program of the next token on what the program of a whole window would have kept before it. */
function measureNext(
  next: Program,
  whole: Measured | undefined,
  options: CompileOptions,
  names: readonly string[],
): Measured {
  const none = { names, rings: new Map<string, number>() };
  if (whole === undefined) {
    const bounds = recordedBounds(next, options, names);
    return measureImported(next.model, options, { ...none, bounds });
  }
  const { ranges } = whole.calibration.report;
  const outputs = new Map(whole.placed.secret.outputs.map(({ name, node }) => [name, node]));
  const bounds = new Map(names.map((name) => [name, Math.max(...ranges.get(outputs.get(name)!)!.map(Math.abs))]));
  const isMeasured = whole.calibration.source.inputs > 0;
  const samples = isMeasured ? windows(next, whole, options) : undefined;
  const isGiven = options.calibration !== undefined;
  return measureImported(
    next.model,
    { ...options, ...(samples !== undefined && isGiven && { calibration: samples }) },
    { ...none, bounds, ...(samples !== undefined && !isGiven && { made: samples }) },
  );
}

/** What a record says of kept values: the ranges of the inputs that they are. */
function recordedBounds(next: Program, options: CompileOptions, names: readonly string[]): ReadonlyMap<string, number> {
  const all = new Map(names.map((name) => [name, 1]));
  const { placed, calibration } = measureImported(next.model, options, { names, bounds: all, rings: new Map() });
  return new Map(
    placed.secret.nodes.flatMap((node) => {
      const name = String(node.attributes.name);
      const range = calibration.report.ranges.get(node);
      return node.op === "input" && all.has(name) && range !== undefined ? [[name, range[1]] as const] : [];
    }),
  );
}

/** Inputs of whole windows as those of the last token, with what was kept before it. */
function windows(next: Program, { placed, store }: Measured, options: CompileOptions): readonly ModelInputs[] {
  const { multiply } = options.calibrationRun ?? {};
  const model = evaluateGraph(placed.model, new Map(), store, { multiply });
  return (options.calibration ?? syntheticSamples(placed)).map((sample) => {
    const data = evaluateGraph(placed.data, sample, store, { multiply });
    const given = (name: string): TensorValue => {
      const { owner, output } = placed.bindings.find(({ input }) => input === name)!;
      return (owner === "model" ? model : data).get(output)!;
    };
    const outputs = evaluateGraph(placed.secret, given, undefined, { multiply });
    const kept = next.kept.map(({ name, axis }) => [name, movedUp(outputs.get(name)!, axis)] as const);
    return new Map([...fitted(sample, next), ...kept]);
  });
}

/** A window as it was a token before. */
function movedUp({ dtype, shape, data }: TensorValue, axis: number): TensorValue {
  const inner = sizeOf(shape.slice(axis + 1));
  const length = shape[axis] * inner;
  const moved = new Float64Array(data.length);
  for (let at = 0; at < data.length; at += length) {
    moved.set(data.subarray(at, at + length - inner), at + inner);
  }
  return { dtype, shape, data: moved };
}

/** The end of every input of a whole window, as long as a program takes it. */
function fitted(sample: ModelInputs, { model }: Program): ModelInputs {
  return new Map(
    model.inputs.flatMap(({ name, dtype, shape }) => {
      const value = sample.get(name);
      return value === undefined ? [] : [[name, { dtype, shape, data: value.data.slice(-sizeOf(shape)) }] as const];
    }),
  );
}
