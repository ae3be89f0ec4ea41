/**
 * Movement sinks: element-wise work is done before a reshape, transpose or broadcast instead of after it. So exports
 * that flatten the batch for a product (`Gemm`) and exports that do not have the same form, factors and biases meet
 * the product that they belong to, and nothing is computed on copies.
 */
import { jointShape, sameShape } from "../../ir/shape.js";
import type { Rewriter, Rule, TensorNode } from "../rewriter.js";
import { inverse, padRank, permute, reshapeGroups, unreshapeOperand } from "../shapes.js";
import { BINARY, BROADCASTING, integersOf, REDUCTIONS, ROWWISE, scalarOf, UNARY } from "./common.js";

const unary: Rule = {
  name: "movement below a function",
  ops: UNARY,
  apply(node, rewriter) {
    const [moved] = node.args;
    if (moved.op !== "reshape" && moved.op !== "transpose" && moved.op !== "broadcast") {
      return undefined;
    }
    const value = rewriter.emit(node.op, [moved.args[0]], node.attributes, node.origin);
    return rewriter.emit(moved.op, [value], moved.attributes, moved.origin);
  },
};

/** f(reshape(a), reshape(b)) of equal reshapes, and f(reshape(a), q) where q fits before the reshape too. */
const binaryReshape: Rule = {
  name: "reshape below an operation",
  ops: BINARY,
  apply(node, rewriter) {
    const [a, b] = node.args;
    for (const view of [a, b]) {
      if (view.op !== "reshape" || !sameShape(view.type.shape, node.type.shape)) {
        continue;
      }
      const source = view.args[0].type.shape;
      const args = node.args.map((each) => beforeReshape(each, view, rewriter));
      const shape = args.every((each) => each !== undefined) && jointShape(...args.map((each) => each!.type.shape));
      if (shape && sameShape(shape, source)) {
        const value = rewriter.emit(node.op, args as TensorNode[], node.attributes, node.origin);
        return rewriter.emit("reshape", [value], { shape: node.type.shape }, node.origin);
      }
    }
    return undefined;
  },
};

/** The operand as it must stand before the reshape `view`. */
function beforeReshape(operand: TensorNode, view: TensorNode, rewriter: Rewriter): TensorNode | undefined {
  const source = view.args[0].type.shape;
  if (operand === view || scalarOf(operand) !== undefined) {
    return operand === view ? view.args[0] : operand;
  }
  const unviewed = operand.op === "reshape" && sameShape(operand.type.shape, view.type.shape);
  if (unviewed && sameShape(operand.args[0].type.shape, source)) {
    return operand.args[0];
  }
  const free = rewriter.isStatic(operand) && !rewriter.isStatic(view);
  const small = free || !sameShape(operand.type.shape, view.type.shape);
  const shape = small ? unreshapeOperand(operand.type.shape, source, view.type.shape) : undefined;
  return shape === undefined ? undefined : rewriter.emit("reshape", [operand], { shape: trim(shape) }, operand.origin);
}

/** Without leading ones, because broadcasting adds them. */
function trim(shape: readonly number[]): readonly number[] {
  const lead = shape.findIndex((size) => size !== 1);
  return lead < 0 ? [] : shape.slice(lead);
}

/** A static operand has no leading ones; another needs no reshape that only gives or takes leading ones. */
const leadingOnes: Rule = {
  name: "operand without leading ones",
  ops: BROADCASTING,
  apply(node, rewriter) {
    const rank = node.type.shape.length;
    const args = node.args.map((each) => {
      if (rewriter.isStatic(each)) {
        const leads = each.op !== "constant" && each.type.shape[0] === 1;
        return leads ? rewriter.emit("reshape", [each], { shape: trim(each.type.shape) }, each.origin) : each;
      }
      const [x] = each.op === "reshape" ? each.args : [each];
      return x.type.shape.length <= rank && sameShape(trim(x.type.shape), trim(each.type.shape)) ? x : each;
    });
    const shape = jointShape(...args.map((each) => each.type.shape));
    const changed = args.some((each, i) => each !== node.args[i]);
    return changed && shape !== undefined && sameShape(shape, node.type.shape)
      ? rewriter.emit(node.op, args, node.attributes, node.origin)
      : undefined;
  },
};

/** f(transpose(a), transpose(b)) of equal permutations, and f(transpose(a), q) for static or smaller q. */
const binaryTranspose: Rule = {
  name: "transpose below an operation",
  ops: BINARY,
  apply(node, rewriter) {
    const rank = node.type.shape.length;
    const view = node.args.find((each) => each.op === "transpose" && sameShape(each.type.shape, node.type.shape));
    if (view === undefined) {
      return undefined;
    }
    const permutation = integersOf(view, "permutation");
    const back = inverse(permutation);
    const args: TensorNode[] = [];
    for (const each of node.args) {
      if (each.op === "transpose" && sameShape(integersOf(each, "permutation"), permutation)) {
        args.push(each.args[0]);
      } else if (scalarOf(each) !== undefined) {
        args.push(each);
      } else if (
        (rewriter.isStatic(each) && !rewriter.isStatic(view)) ||
        !sameShape(each.type.shape, node.type.shape)
      ) {
        const shape = padRank(each.type.shape, rank);
        const full = rewriter.emit("reshape", [each], { shape }, each.origin);
        args.push(rewriter.emit("transpose", [full], { permutation: back }, each.origin));
      } else {
        return undefined;
      }
    }
    const value = rewriter.emit(node.op, args, node.attributes, node.origin);
    return rewriter.emit("transpose", [value], { permutation }, node.origin);
  },
};

