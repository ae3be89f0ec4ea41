/**
 * What the programs of a plan that writes are made of: a model that can be read for so many tokens after so many
 * others, and how its past is kept. A cache that it was exported with is kept as it is where a shorter text may stand
 * in it (`padding.ts`); of any other model that can be read without a past, whether it has a cache or none, the
 * compiler makes its own.
 */
import { WRITTEN } from "../../formats/text.js";
import { fail } from "../../ir/diagnostics.js";
import { Builder } from "../../ir/graph.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { sizeOf, type TensorType } from "../../ir/tensor/value.js";
import { canonicalise } from "../../passes/canonicalise.js";
import { fuse } from "../../passes/fuse.js";
import { depthFirst } from "../../passes/order.js";
import type { TensorGraph, TensorNode } from "../../passes/rewriter.js";
import type { CompileOptions } from "../compile.js";
import type { ModelSources } from "../import.js";
import type { DeclaredNames, ImportedModel } from "../imported.js";
import { logitsOf, nextOf, topOf } from "../outputs.js";
import { type CachedGraph, tokensOf, withCache } from "./cache.js";
import { DRAWN } from "./drawn.js";
import { cacheIn, exportedCache } from "./exported.js";
import { branchValues, isPast, mayBePadded, wholeValues } from "./padding.js";
import { updatedCache } from "./updated.js";
import { withText } from "./written.js";

type Made = Pick<ModelSources, "shapesOf" | "valuesOf">;

/** What the programs of a plan are made of. */
export interface TextSource {
  readonly context: number;
  /** Lengths of prompts; none where the export takes one token at a time. */
  readonly buckets: readonly number[];
  /** The model as it is read for a plan, for its weights. */
  readonly model: ImportedModel;
  /** The program over a whole window; undefined where the export takes one token at a time. */
  readonly window: Program | undefined;
  /** The program that reads prompts of up to so many tokens. */
  readonly prompt: (rows: number) => Promise<Program>;
  /** The program of the next token, or of so many at once, which reveals what follows each. */
  readonly next: (rows?: number) => Promise<Program>;
}

export interface Program extends Pick<CachedGraph, "kept"> {
  readonly model: ImportedModel;
  /** Inputs that all parties may know. */
  readonly open?: readonly string[];
}

/** How many tokens a program is read for, and after how many. */
interface Extent {
  readonly rows: number;
  readonly past: number;
  /** The model's masks and positions are those of a whole window, and it has no past. */
  readonly isWhole: boolean;
}

/** E0402 where the model cannot be made to write token by token, E0201 for the options. */
export async function sourceOf(
  path: string,
  options: CompileOptions,
  importAt: (made: Made) => Promise<ImportedModel>,
): Promise<TextSource> {
  const wanted = options.context!;
  const buckets = bucketsOf(options, wanted);
  const reveal = revealOf(options);
  checkGuesses(options, wanted);
  const read = ({ rows, past, isWhole }: Extent): Promise<ImportedModel> =>
    importAt({
      shapesOf: (declared) => shapesFor(declared, options.dims ?? {}, rows, past),
      valuesOf: (shapes) => ({ ...branchValues(shapes.keys(), past > 0), ...(isWhole && wholeValues(shapes)) }),
    });
  const first = await read({ rows: wanted, past: 0, isWhole: false });
  const updated = updatedCache(first.graph);
  if (updated !== undefined) {
    checkContext(updated.context, wanted, path);
    const next = { model: withInputs(first, withNextToken(updated.graph, reveal), updated.kept), ...updated };
    return tokenByToken(path, next, options);
  }
  if (pastOf(first) > 0) {
    return oneAtATime(path, first, options);
  }
  const context = lengthOf(first.graph);
  checkContext(context, wanted, path);
  const isExported = first.inputs.some(({ name }) => isPast(name));
  const isPadded = mayBePadded(normalForm(first.graph), tokensOf(first.graph), isExported);
  const isWhole = !isPadded;
  const model = isWhole ? await read({ rows: context, past: 0, isWhole }) : first;
  const own = async (rows: number, past: number): Promise<ImportedModel> =>
    rows === context ? model : read({ rows, past, isWhole });
  const keepsOwn = isExported && isPadded;
  return {
    context,
    buckets: options.buckets === undefined ? [context] : buckets,
    model,
    window: program(model, { rows: context, isContinued: false, context, keepsOwn, reveal }),
    prompt: async (rows) => program(await own(rows, 0), { rows, isContinued: false, context, keepsOwn, reveal }),
    next: async (rows = 1) => {
      const each = keepsOwn ? await own(rows, context - rows) : model;
      return program(each, { rows, isContinued: true, context, keepsOwn, reveal });
    },
  };
}

