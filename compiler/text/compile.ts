/**
 * A language model becomes a plan that writes token by token: one program for the next token, which goes on from the
 * keys and values that earlier runs kept at the parties, and one for each length of prompts, which begin with nothing.
 * All are over one sharing of the weights. Whether the model was exported with a cache or without one, every program
 * takes the window's newest tokens, the last at its end.
 */
import { NOISE, WRITTEN, windowInputs } from "../../formats/text.js";
import { fail } from "../../ir/diagnostics.js";
import type { Plan } from "../../ir/plan/types.js";
import { evaluateGraph } from "../../ir/tensor/index.js";
import { sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import type { TensorGraph } from "../../passes/rewriter.js";
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
import { importModel } from "../import.js";
import type { ImportedModel } from "../imported.js";
import { inputsOf } from "../outputs.js";
import { syntheticIds, syntheticSamples } from "../synthetic.js";
import { tokensOf } from "./cache.js";
import { noisy } from "./drawn.js";
import { forgettingModel, forgettingSample } from "./guesses.js";
import { type Program, revealOf, sourceOf, type TextSource } from "./source.js";
import { tellingModel, tellingSample } from "./written.js";

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
  if (options.guesses !== undefined) {
    const fix = "add --context N, or leave --guesses out";
    throw fail({ code: "E0201", what: "guesses are checked by a plan that writes token by token", where: path, fix });
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
  const text = await sourceOf(path, options, (made) => importModel(path, { ...bound, ...made }));
  const programs = [...(text.window === undefined ? [] : [text.window]), await text.next()];
  for (const rows of text.buckets.filter((each) => each !== text.context)) {
    programs.push(await text.prompt(rows));
  }
  if (options.guesses !== undefined) {
    programs.push(await text.next(options.guesses + 1));
  }
  return { model: text.model, graphs: programs.map(({ model }) => model.graph) };
}

/** Opens a language model for a plan that writes. E0402 where it cannot be made to, E0201 for the options. */
async function openText(path: string, options: CompileOptions): Promise<TextModel> {
  const text = await sourceOf(path, options, (made) => importNamed(path, options, made));
  const { model } = text.window ?? (await text.next());
  const inputs = model.inputs.filter(({ name }) => name !== NOISE);
  const compile = (more: CompileOptions): Promise<Compiled> => {
    const calibration = more.calibration?.map((each) => noisy(each, model));
    return compileText(text, { ...more, ...(calibration && { calibration }) });
  };
  return { inputs, compile };
}

async function compileText(text: TextSource, options: CompileOptions): Promise<Compiled> {
  const { context, buckets, window } = text;
  const { reveal, ...others } = options;
  const revealed = revealOf(options);
  const next = await text.next();
  const given: CompileOptions = {
    ...others,
    ...(revealed !== "token" && { next: revealed }),
    ...(next.open && { public: [...(others.public ?? []), ...next.open] }),
  };
  const names = next.kept.map(({ name }) => name);
  const records = options.records ?? (options.record && [options.record]);
  const ofProgram = (i: number): CompileOptions => (records === undefined ? given : { ...given, record: records[i] });
  const none = { names, bounds: new Map(), rings: new Map() };
  const whole = window && records === undefined ? measureImported(window.model, given, none) : undefined;
  const measured =
    records !== undefined
      ? measureRecorded(next, ofProgram(0), names)
      : whole === undefined
        ? measureSteps(next, given, context)
        : measureNext(next, whole, given, names);
  const { bounds } = measured.carried!;
  const readers: Reader[] = [{ measured, options: ofProgram(0) }];
  const last = buckets.length + 1;
  const own = ofProgram(last);
  if (revealed === WRITTEN) {
    readers.push({ measured: measureTelling(text, own, { names, bounds }), options: own });
  } else if (options.guesses !== undefined) {
    const checking = await text.next(options.guesses + 1);
    const known = whole && measureNext(checking, whole, own, names, bounds);
    readers.push({ measured: known ?? measureRecorded(checking, own, names, bounds), options: own });
  }
  const isWindow = readers.length === 1 && next.open === undefined;
  const { plans, rings } = settled(readers, new Map(), isWindow);
  const [decode, ...further] = plans;
  const carried: Carried = { names, bounds, rings };
  const constants = new Map<string, TensorValue>();
  const prompts: Plan[] = [];
  for (const [i, rows] of buckets.entries()) {
    const isWhole = rows === context;
    const prompt = isWhole ? window! : await text.prompt(rows);
    const own = {
      ...ofProgram(i + 1),
      ...(given.calibration && { calibration: given.calibration.map((each) => fitted(each, prompt)) }),
    };
    const known = isWhole && whole !== undefined ? { ...whole, carried } : measureImported(prompt.model, own, carried);
    known.placed.publication.weights.forEach((value, name) => void constants.set(name, value));
    prompts.push(planMeasured(known, own).plan);
  }
  const forgetting = Array.from({ length: options.guesses ?? 0 }, (_, i) =>
    forgettingPlan(next, i + 1, ofProgram(last + 1 + i), carried),
  );
  const parts = [...prompts, ...further.map(({ plan }) => plan), ...forgetting];
  return { ...decode, plan: { ...decode.plan, parts }, weights: withConstants(decode.weights, constants) };
}

/** A program that reads what is kept. */
interface Reader {
  readonly measured: Measured;
  readonly options: CompileOptions;
}

/**
 * Plans programs that read what is kept, each keeping it in the bits that any of them reads. One program alone that
 * reads a window needs no second look: what was kept is in what is kept.
 */
function settled(
  readers: readonly Reader[],
  rings: ReadonlyMap<string, number>,
  isWindow: boolean,
): { plans: readonly Compiled[]; rings: ReadonlyMap<string, number> } {
  const plans = readers.map(({ measured, options }) =>
    planMeasured({ ...measured, carried: { ...measured.carried!, rings } }, options),
  );
  const read = new Map(rings);
  for (const [name, ring] of plans.flatMap(({ plan }) => [...ringsRead(plan)])) {
    read.set(name, Math.max(ring, read.get(name) ?? 0));
  }
  const isSettled = [...read].every(([name, ring]) => ring === rings.get(name));
  return isSettled || isWindow ? { plans, rings: read } : settled(readers, read, isWindow);
}

/** The program that forgets so many rows. */
function forgettingPlan(next: Program, rows: number, options: CompileOptions, carried: Carried): Plan {
  const { calibration: _, ...own } = options;
  const model = forgettingModel(next, rows);
  const made = [forgettingSample(model, carried.bounds)];
  return planMeasured(measureImported(model, own, { ...carried, made }), own).plan;
}

/** Measures the program that reveals what was written at once. */
function measureTelling(
  { model, context }: TextSource,
  { calibration: _, ...own }: CompileOptions,
  carried: Pick<Carried, "names" | "bounds">,
): Measured {
  const made = [tellingSample(context, carried.bounds)];
  return measureImported(tellingModel(model, context), own, { ...carried, rings: new Map(), made });
}

/** In how many bits a program reads what is kept. */
function ringsRead({ steps }: Plan): ReadonlyMap<string, number> {
  return new Map(
    steps.flatMap(({ op, attributes, type }) =>
      op === "input" && attributes.owner === "state" && "ring" in type ? [[String(attributes.name), type.ring]] : [],
    ),
  );
}

function measureRecorded(
  next: Program,
  options: CompileOptions,
  names: readonly string[],
  bounds = recordedBounds(next, options, names),
): Measured {
  return measureImported(next.model, options, { names, rings: new Map(), bounds });
}

/** The largest absolute value of everything that a measured program keeps. */
function keptBounds({ calibration, placed }: Measured, names: readonly string[]): ReadonlyMap<string, number> {
  const { ranges } = calibration.report;
  const outputs = new Map(placed.secret.outputs.map(({ name, node }) => [name, node]));
  return new Map(names.map((name) => [name, Math.max(...ranges.get(outputs.get(name)!)!.map(Math.abs))]));
}

/** Measures the program of the next tokens on what the program of a whole window would have kept before them. */
function measureNext(
  next: Program,
  whole: Measured,
  options: CompileOptions,
  names: readonly string[],
  bounds = keptBounds(whole, names),
): Measured {
  const isMeasured = whole.calibration.source.inputs > 0;
  const samples = isMeasured ? windows(next, whole, options) : undefined;
  const isGiven = options.calibration !== undefined;
  return measureImported(
    next.model,
    { ...options, ...(samples !== undefined && isGiven && { calibration: samples }) },
    { names, rings: new Map(), bounds, ...(samples !== undefined && !isGiven && { made: samples }) },
  );
}

/** So many steps are measured at most, of texts that fill the context. */
const MOST_STEPS = 32;

/** Measures the program of the next token on texts that it reads token by token, where there is none of a window. */
function measureSteps(next: Program, { calibration, ...options }: CompileOptions, context: number): Measured {
  if (calibration !== undefined) {
    const what = "the model takes one token at a time, and is measured on tokens that the compiler makes";
    throw fail({ code: "E0201", what, where: next.model.name, fix: "leave --calibrate out" });
  }
  const names = next.kept.map(({ name }) => name);
  const carried = { names, rings: new Map<string, number>(), bounds: new Map(names.map((name) => [name, 1])) };
  const rough = measureImported(next.model, { ...options, assumeRanges: true }, carried);
  const isMeasured = rough.atHand && options.assumeRanges !== true;
  const made = isMeasured ? stepsOf(next, rough, options, context) : undefined;
  const first = made === undefined ? rough : measureImported(next.model, options, { ...carried, made });
  return measureImported(next.model, options, { ...carried, bounds: keptBounds(first, names), ...(made && { made }) });
}

/** Inputs of steps, with what the steps before them kept. */
function stepsOf(
  next: Program,
  { placed }: Measured,
  options: CompileOptions,
  context: number,
): readonly ModelInputs[] {
  const { graph, inputs, weights } = next.model;
  const types = new Map(inputs.map(({ name, dtype, shape }) => [name, { dtype, shape }]));
  const count = Math.ceil(MOST_STEPS / context) * context;
  const ids = syntheticIds(placed, String(tokensOf(graph).attributes.name), count);
  const nothing = graph.nodes.flatMap(({ op, attributes, type }): (readonly [string, TensorValue])[] =>
    op === "input" && !types.has(`${attributes.name}`)
      ? [[`${attributes.name}`, { ...type, data: new Float64Array(sizeOf(type.shape)) }]]
      : [],
  );
  let state: ModelInputs = new Map(nothing);
  const steps: ModelInputs[] = [];
  for (let i = 0; i < count; i++) {
    const begun = i - (i % context);
    const read = noisy(windowInputs(0, ids.slice(begun, i + 1), types), next.model);
    const given = new Map([...read, ...(i === begun ? nothing : state)]);
    steps.push(given);
    state = evaluateGraph(graph, given, weights, { multiply: options.calibrationRun?.multiply });
    state = new Map(nothing.map(([name]) => [name, state.get(name)!]));
  }
  const stride = Math.ceil(count / MOST_STEPS);
  return steps.filter((_, i) => i % stride === stride - 1);
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
  const rows = sizeOf(next.model.graph.outputs.find(({ name }) => name === "token")?.node.type.shape ?? [1]);
  return (options.calibration ?? syntheticSamples(placed)).map((sample) => {
    const data = evaluateGraph(placed.data, sample, store, { multiply });
    const given = (name: string): TensorValue => {
      const { owner, output } = placed.bindings.find(({ input }) => input === name)!;
      return (owner === "model" ? model : data).get(output)!;
    };
    const outputs = evaluateGraph(placed.secret, given, undefined, { multiply });
    const kept = next.kept.map(({ name, axis }) => [name, movedUp(outputs.get(name)!, axis, rows)] as const);
    return new Map([...fitted(sample, next), ...kept]);
  });
}

/** A window as it was so many tokens before. */
function movedUp({ dtype, shape, data }: TensorValue, axis: number, rows: number): TensorValue {
  const inner = rows * sizeOf(shape.slice(axis + 1));
  const length = shape[axis] * sizeOf(shape.slice(axis + 1));
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
