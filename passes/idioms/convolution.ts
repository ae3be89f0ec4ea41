/** A convolution whose windows do not overlap (a vision transformer's patches) is a product of the rows of patches. */
import { sameShape } from "../../ir/shape.js";
import { sizeOf } from "../../ir/tensor/value.js";
import type { Rule } from "../rewriter.js";
import { integersOf } from "../rules/common.js";

const patches: Rule = {
  name: "patches",
  ops: ["convolution"],
  apply(node, rewriter) {
    const [x, weight, bias] = node.args;
    const kernel = weight.type.shape.slice(2);
    const [batch, channels, ...spatial] = x.type.shape;
    const filters = weight.type.shape[0];
    const plain =
      node.attributes.groups === 1 &&
      sameShape(integersOf(node, "strides"), kernel) &&
      integersOf(node, "pads").every((pad) => pad === 0) &&
      spatial.every((size, i) => size % kernel[i] === 0);
    if (!plain) {
      return { why: "windows overlap, are padded or grouped, or do not fill the image" };
    }
    const counts = spatial.map((size, i) => size / kernel[i]);
    const make = (op: string, args: Parameters<typeof rewriter.emit>[1], attributes = {}) =>
      rewriter.emit(op, args, attributes, node.origin);
    const cut = make("reshape", [x], { shape: [batch, channels, ...counts.flatMap((count, i) => [count, kernel[i]])] });
    const outer = counts.map((_, i) => 2 + 2 * i);
    const turned = make("transpose", [cut], { permutation: [0, ...outer, 1, ...outer.map((axis) => axis + 1)] });
    const width = channels * sizeOf(kernel);
    const rows = make("reshape", [turned], { shape: [batch, sizeOf(counts), width] });
    const flat = make("reshape", [weight], { shape: [filters, width] });
    const product = make("matmul", [rows, make("transpose", [flat], { permutation: [1, 0] })]);
    const sum = bias === undefined ? product : make("add", [product, bias]);
    const columns = make("transpose", [sum], { permutation: [0, 2, 1] });
    return make("reshape", [columns], { shape: node.type.shape });
  },
};

export const CONVOLUTION: readonly Rule[] = [patches];
