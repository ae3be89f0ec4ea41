/**
 * Functions that the lowering has no formula of their own for, written with those that it has. Every value between is a
 * node, so that calibration bounds it; each form keeps arguments of roots, logarithms and reciprocals on the side where
 * they are defined by construction.
 */

import type { Attributes, Builder } from "../ir/graph.js";
import type { TensorNode } from "../ir/tensor/index.js";
import { isFloat, scalar, sizeOf, type TensorType } from "../ir/tensor/value.js";
import { constantOf } from "./rules/common.js";

/** Emits ops with the origin of the node that they replace. */
interface Forms {
  readonly make: (op: string, ...args: readonly TensorNode[]) => TensorNode;
  readonly emit: (op: string, args: readonly TensorNode[], attributes: Attributes) => TensorNode;
  readonly number: (value: number) => TensorNode;
}

type Decomposition = (forms: Forms, node: TensorNode) => TensorNode | undefined;

const DECOMPOSITIONS: Readonly<Record<string, Decomposition>> = {
  /** tan x = sin 2x / (1 + cos 2x): one angle, and a divisor that is never negative. */
  tangent: ({ make, number }, { args: [x] }) => {
    const twice = make("multiply", x, number(2));
    const divisor = make("add", make("cosine", twice), number(1));
    return make("multiply", make("sine", twice), make("reciprocal", divisor));
  },
  hyperbolicSine: ({ make, number }, { args: [x] }) => {
    const difference = make("subtract", make("exponential", x), make("exponential", make("negate", x)));
    return make("multiply", difference, number(0.5));
  },
  hyperbolicCosine: ({ make, number }, { args: [x] }) => {
    const sum = make("add", make("exponential", x), make("exponential", make("negate", x)));
    return make("multiply", sum, number(0.5));
  },
  /** arcsin x = 2 arctan(x / (1 + √(1 − x²))). */
  arcSine: (forms, { args: [x] }) => arcSine(forms, x),
  arcCosine: (forms, { args: [x] }) => {
    const { make, number } = forms;
    return make("add", make("negate", arcSine(forms, x)), number(Math.PI / 2));
  },
  /** arsinh x = ± ln(|x| + √(x² + 1)). */
  arcHyperbolicSine: ({ make, number }, { args: [x] }) => {
    const root = make("squareRoot", make("add", make("multiply", x, x), number(1)));
    const size = make("logarithm", make("add", make("absolute", x), root));
    return make("select", make("less", x, number(0)), make("negate", size), size);
  },
  /** arcosh x = ln(1 + t + √(t(t + 2))), t = x − 1 ≥ 0. */
  arcHyperbolicCosine: ({ make, number }, { args: [x] }) => {
    const t = make("relu", make("add", x, number(-1)));
    const root = make("squareRoot", make("multiply", t, make("add", t, number(2))));
    return make("logarithm", make("add", make("add", t, root), number(1)));
  },
  /** artanh x = (ln(1 + x) − ln(1 − x)) / 2. */
  arcHyperbolicTangent: ({ make, number }, { args: [x] }) => {
    const above = make("logarithm", make("add", x, number(1)));
    const below = make("logarithm", make("add", make("negate", x), number(1)));
    return make("multiply", make("subtract", above, below), number(0.5));
  },
  /** ln Σ e^x = x_0 − (ln softmax x)_0: exact on its largest term, whatever the size of x. */
  logarithm: (forms, node) => {
    const [sum] = node.args;
    const [powers] = sum.args;
    return sum.op === "reduceSum" && powers.op === "exponential" && sizeOf(powers.type.shape) > 0
      ? logarithmOfSum(forms, powers.args[0], sum.attributes.axes as readonly number[], node.type.shape)
      : undefined;
  },
  /** A product over axes by halves. */
  reduceProduct: ({ make, emit }, node) => {
    const slice = (from: TensorNode, axis: number, start: number, end: number) => {
      const { shape } = from.type;
      const attributes = {
        starts: shape.map((_, i) => (i === axis ? start : 0)),
        ends: shape.map((n, i) => (i === axis ? end : n)),
        steps: shape.map(() => 1),
      };
      return emit("slice", [from], attributes);
    };
    let x = node.args[0];
    for (const axis of node.attributes.axes as readonly number[]) {
      for (let length = x.type.shape[axis]; length > 1; length = x.type.shape[axis]) {
        const half = length >> 1;
        const product = make("multiply", slice(x, axis, 0, half), slice(x, axis, half, 2 * half));
        x = length % 2 === 0 ? product : emit("concatenate", [product, slice(x, axis, 2 * half, length)], { axis });
      }
    }
    return emit("reshape", [x], { shape: node.type.shape });
  },
  /** e^x where a mask keeps it, and 0 elsewhere: Mamba's decays between positions. */
  exponential: ({ make, number }, { args: [x] }) => {
    const masked = maskedBelow(x);
    return masked && make("select", ...masked.choice(make("exponential", masked.value), number(0)));
  },
  topIndices: (forms, node) => (node.attributes.largest === true ? finitelyMasked(forms, node) : undefined),
  argmax: finitelyMasked,
};

