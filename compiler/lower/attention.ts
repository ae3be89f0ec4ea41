/**
 * Attention: which form each softmax takes (a maximum, or none where samples showed how far its scores rise above their
 * combination), and what is done with its rows. The rows stay unnormalised: whoever multiplies them with V scales the
 * product's rows, which are shorter.
 */
import type { Graph } from "../../ir/graph.js";
import { usersOf } from "../../ir/graph.js";
import { ceilLog2, exp2 } from "../../ir/real.js";
import { stridesOf } from "../../ir/shape.js";
import { sizeOf, type TensorType } from "../../ir/tensor/value.js";
import type { HeadRange } from "../../passes/rows.js";
import { type Lowering, type ShareNode, shapeOf, type TensorNode } from "./context.js";
import { headsOf, joined } from "./heads.js";
import type { UnnormalisedRows } from "./rows.js";
import { scaleAtOwner } from "./scaled.js";
import { guardFirst, type HeadGroup, planShifted, scalesOf, shiftedPart, shiftedScores } from "./shifted.js";
import { idleRowsOf, type Mask, maskOf, maximumForm, maximumRows, withIdleRows, withShares } from "./softmax.js";
import { type Packing, partsOf, unpack } from "./structure.js";

/** A softmax that needs no maximum. */
interface Shifted {
  readonly heads: readonly HeadRange[];
  readonly groups: readonly HeadGroup[];
  /** Heads that spread too far for it. */
  readonly rest: readonly number[];
}

/** Rows of some heads: all, or those of a group. */
interface Part extends UnnormalisedRows {
  readonly heads: readonly number[];
}

/** The softmaxes without a maximum, by their scores, which are lowered with them. */
export class Attention {
  private readonly shifted = new Map<TensorNode, Shifted>();
  private readonly rows = new Map<TensorNode, readonly Part[]>();

  constructor(
    private readonly lowering: Lowering,
    graph: Graph<TensorType>,
    private readonly packed: ReadonlyMap<TensorNode, Packing>,
    heads: ReadonlyMap<TensorNode, readonly HeadRange[]>,
  ) {
    const users = usersOf(graph);
    const outputs = new Set(graph.outputs.map(({ node }) => node));
    for (const [softmax, ranges] of heads) {
      const [scores, keep] = softmax.args;
      const own = scores.op === "matmul" && users.get(scores)!.length === 1 && !outputs.has(scores);
      const open = (keep === undefined || this.isOpen(keep)) && hasCommonRows(softmax);
      const shifted = own && open ? this.planOf(softmax, ranges, users.get(softmax)!) : undefined;
      if (shifted !== undefined) {
        this.shifted.set(scores, shifted);
        scaleAtOwner(lowering, scores.args[0], scalesOf(shifted.heads, shifted.groups), users);
      }
    }
    noteForms(lowering, [...this.shifted.values()]);
  }

  /** Whether a product is lowered together with the softmax of it. */
  takes(scores: TensorNode): boolean {
    return this.shifted.has(scores);
  }

  lower(node: TensorNode): void {
    const { lowering } = this;
    const shifted = this.shifted.get(node.args[0]);
    const parts = shifted === undefined ? [this.maximumPart(node)] : this.shiftedParts(node, shifted);
    this.rows.set(node, parts);
    lowering.hold(
      node,
      parts.map(({ heads, numerators, reciprocal }) => ({ value: numerators, scale: reciprocal, heads })),
    );
    lowering.defer(node, () => {
      const rows = parts.map(({ heads, numerators, reciprocal }) => ({
        heads,
        value: lowering.emit("multiply", [numerators, reciprocal], { drop: 0 }),
      }));
      return joined(lowering, rows, axisOf(node));
    });
  }

  /** Whether a value is the rows of a softmax. */
  has(node: TensorNode): boolean {
    return this.rows.has(node);
  }

  /** softmax(s)·V: the unnormalised rows times V, then every row of the product by 1/Σ. */
  weighted(node: TensorNode): ShareNode {
    const { lowering } = this;
    const [softmax, valuesNode] = node.args;
    const values = lowering.masked(valuesNode);
    const axis = axisOf(softmax);
    const isOfHeads = shapeOf(values).length === softmax.type.shape.length;
    const parts = this.rows.get(softmax)!.map(({ heads, numerators, bound, reciprocal }) => {
      const own = isOfHeads && shapeOf(values)[axis] !== 1 ? headsOf(lowering, values, axis, heads) : values;
      const product = lowering.emit("matmul", [numerators, own], { drop: 0, keep: [] });
      const most = bound * lowering.boundOf(valuesNode);
      const fraction = lowering.precision.activation + (this.shifted.has(softmax.args[0]) ? 0 : SCALED_BITS);
      const opened = lowering.atFraction(lowering.bounded(product, most), fraction);
      const value = lowering.emit("multiply", [lowering.bounded(opened, most), reciprocal], { drop: 0 });
      return { heads, value: lowering.bounded(value, lowering.boundOf(node)) };
    });
    return joined(lowering, parts, axis);
  }

