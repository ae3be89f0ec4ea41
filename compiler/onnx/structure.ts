/**
 * Which tensors of a model the compiler looks at while it reads the graph, to fold shapes, masks and positions; all
 * others are parameters of their owner, and stay on disk. What of them a plan may show is decided later, by use
 * (passes/publish.ts).
 *
 * Looked at are: whole numbers, but for large ones that are dequantised; scalars; masks, that is tensors whose values
 * are all 0 or a large negative number or -inf, with at least one negative; matrices of zeros and ones that are a lower
 * or upper triangle; tables of cosines or sines of positions,
 * that is, what an exporter folds a rotary embedding to; and tensors whose every use ends in a sine or cosine (the
 * inverse frequencies), in the caches of a rotary embedding, or in the scales of a resize.
 */

import type { GraphProto, NodeProto } from "../../formats/onnx/schema.js";
import type { StoredTensor } from "../../formats/onnx/tensor-proto.js";
import { isFloat, sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import { trianglesOf } from "../../passes/architecture.js";

/** The least that is surely a mask: exporters use -1e4, -65504, -3.4e38 and -inf. */
const MASKED = -1e4;
const PIECE = 1 << 16;

/** True where all values are 0 or at most -1e4, and one is negative. Reads until the first other value. */
function isMaskLike(tensor: StoredTensor): boolean {
  return (
    !tensor.absent &&
    scan(
      tensor,
      (value) => value === 0 || value <= MASKED,
      (value) => value < 0,
    )
  );
}

/** True where the tensor is a stack of triangles of ones: a causal mask written as numbers. */
function isTriangle(tensor: StoredTensor): boolean {
  const [rows, columns] = tensor.shape.slice(-2);
  if (tensor.absent || tensor.shape.length < 2 || rows < 2 || columns < 2) {
    return false;
  }
  const one = (value: number): boolean => value === 1;
  return trianglesOf(rows, columns).some((at) => scan(tensor, (value, flat) => value === at(flat), one));
}

/** The largest table of rotary angles that is looked for. */
const LARGEST_TABLE = 2 ** 24;

/**
 * True where the tensor [1 …, S, d] holds cosines or sines of S successive positions: no value beyond 1, both halves
 * of the features equal (or neighbours equal), and each column c obeys c[p+1] + c[p-1] = k c[p], as every
 * sinusoid does.
 */
function isRotaryTable(tensor: StoredTensor): boolean {
  const [rows, width] = tensor.shape.slice(-2);
  const count = sizeOf(tensor.shape);
  if (tensor.absent || tensor.shape.length < 2 || rows < 5 || width < 2 || width % 2 === 1) {
    return false;
  }
  if (count !== rows * width || count > LARGEST_TABLE) {
    return false;
  }
  if (!repeatsFeatures(tensor.read(0, width)) || !repeatsFeatures(tensor.read(width, width))) {
    return false;
  }
  const data = tensor.read();
  for (let row = 0; row < rows; row++) {
    if (!repeatsFeatures(data.subarray(row * width, (row + 1) * width))) {
      return false;
    }
  }
  let turns = false;
  for (let column = 0; column < width; column++) {
    if (!isSinusoid(data, column, rows, width)) {
      return false;
    }
    turns ||= Math.abs(data[column] - data[2 * width + column]) > 0.1;
  }
  return turns;
}

function repeatsFeatures(row: ArrayLike<number>): boolean {
  const half = row.length / 2;
  let halves = true;
  let neighbours = true;
  for (let i = 0; i < half; i++) {
    halves &&= row[i] === row[i + half];
    neighbours &&= row[2 * i] === row[2 * i + 1];
  }
  return halves || neighbours;
}

/** The tolerance covers angles of thousands of radians that were rounded to float32. */
function isSinusoid(data: ArrayLike<number>, column: number, rows: number, width: number): boolean {
  const at = (row: number): number => data[row * width + column];
  let top = 0;
  let bottom = 0;
  for (let row = 1; row + 1 < rows; row++) {
    top += at(row) * (at(row + 1) + at(row - 1));
    bottom += at(row) * at(row);
  }
  const factor = bottom === 0 ? 0 : top / bottom;
  for (let row = 1; row + 1 < rows; row++) {
    if (Math.abs(at(row + 1) + at(row - 1) - factor * at(row)) > 2e-3 || !(Math.abs(at(row)) <= 1.0001)) {
      return false;
    }
  }
  return Math.abs(factor) <= 2.001;
}

/** True where every value passes `all` and at least one passes `some`; in pieces, so that a weight is never held. */
function scan(
  tensor: StoredTensor,
  all: (value: number, flat: number) => boolean,
  some: (value: number) => boolean,
): boolean {
  const count = sizeOf(tensor.shape);
  let found = false;
  for (let first = 0; first < count; first += PIECE) {
    const piece = tensor.read(first, Math.min(PIECE, count - first));
    for (let i = 0; i < piece.length; i++) {
      if (!all(piece[i], first + i)) {
        return false;
      }
      found ||= some(piece[i]);
    }
  }
  return found;
}

/** A bias of scores into which an exporter folded a mask, apart again: the bias is a weight, the mask is structure. */
export interface MaskedBias {
  readonly bias: StoredTensor;
  /** Zeros, and what drops a score. */
  readonly mask: TensorValue;
}

/** No bias is as low as a type's last number; −10⁴ may be one. */
const SURELY_MASKED = -1e30;
const LARGEST_BIAS = 2 ** 24;

/** The two parts of a tensor of scores' shape that is added and holds some of a mask's numbers beside others. */
export function maskedBias(tensor: StoredTensor, { users, captured }: Uses): MaskedBias | undefined {
  const taken = users.get(tensor.name) ?? [];
  const isAdded = taken.length > 0 && taken.every(({ node }) => node.opType === "Add") && !captured.has(tensor.name);
  if (!isAdded || tensor.absent || tensor.shape.length < 3 || sizeOf(tensor.shape) > LARGEST_BIAS) {
    return undefined;
  }
  const values = tensor.read();
  const isMasked = (x: number) => x <= SURELY_MASKED;
  if (!values.some(isMasked)) {
    return undefined;
  }
  const { dtype, shape } = tensor;
  const mask = { dtype, shape, data: Float64Array.from(values, (x) => (isMasked(x) ? x : 0)) };
  const read: StoredTensor["read"] = (first, count) => tensor.read(first, count).map((x) => (isMasked(x) ? 0 : x));
  return { bias: { ...tensor, read }, mask };
}

/** True where an initialiser's values may be in the plan. */
export function isPublicTensor(tensor: StoredTensor, uses: Uses): boolean {
  if (!isFloat(tensor.dtype) || tensor.shape.length === 0) {
    return !isStoredWeight(tensor, uses);
  }
  return onlyPositions(tensor.name, uses) || hasPublicValues(tensor);
}

/** Where quantised weights go first: to real numbers, or straight into a product. */
const QUANTISED: ReadonlySet<string> = new Set([
  ...["Cast", "DequantizeLinear", "MatMulInteger", "QLinearMatMul", "ConvInteger", "QLinearConv", "MatMulNBits"],
  ...["GatherBlockQuantized", "QGemm", "MatMulBnb4", "QMoE", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"],
]);
const SMALL_TABLE = 4096;

/** Whole numbers that are weights, told early because they are large: they stay on disk until they are shared. */
function isStoredWeight(tensor: StoredTensor, { users, captured }: Uses): boolean {
  const taken = users.get(tensor.name) ?? [];
  return (
    !isFloat(tensor.dtype) &&
    sizeOf(tensor.shape) > SMALL_TABLE &&
    !captured.has(tensor.name) &&
    taken.length > 0 &&
    taken.every(({ node, index }) => QUANTISED.has(node.opType) || isTableOfFewBits(tensor, node, index))
  );
}

/** Rows of bytes are a table's before they become real numbers; wider whole numbers may be places. */
function isTableOfFewBits({ dtype }: StoredTensor, node: NodeProto, index: number): boolean {
  return (dtype === "i8" || dtype === "u8") && node.opType === "Gather" && index === 0;
}

/** True where a tensor's values show that it is structure. */
export function hasPublicValues(tensor: StoredTensor): boolean {
  return isMaskLike(tensor) || isTriangle(tensor) || isRotaryTable(tensor);
}

/** Who uses each value of a graph, and whether it is an output. */
export interface Uses {
  readonly users: ReadonlyMap<string, readonly { readonly node: NodeProto; readonly index: number }[]>;
  readonly outputs: ReadonlySet<string>;
  /** Names that sub-graphs use; nothing is concluded about them. */
  readonly captured: ReadonlySet<string>;
  /** Answers of `onlyPositions`. */
  readonly memo: Map<string, boolean>;
}

export function usesOf(graph: GraphProto): Uses {
  const users = new Map<string, { node: NodeProto; index: number }[]>();
  const captured = new Set<string>();
  for (const node of graph.node) {
    node.input.forEach((name, index) => {
      const list = users.get(name) ?? [];
      list.push({ node, index });
      users.set(name, list);
    });
    for (const inner of subgraphsOf(node)) {
      collectNames(inner, captured);
    }
  }
  return { users, outputs: new Set(graph.output.map((output) => output.name)), captured, memo: new Map() };
}

function subgraphsOf(node: NodeProto): readonly GraphProto[] {
  return node.attribute.flatMap((attribute) => [...(attribute.g === null ? [] : [attribute.g]), ...attribute.graphs]);
}

function collectNames(graph: GraphProto, into: Set<string>): void {
  for (const node of graph.node) {
    for (const name of node.input) {
      into.add(name);
    }
    for (const inner of subgraphsOf(node)) {
      collectNames(inner, into);
    }
  }
  for (const output of graph.output) {
    into.add(output.name);
  }
}

/** What a list of places goes through on its way to the values there. */
const LISTED: ReadonlySet<string> = new Set(["Transpose", "GatherND", "Cast", "Identity"]);

type NumbersOf = (name: string) => readonly number[] | undefined;

/**
 * True where of places, and what is found there, the last of each row alone is read: `x[ids == eos].view(b, -1, d)` and
 * `[:, -1]` of it, as sequence classifiers have it.
 */
export function readsLast(name: string, uses: Uses, numbersOf: NumbersOf): boolean {
  return everyUse(name, uses, ({ opType, input, output }) =>
    opType === "Reshape"
      ? isByRows(numbersOf(input[1])) && everyUse(output[0], uses, (node) => takesLast(node, numbersOf))
      : LISTED.has(opType) && readsLast(output[0], uses, numbersOf),
  );
}

function everyUse(name: string, { users, outputs, captured }: Uses, isSo: (node: NodeProto) => boolean): boolean {
  const taken = users.get(name) ?? [];
  return taken.length > 0 && !outputs.has(name) && !captured.has(name) && taken.every(({ node }) => isSo(node));
}

/** [rows, as many as there are, width]. */
function isByRows(shape: readonly number[] | undefined): boolean {
  return shape?.length === 3 && shape[1] === -1;
}

/** x[:, -1] or x[:, -1:]. */
function takesLast({ opType, input, attribute }: NodeProto, numbersOf: NumbersOf): boolean {
  const only = (index: number) => {
    const numbers = numbersOf(input[index] ?? "");
    return numbers?.length === 1 ? numbers[0] : undefined;
  };
  if (opType === "Gather") {
    return only(1) === -1 && attribute.some((each) => each.name === "axis" && each.i === 1);
  }
  const isOneStep = input[4] === undefined || input[4] === "" || only(4) === 1;
  return opType === "Slice" && only(1) === -1 && (only(2) ?? 0) >= LAST_INDEX && only(3) === 1 && isOneStep;
}

/** What exporters write for "to the end". */
const LAST_INDEX = 2 ** 31 - 1;

/** Where operators take cosine and sine tables, and scales and regions. */
const STRUCTURE: Readonly<Record<string, readonly number[]>> = {
  GroupQueryAttention: [7, 8],
  Resize: [1, 2, 3],
  Upsample: [1],
};

function takesStructure(node: NodeProto, index: number): boolean {
  if (node.opType === "RotaryEmbedding") {
    return node.domain === "com.microsoft" ? index === 2 || index === 3 : index === 1 || index === 2;
  }
  return STRUCTURE[node.opType]?.includes(index) ?? false;
}

/**
 * True where every path from the value ends in a sine, a cosine, a rotary table or the scales of a resize. Explicit
 * stack: a chain of nodes may be longer than the call stack is deep.
 */
export function onlyPositions(name: string, uses: Uses): boolean {
  const stack = [name];
  const visited = new Set<string>();
  while (stack.length > 0) {
    const current = stack.pop() ?? "";
    if (visited.has(current) || uses.memo.get(current) === true) {
      continue;
    }
    visited.add(current);
    const users = uses.users.get(current) ?? [];
    const open = uses.outputs.has(current) || uses.captured.has(current) || uses.memo.get(current) === false;
    if (open || users.length === 0) {
      uses.memo.set(name, false);
      return false;
    }
    for (const { node, index } of users) {
      if (node.opType !== "Sin" && node.opType !== "Cos" && node.opType !== "Shape" && !takesStructure(node, index)) {
        stack.push(...node.output.filter((output) => output !== ""));
      }
    }
  }
  uses.memo.set(name, true);
  return true;
}
