/**
 * A model file becomes a plan: front end → tensor passes → place → ranges → share program → rings → plan. Each step is
 * one call; what a step decides is an argument of the next.
 */
import { createHash } from "node:crypto";
import type { Diagnostic } from "../ir/diagnostics.js";
import type { Graph, Node } from "../ir/graph.js";
import { publicInputs } from "../ir/plan/disclosed.js";
import type { Binding, Formula, Plan, Published } from "../ir/plan/types.js";
import { exp2 } from "../ir/real.js";
import { SHARE, type ShareType } from "../ir/share/index.js";
import type { WeightStore } from "../ir/tensor/index.js";
import { TENSOR } from "../ir/tensor/index.js";
import { isFloat, type TensorType } from "../ir/tensor/value.js";
import { print } from "../ir/text.js";
import { verify } from "../ir/verify.js";
import { dropEarly } from "../passes/early.js";
import { GUARD, GUARD_ORIGIN, guardRanges } from "../passes/guard.js";
import type { ErrorAt } from "../passes/noise.js";
import { depthFirst } from "../passes/order.js";
import type { Placed } from "../passes/place.js";
import { planRings } from "../passes/plan-rings.js";
import type { CalibrationRun, InputFacts, InputsOf } from "../passes/range.js";
import { copiedFrom } from "../passes/rules/common.js";
import { checkRanges } from "./bounds-check.js";
import { assumedRanges, type Calibration, calibrate, type ModelInputs } from "./calibrate.js";
import { withConstants } from "./constants.js";
import { emit, type Meaning } from "./emit.js";
import { importModel, type ModelSources } from "./import.js";
import type { DeclaredNames, GivenValue, ImportedModel } from "./imported.js";
import { movedRows } from "./lower/held.js";
import { type Kept, type Lowered, lower, type Precision } from "./lower/index.js";
import { checkNames } from "./names.js";
import { DEFAULT_NETWORK, linkCost, type Network, trades } from "./network.js";
import { inputsOf, withOutputs } from "./outputs.js";
import { scaledName, withScales } from "./owner-scales.js";
import { compileTensors } from "./pipeline.js";
import { recordOf } from "./record.js";

export interface CompileOptions {
  /** Values of symbolic dimensions, and whole shapes of inputs. */
  readonly dims?: Readonly<Record<string, number>>;
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /** Inputs whose value is known and public: they become constants of the plan. */
  readonly values?: Readonly<Record<string, GivenValue>>;
  readonly profile?: Plan["profile"];
  /** Inputs that are secret or public against the default (`passes/uses.ts`). */
  readonly secret?: readonly string[];
  readonly public?: readonly string[];
  /** Secret inputs that are shared as they are given: the data owner computes nothing of them in the clear. */
  readonly shared?: readonly string[];
  /** Names of the outputs to reveal; all if absent. */
  readonly reveal?: readonly string[];
  /** JAX: arguments that are weights, and a safetensors file with their values. */
  readonly weightArguments?: readonly string[];
  readonly weightsFile?: string;
  /** Inputs to calibrate ranges with. */
  readonly calibration?: readonly ModelInputs[];
  readonly calibrationRun?: CalibrationRun;
  /** Ranges that were measured before: those of a plan's record. */
  readonly record?: {
    readonly text: string;
    readonly given: boolean;
    readonly calibration: (graph: Graph<TensorType>) => Calibration;
  };
  /** The same of every program of a plan that writes token by token. */
  readonly records?: readonly NonNullable<CompileOptions["record"]>[];
  /** Take the structure's word for ranges although weights are at hand, and allow such a plan to run. */
  readonly assumeRanges?: boolean;
  readonly precision?: Precision;
  /** The network that the plan is for: it decides where bytes are bought with rounds. */
  readonly network?: Network;
  /** False: no overflow guard; a value outside its range is then a wrong answer without a word. */
  readonly guard?: boolean;
  /** False for cost questions: weights are never read. */
  readonly weights?: boolean;
  /** Of a language model that writes token by token: how many tokens it sees, and the lengths of prompts. */
  readonly context?: number;
  readonly buckets?: readonly number[];
  /** With a context: how many guesses of a draft the plan checks in one pass. */
  readonly guesses?: number;
  /** With a context, in a plan's record: what it reveals of the next token, unless that is `token`. */
  readonly next?: string;
  /** Called with the text of every graph on the way. */
  readonly dump?: (name: string, text: string) => void;
}

