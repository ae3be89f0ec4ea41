/**
 * What each node between the two sorts of a mixture of experts gives (experts.ts), by operator: a rule that does not
 * know a node says so by `undefined`, and the mixture stays as it was.
 */
import type { AttributeProto, NodeProto } from "../../formats/onnx/schema.js";
import { countsUp, integerOf, type Numbers, type Routes } from "./routes.js";

/** Values of every pair of token and expert, sorted by expert. */
export interface Rows {
  readonly kind: "rows";
  /** The name of the same for every expert and token: [G, T, …], or 1 for G. */
  readonly dense: string;
  /** Axes behind the pairs'. */
  readonly rank: number;
  /** Whether the router's weights are in it: from then on it may only be added up. */
  readonly weighted: boolean;
}

/** One of as many parts as there are experts, `Squeeze(Split(stack)[at])`. */
interface Piece {
  readonly stack: string;
  readonly at: number;
}

/** What a value between the sorts is. */
export type Kind =
  | Numbers
  | Rows
  /** Pairs of each expert, [G], and where they end, or where those of one expert end. */
  | { readonly kind: "counts" }
  | { readonly kind: "ends"; readonly at?: number }
  /** The places of one expert's pairs, the rows there, and what they are multiplied with. */
  | { readonly kind: "run"; readonly expert: number }
  | { readonly kind: "part"; readonly expert: number; readonly rows: Rows }
  | { readonly kind: "product"; readonly expert: number; readonly rows: Rows; readonly by: readonly Piece[] }
  /** Where each pair is after the sort; rows as they were before it, [T k, …] and [T, k, …]. */
  | { readonly kind: "inverse"; readonly column: boolean }
  | { readonly kind: "back"; readonly rows: Rows }
  | { readonly kind: "choices"; readonly rows: Rows };

/** What a node gives: one thing for all its outputs, or one for each. */
export type Given = Kind | readonly Kind[] | undefined;

/** The region that a rule's node stands in. */
export interface Around {
  readonly routes: Routes;
  /** How many experts, once they were counted. */
  experts: number;
  kind(name: string | undefined): Kind | undefined;
  rows(name: string | undefined): Rows | undefined;
  /** Adds a node of the new form; gives the name of its output. */
  emit(opType: string, input: readonly string[], attributes?: readonly AttributeProto[]): string;
  integers(values: readonly number[]): string;
  /** The node as it is, on the same for every expert. */
  again(node: NodeProto, input: readonly string[], attribute?: readonly AttributeProto[]): readonly string[];
  areTokens(table: readonly number[]): boolean;
  /** What belongs to pairs, [T k], where the chosen experts are: [G, T]. */
  spread(flat?: string): string;
  byChoices(shape: readonly number[] | undefined): boolean;
  /** Whether all that uses a value makes a column of it. */
  becomesColumn(name: string): boolean;
}

type Rule = (around: Around, node: NodeProto) => Given;

const plain = { type: 0, f: 0, i: 0, s: new Uint8Array(), t: new Uint8Array(), g: null, floats: [], ints: [] };
const attribute = { ...plain, strings: [], graphs: [], refAttrName: "" };

export const integer = (name: string, i: number): AttributeProto => ({ ...attribute, name, type: 2, i });
export const integers = (name: string, ints: readonly number[]): AttributeProto => ({
  ...attribute,
  ...{ name, type: 7, ints },
});
export const floats = (name: string, values: readonly number[]): AttributeProto => ({
  ...attribute,
  ...{ name, type: 6, floats: values },
});

/** Where an index counts as numbers of the region: those that Gather and GatherND take. */
function numbersFor(around: Around, node: NodeProto, index: number): Numbers | undefined {
  const kind = around.kind(node.input[index]);
  const isByPoints = node.opType === "GatherND";
  const isRight = isByPoints ? integerOf(node, "batch_dims", 0) === 0 : integerOf(node, "axis", 0) === 0;
  return kind?.kind === "numbers" && isRight && kind.column === isByPoints ? kind : undefined;
}

