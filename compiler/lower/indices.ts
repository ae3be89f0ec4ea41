/**
 * Movements by public indices, and running sums. Where an element of the result comes from, the tensor op itself says:
 * it is evaluated on the numbers of the elements instead of on the elements. What comes from nowhere is a zero.
 */
import { fail } from "../../ir/diagnostics.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import { constantOf, fractionOf, type Lowering, type ShareNode, shapeOf, type TensorNode } from "./context.js";
import { reshapeTo } from "./movement.js";

/** The numbers first, first + 1, … in a shape. */
function numbered(shape: readonly number[], first: number): TensorValue {
  return { dtype: "f64", shape, data: Float64Array.from({ length: sizeOf(shape) }, (_, i) => first + i) };
}

function publicIndices(node: TensorNode): TensorValue {
  const indices = constantOf(node.args[1]);
  if (indices === undefined) {
    throw fail({
      code: "E0402",
      what: `${node.op} with indices that are only known at run time`,
      where: node.origin,
      why: "a plan says where every element goes",
      fix: "export the model with fixed indices, or write the choice as a one-hot matrix product",
    });
  }
  return indices;
}

/** The flat indices of the result's elements among elements numbered from 1; -1 where it has a zero. */
function originsOf(node: TensorNode, args: readonly TensorValue[]): number[] {
  const moved = TENSOR.ops[node.op].evaluate(args, node.attributes, { ...node.type, dtype: "f64" });
  return Array.from(moved.data, (number) => number - 1);
}

/** gatherElements and gatherND by public indices, and a triangle: local. */
export function lowerTake(lowering: Lowering, node: TensorNode): ShareNode {
  const x = lowering.value(node.args[0]);
  const others = node.args.length > 1 ? [publicIndices(node)] : [];
  const indices = originsOf(node, [numbered(shapeOf(x), 1), ...others]);
  return lowering.emit("take", [x], { indices, shape: node.type.shape });
}

/** scatterND and scatterElements by public indices: elements of x and of the updates behind it; local. */
export function lowerScatter(lowering: Lowering, node: TensorNode): ShareNode {
  const indices = publicIndices(node);
  const forms = [node.args[0], node.args[2]].map((argument) => lowering.value(argument));
  const fraction = Math.max(...forms.map(fractionOf));
  const isAdditive = forms.some(({ type }) => type.kind === "additive");
  const [x, updates] = forms.map((form) =>
    isAdditive ? lowering.additive(form, fraction) : lowering.atFraction(form, fraction),
  );
  const count = sizeOf(shapeOf(x));
  const flat = [x, updates].map((value) => reshapeTo(lowering, value, [sizeOf(shapeOf(value))]));
  const numbers = [numbered(shapeOf(x), 1), indices, numbered(shapeOf(updates), 1 + count)];
  const both = lowering.emit("concatenate", flat, { axis: 0 });
  return lowering.emit("take", [both], { indices: originsOf(node, numbers), shape: node.type.shape });
}

/** Running sums along an axis by doubling: log2 of its length local additions. */
export function lowerCumulativeSum(lowering: Lowering, node: TensorNode): ShareNode {
  const shape = node.type.shape;
  const axis = node.attributes.axis as number;
  const sign = node.attributes.reverse === true ? -1 : 1;
  let sums = lowering.value(node.args[0]);
  for (let step = 1; step < shape[axis]; step *= 2) {
    sums = lowering.emit("add", [sums, moved(lowering, sums, axis, sign * step)]);
  }
  return node.attributes.exclusive === true ? moved(lowering, sums, axis, sign) : sums;
}

/** The elements `step` places later along an axis; zeros come in. */
function moved(lowering: Lowering, x: ShareNode, axis: number, step: number): ShareNode {
  const shape = shapeOf(x);
  const inner = sizeOf(shape.slice(axis + 1));
  const indices = Array.from({ length: sizeOf(shape) }, (_, i) => {
    const from = (Math.floor(i / inner) % shape[axis]) - step;
    return from >= 0 && from < shape[axis] ? i - step * inner : -1;
  });
  return lowering.emit("take", [x], { indices, shape });
}
