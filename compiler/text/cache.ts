/**
 * A cache for a model that was exported without one. In the normal form, attention is a product of two values that are
 * both made of the tokens, and its right factor, keys or values, has a row for each of them. Where masks are causal a
 * row depends on earlier tokens only: the rows of the tokens before may come from the cache. So every such value is cut
 * where it is smallest and knows nothing of places (before rotary tables turn it), and becomes the rows that were kept
 * and the new ones. What no new row needs falls away in the pass `narrow`.
 *
 * The window has a fixed length, with the newest token last: what is kept moves up by a place for each new one.
 * Rotary tables turn by place in the window, which only differences of places count in; tables that are added to the
 * tokens (learnt positions) are read at the tokens' own positions, which the data owner gives.
 */
import { fail } from "../../ir/diagnostics.js";
import { Builder } from "../../ir/graph.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";
import type { TensorGraph, TensorNode } from "../../passes/rewriter.js";
import { constantOf } from "../../passes/rules/common.js";
import { isAttention, type RowAxes, rowAxes } from "./rows.js";

/** A program with what it reads of earlier runs and keeps for later ones: outputs and inputs of the same names. */
export interface CachedGraph {
  readonly graph: TensorGraph;
  readonly kept: readonly { readonly name: string; readonly axis: number }[];
}

export interface CacheOptions {
  /** How many tokens the program takes; the last rows of the window. */
  readonly rows: number;
  /** Whether it goes on from what was kept; otherwise nothing was before. */
  readonly isContinued: boolean;
  /** The rows of the window. */
  readonly context: number;
}

const MASK = "attention_mask";
const POSITIONS = "position_ids";

/**
 * The graph (in normal form, over as many tokens as the window has, or as are new) with a cache. E0402 where its
 * attention is not causal, or where tokens meet otherwise.
 */
export function withCache(graph: TensorGraph, options: CacheOptions): CachedGraph {
  const tokens = tokensOf(graph);
  const axes = rowAxes(graph, tokens);
  checkCausal(graph, axes, tokens.type.shape.at(-1)!);
  const cuts = cutsOf(graph, axes);
  checkPlaces(graph, axes, cuts);
  return new Caching(graph, tokens, axes, cuts, options).run();
}

/** The input that has the ids of the tokens. */
export function tokensOf({ nodes }: TensorGraph): TensorNode {
  const inputs = nodes.filter(({ op, attributes }) => op === "input" && /ids|tokens|^input$/i.test(nameOf(attributes)));
  const found = inputs.find(({ attributes }) => !/position|type|segment/i.test(nameOf(attributes)));
  if (found === undefined || sizeOf(found.type.shape) !== found.type.shape.at(-1)) {
    const shape = found && `its '${nameOf(found.attributes)}' [${found.type.shape}] are of more than one text`;
    const why = shape ?? "it takes no ids of tokens";
    throw fail({ code: "E0402", what: "the model writes no text token by token", why, fix: "leave --context out" });
  }
  return found;
}

function nameOf({ name }: TensorNode["attributes"]): string {
  return String(name);
}

/** Every softmax over tokens is masked so that none sees a later one. */
function checkCausal({ nodes }: TensorGraph, axes: RowAxes, length: number): void {
  for (const node of nodes.filter((each) => each.op === "softmax" && axes.has(each))) {
    const [, mask] = node.args;
    if (length > 1 && (mask === undefined || !isCausal(mask, length))) {
      throw fail({
        code: "E0402",
        what: "no cache can be made for this model: a token sees later ones",
        where: node.origin,
        why: "its attention has no causal mask that is a constant",
        fix: "export a causal language model, or compile without --context",
      });
    }
  }
}

function isCausal(mask: TensorNode, length: number): boolean {
  if (mask.op === "and" || mask.op === "broadcast" || mask.op === "reshape") {
    return mask.args.some((argument) => isCausal(argument, length));
  }
  const value = constantOf(mask);
  const isSquare = value?.shape.slice(-2).every((size) => size === length) === true && value.shape.length >= 2;
  return isSquare && value.data.every((keep, i) => keep === 0 || i % length <= Math.floor(i / length) % length);
}

/** The values that a cache keeps, by the right factor of a product of attention. */
function cutsOf({ nodes }: TensorGraph, axes: RowAxes): ReadonlySet<TensorNode> {
  const factors = nodes.filter((node) => isAttention(node, axes)).map(({ args }) => args[1]);
  return new Set(factors.map((factor) => cutOf(factor, axes)));
}