  private isOpen(keep: TensorNode): boolean {
    const { input } = partsOf(keep);
    return input === undefined || this.lowering.isPublic(input);
  }

  /** The groups of heads of a softmax without a maximum, where that is faster than with one. */
  private planOf(softmax: TensorNode, heads: readonly HeadRange[], users: readonly TensorNode[]): Shifted | undefined {
    const { lowering } = this;
    const [scores] = softmax.args;
    const { shape } = scores.type;
    const packing = this.packed.get(scores);
    if (packing !== undefined && heads.some(({ neighbour }) => neighbour !== undefined)) {
      return undefined;
    }
    const batch = sizeOf(shape.slice(0, -2)) / heads.length;
    const rows = batch * (shape.at(-2) ?? 1);
    const values = users.find(({ op, args }) => op === "matmul" && args[0] === softmax)?.args[1];
    const bound = values === undefined ? 1 : lowering.boundOf(values);
    // A row that keeps nothing is shared evenly: its sum is what it has columns.
    const least = idleRowsOf(softmax).evenNode === undefined ? 0 : ceilLog2(shape.at(-1)!);
    const { groups, rest, bytes } = planShifted(heads, {
      least,
      scores: packing === undefined ? rows * shape.at(-1)! : batch * packing.kept.length,
      rows,
      valueBits: Math.max(0, ceilLog2(bound)),
    });
    const other = maximumForm(lowering, { shape, bound: lowering.boundOf(scores), packing }).seconds;
    const ofRest = { shape: shape.with(axisOf(scores), rest.length), bound: lowering.boundOf(scores), packing };
    const mixed = rest.length === 0 ? lowering.seconds(1, 0) : maximumForm(lowering, ofRest).seconds;
    const shifted = groups.length > 0 ? mixed + lowering.seconds(0, bytes) : Number.POSITIVE_INFINITY;
    const without = rest.length === 0 ? NO_MAXIMUM : `${NO_MAXIMUM} in ${heads.length - rest.length} heads`;
    const taken = shifted < other ? without : MAXIMUM;
    lowering.choices.add(softmax.origin, `2^s in ${heads.length} heads`, taken, {
      [without]: shifted,
      [MAXIMUM]: other,
    });
    return shifted < other ? { heads, groups, rest } : undefined;
  }

  /** All heads, with a maximum. */
  private maximumPart(node: TensorNode): Part {
    const { lowering } = this;
    const [scores, keep] = node.args;
    const { shape } = scores.type;
    const packing = this.packed.get(scores);
    const mask = keep === undefined ? undefined : maskOf(lowering, keep, shape, packing);
    const heads = Array.from({ length: shape.at(-3) ?? 1 }, (_, i) => i);
    const [value, bound, idle] = [lowering.masked(scores), lowering.boundOf(scores), idleRowsOf(node)];
    return { heads, ...maximumRows(lowering, { value, bound, shape, packing, mask, idle, origin: node.origin }) };
  }

