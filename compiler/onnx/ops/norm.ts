/**
 * Softmax and the normalisations. The tensor graph's norms work on the last axis and have no scale or bias: those are a
 * product and a sum, so that the export that writes them apart gives the same graph.
 */
import { sizeOf } from "../../../ir/tensor/value.js";
import { type Call, type Convert, type OperatorFamily, rule } from "../call.js";
import type { Emitter, Value } from "../emitter.js";

/** Before operator set 13 the axis (1 by default) cut the tensor into a matrix; since, it is the one axis (-1). */
function softmax(op: string): Convert {
  return (call) => {
    const { emitter } = call;
    const x = call.input(0);
    const { shape } = x.type;
    const axis = call.axis(call.integer("axis", call.opset < 13 ? 1 : -1), Math.max(1, shape.length));
    if (call.opset >= 13 || axis === shape.length - 1) {
      return [emitter.emit(op, [x], { axis })];
    }
    const matrix = emitter.reshape(x, [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis))]);
    return [emitter.reshape(emitter.emit(op, [matrix], { axis: 1 }), shape)];
  };
}

/** Views the axes from `axis` on as one last axis, applies, and views back. */
function onLastAxis(emitter: Emitter, x: Value, axis: number, apply: (flat: Value) => Value): Value {
  const { shape } = x.type;
  const flat = axis === shape.length - 1 ? x : emitter.reshape(x, [...shape.slice(0, axis), sizeOf(shape.slice(axis))]);
  return emitter.reshape(apply(flat), shape);
}

/** Mean and 1/sqrt(variance + epsilon) over the axes from `axis` on, which are kept. */
export function moments(
  emitter: Emitter,
  x: Value,
  axis: number,
  epsilon: number,
): readonly [mean: Value, inverse: Value] {
  const axes = x.type.shape.map((_, i) => i).slice(axis);
  const mean = emitter.reduce("reduceMean", x, axes, true);
  const centred = emitter.subtract(x, mean);
  const variance = emitter.reduce("reduceMean", emitter.multiply(centred, centred), axes, true);
  return [mean, emitter.emit("reciprocalSquareRoot", [emitter.offset(variance, epsilon)])];
}

/** Layer normalisation over the axes from `axis` on, with scale and perhaps bias. */
export function layerNorm(
  emitter: Emitter,
  x: Value,
  scale: Value | undefined,
  bias: Value | undefined,
  epsilon: number,
  axis = x.type.shape.length - 1,
): Value {
  const normal = onLastAxis(emitter, x, axis, (flat) => emitter.emit("layerNorm", [flat], { epsilon }));
  const scaled = scale === undefined ? normal : emitter.multiply(normal, scale);
  return bias === undefined ? scaled : emitter.add(scaled, bias);
}

/** Root-mean-square normalisation over the axes from `axis` on, with scale. */
export function rmsNorm(
  emitter: Emitter,
  x: Value,
  scale: Value,
  epsilon: number,
  axis = x.type.shape.length - 1,
): Value {
  const normal = onLastAxis(emitter, x, axis, (flat) => emitter.emit("rmsNorm", [flat], { epsilon }));
  return emitter.multiply(normal, scale);
}

function layerNormalization(call: Call): readonly (Value | undefined)[] {
  const { emitter } = call;
  const x = call.input(0);
  const axis = call.axis(call.integer("axis", -1), x.type.shape.length);
  const epsilon = call.number("epsilon", 1e-5);
  const y = layerNorm(emitter, x, call.input(1), call.optional(2), epsilon, axis);
  return call.wants(1) || call.wants(2) ? [y, ...moments(emitter, x, axis, epsilon)] : [y];
}

function rmsNormalization(call: Call): readonly (Value | undefined)[] {
  const x = call.input(0);
  const axis = call.axis(call.integer("axis", -1), x.type.shape.length);
  return [rmsNorm(call.emitter, x, call.input(1), call.number("epsilon", 1e-5), axis)];
}