/** Ops that cost nothing and make a row of one row: whatever they make may be made again of what was kept. */
function isFree({ op, args }: TensorNode, axes: RowAxes): boolean {
  const others = args.filter((argument) => !axes.has(argument));
  switch (op) {
    case "reshape":
    case "transpose":
    case "broadcast":
    case "slice":
    case "concatenate":
    case "negate":
    case "cast":
      return true;
    case "add":
    case "subtract":
      return others.every(({ op: other }) => other === "constant" || other === "parameter");
    case "multiply":
      return others.length === 1 && others[0].op === "constant";
    default:
      return false;
  }
}

/** The smallest value that the factor is made of alone by ops that are free; of equal ones the first. */
function cutOf(factor: TensorNode, axes: RowAxes): TensorNode {
  const reached = new Set<TensorNode>([factor]);
  for (const node of reached) {
    for (const argument of isFree(node, axes) ? node.args : []) {
      if (axes.has(argument)) {
        reached.add(argument);
      }
    }
  }
  const isWhole = (candidate: TensorNode): boolean => {
    const seen = new Set<TensorNode>([factor]);
    for (const node of seen) {
      if (node !== candidate && !isFree(node, axes)) {
        return false;
      }
      const next = node === candidate ? [] : node.args.filter((argument) => axes.has(argument));
      next.forEach((each) => void seen.add(each));
    }
    return true;
  };
  return [...reached]
    .filter(isWhole)
    .reduce((best, each) => (sizeOf(each.type.shape) <= sizeOf(best.type.shape) ? each : best));
}

/**
 * A constant that has a row for each place and is multiplied with the tokens (a rotary table) may only turn what goes
 * from a cut, or from a query, into attention: there differences of places count, and the window's do as well.
 */
function checkPlaces({ nodes }: TensorGraph, axes: RowAxes, cuts: ReadonlySet<TensorNode>): void {
  const turned = new Set<TensorNode>();
  for (const node of nodes) {
    const isTurning =
      node.op === "multiply" && node.args.some((each) => each.op === "constant" && isOfRows(each, node, axes));
    const isFrom = isFree(node, axes) && node.args.some((argument) => turned.has(argument));
    const escapes =
      !isFree(node, axes) && !isAttention(node, axes) && node.args.some((argument) => turned.has(argument));
    if (escapes || (cuts.has(node) && (isTurning || isFrom))) {
      throw fail({
        code: "E0402",
        what: "no cache can be made for this model: it multiplies its tokens with a table of places",
        where: node.origin,
        why: "places of a window stand for positions in rotary tables only",
        fix: "export the model with its cache (past_key_values)",
      });
    }
    if (isTurning || isFrom) {
      turned.add(node);
    }
  }
}

/** Whether an operand has a row for each row of the result. */
function isOfRows(operand: TensorNode, result: TensorNode, axes: RowAxes): boolean {
  const axis = axes.get(result);
  const own = axis === undefined ? -1 : axis + operand.type.shape.length - result.type.shape.length;
  return own >= 0 && result.type.shape[axis!] > 1 && operand.type.shape[own] === result.type.shape[axis!];
}

class Caching {
  private readonly builder = new Builder<TensorType>(TENSOR);
  private readonly made = new Map<TensorNode, TensorNode>();
  private readonly length: number;
  private readonly kept: { name: string; node: TensorNode; axis: number }[] = [];
  private positions: TensorNode | undefined;
  private valid: TensorNode | undefined;
  private readonly scores: ReadonlySet<TensorNode>;

  constructor(
    private readonly graph: TensorGraph,
    tokens: TensorNode,
    private readonly axes: RowAxes,
    private readonly cuts: ReadonlySet<TensorNode>,
    private readonly options: CacheOptions,
  ) {
    this.length = tokens.type.shape.at(-1)!;
    this.scores = scoresIn(graph, axes);
  }

  run(): CachedGraph {
    const inputs = inputsBehind(this.graph);
    for (const node of this.graph.nodes) {
      const args = node.args.map((argument, i) => this.argument(node, argument, i, inputs));
      const isSame = args.every((argument, i) => argument === node.args[i]);
      const copy = isSame ? this.builder.append(node) : this.emit(node.op, args, node.attributes, node.origin);
      this.made.set(node, this.cuts.has(node) ? this.cached(copy, this.axes.get(node)!) : copy);
    }
    const outputs = this.graph.outputs.map(({ name, node }) => ({ name, node: this.made.get(node)! }));
    const kept = this.kept.map(({ name, node }) => ({ name, node }));
    return { graph: this.builder.finish([...outputs, ...kept]), kept: this.kept };
  }

  private emit(
    op: string,
    args: readonly TensorNode[],
    attributes: TensorNode["attributes"],
    origin: string,
  ): TensorNode {
    return this.builder.emit(op, args, attributes, origin);
  }