export interface Compiled {
  readonly plan: Plan;
  readonly warnings: readonly Diagnostic[];
  readonly weights: WeightStore;
  readonly calibration: Plan["ranges"]["method"];
}

export const DEFAULT_PRECISION: Precision = { activation: 14, weight: 13 };
/** The least fractional bits of values and of weights, whatever rounding does to the outputs. */
const LEAST: Precision = { activation: 10, weight: 10 };
/** What rounding values and weights may take of an output's tolerance: the rest is for approximations. */
const ROUNDING_PART = 1 / 2;
/** A plan that rounds fewer elements is small whatever its fractions, and small models feel them. */
const MANY_ELEMENTS = 2 ** 16;

/**
 * As few fractional bits of values and of weights as keep the outputs right, where given inputs showed what rounding
 * does to them: a bit of either costs the same, the errors add up. More than usual where the rows of a norm are so
 * small that rounding shows in them.
 */
function precisionFor({ rounding, report }: Calibration): Precision {
  const least = [...report.variances.values()].map(({ fraction }) => fraction ?? 0);
  const usual = { ...DEFAULT_PRECISION, activation: Math.max(DEFAULT_PRECISION.activation, ...least) };
  if (rounding === undefined || rounding.elements < MANY_ELEMENTS) {
    return usual;
  }
  const { values, weights } = rounding;
  const errorAt = ({ error, bits }: ErrorAt, fraction: number) => error * exp2(bits - fraction);
  // With their usual bits weights are right in every model; with fewer they take a part of the tolerance.
  const ofWeights = (weight: number) => (weight === usual.weight ? 0 : errorAt(weights, weight));
  const upTo = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const candidates = upTo(LEAST.activation, usual.activation).flatMap((activation) =>
    upTo(LEAST.weight, usual.weight).map((weight) => ({
      activation,
      weight,
      error: errorAt(values, activation) + ofWeights(weight),
    })),
  );
  const right = candidates.filter(({ error }) => error <= ROUNDING_PART);
  right.sort((x, y) => x.activation + x.weight - (y.activation + y.weight) || x.error - y.error);
  const best = right[0] ?? usual;
  return { activation: best.activation, weight: best.weight };
}

/** Compiles a model file. Throws diagnostics for what the model or the options lack. */
export async function compileModel(path: string, options: CompileOptions = {}): Promise<Compiled> {
  return compileImported(await importNamed(path, options), options);
}

/** Values that a program keeps for later runs and reads of earlier ones, by name, and what is known of them. */
export interface Carried {
  readonly names: readonly string[];
  /** The largest absolute value of each, which every program of the plan relies on; as its ranges say, without. */
  readonly bounds: ReadonlyMap<string, number>;
  /** The bits of each that other programs read. */
  readonly rings: ReadonlyMap<string, number>;
  /** Inputs that the compiler made itself, with what earlier runs would have kept. */
  readonly made?: readonly ModelInputs[];
}

/** Reads a model file; E0201 for every name of the options that it does not have (a record's are the plan's own). */
export function importNamed(
  path: string,
  options: CompileOptions,
  made: Pick<ModelSources, "shapesOf" | "valuesOf"> = {},
): Promise<ImportedModel> {
  const check = (declared: DeclaredNames) => options.record ?? checkNames(options, declared);
  return importModel(path, { ...options, dims: options.dims ?? {}, shapes: options.shapes ?? {}, check, ...made });
}

