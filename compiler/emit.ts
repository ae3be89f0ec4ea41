/**
 * Share program → plan: order, stream positions, places, tables. Every draw gets the next free blocks of its stream, so
 * that no position is used twice (PROTOCOL.md, "What the parties see"). An owner's inputs are masked by the owner's own
 * two streams, at the same position in both.
 */
import type { Graph, Node } from "../ir/graph.js";
import { tablesRead } from "../ir/plan/check.js";
import type {
  Binding,
  DrawPosition,
  Formula,
  HeldPart,
  HeldValue,
  Origin,
  Plan,
  PlanTables,
  Step,
} from "../ir/plan/types.js";
import { PLAN_VERSION } from "../ir/plan/types.js";
import { type Pair, SHARE, type ShareType } from "../ir/share/index.js";
import { cosineQuarter, negativePowers } from "../ir/share/tables.js";
import type { TensorType } from "../ir/tensor/value.js";
import type { HeldRows } from "./lower/held.js";
import { planMemory } from "./memory.js";
import { schedule, walkFromOutputs } from "./schedule.js";

/** What the share program computes of which node. */
export interface Meaning {
  /** By what the share program's nodes say that they are from. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** By index into the secret program's nodes. */
  readonly held: ReadonlyMap<number, readonly HeldRows[]>;
}

/** Of a program that no model was lowered to. */
export const NO_MEANING: Meaning = { origins: new Map(), held: new Map() };

/** Everything of a plan that the share program does not say. */
export interface PlanHeader {
  readonly name: string;
  readonly profile: Plan["profile"];
  readonly modelDigest: string;
  readonly shapes: Plan["shapes"];
  readonly owners: { readonly model: Graph<TensorType>; readonly data: Graph<TensorType> };
  readonly bindings: readonly Binding[];
  readonly formulas: readonly Formula[];
  readonly choices: Plan["choices"];
  readonly published: Plan["published"];
  readonly disclosed: Plan["disclosed"];
  readonly record: string;
  readonly ranges: Plan["ranges"];
}

const BLOCK = 16;

export function emit(graph: Graph<ShareType>, meaning: Meaning, header: PlanHeader): Plan {
  const { steps: scheduled, rounds } = schedule(graph);
  const index = new Map(scheduled.map(({ node }, i) => [node, i]));
  const args = scheduled.map(({ node }) => node.args.map((argument) => index.get(argument)!));
  const { offsets, arena } = planMemory(scheduled, args);
  const streams = new Streams();
  const origins = new Interner();
  const steps = scheduled.map(({ node, round }, i): Step => {
    const { op, attributes, type } = node;
    return {
      op,
      args: args[i],
      attributes,
      type,
      origin: origins.indexOf(node.origin),
      round,
      draws: streams.draw(node),
      offsets: offsets[i],
    };
  });
  const reveals = scheduled
    .filter(({ node }) => node.op === "reveal")
    .map(({ node }) => ({
      name: node.attributes.name as string,
      to: "data owner" as const,
      shape: node.type.shape,
    }));
  return {
    version: PLAN_VERSION,
    ...header,
    owners: { model: inOneOrder(header.owners.model), data: inOneOrder(header.owners.data) },
    rounds,
    steps,
    origins: origins.names.map((name) => meaning.origins.get(name) ?? { node: name, op: "" }),
    values: [...meaning.held].flatMap(([node, parts]) => heldValue(node, parts, index)),
    reveals,
    tables: tablesFor(steps),
    arena,
    parts: [],
  };
}

/** Where a node's value is, unless the program as it is scheduled does not compute it. */
function heldValue(
  node: number,
  rows: readonly HeldRows[],
  index: ReadonlyMap<Node<ShareType>, number>,
): readonly HeldValue[] {
  const parts = rows.flatMap(({ value, scale, heads }): HeldPart[] => {
    const [step, scaled] = [index.get(value), scale && index.get(scale)];
    const known = step !== undefined && (scale === undefined || scaled !== undefined);
    return known
      ? [{ step, ...(scaled === undefined ? {} : { scale: scaled }), ...(rows.length > 1 && heads ? { heads } : {}) }]
      : [];
  });
  return parts.length === rows.length ? [{ node, parts }] : [];
}

/**
 * The same program, however the model lists its nodes: in the order of a walk from its outputs, and without origins (of
 * equal nodes the one that is kept has the origin that came first).
 */
function inOneOrder<T>(graph: Graph<T>): Graph<T> {
  const walked = walkFromOutputs(graph);
  const known = new Set(walked);
  const idle = graph.nodes.filter((node) => !known.has(node));
  const copies = new Map<Node<T>, Node<T>>();
  for (const node of [...idle, ...walked]) {
    copies.set(node, { ...node, args: node.args.map((argument) => copies.get(argument)!), origin: "" });
  }
  const outputs = graph.outputs.map(({ name, node }) => ({ name, node: copies.get(node)! }));
  return { nodes: [...copies.values()], outputs };
}

/** Numbers names in the order in which they come. */
class Interner {
  readonly names: string[] = [];
  private readonly known = new Map<string, number>();

  indexOf(name: string): number {
    const known = this.known.get(name);
    if (known !== undefined) {
      return known;
    }
    this.known.set(name, this.names.length);
    return this.names.push(name) - 1;
  }
}

/** The next free block of every stream: the three pairs', and the owners', whose positions lie apart. */
class Streams {
  private readonly next = new Map<string, number>();

  draw(node: Graph<ShareType>["nodes"][number]): DrawPosition[] {
    const types = node.args.map((argument) => argument.type);
    const draws = SHARE.ops[node.op].draws(types, node.attributes, node.type);
    if (node.op === "input") {
      const block = draws.length === 0 ? 0 : this.take("owners", draws[0].bytes);
      return draws.map(({ pair }) => ({ pair, block }));
    }
    return draws.map(({ pair, bytes }) => ({ pair, block: this.take(pair, bytes) }));
  }

  private take(stream: Pair | string, bytes: number): number {
    const block = this.next.get(stream) ?? 0;
    this.next.set(stream, block + Math.ceil(bytes / BLOCK));
    return block;
  }
}

function tablesFor(steps: readonly Step[]): PlanTables {
  const { angles, fractions } = tablesRead(steps);
  return {
    cosines: new Map(angles.map((angle) => [angle, cosineQuarter(angle)])),
    exponentials: new Map(fractions.map((fraction) => [fraction, negativePowers(fraction)])),
  };
}
