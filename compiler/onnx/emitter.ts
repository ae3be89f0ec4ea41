/**
 * Writes the tensor graph for the importer. Its one idea: a node whose arguments are all known at compile time is
 * evaluated at once and becomes a constant. Thereby every shape computation of an export disappears while it is read,
 * and what depends on it (Reshape, Slice, Expand …) always finds its shape as a number.
 *
 * Movements that move nothing return their argument. Constants above a size stay nodes, so that a hostile or careless
 * model cannot fill the memory.
 */

import { located } from "../../ir/diagnostics.js";
import { type Attributes, Builder, definitionOf, type Graph, type Node, type Output } from "../../ir/graph.js";
import { TENSOR } from "../../ir/tensor/index.js";
import {
  type DType,
  isFloat,
  madeOf,
  scalar,
  sizeOf,
  type TensorType,
  type TensorValue,
} from "../../ir/tensor/value.js";

/** A value of the graph being written. */
export type Value = Node<TensorType>;

/** Constants up to this size are always folded: shapes, indices. */
const SMALL = 4096;
/** The largest constant that folding makes, and how many elements it may make in all. */
const LARGEST_FOLD = 2 ** 24;
const MOST_FOLDED = 2 ** 26;

/** The value of a node that is known at compile time. */
export function knownValue(value: Value): TensorValue | undefined {
  return value.op === "constant" ? (value.attributes.value as TensorValue) : undefined;
}

/** The model's inputs that a value is made of. */
export function inputsOf(value: Value): readonly string[] {
  const seen = new Set<Value>([value]);
  for (const each of seen) {
    each.args.forEach((argument) => {
      seen.add(argument);
    });
  }
  return [...seen].flatMap(({ op, attributes }) => (op === "input" ? [String(attributes.name)] : []));
}

/**
 * What the rules of the tensor graph refuse comes from a file here, so it is the file that contradicts itself (E0302).
 */
function fitting<R>(where: string, action: () => R): R {
  const what = (refusal: string) => `the operands do not fit: ${refusal}`;
  return located((refusal) => ({ code: "E0302", what: what(refusal), where, fix: EXPORT_AGAIN }), action);
}

const EXPORT_AGAIN = "check the shapes that were given (--shape, --dim); if they are right, export the model again";

export class Emitter {
  private readonly builder = new Builder<TensorType>(TENSOR);
  private readonly sharedConstants = new Map<string, Value>();
  private folded = 0;
  /** The name of the source node that is being translated. */
  origin = "";

  /** A node, or its value where all arguments are known. */
  emit(op: string, args: readonly Value[], attributes: Attributes = {}): Value {
    return fitting(this.origin, () => this.emitOrFold(op, args, attributes));
  }

  private emitOrFold(op: string, args: readonly Value[], attributes: Attributes): Value {
    const node = this.builder.emit(op, args, attributes, this.origin);
    if (args.length === 0 || !this.mayFold(sizeOf(node.type.shape))) {
      return node;
    }
    const values: TensorValue[] = [];
    for (const argument of args) {
      const value = knownValue(argument);
      if (value === undefined) {
        return node;
      }
      values.push(value);
    }
    const result = definitionOf(TENSOR, op).evaluate(values, attributes, node.type);
    this.folded += result.data.length > SMALL ? result.data.length : 0;
    return this.fixed({ ...result, ...madeOf(values) });
  }

  private mayFold(count: number): boolean {
    return count <= SMALL || (count <= LARGEST_FOLD && this.folded + count <= MOST_FOLDED);
  }

  /** A constant that follows from shapes and attributes alone. */
  constant(value: TensorValue): Value {
    return this.fixed({ ...value, made: true });
  }

  /** A constant that the model's file holds, or that is made of such. */
  fixed(value: TensorValue): Value {
    return this.builder.emit("constant", [], { value }, this.origin);
  }

  /** A constant that several nodes need: made once. `key` tells it from all others. */
  shared(key: string, make: () => TensorValue): Value {
    const known = this.sharedConstants.get(key);
    if (known !== undefined) {
      return known;
    }
    const value = this.constant(make());
    this.sharedConstants.set(key, value);
    return value;
  }

  /** A rank-0 constant. */
  scalar(value: number, dtype: DType): Value {
    return this.constant({ dtype, shape: [], data: Float64Array.of(value) });
  }

  /** A constant of whole numbers with the given shape (a vector by default). */
  integers(values: readonly number[], shape: readonly number[] = [values.length], dtype: DType = "i64"): Value {
    return this.constant({ dtype, shape, data: Float64Array.from(values) });
  }

