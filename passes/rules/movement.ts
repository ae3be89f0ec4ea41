/**
 * The normal form of data movement apart from reshapes and transposes (`layout.ts`): no idle or doubled slice,
 * broadcast or concatenation; constant gathers that step evenly are slices; constants are as small as broadcasting
 * allows.
 */
import { jointShape, sameShape } from "../../ir/shape.js";
import { sizeOf } from "../../ir/tensor/value.js";
import type { Rewriter, Rule, TensorNode } from "../rewriter.js";
import { padRank, reshapeGroups, type Shape } from "../shapes.js";
import { BROADCASTING, constantOf, integersOf } from "./common.js";

/** transpose(broadcast(x)) = broadcast(transpose(x)). */
const transposeOfBroadcast: Rule = {
  name: "broadcast below a transpose",
  ops: ["transpose"],
  apply(node, rewriter) {
    const [copies] = node.args;
    if (copies.op !== "broadcast") {
      return undefined;
    }
    const [x] = copies.args;
    const full = rewriter.emit("reshape", [x], { shape: padRank(x.type.shape, node.type.shape.length) }, x.origin);
    const turned = rewriter.emit("transpose", [full], node.attributes, node.origin);
    return rewriter.emit("broadcast", [turned], { shape: node.type.shape }, copies.origin);
  },
};

const broadcast: Rule = {
  name: "idle or doubled broadcast",
  ops: ["broadcast"],
  apply(node, rewriter) {
    const [x] = node.args;
    if (sameShape(x.type.shape, node.type.shape)) {
      return x;
    }
    if (sizeOf(x.type.shape) === sizeOf(node.type.shape)) {
      return rewriter.emit("reshape", [x], { shape: node.type.shape }, node.origin);
    }
    return x.op === "broadcast" ? rewriter.emit("broadcast", [x.args[0]], node.attributes, node.origin) : undefined;
  },
};

const slice: Rule = {
  name: "idle or doubled slice",
  ops: ["slice"],
  apply(node, rewriter) {
    const [x] = node.args;
    const [starts, steps] = [integersOf(node, "starts"), integersOf(node, "steps")];
    const forward = steps.every((step) => step > 0);
    if (forward && sameShape(x.type.shape, node.type.shape)) {
      return x;
    }
    if (x.op === "slice" && forward && integersOf(x, "steps").every((step) => step > 0)) {
      const [innerStarts, innerSteps] = [integersOf(x, "starts"), integersOf(x, "steps")];
      const first = starts.map((start, axis) => innerStarts[axis] + start * innerSteps[axis]);
      const step = steps.map((each, axis) => each * innerSteps[axis]);
      return emitSlice(rewriter, x.args[0], first, node.type.shape, step, node.origin);
    }
    return x.op === "concatenate" && forward ? sliceOfConcatenation(node, x, rewriter) : undefined;
  },
};

/** The slice that starts here, has this shape and these positive steps; ends are as small as they can be. */
export function emitSlice(
  rewriter: Rewriter,
  x: TensorNode,
  starts: Shape,
  shape: Shape,
  steps: Shape,
  origin: string,
): TensorNode {
  const ends = starts.map((start, axis) => (shape[axis] === 0 ? start : start + (shape[axis] - 1) * steps[axis] + 1));
  const plain = steps.map((step, axis) => (shape[axis] <= 1 ? 1 : step));
  return rewriter.emit("slice", [x], { starts, ends, steps: plain }, origin);
}

/** Ends have one spelling: one past the last element taken. */
const sliceEnds: Rule = {
  name: "slice ends",
  ops: ["slice"],
  apply(node, rewriter) {
    const [starts, ends, steps] = ["starts", "ends", "steps"].map((name) => integersOf(node, name));
    if (steps.some((step) => step < 0)) {
      return undefined;
    }
    const next = emitSlice(rewriter, node.args[0], starts, node.type.shape, steps, node.origin);
    const unchanged =
      next.op === "slice" && sameShape(integersOf(next, "ends"), ends) && sameShape(integersOf(next, "steps"), steps);
    return unchanged ? undefined : next;
  },
};

function sliceOfConcatenation(node: TensorNode, whole: TensorNode, rewriter: Rewriter): TensorNode | undefined {
  const axis = whole.attributes.axis as number;
  const [starts, steps] = [integersOf(node, "starts"), integersOf(node, "steps")];
  const last = starts[axis] + (node.type.shape[axis] - 1) * steps[axis];
  let offset = 0;
  for (const part of whole.args) {
    const size = part.type.shape[axis];
    if (starts[axis] >= offset && last < offset + size) {
      const moved = starts.map((start, each) => (each === axis ? start - offset : start));
      return emitSlice(rewriter, part, moved, node.type.shape, steps, node.origin);
    }
    offset += size;
  }
  return undefined;
}

/** One part, empty parts, and neighbouring slices of one value. */
const concatenate: Rule = {
  name: "idle concatenation",
  ops: ["concatenate"],
  apply(node, rewriter) {
    const axis = node.attributes.axis as number;
    if (node.args.length === 1) {
      return node.args[0];
    }
    const parts = node.args.filter((part) => part.type.shape[axis] > 0);
    if (parts.length > 0 && parts.length < node.args.length) {
      return rewriter.emit("concatenate", parts, node.attributes, node.origin);
    }
    for (let i = 0; i + 1 < parts.length; i++) {
      const joined = joinSlices(parts[i], parts[i + 1], axis, rewriter);
      if (joined !== undefined) {
        const next = [...parts.slice(0, i), joined, ...parts.slice(i + 2)];
        return rewriter.emit("concatenate", next, node.attributes, node.origin);
      }
    }
    return undefined;
  },
};