/** Operands need no explicit broadcast; where all have one, the result gets it. */
const broadcastOperand: Rule = {
  name: "broadcast below an operation",
  ops: BROADCASTING,
  apply(node, rewriter) {
    if (!node.args.some((each) => each.op === "broadcast")) {
      return undefined;
    }
    const args = node.args.map((each) => (each.op === "broadcast" ? each.args[0] : each));
    const value = rewriter.emit(node.op, args, node.attributes, node.origin);
    return rewriter.emit("broadcast", [value], { shape: node.type.shape }, node.origin);
  },
};

/** softmax and norms work along the last axis: a reshape or transpose that leaves it alone goes below them. */
const rowwise: Rule = {
  name: "movement below a row-wise op",
  ops: ROWWISE,
  apply(node, rewriter) {
    const [view] = node.args;
    const last = node.type.shape.length - 1;
    const along = (node.attributes.axis as number | undefined) ?? last;
    if (node.args.length > 1 || along !== last || (view.op !== "reshape" && view.op !== "transpose")) {
      return undefined;
    }
    const [x] = view.args;
    if (!keepsLastAxis(view)) {
      return undefined;
    }
    const attributes = "axis" in node.attributes ? { axis: x.type.shape.length - 1 } : node.attributes;
    const value = rewriter.emit(node.op, [x], attributes, node.origin);
    return rewriter.emit(view.op, [value], view.attributes, node.origin);
  },
};

function keepsLastAxis(view: TensorNode): boolean {
  const [x] = view.args;
  const [from, to] = [x.type.shape, view.type.shape];
  if (view.op === "transpose") {
    return integersOf(view, "permutation").at(-1) === from.length - 1;
  }
  return from.length > 0 && to.length > 0 && from.at(-1) === to.at(-1);
}

/** Reductions keep their axes; whoever wants them away reshapes. */
const reductionKeeps: Rule = {
  name: "reductions keep axes",
  ops: REDUCTIONS,
  apply(node, rewriter) {
    if (node.attributes.keep === true) {
      return undefined;
    }
    const kept = rewriter.emit(node.op, node.args, { ...node.attributes, keep: true }, node.origin);
    return rewriter.emit("reshape", [kept], { shape: node.type.shape }, node.origin);
  },
};

/** A reduction of a reshape whose reduced axes are whole groups, or of a transpose: before the movement. */
const reductionView: Rule = {
  name: "movement below a reduction",
  ops: REDUCTIONS,
  apply(node, rewriter) {
    const [view] = node.args;
    if (node.attributes.keep !== true || (view.op !== "reshape" && view.op !== "transpose")) {
      return undefined;
    }
    const axes = view.op === "transpose" ? transposedAxes(node, view) : regroupedAxes(node, view);
    if (axes === undefined) {
      return undefined;
    }
    const value = rewriter.emit(node.op, [view.args[0]], { axes, keep: true }, node.origin);
    const attributes = view.op === "reshape" ? { shape: node.type.shape } : view.attributes;
    return rewriter.emit(view.op, [value], attributes, node.origin);
  },
};

function transposedAxes(node: TensorNode, view: TensorNode): number[] {
  const permutation = integersOf(view, "permutation");
  return integersOf(node, "axes")
    .map((axis) => permutation[axis])
    .sort((a, b) => a - b);
}

function regroupedAxes(node: TensorNode, view: TensorNode): number[] | undefined {
  const groups = reshapeGroups(view.args[0].type.shape, view.type.shape);
  const wanted = integersOf(node, "axes");
  const axes: number[] = [];
  for (const { from, to } of groups ?? []) {
    const inside = wanted.filter((axis) => axis >= to[0] && axis < to[1]);
    const real = view.type.shape.flatMap((size, axis) => (axis >= to[0] && axis < to[1] && size !== 1 ? [axis] : []));
    if (real.some((axis) => inside.includes(axis)) !== real.every((axis) => inside.includes(axis))) {
      return undefined;
    }
    if (real.length > 0 && inside.includes(real[0])) {
      axes.push(...view.args[0].type.shape.flatMap((_, axis) => (axis >= from[0] && axis < from[1] ? [axis] : [])));
    }
  }
  return axes.length > 0 ? axes : undefined;
}

/** slice(transpose(x)) and concatenate(transpose(x), …): the transpose comes last. */
const sliceOfTranspose: Rule = {
  name: "transpose below a slice",
  ops: ["slice"],
  apply(node, rewriter) {
    const [view] = node.args;
    if (view.op !== "transpose") {
      return undefined;
    }
    const back = inverse(integersOf(view, "permutation"));
    const attributes = Object.fromEntries(
      ["starts", "ends", "steps"].map((name) => [name, permute(integersOf(node, name), back)]),
    );
    const taken = rewriter.emit("slice", [view.args[0]], attributes, node.origin);
    return rewriter.emit("transpose", [taken], view.attributes, node.origin);
  },
};

const concatenationOfTransposes: Rule = {
  name: "transpose below a concatenation",
  ops: ["concatenate"],
  apply(node, rewriter) {
    const [first] = node.args;
    if (first.op !== "transpose") {
      return undefined;
    }
    const permutation = integersOf(first, "permutation");
    const alike = node.args.every(
      (each) => each.op === "transpose" && sameShape(integersOf(each, "permutation"), permutation),
    );
    if (!alike) {
      return undefined;
    }
    const axis = permutation[node.attributes.axis as number];
    const parts = node.args.map((each) => each.args[0]);
    const joined = rewriter.emit("concatenate", parts, { axis }, node.origin);
    return rewriter.emit("transpose", [joined], { permutation }, node.origin);
  },
};

export const SINKING: readonly Rule[] = [
  ...[unary, leadingOnes, binaryReshape, binaryTranspose, broadcastOperand, rowwise, reductionKeeps, reductionView],
  ...[sliceOfTranspose, concatenationOfTransposes],
];