  /** A tensor of a known tensor's first number: of the model's file, unless that is made from shapes. */
  filledLike(known: TensorValue, shape: readonly number[]): Value {
    const { dtype, data } = known;
    return this.broadcast(this.fixed({ dtype, shape: [], data: Float64Array.of(data[0]), ...madeOf([known]) }), shape);
  }

  /** A tensor of one value; above the folding size it stays a broadcast. */
  filled(value: number, shape: readonly number[], dtype: DType): Value {
    return this.broadcast(this.scalar(value, dtype), shape);
  }

  input(name: string, dtype: DType, shape: readonly number[]): Value {
    return this.builder.emit("input", [], { name, dtype, shape }, name);
  }

  parameter(name: string, dtype: DType, shape: readonly number[]): Value {
    return this.builder.emit("parameter", [], { name, dtype, shape }, name);
  }

  finish(outputs: readonly Output<TensorType>[]): Graph<TensorType> {
    return this.builder.finish(outputs);
  }

  add(x: Value, y: Value): Value {
    return this.emit("add", [x, y]);
  }

  subtract(x: Value, y: Value): Value {
    return this.emit("subtract", [x, y]);
  }

  multiply(x: Value, y: Value): Value {
    return this.emit("multiply", [x, y]);
  }

  divide(x: Value, y: Value): Value {
    return this.emit("divide", [x, y]);
  }

  /** x times a number; x itself for one. */
  scale(x: Value, factor: number): Value {
    return factor === 1 ? x : this.multiply(x, this.scalar(factor, x.type.dtype));
  }

  /** x times a number that stands in the model's file: a plan shows it only if it follows from the architecture. */
  weigh(x: Value, factor: number): Value {
    return factor === 1 ? x : this.multiply(x, this.fixed(scalar(factor, x.type.dtype)));
  }

  /** x plus a number. */
  offset(x: Value, term: number): Value {
    return this.add(x, this.scalar(term, x.type.dtype));
  }

  matmul(x: Value, y: Value): Value {
    return this.emit("matmul", [x, y]);
  }

  cast(x: Value, dtype: DType): Value {
    return x.type.dtype === dtype ? x : this.emit("cast", [x], { dtype });
  }

  reshape(x: Value, shape: readonly number[]): Value {
    return sameNumbers(x.type.shape, shape) ? x : this.emit("reshape", [x], { shape });
  }

  transpose(x: Value, permutation: readonly number[]): Value {
    return permutation.every((axis, i) => axis === i) ? x : this.emit("transpose", [x], { permutation });
  }

  /** Exchanges the last two axes. */
  transposeLast(x: Value): Value {
    const rank = x.type.shape.length;
    const axes = [...Array(rank).keys()];
    return this.transpose(x, [...axes.slice(0, -2), rank - 1, rank - 2]);
  }

  broadcast(x: Value, shape: readonly number[]): Value {
    return sameNumbers(x.type.shape, shape) ? x : this.emit("broadcast", [x], { shape });
  }

  concatenate(parts: readonly Value[], axis: number): Value {
    return parts.length === 1 ? parts[0] : this.emit("concatenate", parts, { axis });
  }

  /** The part [start, end) of one axis, by `step` (positive). */
  sliceAxis(x: Value, axis: number, start: number, end: number, step = 1): Value {
    const shape = x.type.shape;
    if (start === 0 && end === shape[axis] && step === 1) {
      return x;
    }
    return this.emit("slice", [x], {
      starts: shape.map((_, i) => (i === axis ? start : 0)),
      ends: shape.map((n, i) => (i === axis ? end : n)),
      steps: shape.map((_, i) => (i === axis ? step : 1)),
    });
  }

  select(condition: Value, x: Value, y: Value): Value {
    return this.emit("select", [condition, x, y]);
  }

  reduce(op: string, x: Value, axes: readonly number[], keep: boolean): Value {
    return axes.length === 0 ? x : this.emit(op, [x], { axes, keep });
  }

  /** Rows of a table, or any gather: an embedding is a float matrix that is looked up by values not known here. */
  gather(x: Value, indices: Value, axis: number): Value {
    const lookUp = axis === 0 && x.type.shape.length === 2 && isFloat(x.type.dtype);
    if (lookUp && knownValue(x) === undefined && knownValue(indices) === undefined) {
      return this.emit("embedding", [x, indices]);
    }
    return this.emit("gather", [x, indices], { axis });
  }
}

export function sameNumbers(x: readonly number[], y: readonly number[]): boolean {
  return x.length === y.length && x.every((n, i) => n === y[i]);
}