/** A model's programs for the owners and the parties, and how large their values become. */
export interface Measured {
  readonly model: ImportedModel;
  readonly program: Graph<TensorType>;
  readonly placed: ReturnType<typeof compileTensors>;
  readonly calibration: Calibration;
  readonly inputOf: InputsOf;
  /** The weights, under the names of the passes too, and whether they can be read. */
  readonly store: WeightStore;
  readonly atHand: boolean;
  readonly carried: Carried | undefined;
}

/** Places and measures a model that a front end has read. */
export function measureImported(model: ImportedModel, options: CompileOptions = {}, carried?: Carried): Measured {
  const secret = new Set([...(options.secret ?? []), ...(options.shared ?? [])]);
  // Of a program that writes, masks and positions say how long a prompt is: they are the data owner's alone.
  const isOpen = (input: string) => carried === undefined && !secret.has(input);
  const isPublic = (input: string, use: string | undefined) =>
    (options.public ?? []).includes(input) || (use !== undefined && isOpen(input));
  const program = depthFirst(model.graph);
  const graph = withOutputs(program, options.reveal);
  const dump = options.dump === undefined ? {} : { dump: options.dump };
  const isShared = (input: string) => (options.shared ?? []).includes(input);
  const isKept = (input: string) => carried?.names.includes(input) === true;
  const atHand = options.weights !== false && !model.warnings.some(({ code }) => code === "W0303");
  const { record, calibration: samples } = options;
  const measured = record?.given ?? (samples !== undefined && atHand && options.assumeRanges !== true);
  const profile = options.profile ?? "fourier";
  const pays = trades(options.network);
  const placed = compileTensors(graph, { isPublic, isShared, isKept, profile, measured, pays, ...dump });
  const inputOf = secretInputs(placed, carried?.bounds);
  const store = withConstants(model.weights, placed.publication.weights);
  const run = { ...options.calibrationRun, made: carried?.made };
  const calibration =
    options.record?.calibration(placed.secret) ??
    (options.assumeRanges === true
      ? assumedRanges(placed, inputOf, "structure by choice")
      : calibrate(placed, atHand ? store : undefined, options.calibration, inputOf, run));
  return { model, program, placed, calibration, inputOf, store, atHand, carried };
}

/** The plan of a model that a front end has read. */
export function compileImported(model: ImportedModel, options: CompileOptions = {}): Compiled {
  return planMeasured(measureImported(model, options), options);
}

/** The plan of what was measured. */
export function planMeasured(measured: Measured, options: CompileOptions = {}): Compiled {
  const { model, program, placed, calibration, inputOf, store, atHand, carried } = measured;
  const profile = options.profile ?? "fourier";
  const warnings = [
    ...model.warnings,
    ...(options.weights === false || calibration.source.inputs > 0 ? [] : [unmeasured(model, atHand)]),
    ...(options.record === undefined ? checkRanges(placed.secret, calibration) : []),
  ];
  // Programs that hand values to each other have them at the same fractions.
  const isFree = profile === "fourier" && carried === undefined;
  const precision = options.precision ?? (isFree ? precisionFor(calibration) : DEFAULT_PRECISION);
  const decided = { ...options, precision };
  const {
    share,
    bindings,
    formulas,
    choices,
    meaning,
    model: owned,
  } = lowerPlaced(placed, calibration, inputOf, decided, carried);
  const plan = emit(share, meaning, {
    name: model.name,
    profile,
    modelDigest: digestOf(program),
    shapes: Object.fromEntries(model.inputs.map(({ name, shape }) => [name, shape])),
    owners: { model: owned, data: placed.data },
    bindings,
    formulas,
    choices,
    published: listed(placed.publication.published),
    disclosed: disclosedBy(placed, inputsOf(model, options.reveal), placed.uses),
    record: options.record?.text ?? recordOf(decided, calibration, placed.secret),
    ranges: calibration.source,
  });
  return { plan, warnings, weights: store, calibration: calibration.source.method };
}