  private shiftedParts(node: TensorNode, { heads, groups, rest }: Shifted): readonly Part[] {
    const { lowering } = this;
    const [scores, keep] = node.args;
    const { shape } = scores.type;
    const axis = axisOf(node);
    const packing = this.packed.get(scores);
    const whole = keep === undefined ? undefined : maskOf(lowering, keep, shape, packing);
    const { idleNode, evenNode } = idleRowsOf(node);
    const isShifted = (_: HeadRange, head: number) => !rest.includes(head);
    const own = heads.map((head, i) => (isShifted(head, i) ? head : { ...head, first: 0 }));
    const product = shiftedScores(lowering, scores, own, groups, packing);
    if (keep !== undefined && heads.some((head, i) => isShifted(head, i) && countsFromFirst(head))) {
      this.guardFirstKeys(keep, idleNode);
    }
    const maskOfHeads = (own: readonly number[]): Mask | undefined => {
      const at = whole === undefined ? -1 : shapeOf(whole.value).length - shapeOf(product).length + axis;
      const isOfHeads = at >= 0 && shapeOf(whole!.value)[at] > 1;
      return isOfHeads ? { ...whole!, value: headsOf(lowering, whole!.value, at, own) } : whole;
    };
    const parts = groups.map((group) => {
      const kept = maskOfHeads(group.heads)?.value;
      const powers = (all: ShareNode) => {
        const some = kept === undefined ? all : lowering.emit("timesPublic", [all, kept]);
        const opened = lowering.remasked(lowering.bounded(some, exp2(group.up)));
        const rows = packing === undefined ? opened : unpack(lowering, opened, packing);
        return evenNode === undefined ? rows : withShares(lowering, rows, evenNode);
      };
      const hasSums = idleNode === undefined || evenNode !== undefined;
      const total = (sums: ShareNode) => (hasSums ? sums : withIdleRows(lowering, sums, idleNode));
      return { heads: group.heads, ...shiftedPart(lowering, product, axis, group, { kept, powers, total }) };
    });
    if (rest.length === 0) {
      return parts;
    }
    const bound = lowering.boundOf(scores);
    const others = lowering.bounded(headsOf(lowering, product, axis, rest), bound);
    lowering.accept(others, scores);
    const value = lowering.atFraction(others, lowering.precision.activation);
    const mask = maskOfHeads(rest);
    const given = { value, bound, shape: shape.with(axis, rest.length), packing, mask, idle: idleRowsOf(node) };
    return [...parts, { heads: rest, ...maximumRows(lowering, { ...given, origin: node.origin }) }];
  }

  /** Heads that count from the first key need it: where an input may leave it out, that is guarded. */
  private guardFirstKeys(keep: TensorNode, idle: TensorNode | undefined): void {
    const { lowering } = this;
    const { input } = partsOf(keep);
    if (input !== undefined) {
      const mask = lowering.value(input, 0);
      const shape = shapeOf(mask).with(-1, 1);
      const first = lowering.emit("view", [mask], { shape, strides: stridesOf(shapeOf(mask)), offset: 0 });
      guardFirst(lowering, idle === undefined ? first : lowering.emit("add", [first, lowering.value(idle, 0)]));
    }
  }
}

/** Whether a head needs its first key: as its share, or where a neighbour is not kept. */
function countsFromFirst({ first, neighbour }: HeadRange): boolean {
  return first > 0 || neighbour !== undefined;
}

/** Whether the rows that keep nothing, if there are such, are the same for all heads. */
function hasCommonRows(softmax: TensorNode): boolean {
  const { idleNode, evenNode } = idleRowsOf(softmax);
  return [idleNode, evenNode].every((node) => (node?.type.shape.at(-3) ?? 1) === 1);
}

/** More fractional bits of what 1/Σ multiplies: with a maximum Σ may be as small as 2^-4. */
const SCALED_BITS = 3;

/** How many heads need no maximum, and why the others have one: for the plan's report. */
function noteForms(lowering: Lowering, all: readonly Shifted[]): void {
  const groups = all.flatMap((each) => each.groups);
  const heads = groups.reduce((sum, group) => sum + group.heads.length, 0);
  const others = all.reduce((sum, { rest }) => sum + rest.length, 0);
  const [up, down] = [groups.map((each) => each.up), groups.map((each) => each.down)].map((ends) =>
    Math.max(0, ...ends),
  );
  const words = [...new Set(groups.map((each) => each.words))].sort((a, b) => a - b);
  if (heads === 0) {
    return;
  }
  lowering.formulas.add("softmax power", "", () => ({
    function: "2^s of a softmax",
    profile: "fourier",
    form:
      `no maximum in ${heads} heads: counted from their row's mean, first key or neighbour, spread as measured, ` +
      `${words.join(" or ")} words${others === 0 ? "" : `; ${others} that spread too far keep their maximum`}`,
    distance: "relative",
    outside: "noise: scores were measured, with a margin",
    section: "Profile `fourier`",
    coefficients: [heads, others, ...words],
    pieces: [{ from: -down, to: up, value: exp2, exact: exp2 }],
  }));
}

/** The forms of a softmax's powers, as a plan names them. */
const NO_MAXIMUM = "no maximum, counted from a score of the row";
const MAXIMUM = "a maximum in every row";

/** The axis of the heads; negative where there are none. */
function axisOf({ type }: TensorNode): number {
  return type.shape.length - 3;
}