const gather: Rule = (around, node) => {
  const [x, index] = node.input.map((name) => around.kind(name));
  if (index?.kind === "run") {
    const isWhole = x?.kind === "rows" && !x.weighted && integerOf(node, "axis", 0) === 0;
    return isWhole ? { kind: "part", expert: index.expert, rows: x } : undefined;
  }
  if (index?.kind === "inverse") {
    const fits = index.column === (node.opType === "GatherND") && integerOf(node, "axis", 0) === 0;
    return fits && x?.kind === "rows" ? { kind: "back", rows: x } : undefined;
  }
  const numbers = numbersFor(around, node, 1);
  return numbers === undefined || x !== undefined ? undefined : gathered(around, node, numbers);
};

/** Rows of tokens, numbers of pairs, or rows of experts. */
function gathered(around: Around, node: NodeProto, { of, table }: Numbers): Given {
  const [x] = node.input;
  if (of === "key") {
    const rank = around.routes.rankOf(x);
    const isOfExperts = around.experts > 0 && countsUp(table, around.experts) && rank !== undefined && rank > 0;
    const dense = isOfExperts ? around.emit("Unsqueeze", [x, around.integers([1])]) : "";
    return isOfExperts ? { kind: "rows", dense, rank: rank - 1, weighted: false } : undefined;
  }
  if (countsUp(table) && around.becomesColumn(node.output[0])) {
    return { kind: "rows", dense: around.spread(x), rank: 0, weighted: true };
  }
  const dense = around.areTokens(table) ? around.emit("Unsqueeze", [x, around.integers([0])]) : undefined;
  return dense === undefined ? undefined : { kind: "rows", dense, rank: 1, weighted: false };
}

/** How many pairs each expert has: ones added up where the experts are; or the inverse of the order. */
const scatter: Rule = (around, node) => {
  const numbers = around.kind(node.input[1]);
  const [data, updates] = [node.input[0], node.input[2]];
  if (numbers?.kind !== "numbers" || around.kind(data) !== undefined || around.kind(updates) !== undefined) {
    return undefined;
  }
  const reduction = node.attribute.find(({ name }) => name === "reduction")?.s ?? new Uint8Array();
  const adds = new TextDecoder().decode(reduction) === "add";
  if (numbers.of === "place") {
    const fits = !adds && numbers.column && countsUp(numbers.table) && isCounting(around, updates);
    return fits ? { kind: "inverse", column: false } : undefined;
  }
  const zeros = around.routes.known(data);
  const isEmpty = zeros?.shape.length === 1 && Array.from(zeros.data).every((value) => value === 0);
  const count = zeros?.data.length ?? 0;
  if (!isEmpty || !adds || numbers.column || !countsUp(numbers.table, count) || !isOnes(around, updates)) {
    return undefined;
  }
  around.experts = count;
  return { kind: "counts" };
};

/** 0, 1, 2 …, as long as it need be. */
function isCounting({ routes }: Around, name: string): boolean {
  const known = routes.known(name);
  const range = routes.producers.get(name);
  const at = (index: number) => routes.known(range?.input[index] ?? "")?.data[0];
  return known === undefined
    ? range?.opType === "Range" && at(0) === 0 && at(2) === 1
    : countsUp(Array.from(known.data));
}

function isOnes({ routes }: Around, name: string): boolean {
  const node = routes.producers.get(name);
  const known = routes.known(node?.opType === "Expand" ? node.input[0] : name);
  return known !== undefined && Array.from(known.data).every((value) => value === 1);
}

const add: Rule = (around, node) => {
  const at = node.input.findIndex((name) => around.kind(name)?.kind === "product");
  const product = around.kind(node.input[at]);
  const bias = pieceOf(around, node.input[1 - at] ?? "");
  return product?.kind === "product" && product.by.length === 1 && bias !== undefined
    ? { ...product, by: [...product.by, bias] }
    : elementwise(around, node);
};

const range: Rule = (around, node) => {
  const [start, end] = node.input.map((name) => around.kind(name));
  const one = around.routes.known(node.input[2])?.data[0];
  if (end?.kind !== "ends" || end.at === undefined || one !== 1) {
    return undefined;
  }
  const from = start === undefined ? around.routes.known(node.input[0])?.data[0] : undefined;
  const follows = end.at === 0 ? from === 0 : start?.kind === "ends" && start.at === end.at - 1;
  return follows ? { kind: "run", expert: end.at } : undefined;
};