/** A model whose cache has one length: it takes the next token, and a prompt one token after the other. */
function oneAtATime(path: string, model: ImportedModel, options: CompileOptions): TextSource {
  const rows = lengthOf(model.graph);
  const context = pastOf(model) + rows;
  checkContext(context, options.context!, path);
  const { graph } = model;
  const reveal = revealOf(options);
  if (rows !== 1) {
    const what = `the model was exported for ${rows} tokens after ${context - rows} others, and for no prompt`;
    throw fail({ code: "E0402", what, where: path, fix: "export it with dynamic lengths" });
  }
  if (!mayBePadded(normalForm(graph), tokensOf(graph), true)) {
    throw fail({
      code: "E0402",
      what: `the model's cache has ${context - rows} tokens, and fewer cannot stand in it`,
      where: path,
      why: "its positions are no input, or its mask is none that hides single places",
      fix: "export it with attention_mask and position_ids, or with dynamic lengths",
    });
  }
  const next = program(model, { rows, isContinued: true, context, keepsOwn: true, reveal });
  return tokenByToken(path, { ...next, context }, options);
}

/** A plan's only program, of the next token, which reads prompts as well. */
function tokenByToken(path: string, next: Program & { context: number }, options: CompileOptions): TextSource {
  const { context, model } = next;
  if (options.guesses !== undefined) {
    const what = "the model takes one token at a time, and checks no guesses of a draft";
    throw fail({ code: "E0402", what, where: path, fix: "leave --guesses out, or export it with dynamic lengths" });
  }
  if (options.buckets?.some((each) => each > 1) || revealOf(options) === WRITTEN) {
    const what = `the model was exported for 1 token after ${context - 1} others, and for no prompt`;
    const fix = "leave --buckets and --reveal text out: a prompt is read token by token";
    throw fail({ code: "E0402", what, where: path, fix });
  }
  return { context, buckets: [], model, window: undefined, prompt: async () => next, next: async () => next };
}

function pastOf({ graph, inputs }: ImportedModel): number {
  const isClosed = inputs.some(({ name, shape }) => isPast(name) && sizeOf(shape) > 0);
  const cache = isClosed ? cacheIn({ graph, inputs }) : undefined;
  return cache === undefined ? 0 : cache.past[0].shape[cache.axis];
}

function lengthOf(graph: TensorGraph): number {
  return tokensOf(graph).type.shape.at(-1)!;
}

/** A model of one length has it, whatever is asked for. */
function checkContext(context: number, wanted: number, path: string): void {
  if (context < wanted) {
    const what = `the model was exported for ${context} tokens, and --context asks for ${wanted}`;
    const fix = "export it with a dynamic length, or give a shorter --context";
    throw fail({ code: "E0402", what, where: path, fix });
  }
}

/** What a plan that writes reveals of the next token: E0201 for anything else. */
export function revealOf({ next = "token", reveal = [next] }: CompileOptions): string {
  const [name] = reveal;
  if (reveal.length !== 1 || !(name === "token" || name === DRAWN || name === WRITTEN || topOf(name) !== undefined)) {
    const fix = "add --reveal token, --reveal draw or topk:K to sample tokens, or --reveal text";
    throw fail({ code: "E0201", what: "a plan with --context reveals the next token, and nothing else", fix });
  }
  return name;
}

/** E0201 where a plan cannot check so many guesses. */
function checkGuesses(options: CompileOptions, context: number): void {
  const { guesses = 1 } = options;
  if (!Number.isInteger(guesses) || guesses < 1 || guesses >= context - 1) {
    const what = `${guesses} guesses in a context of ${context} tokens`;
    throw fail({ code: "E0201", what, fix: "give --guesses as 1 or more, and fewer than the context has tokens" });
  }
  if (options.guesses !== undefined && revealOf(options) !== "token") {
    const what = "guesses are checked against the likeliest token, which the plan does not reveal";
    throw fail({ code: "E0201", what, fix: "add --reveal token, or leave --guesses out" });
  }
}