function joinSlices(a: TensorNode, b: TensorNode, axis: number, rewriter: Rewriter): TensorNode | undefined {
  if (a.op !== "slice" || b.op !== "slice" || a.args[0] !== b.args[0]) {
    return undefined;
  }
  const plain = [a, b].every((each) => integersOf(each, "steps").every((step) => step === 1));
  const [startsA, startsB] = [integersOf(a, "starts"), integersOf(b, "starts")];
  const next = startsA.every((start, each) => startsB[each] === (each === axis ? start + a.type.shape[axis] : start));
  const shape = a.type.shape.map((size, each) => (each === axis ? size + b.type.shape[axis] : size));
  return plain && next
    ? emitSlice(
        rewriter,
        a.args[0],
        startsA,
        shape,
        startsA.map(() => 1),
        a.origin,
      )
    : undefined;
}

/** gather(x, constant) whose indices step evenly forward is a slice. */
const gather: Rule = {
  name: "gather at even constant steps",
  ops: ["gather"],
  apply(node, rewriter) {
    const [x, indices] = node.args;
    const value = constantOf(indices);
    const axis = node.attributes.axis as number;
    const size = x.type.shape[axis];
    if (value === undefined || value.data.length === 0) {
      return undefined;
    }
    const at = Array.from(value.data, (index) => (index < 0 ? index + size : index));
    const step = at.length > 1 ? at[1] - at[0] : 1;
    const even = step > 0 && at.every((index, i) => index === at[0] + i * step);
    if (!even || at[0] < 0 || at[at.length - 1] >= size) {
      return undefined;
    }
    const shape = x.type.shape.map((each, i) => (i === axis ? at.length : each));
    const starts = shape.map((_, i) => (i === axis ? at[0] : 0));
    const steps = shape.map((_, i) => (i === axis ? step : 1));
    const taken = emitSlice(rewriter, x, starts, shape, steps, node.origin);
    return rewriter.emit("reshape", [taken], { shape: node.type.shape }, node.origin);
  },
};

/** scatterND over every element, in order, leaves nothing of what was there. */
const scatterOverAll: Rule = {
  name: "scatter over everything",
  ops: ["scatterND"],
  apply(node, rewriter) {
    const [x, indices, updates] = node.args;
    const value = constantOf(indices);
    const { shape } = x.type;
    const depth = indices.type.shape.at(-1) ?? 0;
    const reached = shape.slice(0, depth);
    if (value === undefined || depth === 0 || value.data.length !== sizeOf(reached) * depth) {
      return undefined;
    }
    const isInOrder = value.data.every((index, i) => {
      const inner = sizeOf(reached.slice((i % depth) + 1));
      return index === Math.floor(Math.floor(i / depth) / inner) % reached[i % depth];
    });
    return isInOrder ? rewriter.emit("reshape", [updates], { shape }, node.origin) : undefined;
  },
};

/** A constant operand of an element-wise op shrinks along every axis in which it does not vary. */
const shrinkConstant: Rule = {
  name: "constant operand without repetition",
  ops: BROADCASTING,
  apply(node, rewriter) {
    const args = node.args.map((argument) => {
      const value = constantOf(argument);
      const small = value === undefined ? undefined : rewriter.smallest(value);
      return small === undefined || small === value ? argument : rewriter.constant(small, argument.origin);
    });
    const shape = jointShape(...args.map((argument) => argument.type.shape));
    const changed = args.some((argument, i) => argument !== node.args[i]);
    if (!changed || shape === undefined || !sameShape(shape, node.type.shape)) {
      return undefined;
    }
    return rewriter.emit(node.op, args, node.attributes, node.origin);
  },
};

/** slice(reshape(x)) along the first axis of a group: the slice goes first. */
const sliceOfReshape: Rule = {
  name: "slice before reshape",
  ops: ["slice"],
  apply(node, rewriter) {
    const [view] = node.args;
    if (view.op !== "reshape") {
      return undefined;
    }
    const [x] = view.args;
    const [starts, steps] = [integersOf(node, "starts"), integersOf(node, "steps")];
    const groups = reshapeGroups(x.type.shape, view.type.shape);
    if (groups === undefined || steps.some((step) => step !== 1)) {
      return undefined;
    }
    const first = x.type.shape.map(() => 0);
    const shape = [...x.type.shape];
    for (const { from, to } of groups) {
      const axes = view.type.shape.map((_, axis) => axis).slice(...to);
      const sliced = axes.filter((axis) => node.type.shape[axis] !== view.type.shape[axis]);
      if (sliced.length === 0) {
        continue;
      }
      const lead = axes.find((axis) => view.type.shape[axis] !== 1);
      const single = x.type.shape.slice(...from).filter((size) => size !== 1).length === 1;
      if (sliced.length > 1 || sliced[0] !== lead || !single) {
        return undefined;
      }
      const target = x.type.shape.findIndex((size, axis) => axis >= from[0] && axis < from[1] && size !== 1);
      const block = x.type.shape[target] / view.type.shape[lead];
      first[target] = starts[lead] * block;
      shape[target] = node.type.shape[lead] * block;
    }
    const taken = emitSlice(
      rewriter,
      x,
      first,
      shape,
      shape.map(() => 1),
      node.origin,
    );
    return rewriter.emit("reshape", [taken], { shape: node.type.shape }, node.origin);
  },
};

export const MOVEMENT: readonly Rule[] = [
  ...[transposeOfBroadcast, broadcast, slice, sliceEnds, sliceOfReshape, concatenate, gather, scatterOverAll],
  shrinkConstant,
];
