/**
 * Emits tensor nodes for the importer. Two ideas keep the graph small and equal to what other front ends give:
 *
 * - A value may be *broadcast on paper only*: its node has a smaller shape that broadcasts (numpy rules) to the shape
 *   the module declares. Elementwise operations broadcast by themselves, so `broadcast_in_dim`, a third of every JAX
 *   module, costs a reshape at most.
 * - Whatever depends on constants only is computed here and now (`fold`), so that shape arithmetic, masks and loop
 *   counters never reach the graph.
 */
import { fail } from "../../ir/diagnostics.js";
import { type Attributes, Builder, definitionOf } from "../../ir/graph.js";
import { jointShape, sameShape } from "../../ir/shape.js";
import { TENSOR, type TensorNode } from "../../ir/tensor/index.js";
import { type DType, madeOf, sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";

export type { TensorNode };

/** A node whose shape broadcasts to `shape`, which is what the module says the value has. */
export interface Value {
  readonly node: TensorNode;
  readonly shape: readonly number[];
}

/** Constants with more elements than this are left as nodes instead of being computed. */
const LARGEST_FOLD = 2 ** 23;
/** No value of a model that anyone runs has more elements. */
const LARGEST_VALUE = 2 ** 33;

export class Emitter {
  readonly builder = new Builder<TensorType>(TENSOR);
  /** The source name that new nodes get. */
  origin = "";

  /** A node, computed at once if its arguments are constants. */
  emit(op: string, args: readonly TensorNode[], attributes: Attributes = {}): TensorNode {
    const folded = args.length > 0 && args.every(isConstant) ? this.fold(op, args, attributes) : undefined;
    return folded ?? this.builder.emit(op, args, attributes, this.origin);
  }

  private fold(op: string, args: readonly TensorNode[], attributes: Attributes): TensorNode | undefined {
    const definition = definitionOf(TENSOR, op);
    const type = definition.infer(
      args.map((argument) => argument.type),
      attributes,
    );
    if (sizeOf(type.shape) > LARGEST_FOLD) {
      return undefined;
    }
    const values = args.map(constantOf);
    return this.fixed({ ...definition.evaluate(values, attributes, type), ...madeOf(values) });
  }

  /** A constant that follows from shapes and attributes alone. */
  constant(value: TensorValue): TensorNode {
    return this.fixed({ ...value, made: true });
  }

  /** A constant that the program holds, or that is made of such. */
  fixed(value: TensorValue): TensorNode {
    return this.builder.emit("constant", [], { value }, this.origin);
  }

  scalar(value: number, dtype: DType): TensorNode {
    return this.constant({ dtype, shape: [], data: Float64Array.of(value) });
  }

  /** A reshape, unless the shape is there already; reshapes of reshapes collapse. */
  reshape(node: TensorNode, shape: readonly number[]): TensorNode {
    let source = node;
    while (!sameShape(source.type.shape, shape) && source.op === "reshape") {
      source = source.args[0];
    }
    return sameShape(source.type.shape, shape) ? source : this.emit("reshape", [source], { shape });
  }

  transpose(node: TensorNode, permutation: readonly number[]): TensorNode {
    return permutation.every((axis, i) => axis === i) ? node : this.emit("transpose", [node], { permutation });
  }

  /** The node with the full declared shape. */
  whole(value: Value): TensorNode {
    if (sameShape(value.node.type.shape, value.shape)) {
      return value.node;
    }
    if (sizeOf(value.shape) > LARGEST_VALUE) {
      throw fail({ code: "E0402", what: `a value of shape [${value.shape.join(", ")}] is too large` });
    }
    return this.emit("broadcast", [value.node], { shape: value.shape });
  }

  /** An elementwise operation; the result is as large as its operands need it to be, the rest stays on paper. */
  elementwise(op: string, operands: readonly Value[], attributes: Attributes = {}): Value {
    const node = this.emit(
      op,
      operands.map((operand) => operand.node),
      attributes,
    );
    return { node, shape: operands.map((operand) => operand.shape).reduce(broadcastShapes, []) };
  }

  /** Only where the dtype changes. */
  cast(value: Value, dtype: DType): Value {
    return value.node.type.dtype === dtype ? value : this.elementwise("cast", [value], { dtype });
  }
}

export function isConstant(node: TensorNode): boolean {
  return node.op === "constant";
}

export function constantOf(node: TensorNode): TensorValue {
  return node.attributes.value as TensorValue;
}

/** The value of a constant whose elements are all the same number; undefined otherwise. */
export function splatOf(node: TensorNode): number | undefined {
  if (!isConstant(node)) {
    return undefined;
  }
  const { data } = constantOf(node);
  const first = data[0];
  return data.length > 0 && data.every((x) => Object.is(x, first)) ? first : undefined;
}

export function fromNode(node: TensorNode): Value {
  return { node, shape: node.type.shape };
}

/** The node's shape with leading ones up to the rank of the declared shape. */
export function paddedShape(value: Value): readonly number[] {
  const { shape } = value.node.type;
  return [...Array.from({ length: value.shape.length - shape.length }, () => 1), ...shape];
}

/** The shape without its leading ones: what broadcasting adds back. */
export function withoutLeadingOnes(shape: readonly number[]): readonly number[] {
  const first = shape.findIndex((n) => n !== 1);
  return first === -1 ? [] : shape.slice(first);
}

/** Numpy's broadcasting rule; throws E0302 where the shapes do not fit. */
function broadcastShapes(a: readonly number[], b: readonly number[]): readonly number[] {
  const joint = jointShape(a, b);
  if (joint === undefined) {
    throw fail({ code: "E0302", what: `shapes [${a.join(", ")}] and [${b.join(", ")}] do not fit together` });
  }
  return joint;
}

/** 0, 1, …, count − 1. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