function bucketsOf(options: CompileOptions, context: number): readonly number[] {
  const { buckets } = options;
  const given = [...new Set(buckets ?? [context])].sort((a, b) => a - b);
  const isLength = (each: number) => Number.isInteger(each) && each >= 1 && each <= context;
  if (!isLength(context) || context < 2 || !given.every(isLength)) {
    const what = `prompts of ${given.join(", ")} tokens in a context of ${context}`;
    throw fail({ code: "E0201", what, fix: "give --buckets as lengths up to --context, which is 2 or more" });
  }
  const prompts = given.filter((each) => each > 1);
  if (prompts.length === 0 && revealOf(options) === WRITTEN) {
    const fix = "add a longer one to --buckets";
    throw fail({ code: "E0201", what: "a text that is written at once has no program for its prompt", fix });
  }
  return prompts;
}

/** Shapes of inputs whose dimensions are open: one text of `rows` tokens, after `past` others. */
export function shapesFor(
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
        typeof each === "number" || /^\d+$/.test(each)
          ? Number(each)
          : axis === 0 && shape.length > 1
            ? 1
            : (dims[each] ?? lengthOf(name)),
      ),
    ]),
  );
}

function logitsOutput({ outputs }: TensorGraph): TensorGraph["outputs"][number] {
  return { name: "logits", node: logitsOf(outputs) };
}

/** The graph whose only output is its logits, in normal form. */
function normalForm(graph: TensorGraph): TensorGraph {
  const { nodes } = depthFirst(graph);
  return fuse(canonicalise({ nodes, outputs: [logitsOutput(graph)] }));
}

/** One program over the tokens of a model that was read for it, with its own cache or one that is made. */
function program(
  model: ImportedModel,
  options: { rows: number; isContinued: boolean; context: number; keepsOwn: boolean; reveal: string },
): Program {
  const { context, keepsOwn, reveal, isContinued } = options;
  const rows = isContinued ? options.rows : 1;
  const length = lengthOf(model.graph);
  const cache = keepsOwn ? cacheIn(model) : undefined;
  const outputs = [logitsOutput(model.graph), ...(cache?.present ?? [])];
  const graph = depthFirst({ nodes: model.graph.nodes, outputs });
  const whole = cache === undefined ? withCache(normalForm(graph), options) : exportedCache(graph, cache, options);
  const { graph: written, kept } =
    reveal === WRITTEN ? withText(whole, options) : { ...whole, graph: withNextToken(whole.graph, reveal, rows) };
  const suffix = ` of ${length} ${rows > 1 ? "further " : ""}tokens`;
  const cached = renamed(written, length === context ? "" : suffix);
  return { model: withInputs(model, cached, kept), kept };
}

/** A model whose graph is a program's: what it keeps is no input. */
function withInputs(model: ImportedModel, graph: TensorGraph, kept: Program["kept"]): ImportedModel {
  const inputs = graph.nodes.flatMap(({ op, attributes, type: { dtype, shape } }) => {
    const name = String(attributes.name);
    return op === "input" && !kept.some((each) => each.name === name) ? [{ name, dtype, shape }] : [];
  });
  return { ...model, graph, inputs };
}

/** The graph whose only output of its own is what is revealed of the tokens that follow its last rows. */
function withNextToken(graph: TensorGraph, reveal: string, rows = 1): TensorGraph {
  const logits = logitsOf(graph.outputs);
  const { shape } = logits.type;
  const builder = new Builder<TensorType>(TENSOR);
  graph.nodes.forEach((node) => void builder.append(node));
  const last = shape.length - 2;
  const starts = shape.map((size, axis) => (axis === last ? size - rows : 0));
  const row = builder.emit("slice", [logits], { starts, ends: shape, steps: shape.map(() => 1) }, "token");
  const next = nextOf(row, reveal, (op, args, attributes) => builder.emit(op, args, attributes, "token"));
  return { nodes: builder.nodes, outputs: [...next, ...graph.outputs.filter(({ node }) => node !== logits)] };
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