/** Far below every value. */
const LOWEST = -1e30;

/** A choice between values and a constant far below all of them: the values, and the same choice between others. */
interface Masked {
  readonly value: TensorNode;
  readonly choice: (value: TensorNode, low: TensorNode) => readonly TensorNode[];
}

function maskedBelow(x: TensorNode): Masked | undefined {
  const isFar = (each: TensorNode) => {
    const far = constantOf(each)?.data;
    return far !== undefined && far.length > 0 && far.every((number) => number <= LOWEST);
  };
  if (x.op !== "select" || isFar(x.args[1]) === isFar(x.args[2])) {
    return undefined;
  }
  const [condition, yes, no] = x.args;
  const [value, isYes] = isFar(no) ? [yes, true] : [no, false];
  const choice: Masked["choice"] = (kept, low) => (isYes ? [condition, kept, low] : [condition, low, kept]);
  return value.type.shape.join() === x.type.shape.join() ? { value, choice } : undefined;
}

/**
 * Where the largest are, with a finite number for what a mask drops: below every x of a row lies −(1 + Σ x²). What was
 * dropped stays equal, so places stay the same (DeepSeek chooses experts out of the groups that it chose).
 */
function finitelyMasked({ make, emit, number }: Forms, node: TensorNode): TensorNode | undefined {
  const masked = maskedBelow(node.args[0]);
  if (masked === undefined) {
    return undefined;
  }
  const { value, choice } = masked;
  const axes = [node.attributes.axis as number];
  const squares = emit("reduceSum", [make("multiply", value, value)], { axes, keep: true });
  const below = make("negate", make("add", squares, number(1)));
  return emit(node.op, [make("select", ...choice(value, below))], node.attributes);
}

function arcSine({ make, number }: Forms, x: TensorNode): TensorNode {
  const rest = make("relu", make("add", make("negate", make("multiply", x, x)), number(1)));
  const divisor = make("add", make("squareRoot", rest), number(1));
  const half = make("arcTangent", make("multiply", x, make("reciprocal", divisor)));
  return make("multiply", half, number(2));
}

function logarithmOfSum(
  { make, emit }: Forms,
  x: TensorNode,
  axes: readonly number[],
  shape: readonly number[],
): TensorNode {
  const kept = x.type.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const moved = emit("transpose", [x], { permutation: [...kept, ...axes] });
  const count = axes.reduce((product, axis) => product * x.type.shape[axis], 1);
  const rows = emit("reshape", [moved], { shape: [sizeOf(x.type.shape) / count, count] });
  const first = (from: TensorNode) =>
    emit("slice", [from], { starts: [0, 0], ends: [from.type.shape[0], 1], steps: [1, 1] });
  const logarithms = emit("logSoftmax", [rows], { axis: 1 });
  return emit("reshape", [make("subtract", first(rows), first(logarithms))], { shape });
}

/** The node in ops that the lowering has formulas for; undefined where it has one of its own. */
export function decomposed(
  node: TensorNode,
  args: readonly TensorNode[],
  builder: Builder<TensorType>,
): TensorNode | undefined {
  const decomposition = DECOMPOSITIONS[node.op];
  if (
    decomposition === undefined ||
    !isFloat(args[0].type.dtype) ||
    args.some(({ type }) => sizeOf(type.shape) === 0)
  ) {
    return undefined;
  }
  const emit: Forms["emit"] = (op, from, attributes) => builder.emit(op, from, attributes, node.origin);
  const make: Forms["make"] = (op, ...from) => emit(op, from, {});
  const number: Forms["number"] = (value) => emit("constant", [], { value: scalar(value, args[0].type.dtype) });
  return decomposition({ make, emit, number }, { ...node, args });
}
