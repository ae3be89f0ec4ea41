/**
 * What a value is used for: as structure, which says how the numbers of a computation lie, or as one of those numbers.
 * Constants of the model's file that are structure only may stand in a plan (`publish.ts`), and inputs that are may be
 * known to all (`openInputs`).
 */
import { traitsOf } from "../ir/tensor/index.js";
import { isFloat } from "../ir/tensor/value.js";
import type { TensorGraph, TensorNode } from "./rewriter.js";
import { COMPARISONS, constantOf } from "./rules/common.js";

export const INDEX = "an index";
export const EXPONENT = "an exponent";
export const FREQUENCY = "the frequency of a sine of positions";

/** What an argument is, where the op reads it as structure. */
export function slotOf(user: TensorNode, index: number): string | undefined {
  const { indices, clear, pattern } = traitsOf(user);
  if (indices.includes(index) || clear.includes(index)) {
    return INDEX;
  }
  if ((user.op === "select" && index === 0) || (pattern === "rowwise" && index > 0)) {
    return "a mask";
  }
  if (user.op === "sine" || user.op === "cosine") {
    return FREQUENCY;
  }
  return user.op === "power" && index === 1 ? EXPONENT : undefined;
}

/** The nodes that depend on no weight and on no real number of an input: positions, and what is made of them. */
export function countedNodes(graph: TensorGraph): ReadonlySet<TensorNode> {
  return nodesWithout(graph, (node) => node.op === "parameter" || (node.op === "input" && isFloat(node.type.dtype)));
}

/** The nodes that depend on no input: what the model's owner makes alone. */
export function nodesOfWeights(graph: TensorGraph): ReadonlySet<TensorNode> {
  return nodesWithout(graph, ({ op }) => op === "input");
}

/** The nodes that depend on none of some nodes. */
function nodesWithout(graph: TensorGraph, excluded: (node: TensorNode) => boolean): ReadonlySet<TensorNode> {
  const found = new Set<TensorNode>();
  for (const node of graph.nodes) {
    if (!excluded(node) && node.args.every((argument) => found.has(argument))) {
      found.add(node);
    }
  }
  return found;
}

/** Whole numbers and truth values that are made of such. */
export function isWholeArithmetic(user: TensorNode): boolean {
  return isWhole(user) && (!COMPARISONS.includes(user.op) || user.args.every(isWhole));
}

function isWhole(node: TensorNode): boolean {
  return !isFloat(node.type.dtype);
}

/** Inputs that are ids of a table with a row for each kind of token, or each place: they say nothing of the words. */
const KINDS: Readonly<Record<string, string>> = {
  token_type_ids: "token types",
  segment_ids: "token types",
  position_ids: "positions",
};

/** Why the inputs that may be known to all may be: what every use of theirs is. */
export function openInputs(graph: TensorGraph): ReadonlyMap<string, string> {
  const uses = new InputUses(graph);
  const open = new Map<string, string>();
  for (const node of graph.nodes) {
    const why = node.op === "input" && isWhole(node) ? uses.reasonOf(node) : undefined;
    if (why !== undefined) {
      open.set(String(node.attributes.name), why);
    }
  }
  return open;
}

/**
 * What an input is on the way to its uses: whole numbers or truth values; how many there were of them (a cumulative
 * sum); or real numbers that stand for them (`cast(mask)`).
 */
type Form = "whole" | "count" | "number";

/**
 * A use: a mask, positions, token types; or one that a mask may have beside others, such as its product with what it
 * masks, and that by itself says nothing. `undefined`: a use as a number.
 */
type Use = { readonly why: string; readonly alone: boolean } | undefined;

const MASK: Use = { why: "a mask", alone: true };
const POSITIONS: Use = { why: "positions", alone: true };
/** What masks are also used for: a product with what they keep, and places that are counted from them. */
const OF_MASK: Use = { why: "a mask", alone: false };

/** As low as the numbers that masks add to scores: what no token is. */
const LOWEST = -(2 ** 31);

/** A name that a mask has; by itself it makes nothing public. */
const MASK_NAME = /mask/i;

/**
 * Whether the answers of a comparison may be known to all. With positions (0, 1, 2, …), or with other inputs: what
 * positions and lengths are for. With one number: whether an element is zero, as a mask is asked, or one, where the
 * input is called a mask or has kinds for ids. Any other number picks tokens: padding (1 in RoBERTa), the end of a text
 * (1 in T5, 2 in BART), special ones.
 */
function mayCompare(user: TensorNode, index: number, name: string): boolean {
  const number = user.op === "cast" ? 0 : numberOf(user.args[1 - index]);
  const shift = shiftOf(user.args[index]);
  if (number === undefined || shift === undefined) {
    return true;
  }
  const isCalled = MASK_NAME.test(name) || KINDS[name] !== undefined;
  return isCalled
    ? (Math.abs(number) <= 1 && shift <= 1) || number <= LOWEST
    : shift === 0 && (user.op === "cast" || asksForZero(user, index, number));
}

/** Whether a comparison with a number says of whole numbers from 0 on which are zero, and no more. */
function asksForZero({ op }: TensorNode, index: number, number: number): boolean {
  const [below, above] = index === 0 ? ["less", "greater"] : ["greater", "less"];
  const [lastZero, firstOther] = op.endsWith("OrEqual") ? [below, above] : [above, below];
  return op === "equal"
    ? number === 0
    : (number > 0 && number < 1) ||
        (number === 0 && op.startsWith(lastZero)) ||
        (number === 1 && op.startsWith(firstOther));
}

/**
 * How far an input was moved by numbers before it is compared: infinitely by what is no sum, such as a remainder.
 * Undefined: it is compared with positions, with other inputs, or was judged already.
 */
