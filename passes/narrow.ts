/**
 * The pass `narrow`: nothing is computed that no output needs. A classifier that reads the first token needs one row of
 * the last layer, and what only that row needs. For every value the hull of what its users need is found, backwards,
 * as one range per axis; then every op is built on its range. Ops that this pass does not know keep their full range.
 * A row that an index chooses which is only known later (the last token that is no padding) is such a range too.
 */
import { type Attributes, Builder } from "../ir/graph.js";
import { TENSOR, traitsOf } from "../ir/tensor/index.js";
import type { TensorType } from "../ir/tensor/value.js";
import type { TensorGraph, TensorNode } from "./rewriter.js";
import { integersOf } from "./rules/common.js";
import { reshapeGroups, type Shape } from "./shapes.js";

/** Half-open, one per axis; or the one place that an index says: a node of the graph with one element. */
type Range = readonly [number, number, TensorNode?];
type Box = readonly Range[];

interface Plan {
  /** What the node computes, at least what was asked. */
  readonly box: Box;
  /** What it needs of each argument for that. */
  readonly needs: readonly Box[];
  /** Its attributes when it computes the box. */
  readonly attributes: Attributes;
  /** What it is then, if not the same op: of its first argument. */
  readonly op?: string;
}

export function narrow(given: TensorGraph): TensorGraph {
  const graph = indicesFirst(given);
  const asked = new Map<TensorNode, Box>();
  const plans = new Map<TensorNode, Plan>();
  for (const { node } of graph.outputs) {
    asked.set(node, full(node.type.shape));
  }
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i];
    const box = asked.get(node);
    const plan = planOf(node, box ?? full(node.type.shape));
    plans.set(node, plan);
    node.args.forEach((argument, position) => {
      const before = asked.get(argument);
      asked.set(
        argument,
        before === undefined ? plan.needs[position] : hull(before, plan.needs[position], argument.type.shape),
      );
    });
  }
  const narrowed = graph.nodes.some((node) => !isFull(plans.get(node)!.box, node.type.shape));
  return narrowed ? rebuild(graph, plans) : graph;
}

/** The graph with what indices are made of before all else, one after the other: a row can then be taken anywhere. */
function indicesFirst(graph: TensorGraph): TensorGraph {
  const early = new Set<TensorNode>();
  for (const { args } of graph.nodes.filter(choosesRow)) {
    const needed = new Set([args[1]]);
    for (let i = graph.nodes.length - 1; i >= 0; i--) {
      if (needed.has(graph.nodes[i])) {
        graph.nodes[i].args.forEach((argument) => {
          needed.add(argument);
        });
      }
    }
    graph.nodes
      .filter((node) => needed.has(node))
      .forEach((node) => {
        early.add(node);
      });
  }
  const rest = graph.nodes.filter((node) => !early.has(node));
  return early.size === 0 ? graph : { ...graph, nodes: [...early, ...rest] };
}

/** One row of a value at an index that is not known when the plan is made, and that is not made of the value. */
function choosesRow({ op, args }: TensorNode): boolean {
  return op === "gather" && args[1].op !== "constant" && args[1].type.shape.every((size) => size === 1);
}

function rebuild(graph: TensorGraph, plans: ReadonlyMap<TensorNode, Plan>): TensorGraph {
  const builder = new Builder<TensorType>(TENSOR);
  const made = new Map<TensorNode, TensorNode>();
  for (const node of graph.nodes) {
    const { needs, attributes, op = node.op } = plans.get(node)!;
    const used = op === node.op ? node.args : node.args.slice(0, 1);
    const args = used.map((argument, position) =>
      cut(builder, made.get(argument)!, plans.get(argument)!.box, needs[position], made),
    );
    const kept = attributes === node.attributes && args.every((argument, position) => argument === node.args[position]);
    made.set(node, kept ? builder.append(node) : builder.emit(op, args, attributes, node.origin));
  }
  return builder.finish(graph.outputs.map(({ name, node }) => ({ name, node: made.get(node)! })));
}

