/**
 * The normal form of chains of reshapes and transposes. A chain is a permutation of the factors ("atoms") into which
 * its reshapes cut the axes of its base. It is spelt, in this order of preference, as nothing, a reshape, a transpose,
 * a reshape and a transpose, a transpose and a reshape, or all three. Axes of size one count for nothing.
 */
import { sameShape } from "../../ir/shape.js";
import type { Rewriter, Rule, TensorNode } from "../rewriter.js";
import type { Shape } from "../shapes.js";
import { integersOf } from "./common.js";

interface Step {
  readonly op: "reshape" | "transpose";
  /** The target shape or the permutation. */
  readonly value: Shape;
}

interface Chain {
  readonly base: TensorNode;
  readonly steps: readonly Step[];
}

function chainOf(node: TensorNode): Chain {
  const steps: Step[] = [];
  let base = node;
  while (base.op === "reshape" || base.op === "transpose") {
    const value = integersOf(base, base.op === "reshape" ? "shape" : "permutation");
    steps.unshift({ op: base.op, value });
    base = base.args[0];
  }
  return { base, steps };
}

/** A factor of the base's elements' index; `place` orders the factors as the base does (split ones share fractions). */
interface Atom {
  size: number;
  readonly id: number;
}

/** What a chain does: the base's atoms in order, and for every axis of the result its atoms. */
interface Layout {
  readonly source: readonly Atom[];
  readonly axes: readonly (readonly Atom[])[];
}

class LayoutTracker {
  source: Atom[];
  axes: Atom[][];
  private count = 0;

  constructor(shape: Shape) {
    this.axes = shape.map((size) => (size === 1 ? [] : [this.atom(size)]));
    this.source = this.axes.flat();
  }

  transpose(permutation: Shape): void {
    this.axes = permutation.map((axis) => this.axes[axis]);
  }

  /** False where the new axes cut an atom in a way that has no whole factors. */
  reshape(shape: Shape): boolean {
    const pending = this.axes.flat();
    this.axes = [];
    for (const size of shape) {
      const axis: Atom[] = [];
      let left = size;
      while (left > 1) {
        const atom = pending.shift()!;
        if (atom.size > left) {
          if (atom.size % left !== 0) {
            return false;
          }
          pending.unshift(this.split(atom, left));
        } else if (left % atom.size !== 0) {
          return false;
        }
        axis.push(atom);
        left /= atom.size;
      }
      this.axes.push(axis);
    }
    return true;
  }

  /** Leaves the major part of this size in the atom and returns the minor rest, which stands right after it. */
  private split(atom: Atom, major: number): Atom {
    const minor = this.atom(atom.size / major);
    atom.size = major;
    this.source.splice(this.source.indexOf(atom) + 1, 0, minor);
    return minor;
  }

  private atom(size: number): Atom {
    return { size, id: this.count++ };
  }
}

function layoutOf({ base, steps }: Chain): Layout | undefined {
  const tracker = new LayoutTracker(base.type.shape);
  if (base.type.shape.includes(0)) {
    return undefined;
  }
  for (const { op, value } of steps) {
    if (op === "transpose") {
      tracker.transpose(value);
    } else if (!tracker.reshape(value)) {
      return undefined;
    }
  }
  return { source: tracker.source, axes: tracker.axes };
}

const sizesOf = (axes: readonly (readonly Atom[])[]) =>
  axes.map((axis) => axis.reduce((size, atom) => size * atom.size, 1));

/** The steps, in normal form, that lead from `from` to the layout. */
function spell(from: Shape, { source, axes }: Layout): Step[] {
  const index = new Map(source.map((atom, i) => [atom, i]));
  const flat = axes.flat();
  const final = sizesOf(axes);
  const follows = (a: Atom, b: Atom) => index.get(b) === index.get(a)! + 1;
  if (flat.every((atom, i) => i === 0 || follows(flat[i - 1], atom))) {
    return [{ op: "reshape", value: final }];
  }
  const whole = axes.every((axis) => axis.every((atom, i) => i === 0 || follows(axis[i - 1], atom)));
  if (whole) {
    return turn(from, axes, index);
  }
  const runs = groupRuns(flat, baseRuns(from, source), follows);
  const turned = turn(from, runs, index);
  return [...turned, { op: "reshape", value: final }];
}

/** The atoms of each axis of the base that is longer than one. */
function baseRuns(from: Shape, source: readonly Atom[]): Atom[][] {
  const pending = [...source];
  return from
    .filter((size) => size !== 1)
    .map((size) => {
      const run: Atom[] = [];
      for (let left = size; left > 1; left /= run[run.length - 1].size) {
        run.push(pending.shift()!);
      }
      return run;
    });
}