/** The inputs that P1 and P2 are given in the clear, or something that is made of them alone, and why. */
function disclosedBy(
  placed: Placed,
  all: ImportedModel["inputs"],
  uses: ReadonlyMap<string, string>,
): readonly Published[] {
  const given = publicInputs(placed.data, placed.bindings);
  const inputs = all.filter(({ name }) => given.includes(name));
  return inputs.map(({ name, shape }) => ({ name, shape, why: uses.get(name) ?? "the --public of compile" }));
}

/** Each thing once, in the order of their names. */
function listed(published: readonly Published[]): readonly Published[] {
  const byText = new Map(published.map((each) => [`${each.name}\n${each.shape}\n${each.why}`, each]));
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
}

function unmeasured({ name }: ImportedModel, atHand: boolean): Diagnostic {
  return {
    code: "W0403",
    what: "how large values become is assumed from the model's structure, not measured",
    where: name,
    why: atHand ? "--assume-ranges says so" : "the weights are not at hand: the plan is for questions of cost only",
    fix: atHand ? "leave --assume-ranges out" : "compile with the weights at hand to run it",
  };
}

interface LoweredPlaced {
  readonly share: Graph<ShareType>;
  readonly bindings: Binding[];
  readonly formulas: readonly Formula[];
  readonly choices: Plan["choices"];
  readonly meaning: Meaning;
  /** The model owner's program. */
  readonly model: Graph<TensorType>;
}

function lowerPlaced(
  placed: Placed,
  calibration: Calibration,
  inputOf: InputsOf,
  options: CompileOptions & { readonly precision: Precision },
  carried: Carried | undefined,
): LoweredPlaced {
  const names = [...placed.bindings.map(({ input }) => input), ...(carried?.names ?? [])];
  const link = linkCost(options.network ?? DEFAULT_NETWORK);
  const lowered = lower(placed.secret, {
    profile: options.profile ?? "fourier",
    precision: options.precision,
    ranges: calibration.report.ranges,
    ...(options.guard === false ? {} : { certain: calibration.report.certain }),
    variances: calibration.report.variances,
    reaches: calibration.report.reaches,
    heads: calibration.report.heads,
    inputs: new Map(names.map((name) => [name, inputOf(name)])),
    kept: carried && keptBy(placed.secret, calibration, carried),
    link,
  });
  options.dump?.("50-lower", print(lowered.graph, SHARE));
  const early = dropEarly(lowered);
  options.dump?.("51-early", print(early.graph, SHARE));
  const accepted = new Map<Node<ShareType>, number>();
  const moved = new Map<Node<ShareType>, Node<ShareType>>();
  const ringed = planRings(early.graph, early.bounds, link, (node, planned) => {
    moved.set(node, planned);
    const largest = early.accepted.get(node);
    if (largest !== undefined) {
      accepted.set(planned, largest);
    }
  });
  options.dump?.("52-rings", print(ringed, SHARE));
  const share = options.guard === false ? ringed : guardRanges(ringed, accepted);
  options.dump?.("53-guard", print(share, SHARE));
  const violations = verify(share, SHARE);
  if (violations.length > 0) {
    throw new Error(`after pass 'guard':\n${violations.map(String).join("\n")}`);
  }
  const formulas = lowered.formulas.map(({ pieces: _, ...formula }) => formula);
  const bindings = bindingsOf(share, lowered, placed, calibration, inputOf);
  const scales = new Map(
    placed.bindings.flatMap(({ input, output }) => {
      const name = [...lowered.scaled.keys()].find((each) => lowered.given.get(each) === input);
      return name === undefined ? [] : [[output, lowered.scaled.get(name)!] as const];
    }),
  );
  const held = heldIn(placed.secret, lowered, (node) => moved.get(early.moved.get(node)!));
  return {
    share,
    bindings,
    formulas,
    choices: lowered.choices,
    meaning: { origins: new Map([...lowered.origins, [GUARD_ORIGIN, GUARD]]), held },
    model: withScales(placed.model, scales),
  };
}