const product: Rule = (around, node) => {
  const [part, other] = node.input.map((name) => around.kind(name));
  const weight = pieceOf(around, node.input[1]);
  if (part?.kind === "part" && weight !== undefined) {
    return { kind: "product", expert: part.expert, rows: part.rows, by: [weight] };
  }
  const isMatrix = part?.kind === "rows" && part.rank === 1 && !part.weighted && other === undefined;
  return isMatrix && around.routes.rankOf(node.input[1]) === 2 ? { ...part, dense: denseOf(around, node) } : undefined;
};

function denseOf(around: Around, node: NodeProto): string {
  return around.again(
    node,
    node.input.map((name) => around.rows(name)?.dense ?? name),
  )[0];
}

/** Which part of a stack of every expert's a name is. */
function pieceOf({ routes }: Around, name: string): Piece | undefined {
  const squeezed = routes.producers.get(name);
  const split = routes.producers.get(squeezed?.input[0] ?? "");
  const isPiece = squeezed?.opType === "Squeeze" && split?.opType === "Split" && integerOf(split, "axis", 0) === 0;
  const isFirst = isPiece && routes.list(squeezed.input[1])?.join() === "0";
  return isFirst ? { stack: split.input[0], at: split.output.indexOf(squeezed.input[0]) } : undefined;
}

/** The experts' products one below the other: all of one thing, each with its part of the same stacks, in order. */
const concat: Rule = (around, node) => {
  const kinds = node.input.map((name) => around.kind(name));
  const [first] = kinds;
  if (first?.kind !== "product") {
    return along(around, node);
  }
  const fits = kinds.every(
    (each, i) =>
      each?.kind === "product" &&
      each.expert === i &&
      each.rows === first.rows &&
      each.by.length === first.by.length &&
      each.by.every(({ stack, at }, j) => at === i && stack === first.by[j].stack),
  );
  if (!fits || kinds.length !== around.experts || integerOf(node, "axis", 0) !== 0) {
    return undefined;
  }
  const [weight, bias] = first.by;
  const multiplied = around.emit("MatMul", [first.rows.dense, weight.stack]);
  const shifted =
    bias && around.emit("Add", [multiplied, around.emit("Unsqueeze", [bias.stack, around.integers([1])])]);
  return { ...first.rows, dense: shifted ?? multiplied };
};

const split: Rule = (around, node) => {
  const kind = around.kind(node.input[0]);
  const isWhole = kind?.kind === "ends" && kind.at === undefined && node.output.length === around.experts;
  return isWhole && integerOf(node, "axis", 0) === 0
    ? node.output.map((_, at) => ({ kind: "ends", at }) as const)
    : along(around, node);
};

const cumulative: Rule = (around, { input, attribute: given }) =>
  around.kind(input[0])?.kind === "counts" && given.every(({ i }) => i === 0) ? { kind: "ends" } : undefined;

/** What changes the type or the shape alone. */
const passed: Rule = (around, node) => {
  const kind = around.kind(node.input[0]);
  const shape = around.routes.list(node.input[1]);
  switch (kind?.kind) {
    case "counts":
      return node.opType === "Cast" ? kind : undefined;
    case "ends":
      return node.opType === "Cast" || (node.opType === "Squeeze" && kind.at !== undefined) ? kind : undefined;
    case "inverse":
      return node.opType === "Unsqueeze" && !kind.column ? { ...kind, column: true } : undefined;
    case "back":
      return node.opType === "Reshape" && around.byChoices(shape) ? { kind: "choices", rows: kind.rows } : undefined;
    case "rows":
      return node.opType === "Cast" ? elementwise(around, node) : column(around, node, kind, shape);
    default:
      return undefined;
  }
};

/** Numbers of pairs beside their rows. */
function column(around: Around, node: NodeProto, rows: Rows, shape: readonly number[] | undefined): Given {
  const isColumn = isColumnOf(node, shape) && rows.rank === 0;
  const dense = isColumn ? around.emit("Unsqueeze", [rows.dense, around.integers([-1])]) : "";
  return isColumn ? { ...rows, dense, rank: 1 } : undefined;
}