/** The part `wanted` of a value that was computed on `box`. */
function cut(
  builder: Builder<TensorType>,
  value: TensorNode,
  box: Box,
  wanted: Box,
  made: ReadonlyMap<TensorNode, TensorNode>,
): TensorNode {
  let taken = value;
  const rest = box.map((range, axis): Range => {
    const [, , index] = wanted[axis];
    if (index === undefined || range[2] === index) {
      return range;
    }
    const chosen = made.get(index)!;
    const shaped = builder.emit("reshape", [chosen], { shape: [1] }, chosen.origin);
    taken = builder.emit("gather", [taken, chosen.type.shape.length === 1 ? chosen : shaped], { axis }, value.origin);
    return wanted[axis];
  });
  if (rest.every(([start, end], axis) => start === wanted[axis][0] && end === wanted[axis][1])) {
    return taken;
  }
  const starts = wanted.map(([start], axis) => start - rest[axis][0]);
  const ends = wanted.map(([, end], axis) => end - rest[axis][0]);
  return builder.emit("slice", [taken], { starts, ends, steps: starts.map(() => 1) }, value.origin);
}

function full(shape: Shape): Box {
  return shape.map((size) => [0, size]);
}

function isFull(box: Box, shape: Shape): boolean {
  return box.every(([start, end, index], axis) => start === 0 && end === shape[axis] && index === undefined);
}

function hull(a: Box, b: Box, shape: Shape): Box {
  return a.map((range, axis) => {
    const [start, end, index] = range;
    if (index !== undefined || b[axis][2] !== undefined) {
      return index === b[axis][2] ? range : [0, shape[axis]];
    }
    return [Math.min(start, b[axis][0]), Math.max(end, b[axis][1])];
  });
}

/** The box with these axes whole. */
function widen(box: Box, shape: Shape, axes: readonly number[]): Box {
  return box.map((range, axis) => (axes.includes(axis) ? [0, shape[axis]] : range));
}

function sizes(box: Box): number[] {
  return box.map(([start, end]) => end - start);
}

function planOf(node: TensorNode, box: Box): Plan {
  const { attributes } = node;
  const whole: Plan = {
    box: full(node.type.shape),
    needs: node.args.map((argument) => full(argument.type.shape)),
    attributes,
  };
  if (choosesRow(node)) {
    return planChoice(node, box);
  }
  if (isFull(box, node.type.shape) && node.op !== "slice") {
    return whole;
  }
  const { pattern } = traitsOf(node);
  if (pattern === "elementwise") {
    return { box, needs: node.args.map((argument) => operandBox(argument, box)), attributes };
  }
  if (pattern === "rowwise") {
    const axis = (attributes.axis as number | undefined) ?? box.length - 1;
    const rows = widen(box, node.type.shape, [axis]);
    return { box: rows, needs: node.args.map((argument) => operandBox(argument, rows)), attributes };
  }
  if (pattern === "reduction" && attributes.keep === true) {
    return { box, needs: [widen(box, node.args[0].type.shape, integersOf(node, "axes"))], attributes };
  }
  return planMovement(node, box) ?? whole;
}

/** The row that an index chooses: all that its argument is asked for along that axis. */
function planChoice(node: TensorNode, box: Box): Plan {
  const [, index] = node.args;
  const axis = node.attributes.axis as number;
  const rank = index.type.shape.length;
  const need = [...box.slice(0, axis), [0, 1, index] as const, ...box.slice(axis + rank)];
  return { box, needs: [need, full(index.type.shape)], attributes: { shape: sizes(box) }, op: "reshape" };
}

function planMovement(node: TensorNode, box: Box): Plan | undefined {
  const [x] = node.args;
  switch (node.op) {
    case "matmul":
      return planProduct(node, box);
    case "transpose": {
      const permutation = integersOf(node, "permutation");
      const need: Range[] = [];
      permutation.forEach((axis, position) => {
        need[axis] = box[position];
      });
      return { box, needs: [need], attributes: node.attributes };
    }
    case "broadcast":
      return { box, needs: [operandBox(x, box)], attributes: { shape: sizes(box) } };
    case "embedding":
    case "gather":
      return planLookup(node, box);
    case "slice":
      return planSlice(node, box);
    case "reshape":
      return planReshape(node, box);
    case "concatenate": {
      const axis = node.attributes.axis as number;
      const wide = widen(box, node.type.shape, [axis]);
      const needs = node.args.map((part) => widen(wide, part.type.shape, [axis]));
      return { box: wide, needs, attributes: node.attributes };
    }
    default:
      return undefined;
  }
}