/** What later runs rely on of the outputs that are kept. */
function keptBy(
  { outputs }: Graph<TensorType>,
  { report }: Calibration,
  { names, bounds, rings }: Carried,
): ReadonlyMap<string, Kept> {
  const sizeOf = (name: string, node: Node<TensorType>): number =>
    bounds.get(name) ?? Math.max(...report.ranges.get(node)!.map(Math.abs));
  return new Map(
    outputs
      .filter(({ name }) => names.includes(name))
      .map(({ name, node }) => [name, { bound: sizeOf(name, node), ring: rings.get(name) ?? 0 }]),
  );
}

/** Where the finished program has the values of the secret program's nodes, by their number. */
function heldIn(
  { nodes }: Graph<TensorType>,
  { held }: Lowered,
  moved: (node: Node<ShareType>) => Node<ShareType> | undefined,
): Meaning["held"] {
  return new Map(
    nodes.flatMap((node, i) => {
      const rows = held.get(node) ?? [];
      const kept = rows.flatMap((each) => movedRows(each, moved) ?? []);
      return rows.length > 0 && kept.length === rows.length ? [[i, kept] as const] : [];
    }),
  );
}

/** The share program's inputs; one that is read at several fractions has an input for each. */
function bindingsOf(
  share: Graph<ShareType>,
  { given, scaled }: Lowered,
  placed: Placed,
  calibration: Calibration,
  inputOf: InputsOf,
): Binding[] {
  const ranges = new Map(
    [...calibration.report.ranges].flatMap(([{ op, attributes }, range]) =>
      op === "input" ? [[String(attributes.name), range] as const] : [],
    ),
  );
  const rangeOf = ({ owner, input }: Binding) => {
    const range = owner === "model" || inputOf(input).integral ? undefined : ranges.get(input);
    return range === undefined ? {} : { range };
  };
  return share.nodes
    .filter(({ op, attributes }) => op === "input" && attributes.owner !== "state")
    .map(({ attributes }) => {
      const input = attributes.name as string;
      const bound = placed.bindings.find((binding) => binding.input === given.get(input))!;
      const output = scaled.has(input) ? scaledName(bound.output) : bound.output;
      return { ...bound, input, output, ...rangeOf(bound) };
    });
}

function secretInputs(placed: Placed, kept: Carried["bounds"] = new Map()): InputsOf {
  const known = new Map<string, InputFacts>(
    [...kept].map(([name, bound]) => [
      name,
      { owner: "state", integral: false, oneHot: false, interval: [-bound, bound] },
    ]),
  );
  const given = new Map(
    placed.bindings.map(({ input, owner, output }) => {
      const program = owner === "model" ? placed.model : placed.data;
      const node = program.outputs.find(({ name }) => name === output)!.node;
      const known = { owner, integral: isIntegral(node), oneHot: isOneHot(node) };
      return [input, isWave(node) ? { ...known, interval: [-1, 1] as const } : known] as const;
    }),
  );
  return (name) => known.get(name) ?? given.get(name)!;
}

/** Whether a value is 0 or 1 (or another small integer): one-hot rows, masks, what is rounded, sums of such. */
function isIntegral(node: Placed["data"]["nodes"][number]): boolean {
  const { op, args, type } = node;
  if (!isFloat(type.dtype) || op === "oneHot" || op === "floor") {
    return true;
  }
  const sources = op === "subtract" ? args : copiedFrom(node);
  return sources.length > 0 && sources.every(isIntegral);
}

/** Whether every element is a sine or a cosine, rotary tables for instance, in whatever order. */
function isWave(node: Placed["data"]["nodes"][number]): boolean {
  const sources = node.op === "negate" ? node.args : copiedFrom(node);
  return node.op === "sine" || node.op === "cosine" || (sources.length > 0 && sources.every(isWave));
}

function isOneHot(node: Placed["data"]["nodes"][number]): boolean {
  return node.op === "oneHot" || (node.op === "cast" && isOneHot(node.args[0]));
}

/** SHA-256 of the program's text; its nodes come in an order that the file's does not change. */
function digestOf(graph: Graph<TensorType>): string {
  return createHash("sha256").update(print(graph, TENSOR)).digest("hex");
}