/** Whether a node makes [n, 1] of [n]. */
export function isColumnOf({ opType }: NodeProto, shape: readonly number[] | undefined): boolean {
  const text = shape?.join();
  return (opType === "Unsqueeze" && (text === "-1" || text === "1")) || (opType === "Reshape" && text === "-1,1");
}

/** Operators that look at one element of each argument. What is weighted may be scaled, and nothing else. */
const elementwise: Rule = (around, node) => {
  const rows = node.input.map((name) => around.rows(name));
  const all = rows.filter((each): each is Rows => each !== undefined);
  const rank = Math.max(...all.map((each) => each.rank));
  const fits = node.input.every((name, i) => {
    const other = name === "" ? 0 : around.routes.rankOf(name);
    return rows[i] !== undefined ? rows[i].rank === rank : other !== undefined && other <= rank;
  });
  const weighted = all.filter((each) => each.weighted).length;
  const { opType } = node;
  const isScaled =
    opType === "Cast" || (weighted === 1 && (opType === "Mul" || (opType === "Div" && rows[0]?.weighted)));
  return fits && all.length > 0 && (weighted === 0 || isScaled)
    ? { kind: "rows", dense: denseOf(around, node), rank, weighted: weighted > 0 }
    : undefined;
};

/** Operators along an axis, which is one further back behind the experts'; the pairs' own is none of theirs. */
const along: Rule = (around, node) => {
  const rows = node.input.map((name) => around.rows(name));
  const [first] = rows;
  const lists = node.opType === "Slice" ? 3 : node.opType.startsWith("Reduce") ? 1 : undefined;
  const axes = lists === undefined ? [axisOf(node)] : around.routes.list(node.input[lists]);
  const others = node.input.every((name, i) => rows[i] !== undefined || (around.kind(name) === undefined && i > 0));
  const isOfRows = axes?.every((axis) => axis > 0 || (axis < 0 && axis >= -(first?.rank ?? 0)));
  const same = rows.every((each) => each === undefined || (each.rank === first?.rank && !each.weighted));
  const keeps = !node.opType.startsWith("Reduce") || integerOf(node, "keepdims", 1) === 1;
  if (first === undefined || first.rank === 0 || !others || isOfRows !== true || !same || !keeps) {
    return undefined;
  }
  const moved = axes!.map((axis) => (axis < 0 ? axis : axis + 1));
  const input = node.input.map((name, i) => (i === lists ? around.integers(moved) : (rows[i]?.dense ?? name)));
  const unlisted = node.attribute.filter(({ name }) => name !== "axis");
  const given = lists === undefined ? [...unlisted, integer("axis", moved[0])] : node.attribute;
  return around.again(node, input, given).map((dense) => ({ ...first, dense }));
};

/** The axis of an operator by its own default. */
function axisOf(node: NodeProto): number {
  return integerOf(node, "axis", node.opType === "Split" || node.opType === "Concat" ? 0 : -1);
}

const ELEMENTWISE = [
  ...[
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Min",
    "Max",
    "Clip",
    "Neg",
    "Abs",
    "Exp",
    "Log",
    "Sqrt",
    "Reciprocal",
    "Erf",
    "Relu",
  ],
  ...["Sigmoid", "Tanh", "Gelu", "Softplus", "Swish", "Mish", "HardSwish", "HardSigmoid", "LeakyRelu", "Elu", "Selu"],
];
const ALONG = [
  ...["Slice", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceSumSquare", "ReduceL2", "Softmax"],
  ...["LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"],
];

export const RULES: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(ELEMENTWISE.map((op) => [op, elementwise])),
  ...Object.fromEntries(ALONG.map((op) => [op, along])),
  Add: add,
  Cast: passed,
  Concat: concat,
  CumSum: cumulative,
  Gather: gather,
  GatherND: gather,
  MatMul: product,
  Range: range,
  Reshape: passed,
  ScatterElements: scatter,
  ScatterND: scatter,
  Split: split,
  Squeeze: passed,
  Unsqueeze: passed,
};
