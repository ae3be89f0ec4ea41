/**
 * A convolution of secrets is one matrix product for each group: the windows of the padded image are rows (a strided
 * view that reads elements more than once, local like every movement), the filters are columns. What is opened is the
 * result, as of any product.
 */
import { stridesOf } from "../../ir/shape.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { fractionOf, isSource, type Lowering, type ShareNode, shapeOf, type TensorNode } from "./context.js";
import { padded, reshapeTo } from "./movement.js";

export function lowerConvolution(lowering: Lowering, node: TensorNode): ShareNode {
  const [, kernel, bias] = node.args;
  const groups = node.attributes.groups as number;
  const [batch, channels, ...out] = node.type.shape;
  const perGroup = channels / groups;
  const width = sizeOf(kernel.type.shape.slice(1));
  const rows = reshapeTo(lowering, windowsOf(lowering, node), [batch, groups, sizeOf(out), width]);
  const filters = lowering.masked(kernel, fractionFor(lowering, kernel));
  const columns = lowering.emit("view", [filters], {
    shape: [groups, width, perGroup],
    strides: [perGroup * width, 1, width],
    offset: 0,
  });
  const product = lowering.bounded(
    lowering.emit("matmul", [rows, columns], { drop: 0, keep: [] }),
    lowering.boundOf(node),
  );
  const sum = bias === undefined ? product : withBias(lowering, product, bias, [groups, 1, perGroup]);
  const positions = sizeOf(out);
  const turned = lowering.emit("view", [sum], {
    shape: [batch, groups, perGroup, positions],
    strides: [groups * positions * perGroup, positions * perGroup, 1, perGroup],
    offset: 0,
  });
  lowering.bounded(turned, lowering.boundOf(node));
  return reshapeTo(lowering, turned, node.type.shape);
}

function fractionFor(lowering: Lowering, argument: TensorNode): number {
  return isSource(argument) ? lowering.precision.weight : lowering.precision.activation;
}

/** The windows of the image: [batch, groups, position…, channel, kernel…]. */
function windowsOf(lowering: Lowering, { args, attributes, type }: TensorNode): ShareNode {
  const [image, kernel] = args;
  const out = type.shape.slice(2);
  const reach = kernel.type.shape.slice(2);
  const [strides, pads, dilations] = ["strides", "pads", "dilations"].map((name) => attributes[name] as number[]);
  const [low, high] = [pads.slice(0, out.length), pads.slice(out.length)];
  const x = lowering.masked(image, fractionFor(lowering, image));
  const whole = padded(lowering, x, [0, 0, ...low], [0, 0, ...high], 0);
  const [ofBatch, ofChannel, ...ofAxis] = stridesOf(shapeOf(whole));
  const groups = attributes.groups as number;
  const perGroup = kernel.type.shape[1];
  return lowering.emit("view", [whole], {
    shape: [type.shape[0], groups, ...out, perGroup, ...reach],
    strides: [
      ofBatch,
      perGroup * ofChannel,
      ...ofAxis.map((stride, i) => stride * strides[i]),
      ofChannel,
      ...ofAxis.map((stride, i) => stride * dilations[i]),
    ],
    offset: 0,
  });
}

function withBias(lowering: Lowering, product: ShareNode, bias: TensorNode, shape: readonly number[]): ShareNode {
  const fraction = fractionOf(product);
  const row = reshapeTo(lowering, lowering.additive(lowering.value(bias, fraction), fraction), shape);
  return lowering.emit("add", [product, row]);
}
