/**
 * Ids that padding is likely to have: those whose row of a table is zeros (torch's `padding_idx`). Where a mask drops a
 * place, inputs that are made up have such an id there, as real ones do: what a norm makes of zeros is then seen.
 */
import type { TensorNode } from "../ir/tensor/index.js";
import type { TensorValue } from "../ir/tensor/value.js";
import type { Placed } from "../passes/place.js";

/** For every input of ids that are looked up in a table with rows of zeros, the first of these. */
export function paddingIds(
  { secret, data, bindings }: Placed,
  model: ReadonlyMap<string, TensorValue>,
): ReadonlyMap<TensorNode, number> {
  const outputOf = new Map(bindings.map(({ input, output }) => [input, output]));
  const given = ({ op, attributes }: TensorNode) =>
    op === "input" ? outputOf.get(attributes.name as string) : undefined;
  const rows = new Map(data.outputs.map(({ name, node }) => [name, node]));
  const found = new Map<TensorNode, number>();
  for (const { args } of secret.nodes.filter(({ op }) => op === "matmul")) {
    const [hot, table] = args.map((each) => given(sourceOf(each)));
    const ids = hot === undefined ? undefined : idsOf(rows.get(hot));
    const values = table === undefined ? undefined : model.get(table);
    const id = values && firstZeroRow(values);
    if (ids !== undefined && id !== undefined && !found.has(ids)) {
      found.set(ids, id);
    }
  }
  return found;
}

/** What a value is a copy of, in another shape or type. */
function sourceOf(node: TensorNode): TensorNode {
  return node.op === "reshape" || node.op === "cast" ? sourceOf(node.args[0]) : node;
}

/** The input that one-hot rows are made of. */
function idsOf(node: TensorNode | undefined): TensorNode | undefined {
  if (node === undefined || node.op === "input") {
    return undefined;
  }
  let source = sourceOf(node);
  if (source.op !== "oneHot") {
    return undefined;
  }
  while (source.op !== "input" && source.args.length > 0) {
    source = source.args[0];
  }
  return source.op === "input" ? source : undefined;
}

function firstZeroRow({ data, shape }: TensorValue): number | undefined {
  const [rows, columns] = shape.length === 2 ? shape : [0, 1];
  for (let row = 0; row < rows; row++) {
    let column = 0;
    while (column < columns && data[row * columns + column] === 0) {
      column += 1;
    }
    if (column === columns) {
      return row;
    }
  }
  return undefined;
}
