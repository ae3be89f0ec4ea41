/**
 * Which step of a plan holds the value of which node of the secret program. A step's origin names the node (`name
 * (op)`), and what leaves a node's steps is its value; where several nodes have one name, the values decide.
 */

import type { Graph } from "../../ir/graph.js";
import type { Plan, Step } from "../../ir/plan/types.js";
import type { TensorNode } from "../../ir/tensor/index.js";
import { sizeOf, type TensorType } from "../../ir/tensor/value.js";

/** A softmax whose rows are left unnormalised: its value is numerators · reciprocal. */
export interface Quotient {
  readonly numerators: number;
  readonly reciprocal: number;
}

export interface Mapping {
  /** Steps that may hold a node's value, most often one. */
  readonly candidates: ReadonlyMap<TensorNode, readonly number[]>;
  readonly quotients: ReadonlyMap<TensorNode, Quotient>;
  /** Products of which a public mask leaves some elements: the places of those that the step has. */
  readonly places: ReadonlyMap<TensorNode, readonly number[]>;
}

/** The origin that lowering gives a node's steps. */
export function originName(node: TensorNode): string {
  return `${node.origin} (${node.op})`;
}

const WITHOUT_STEPS: ReadonlySet<string> = new Set(["input", "constant", "parameter"]);

export function mapNodes(secret: Graph<TensorType>, plan: Plan): Mapping {
  const stepsOf = new Map<string, number[]>();
  for (const [i, step] of plan.steps.entries()) {
    const name = plan.origins[step.origin];
    stepsOf.set(name, [...(stepsOf.get(name) ?? []), i]);
  }
  const users = plan.steps.map((): number[] => []);
  for (const [i, { args }] of plan.steps.entries()) {
    for (const argument of args) {
      users[argument].push(i);
    }
  }
  const nodes = new Map<string, TensorNode[]>();
  for (const node of secret.nodes.filter(({ op }) => !WITHOUT_STEPS.has(op))) {
    nodes.set(originName(node), [...(nodes.get(originName(node)) ?? []), node]);
  }
  const candidates = new Map<TensorNode, readonly number[]>();
  const quotients = new Map<TensorNode, Quotient>();
  const places = new Map<TensorNode, readonly number[]>();
  for (const [name, group] of nodes) {
    const own = stepsOf.get(name) ?? [];
    const isLast = (i: number): boolean => users[i].every((user) => isElsewhere(plan.steps[user], plan.steps[i]));
    for (const node of group) {
      const fitting = own.filter((i) => isValue(plan.steps[i], node) && (group.length > 1 || isLast(i)));
      const quotient = node.op === "softmaxBase2" ? quotientOf(plan.steps, own, node) : undefined;
      const packed = own.find((i) => keptCells(plan.steps[i]).length > 0);
      if (quotient !== undefined) {
        quotients.set(node, quotient);
      } else if (packed !== undefined && node.op === "matmul") {
        candidates.set(node, [packed]);
        places.set(node, keptPlaces(node, keptCells(plan.steps[packed])));
      } else if (fitting.length > 0) {
        candidates.set(node, fitting);
      }
    }
  }
  return { candidates, quotients, places };
}

/** The cells of each matrix that a product computes; none where it computes all. */
function keptCells({ op, attributes }: Step): readonly number[] {
  return op === "matmul" ? (attributes.keep as readonly number[]) : [];
}

function keptPlaces({ type }: TensorNode, cells: readonly number[]): readonly number[] {
  const size = sizeOf(type.shape.slice(-2));
  return Array.from({ length: sizeOf(type.shape.slice(0, -2)) }, (_, i) => cells.map((cell) => i * size + cell)).flat();
}

/** Whether a user of a step is of another node, or what the node's value is for. */
function isElsewhere(user: Step, step: Step): boolean {
  return user.origin !== step.origin || user.op === "reveal";
}

/** Whether a step's value may be the node's: as many elements, and numbers or bits. */
function isValue({ op, type }: Step, node: TensorNode): boolean {
  return op !== "reveal" && op !== "input" && type.kind !== "hot" && sizeOf(type.shape) === sizeOf(node.type.shape);
}

/** The numerators are what the rows' sum is of; the reciprocal has one element a row. */
function quotientOf(steps: readonly Step[], own: readonly number[], node: TensorNode): Quotient | undefined {
  const { shape } = node.type;
  const sums = own.filter((i) => {
    const { op, args, attributes } = steps[i];
    return op === "sum" && attributes.axis === shape.length - 1 && isValue(steps[args[0]], node);
  });
  const numerators = sums.length === 1 ? steps[sums[0]].args[0] : undefined;
  const column = [...shape.slice(0, -1), 1].join();
  const reciprocal = own.findLast((i) => steps[i].type.shape.join() === column);
  const isNormalised = own.some((i) => steps[i].op === "multiply" && isValue(steps[i], node));
  return numerators === undefined || reciprocal === undefined || isNormalised ? undefined : { numerators, reciprocal };
}
