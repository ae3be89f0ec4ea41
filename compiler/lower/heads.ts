/** Heads of an attention that are computed apart, as their ranges differ: picked from a value, and joined again. */
import { stridesOf } from "../../ir/shape.js";
import { fractionOf, type Lowering, type ShareNode, shapeOf } from "./context.js";

/** Some heads of a value, `axis` being that of the heads; runs of neighbours are one view. */
export function headsOf(lowering: Lowering, x: ShareNode, axis: number, heads: readonly number[]): ShareNode {
  const shape = shapeOf(x);
  const strides = stridesOf(shape);
  if (axis < 0 || heads.length === shape[axis]) {
    return x;
  }
  const runs: { start: number; count: number }[] = [];
  for (const head of heads) {
    const last = runs.at(-1);
    if (last !== undefined && last.start + last.count === head) {
      last.count += 1;
    } else {
      runs.push({ start: head, count: 1 });
    }
  }
  const parts = runs.map(({ start, count }) =>
    lowering.emit("view", [x], { shape: shape.with(axis, count), strides, offset: start * strides[axis] }),
  );
  return parts.length === 1 ? parts[0] : lowering.emit("concatenate", parts, { axis });
}

/** The heads of several parts, in their own order again and at one fraction. */
export function joined(
  lowering: Lowering,
  given: readonly { readonly heads: readonly number[]; readonly value: ShareNode }[],
  axis: number,
): ShareNode {
  if (given.length === 1) {
    return given[0].value;
  }
  const fraction = Math.max(...given.map(({ value }) => fractionOf(value)));
  const parts = given.map(({ heads, value }) => ({ heads, value: lowering.additive(value, fraction) }));
  const places = new Map(parts.flatMap(({ heads, value }) => heads.map((head, i) => [head, { value, i }] as const)));
  const pieces: ShareNode[] = [];
  for (let head = 0; head < places.size; ) {
    const { value, i } = places.get(head)!;
    let count = 1;
    while (places.get(head + count)?.value === value && places.get(head + count)?.i === i + count) {
      count += 1;
    }
    const [shape, strides] = [shapeOf(value), stridesOf(shapeOf(value))];
    pieces.push(lowering.emit("view", [value], { shape: shape.with(axis, count), strides, offset: i * strides[axis] }));
    head += count;
  }
  return lowering.emit("concatenate", pieces, { axis });
}