/** The result's atoms in runs: the base's own axes where none of them is torn, else the longest runs. */
function groupRuns(
  flat: readonly Atom[],
  own: readonly (readonly Atom[])[],
  follows: (a: Atom, b: Atom) => boolean,
): Atom[][] {
  const torn = own.some((run) => run.some((atom, i) => i > 0 && flat[flat.indexOf(atom) - 1] !== run[i - 1]));
  const heads = new Set(own.map((run) => run[0]));
  const runs: Atom[][] = [];
  for (const atom of flat) {
    const last = runs.at(-1);
    const joins = last !== undefined && follows(last[last.length - 1], atom) && (torn || !heads.has(atom));
    if (joins) {
      last.push(atom);
    } else {
      runs.push([atom]);
    }
  }
  return runs;
}

/** A transpose to these axes, each whole in the source; before it a reshape, where the base has other axes. */
function turn(from: Shape, axes: readonly (readonly Atom[])[], index: ReadonlyMap<Atom, number>): Step[] {
  const ones = axes.flatMap((axis, i) => (axis.length === 0 ? [i] : []));
  const real = axes.flatMap((axis, i) => (axis.length === 0 ? [] : [i]));
  real.sort((a, b) => index.get(axes[a][0])! - index.get(axes[b][0])!);
  const sizes = sizesOf(axes);
  const own = real.map((axis) => sizes[axis]);
  const fromReal = from.filter((size) => size !== 1);
  const fromOnes = from.length - fromReal.length;
  // Where the axes are the base's own, its ones stay where they are, as many as there are.
  const fits = sameShape(fromReal, own) && (fromOnes === ones.length || ones.length === 0);
  const before = fits ? from : [...ones.map(() => 1), ...own];
  const onesBefore = before.flatMap((size, axis) => (size === 1 ? [axis] : []));
  const realBefore = before.flatMap((size, axis) => (size === 1 ? [] : [axis]));
  const permutation: number[] = [];
  axes.forEach((_, i) => {
    permutation[i] = ones.includes(i) ? onesBefore[ones.indexOf(i)] : realBefore[real.indexOf(i)];
  });
  const extra = onesBefore.slice(ones.length);
  const steps: Step[] = [
    { op: "reshape", value: before },
    { op: "transpose", value: [...extra, ...permutation] },
  ];
  return extra.length > 0 ? [...steps, { op: "reshape", value: sizes }] : steps;
}

/** Steps that change nothing go, and of two reshapes the first. */
function tidy(from: Shape, steps: readonly Step[]): Step[] {
  const kept: Step[] = [];
  let shape = from;
  for (const step of steps) {
    const last = kept.at(-1);
    if (step.op === "reshape" && last?.op === "reshape") {
      kept.pop();
    }
    const before = kept.length === 0 ? from : shape;
    if (step.op === "reshape" ? !sameShape(before, step.value) : true) {
      kept.push(step);
    }
    shape = step.op === "reshape" ? step.value : step.value.map((axis) => shape[axis]);
  }
  return kept;
}

const layout: Rule = {
  name: "layout",
  ops: ["reshape", "transpose"],
  apply(node, rewriter: Rewriter) {
    const chain = chainOf(node);
    const { base } = chain;
    if (sameShape(base.type.shape, node.type.shape) && chain.steps.every((step) => step.op === "reshape")) {
      return base;
    }
    const target = layoutOf(chain);
    if (target === undefined) {
      return chain.steps.length > 1 ? mergeReshapes(node, rewriter) : undefined;
    }
    const steps = tidy(base.type.shape, spell(base.type.shape, target));
    const same =
      steps.length === chain.steps.length &&
      steps.every((step, i) => step.op === chain.steps[i].op && sameShape(step.value, chain.steps[i].value));
    return same ? undefined : steps.reduce((x, step) => emitStep(rewriter, x, step, node.origin), base);
  },
};

function emitStep(rewriter: Rewriter, x: TensorNode, { op, value }: Step, origin: string): TensorNode {
  return rewriter.emit(op, [x], op === "reshape" ? { shape: value } : { permutation: value }, origin);
}

/** What is left to say of chains whose factors do not come out whole. */
function mergeReshapes(node: TensorNode, rewriter: Rewriter): TensorNode | undefined {
  const [inner] = node.args;
  return node.op === "reshape" && inner.op === "reshape"
    ? rewriter.emit("reshape", [inner.args[0]], node.attributes, node.origin)
    : undefined;
}

export const LAYOUT: readonly Rule[] = [layout];