function shiftOf(node: TensorNode): number | undefined {
  if (node.op === "input" || node.type.dtype === "bool") {
    return node.op === "input" ? 0 : undefined;
  }
  const known = node.args.filter((each) => constantOf(each) !== undefined);
  const open = node.args.filter((each) => constantOf(each) === undefined);
  const before = open.length === 1 ? shiftOf(open[0]) : undefined;
  if (before === undefined || known.length === 0) {
    return before;
  }
  const masks = known.every((each) => constantOf(each)!.data.every((x) => TRUTH.has(x)));
  if ((node.op === "multiply" && masks) || traitsOf(node).pattern === "movement") {
    return before;
  }
  const moved = numberOf(known[0]);
  const isSum = node.op === "add" || node.op === "subtract";
  return isSum ? (moved === undefined ? undefined : before + Math.abs(moved)) : Infinity;
}

/** What a mask's values, and the answers of a comparison, are multiplied with. */
const TRUTH: ReadonlySet<number> = new Set([-1, 0, 1]);

/**
 * The number that a constant holds in whatever shape; undefined where it is no constant, or holds positions: whole
 * numbers without a gap, from about zero on. Infinite where it holds several others, which pick as one does.
 */
function numberOf(node: TensorNode): number | undefined {
  const values = [...new Set(constantOf(node)?.data ?? [])].sort((a, b) => a - b);
  const isRun = values.length > 1 && values.every((each, i) => Number.isInteger(each) && each === values[0] + i);
  const isPlaces = isRun && (values.includes(0) || (values.length > 3 && Math.abs(values[0]) <= values.length));
  return values.length === 0 || isPlaces ? undefined : values.length === 1 ? values[0] : Infinity;
}

class InputUses {
  private readonly users = new Map<TensorNode, { readonly node: TensorNode; readonly index: number }[]>();
  private readonly outputs: ReadonlySet<TensorNode>;
  private readonly counted: ReadonlySet<TensorNode>;
  private readonly ofWeights: ReadonlySet<TensorNode>;
  private readonly ofData: ReadonlySet<TensorNode>;

  constructor(graph: TensorGraph) {
    for (const node of graph.nodes) {
      node.args.forEach((argument, index) => {
        this.users.set(argument, [...(this.users.get(argument) ?? []), { node, index }]);
      });
    }
    this.outputs = new Set(graph.outputs.map(({ node }) => node));
    this.counted = countedNodes(graph);
    this.ofWeights = nodesOfWeights(graph);
    this.ofData = nodesWithout(graph, ({ op }) => op === "parameter");
  }

  /** What the input is for, where all its uses are that and nothing else. */
  reasonOf(input: TensorNode): string | undefined {
    const uses = [...this.usesOf(input, "whole", String(input.attributes.name), new Map())];
    const reasons = new Set(uses.flatMap((use) => (use?.alone === true ? [use.why] : [])));
    return uses.includes(undefined) || reasons.size === 0 ? undefined : [...reasons].sort().join(", ");
  }

  private *usesOf(node: TensorNode, form: Form, name: string, seen: Map<TensorNode, Set<Form>>): Generator<Use> {
    if (this.outputs.has(node)) {
      yield undefined;
    }
    for (const { node: user, index } of this.users.get(node) ?? []) {
      const use = this.useIn(user, index, form, name);
      if (use !== "passes on") {
        yield use;
        continue;
      }
      const next = formOf(user, form);
      const forms = seen.get(user) ?? new Set();
      if (!forms.has(next)) {
        seen.set(user, forms.add(next));
        yield* this.usesOf(user, next, name, seen);
      }
    }
  }

  private useIn(user: TensorNode, index: number, form: Form, name: string): Use | "passes on" {
    const asks = COMPARISONS.includes(user.op) || (user.op === "cast" && user.type.dtype === "bool");
    if (form !== "count" && asks && user.args[index].type.dtype !== "bool" && !mayCompare(user, index, name)) {
      return undefined;
    }
    const slot = slotOf(user, index);
    if (slot === FREQUENCY) {
      return this.counted.has(user) ? POSITIONS : undefined;
    }
    if (slot === "a mask") {
      return MASK;
    }
    if (slot === INDEX) {
      return this.indexOf(user, form, name);
    }
    if (slot !== undefined) {
      return undefined;
    }
    return form === "number"
      ? this.numberIn(user, index)
      : isWholeArithmetic(user) || user.op === "cast"
        ? "passes on"
        : undefined;
  }

  /** An index of a table is an id, unless its name says that the table is of kinds; one of other values is a place. */
  private indexOf(user: TensorNode, form: Form, name: string): Use {
    const kind = KINDS[name];
    const ofTable = this.ofWeights.has(user.args[0]) || user.op === "oneHot";
    if (form === "count") {
      return OF_MASK;
    }
    if (ofTable || this.ofData.has(user)) {
      return kind === undefined ? undefined : { why: kind, alone: true };
    }
    return POSITIONS;
  }

  /** A mask as a number keeps or drops what it is multiplied with; a sum of it counts. */
  private numberIn(user: TensorNode, index: number): Use | "passes on" {
    if (this.counted.has(user)) {
      return "passes on";
    }
    const other = user.args[1 - index];
    const masks =
      (user.op === "multiply" || user.op === "matmul" || (user.op === "divide" && index === 1)) &&
      user.args.length === 2;
    return masks && !this.ofWeights.has(other) && !this.ofData.has(other) ? OF_MASK : undefined;
  }
}

function formOf(user: TensorNode, form: Form): Form {
  if (!isWhole(user)) {
    return "number";
  }
  return user.op === "cumulativeSum" || user.op === "reduceSum" || form === "count" ? "count" : "whole";
}
