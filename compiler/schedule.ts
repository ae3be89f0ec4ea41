/**
 * Puts a share program into the order in which every party runs it. A value's round is its longest chain of openings
 * (ARCHITECTURE.md, law 6); all openings of a round travel in one message each way, so the number of rounds is the
 * program's depth and no schedule can do better.
 *
 * Within a round the order follows a walk from the outputs, which does not depend on how the model file lists its
 * nodes. Sources, and what is computed from sources alone (a reshaped weight), run just before their first use, so
 * that a weight is in memory only where it is needed.
 */

import type { Graph, Node } from "../ir/graph.js";
import { SHARE, type ShareType } from "../ir/share/index.js";
import { isOpening } from "../ir/share/rounds.js";

type ShareNode = Node<ShareType>;

export interface Scheduled {
  readonly node: ShareNode;
  /** An opening of round r is part of the r-th message, from 1; a local step of round r runs after it. */
  readonly round: number;
  readonly opening: boolean;
}

export interface Schedule {
  readonly steps: readonly Scheduled[];
  readonly rounds: number;
}

export function schedule(graph: Graph<ShareType>): Schedule {
  const order = walkFromOutputs(graph);
  const depth = new Map<ShareNode, number>();
  const late = new Set<ShareNode>();
  const asked = new Set(graph.outputs.map(({ node }) => node));
  for (const node of order) {
    depth.set(node, Math.max(0, ...node.args.map((argument) => depth.get(argument)!)) + (isOpening(node) ? 1 : 0));
    const isMade = isOpening(node) || isDealing(node) || asked.has(node);
    if (!isMade && node.args.every((argument) => late.has(argument))) {
      late.add(node);
    }
  }
  const position = new Map(order.map((node, i): [ShareNode, number] => [node, i]));
  const rank = (node: ShareNode) => depth.get(node)! * 2 - (isOpening(node) ? 1 : 0);
  const working = order
    .filter((node) => !late.has(node))
    .sort((a, b) => rank(a) - rank(b) || position.get(a)! - position.get(b)!);
  const steps = inOutputOrder(withSources(working, late, depth), graph);
  return { steps, rounds: Math.max(0, ...depth.values()) };
}

/** The steps, those that are outputs in the order of the outputs: one that is ready early waits. */
function inOutputOrder(steps: readonly Scheduled[], { outputs }: Graph<ShareType>): Scheduled[] {
  const pending = [...new Set(outputs.map(({ node }) => node))];
  const isOutput = new Set(pending);
  const ready = new Set<ShareNode>();
  return steps.flatMap((step) => {
    if (!isOutput.has(step.node)) {
      return [step];
    }
    ready.add(step.node);
    const next = pending.findIndex((node) => !ready.has(node));
    return pending.splice(0, next < 0 ? pending.length : next).map((node) => ({ ...step, node }));
  });
}

/** Every working step, each preceded by the late steps that it is the first to need. */
function withSources(
  working: readonly ShareNode[],
  late: ReadonlySet<ShareNode>,
  depth: ReadonlyMap<ShareNode, number>,
): Scheduled[] {
  const steps: Scheduled[] = [];
  const done = new Set<ShareNode>();
  const groups = groupsOf(working, depth);
  const place = (node: ShareNode, round: number): void => {
    if (done.has(node)) {
      return;
    }
    done.add(node);
    for (const argument of node.args) {
      place(argument, round);
    }
    steps.push({ node, round, opening: false });
  };
  for (const group of groups) {
    for (const node of group) {
      const round = depth.get(node)! - (isOpening(node) ? 1 : 0);
      for (const argument of node.args.filter((each) => late.has(each))) {
        place(argument, round);
      }
      if (!isOpening(node)) {
        steps.push({ node, round, opening: false });
      }
    }
    for (const node of group.filter(isOpening)) {
      steps.push({ node, round: depth.get(node)!, opening: true });
    }
  }
  return steps;
}

/** Consecutive openings of a round are one group; every other step is a group of its own. */
function groupsOf(working: readonly ShareNode[], depth: ReadonlyMap<ShareNode, number>): ShareNode[][] {
  const groups: ShareNode[][] = [];
  for (const node of working) {
    const last = groups.at(-1);
    if (last !== undefined && isOpening(node) && isOpening(last[0]) && depth.get(last[0]) === depth.get(node)) {
      last.push(node);
    } else {
      groups.push([node]);
    }
  }
  return groups;
}

/** Post-order from the outputs: operands before users, in the order in which a reader of the outputs meets them. */
export function walkFromOutputs<T>(graph: Graph<T>): Node<T>[] {
  const order: Node<T>[] = [];
  const state = new Map<Node<T>, number>();
  const stack: Node<T>[] = [];
  for (const { node: output } of graph.outputs) {
    stack.push(output);
    while (stack.length > 0) {
      const node = stack[stack.length - 1];
      const next = state.get(node) ?? 0;
      if (next < node.args.length) {
        state.set(node, next + 1);
        if (!state.has(node.args[next])) {
          stack.push(node.args[next]);
        }
      } else {
        stack.pop();
        if (next === node.args.length) {
          state.set(node, next + 1);
          order.push(node);
        }
      }
    }
  }
  return order;
}

/** Whether P0 deals something for the op: such steps keep their place in P0's stream. */
function isDealing(node: ShareNode): boolean {
  const types = node.args.map((argument) => argument.type);
  return SHARE.ops[node.op].draws(types, node.attributes, node.type).length > 0 && node.op !== "input";
}