/** What an operand that broadcasts must give: nothing is asked along its axes of size one. */
function operandBox(operand: TensorNode, box: Box): Box {
  const shape = operand.type.shape;
  const offset = box.length - shape.length;
  return shape.map((size, axis) => (size === 1 ? [0, 1] : box[axis + offset]));
}

function planProduct(node: TensorNode, box: Box): Plan | undefined {
  const [a, b] = node.args;
  if (a.type.shape.length < 2 || b.type.shape.length < 2) {
    return undefined;
  }
  const [batch, rows, columns] = [box.slice(0, -2), box[box.length - 2], box[box.length - 1]];
  const inner: Range = [0, a.type.shape[a.type.shape.length - 1]];
  const batchOf = (x: TensorNode): Box => {
    const shape = x.type.shape.slice(0, -2);
    return shape.map((size, axis) => (size === 1 ? [0, 1] : batch[axis + batch.length - shape.length]));
  };
  return {
    box,
    needs: [
      [...batchOf(a), rows, inner],
      [...batchOf(b), inner, columns],
    ],
    attributes: node.attributes,
  };
}

/** Of rows that are looked up by place or id: the indices of those that are asked for. */
function planLookup(node: TensorNode, box: Box): Plan | undefined {
  const [table, index] = node.args;
  const axis = node.op === "gather" ? (node.attributes.axis as number) : 0;
  const rank = index.type.shape.length;
  const indices = box.slice(axis, axis + rank);
  if (rank === 0 || indices.some(([, , chosen]) => chosen !== undefined)) {
    return undefined;
  }
  const wide = box.map((range, i): Range => (i >= axis && i < axis + rank ? range : [0, node.type.shape[i]]));
  return { box: wide, needs: [full(table.type.shape), indices], attributes: node.attributes };
}

function planSlice(node: TensorNode, box: Box): Plan | undefined {
  const [starts, steps] = [integersOf(node, "starts"), integersOf(node, "steps")];
  const isWhole = (axis: number) => node.type.shape[axis] === node.args[0].type.shape[axis] && steps[axis] === 1;
  const moved = box.some(([start, end, index], axis) => start >= end || (index !== undefined && !isWhole(axis)));
  if (steps.some((step) => step < 1) || moved) {
    return undefined;
  }
  const need = box.map(
    ([start, end, index], axis): Range =>
      index === undefined
        ? [starts[axis] + start * steps[axis], starts[axis] + (end - 1) * steps[axis] + 1]
        : [start, end, index],
  );
  const attributes = { starts: need.map(() => 0), ends: need.map(([start, end]) => end - start), steps };
  return { box, needs: [need], attributes };
}

/** Along a group of one axis on each side a range passes a reshape; other groups are taken whole. */
function planReshape(node: TensorNode, box: Box): Plan | undefined {
  const [source, target] = [node.args[0].type.shape, node.type.shape];
  const groups = reshapeGroups(source, target);
  if (groups === undefined) {
    return undefined;
  }
  const wide: Range[] = [...box];
  const need: Range[] = source.map((size) => [0, size]);
  for (const { from, to } of groups) {
    const real = (shape: Shape, [start, end]: Range) =>
      shape.flatMap((size, axis) => (axis >= start && axis < end && size !== 1 ? [axis] : []));
    const [before, after] = [real(source, from), real(target, to)];
    if (before.length === 1 && after.length === 1) {
      need[before[0]] = box[after[0]];
    } else {
      after.forEach((axis) => {
        wide[axis] = [0, target[axis]];
      });
    }
  }
  return { box: wide, needs: [need], attributes: { shape: sizes(wide) } };
}
