/**
 * Orders: sort and top_k. A sort's comparator is a region; what it orders by is found by running it on small numbers
 * and reading off the keys, most significant first. JAX's comparators (NaN last, −0 equal to 0) are the plain order on
 * those samples.
 */
import { axes, type Call, integer, isTuple, malformed, type Rule, unsupported } from "./context.js";
import { constantOf, fromNode, isConstant, type TensorNode, type Value } from "./values.js";

export const ORDERS: Readonly<Record<string, Rule>> = {
  "stablehlo.sort": sort,
  "chlo.top_k": (call, [x]) => topK(call, x, integer(call, "k")),
};

/** The `count` largest along the last axis, and where they are. */
export function topK(call: Call, x: Value, count: number): readonly Value[] {
  const { emitter } = call.context;
  const axis = x.shape.length - 1;
  if (axis < 0 || count < 0 || count > x.shape[axis]) {
    throw malformed(call, `there are no ${count} largest in [${x.shape.join(", ")}]`);
  }
  const node = emitter.whole(x);
  const attributes = { axis, count, largest: true };
  const indices = emitter.cast(fromNode(emitter.emit("topIndices", [node], attributes)), "i32");
  return [fromNode(emitter.emit("topValues", [node], attributes)), indices];
}

interface Key {
  readonly operand: number;
  readonly descending: boolean;
}

/** A comparator over more tensors than this would need too many samples. */
const MOST_OPERANDS = 4;

function sort(call: Call, operands: readonly Value[]): readonly Value[] {
  const { emitter } = call.context;
  const rank = operands[0]?.shape.length ?? 0;
  const [axis] = axes(call, "dimension", [(integer(call, "dimension", -1) + rank) % Math.max(rank, 1)], rank);
  if (operands.length > MOST_OPERANDS || call.operation.regions[0]?.args.length !== 2 * operands.length) {
    throw unsupported(call, `sorts of ${operands.length} tensors`);
  }
  const keys = readComparator(call, operands);
  const nodes = operands.map((operand) => emitter.whole(operand));
  const count = operands[0].shape[axis];
  let order: TensorNode | undefined;
  for (const { operand, descending } of [...keys].reverse()) {
    const key = nodes[operand];
    const current = order === undefined ? key : emitter.emit("gatherElements", [key, order], { axis });
    const next = emitter.emit("topIndices", [current], { axis, count, largest: descending });
    order = order === undefined ? next : emitter.emit("gatherElements", [order, next], { axis });
  }
  return nodes.map((node) =>
    fromNode(order === undefined ? node : emitter.emit("gatherElements", [node, order], { axis })),
  );
}

/** The keys by which the comparator orders; throws E0402 where it is no lexicographic order of its operands. */
function readComparator(call: Call, operands: readonly Value[]): readonly Key[] {
  const { emitter } = call.context;
  const samples = samplesFor(operands);
  const args = samples.map((data, i) => {
    const { dtype } = operands[Math.floor(i / 2)].node.type;
    return fromNode(emitter.constant({ dtype, shape: [data.length], data: Float64Array.from(data) }));
  });
  const [result] = call.context.runRegion(call.operation.regions[0], args, call.scope, true);
  if (result === undefined || isTuple(result) || !isConstant(result.node)) {
    throw unsupported(call, "comparators that use other values than their arguments");
  }
  const { data } = constantOf(result.node);
  const before = samples[0].map((_, i) => (data.length === 1 ? data[0] : data[i]) !== 0);
  const keys: Key[] = [];
  let open = before.map((_, i) => i);
  while (open.some((i) => before[i])) {
    const key = nextKey(operands.length, samples, before, open, keys);
    if (key === undefined) {
      // A comparator that is true for equal elements (LE) orders as its strict form does.
      if (open.every((i) => before[i])) {
        break;
      }
      throw unsupported(call, "comparators that are not a lexicographic order of the sorted tensors");
    }
    keys.push(key);
    open = open.filter((i) => samples[2 * key.operand][i] === samples[2 * key.operand + 1][i]);
  }
  return keys;
}

/** Columns of samples: a0, b0, a1, b1, … over all combinations of small numbers. */
function samplesFor(operands: readonly Value[]): number[][] {
  const columns: number[][] = operands.flatMap(() => [[], []]);
  const levels = columns.map((_, i) => (operands[Math.floor(i / 2)].node.type.dtype === "bool" ? [0, 1] : [1, 2]));
  const total = levels.reduce((product, level) => product * level.length, 1);
  for (let at = 0; at < total; at++) {
    let left = at;
    columns.forEach((column, i) => {
      column.push(levels[i][left % levels[i].length]);
      left = Math.floor(left / levels[i].length);
    });
  }
  return columns;
}

function nextKey(
  count: number,
  samples: readonly (readonly number[])[],
  before: readonly boolean[],
  open: readonly number[],
  used: readonly Key[],
): Key | undefined {
  for (let operand = 0; operand < count; operand++) {
    if (used.some((key) => key.operand === operand)) {
      continue;
    }
    const [a, b] = [samples[2 * operand], samples[2 * operand + 1]];
    for (const descending of [false, true]) {
      const decided = open.filter((i) => a[i] !== b[i]);
      if (decided.every((i) => before[i] === (descending ? a[i] > b[i] : a[i] < b[i]))) {
        return { operand, descending };
      }
    }
  }
  return undefined;
}