/** A vector over channels, shaped to act on axis 1 of x. */
function onChannels(emitter: Emitter, vector: Value, x: Value): Value {
  return emitter.reshape(vector, [sizeOf(vector.type.shape), ...x.type.shape.slice(2).map(() => 1)]);
}

/** Inference form only: the running mean and variance are inputs. */
function batchNormalization(call: Call): readonly Value[] {
  const { emitter } = call;
  if (call.flag("training_mode", false)) {
    throw call.refuse("training mode", "it computes the statistics of a batch", "export the model in evaluation mode");
  }
  const x = call.input(0);
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((i) => call.input(i));
  const inverse = emitter.emit("reciprocalSquareRoot", [emitter.offset(variance, call.number("epsilon", 1e-5))]);
  const factor = emitter.multiply(scale, inverse);
  const term = emitter.subtract(bias, emitter.multiply(mean, factor));
  return [emitter.add(emitter.multiply(x, onChannels(emitter, factor, x)), onChannels(emitter, term, x))];
}

/** Normalises each of `groups` groups of channels of each row, then scales and shifts each channel. */
function groupNorm(call: Call, groups: number): readonly Value[] {
  const { emitter } = call;
  const x = call.input(0);
  const [rows, channels, ...rest] = x.type.shape;
  if (!(groups >= 1) || channels % groups !== 0) {
    throw call.malformed(`${channels} channels in ${groups} groups`);
  }
  const flat = emitter.reshape(x, [rows, groups, (channels / groups) * sizeOf(rest)]);
  const normal = emitter.emit("layerNorm", [flat], { epsilon: call.number("epsilon", 1e-5) });
  const perChannel = (vector: Value): Value =>
    call.opset < 21 && groups !== channels && sizeOf(vector.type.shape) === groups
      ? emitter.reshape(emitter.broadcast(emitter.reshape(vector, [groups, 1]), [groups, channels / groups]), [
          channels,
        ])
      : vector;
  const scale = onChannels(emitter, perChannel(call.input(1)), x);
  const bias = onChannels(emitter, perChannel(call.input(2)), x);
  return [emitter.add(emitter.multiply(emitter.reshape(normal, x.type.shape), scale), bias)];
}

/** x over its p-norm along one axis. */
function lpNormalization(call: Call): readonly Value[] {
  const { emitter } = call;
  const x = call.input(0);
  const axis = call.axis(call.integer("axis", -1), x.type.shape.length);
  const first = call.integer("p", 2) === 1;
  const size = first ? emitter.emit("absolute", [x]) : emitter.multiply(x, x);
  const sum = emitter.reduce("reduceSum", size, [axis], true);
  return [emitter.divide(x, first ? sum : emitter.emit("squareRoot", [sum]))];
}

function meanVarianceNormalization(call: Call): readonly Value[] {
  const { emitter } = call;
  const x = call.input(0);
  const axes = call.axes(call.integers("axes") ?? [0, 2, 3], x.type.shape.length);
  const centred = emitter.subtract(x, emitter.reduce("reduceMean", x, axes, true));
  const variance = emitter.reduce("reduceMean", emitter.multiply(centred, centred), axes, true);
  return [emitter.divide(centred, emitter.offset(emitter.emit("squareRoot", [variance]), 1e-9))];
}

export const NORM: OperatorFamily = {
  Softmax: rule(1, softmax("softmax")),
  LogSoftmax: rule(1, softmax("logSoftmax")),
  LayerNormalization: rule(1, layerNormalization),
  RMSNormalization: rule(23, rmsNormalization),
  SimplifiedLayerNormalization: rule(1, rmsNormalization),
  BatchNormalization: rule(7, batchNormalization),
  InstanceNormalization: rule(1, (call) => groupNorm(call, call.input(0).type.shape[1])),
  GroupNormalization: rule(18, (call) => groupNorm(call, call.requiredInteger("num_groups"))),
  LpNormalization: rule(1, lpNormalization),
  MeanVarianceNormalization: rule(9, meanVarianceNormalization),
};