  private argument(node: TensorNode, argument: TensorNode, place: number, inputs: ReadonlySet<TensorNode>): TensorNode {
    const made = this.made.get(argument)!;
    if (this.axes.has(argument)) {
      return made;
    }
    if (node.op === "softmax" && place === 1 && this.axes.has(node) && !inputs.has(argument)) {
      return this.masked(made, node);
    }
    const isTable = (node.op === "add" || node.op === "subtract") && !inputs.has(argument);
    if (!isTable || !isOfRows(argument, node, this.axes)) {
      return made;
    }
    return this.scores.has(node) ? biased(argument, made, node) : this.placed(argument, made, node);
  }

  /** A table's rows at the tokens' positions. */
  private placed(table: TensorNode, made: TensorNode, node: TensorNode): TensorNode {
    const axis = this.axes.get(node)! + table.type.shape.length - node.type.shape.length;
    this.positions ??= this.input(POSITIONS, [this.length]);
    return this.emit("gather", [made, this.positions], { axis }, node.origin);
  }

  /** Tokens see what is kept of the text, and themselves: a place before the text's beginning has something to see. */
  private masked(mask: TensorNode, { origin }: TensorNode): TensorNode {
    const { length } = this;
    this.valid ??= this.emit("cast", [this.input(MASK, [1, length])], { dtype: "bool" }, origin);
    const diagonal = new Float64Array(length * length).map((_, i) => (i % (length + 1) === 0 ? 1 : 0));
    const own: TensorValue = { dtype: "bool", shape: [length, length], data: diagonal };
    const seen = this.emit("or", [this.valid, this.emit("constant", [], { value: own }, origin)], {}, origin);
    return this.emit("and", [seen, mask], {}, origin);
  }

  private input(name: string, shape: readonly number[]): TensorNode {
    return this.emit("input", [], { name, dtype: "i64", shape }, name);
  }

  /** The window: rows that were kept, then the new ones; all of it is kept. */
  private cached(value: TensorNode, axis: number): TensorNode {
    const { rows, isContinued, context } = this.options;
    const { shape, dtype } = value.type;
    const name = `cache.${this.kept.length}`;
    const window = shape.with(axis, context);
    const cut = (of: TensorNode, from: number, to: number): TensorNode => {
      const starts = of.type.shape.map((_, i) => (i === axis ? from : 0));
      const ends = of.type.shape.map((size, i) => (i === axis ? to : size));
      return this.emit("slice", [of], { starts, ends, steps: starts.map(() => 1) }, value.origin);
    };
    const fresh = rows === this.length ? value : cut(value, this.length - rows, this.length);
    const empty = shape.with(axis, context - rows);
    const before = (): TensorNode => {
      const zeros: TensorValue = { dtype, shape: empty, data: new Float64Array(sizeOf(empty)) };
      return isContinued
        ? cut(this.emit("input", [], { name, dtype, shape: window }, name), rows, context)
        : this.emit("constant", [], { value: zeros }, value.origin);
    };
    const whole = rows === context ? fresh : this.emit("concatenate", [before(), fresh], { axis }, value.origin);
    this.kept.push({ name, node: whole, axis });
    // Over fewer tokens than the window has, the program itself looks at its own rows alone.
    return this.length === context ? whole : value;
  }
}

/** Products of queries and keys, and what is made of them up to a softmax: their last axis has the keys. */
function scoresIn({ nodes }: TensorGraph, axes: RowAxes): ReadonlySet<TensorNode> {
  const found = new Set<TensorNode>();
  for (const node of nodes) {
    const right = node.args[1];
    const isProduct = isAttention(node, axes) && axes.get(right) === right.type.shape.length - 1;
    const isEnd = node.op === "softmax" || node.op === "matmul";
    if (isProduct || (!isEnd && node.args.some((argument) => found.has(argument)))) {
      found.add(node);
    }
  }
  return found;
}

/** A table that is added to scores: by differences of places it is the window's as well. E0402 for any other. */
function biased(table: TensorNode, made: TensorNode, { origin }: TensorNode): TensorNode {
  const value = constantOf(table);
  const [rows, keys] = table.type.shape.slice(-2);
  const isOfDistances = value?.data.every((x, i) => {
    const [row, key] = [Math.floor(i / keys) % rows, i % keys];
    return row === 0 || key === 0 || x === value.data[i - keys - 1];
  });
  if (keys > 1 && isOfDistances !== true) {
    throw fail({
      code: "E0402",
      what: "no cache can be made for this model: it adds a table of places to its scores",
      where: origin,
      why: "places of a window stand for positions where differences of places count alone",
      fix: "export the model with its cache (past_key_values), its mask and its positions",
    });
  }
  return made;
}

/** The nodes that depend on an input. */
function inputsBehind({ nodes }: TensorGraph): ReadonlySet<TensorNode> {
  const found = new Set<TensorNode>();
  for (const node of nodes) {
    if (node.op === "input" || node.args.some((argument) => found.has(argument))) {
      found.add(node);
    }
  }
  return found;
}
