/**
 * Plans the rings of a whole share program (ARCHITECTURE.md, law 7). Lowering leaves every ring open; this pass walks
 * backward and asks how many bits each value needs so that all its users are right (`demand` in the op table), and
 * where
 * that exceeds a word it inserts `widen`. It is the level problem of CKKS compilers in MPC: `rescale` eats bits,
 * `widen` costs a round and buys them back, dealt values (`series`, `toArithmetic`, inputs) come in any ring for free.
 *
 * A violation can be mended anywhere along the chain of users that causes it. Every place is tried; the one with the
 * smallest depth of the whole program wins, then the fewest opened bits: a widen beside a comparison costs no round.
 */
import { fail } from "../ir/diagnostics.js";
import { Builder, type Graph, type Node, usersOf } from "../ir/graph.js";
import { SHARE, type ShareType, type WordType } from "../ir/share/index.js";
import { isOpening } from "../ir/share/rounds.js";
import { sizeOf } from "../ir/tensor/value.js";
import { boundsOf } from "./bounds.js";

type ShareNode = Node<ShareType>;

const WORD = 64;

/** Where a value is widened: users that need more than `limit` bits read the wide copy. */
interface Widening {
  readonly limit: number;
}

interface Needs {
  /** Ring that the value itself must have. */
  readonly ring: Map<ShareNode, number>;
  /** Ring of its wide copy, where there is one. */
  readonly wide: Map<ShareNode, number>;
}

/** What a round and a byte on a link cost: the network that the plan is for. */
export interface LinkCost {
  readonly secondsPerRound: number;
  readonly secondsPerByte: number;
}

/**
 * The program with all rings planned: first the fewest rounds that rings allow, then every further `widen` that makes
 * the plan faster on the given network. `bounds` are the largest absolute values of nodes, in reals.
 */
export function levels(
  graph: Graph<ShareType>,
  bounds: ReadonlyMap<ShareNode, number>,
  link: LinkCost,
): Graph<ShareType> {
  const planner = new Planner(graph, boundsOf(graph, bounds));
  return planner.plan(link);
}

/** Groups of like values that are tried for a further `widen`, the most promising first. */
const TRIALS = 48;

class Planner {
  private readonly users: ReadonlyMap<ShareNode, readonly ShareNode[]>;
  private readonly outputs: ReadonlySet<ShareNode>;
  private readonly widenings = new Map<ShareNode, Widening>();

  constructor(
    private readonly graph: Graph<ShareType>,
    private readonly bounds: ReadonlyMap<ShareNode, number>,
  ) {
    this.users = usersOf(graph);
    this.outputs = new Set(graph.outputs.map((output) => output.node));
  }

  plan(link: LinkCost): Graph<ShareType> {
    return this.rebuild(this.improve(this.mendAll(), link));
  }

  /** Mends violations until none is left. */
  private mendAll(): Needs {
    for (let needs = this.needs(); ; needs = this.needs()) {
      const violated = this.violation(needs);
      if (violated === undefined) {
        return needs;
      }
      this.mend(violated, needs);
    }
  }

  /**
   * Widens whole groups of like values (the same place of every layer) where that saves time on the network, and drops
   * groups that have become idle. Two sweeps: what is widened late makes earlier ones idle.
   */
  private improve(start: Needs, link: LinkCost): Needs {
    let state = { needs: start, seconds: this.seconds(start, link) };
    for (let sweep = 0; sweep < 2; sweep++) {
      for (const group of this.likeValues(state.needs).slice(0, TRIALS)) {
        state = this.attempt(state, link, () => {
          for (const node of group) {
            this.widenings.set(node, { limit: this.rangeRing(node) });
          }
        });
      }
      for (const group of this.widenedGroups()) {
        state = this.attempt(state, link, () => {
          for (const node of group) {
            this.widenings.delete(node);
          }
        });
      }
    }
    return state.needs;
  }

  /** Makes a change and keeps it if no ring overflows and the plan is faster. */
  private attempt(
    state: { needs: Needs; seconds: number },
    link: LinkCost,
    change: () => void,
  ): { needs: Needs; seconds: number } {
    const before = new Map(this.widenings);
    change();
    const needs = this.needs();
    const seconds = this.violation(needs) === undefined ? this.seconds(needs, link) : Number.POSITIVE_INFINITY;
    if (seconds < state.seconds) {
      return { needs, seconds };
    }
    this.widenings.clear();
    for (const [node, widening] of before) {
      this.widenings.set(node, widening);
    }
    return state;
  }

  private widenedGroups(): ShareNode[][] {
    const keys = this.likenessKeys();
    const groups = new Map<string, ShareNode[]>();
    for (const node of this.widenings.keys()) {
      const key = keys.get(node)!;
      groups.set(key, [...(groups.get(key) ?? []), node]);
    }
    return [...groups.values()];
  }

  /** What a value is in its layer: the tensor op, the share op, its number within the tensor op, its shape. */
  private likenessKeys(): ReadonlyMap<ShareNode, string> {
    const ordinals = new Map<string, number>();
    const keys = new Map<ShareNode, string>();
    for (const node of this.graph.nodes) {
      const ordinal = ordinals.get(node.origin) ?? 0;
      ordinals.set(node.origin, ordinal + 1);
      const kind = / \((\w+)\)$/.exec(node.origin)?.[1] ?? "";
      keys.set(node, `${kind} ${node.op} ${ordinal} [${node.type.shape.join(",")}]`);
    }
    return keys;
  }

  /** Masked values that carry more bits than their range needs, grouped by what they are in their layer. */
  private likeValues(needs: Needs): ShareNode[][] {
    const keys = this.likenessKeys();
    const groups = new Map<string, { nodes: ShareNode[]; bits: number }>();
    for (const node of this.graph.nodes) {
      const spare = node.type.kind === "masked" ? needs.ring.get(node)! - this.rangeRing(node) : 0;
      if (spare >= 4 && this.mayWiden(node, this.rangeRing(node), needs) && !this.widenings.has(node)) {
        const key = keys.get(node)!;
        const group = groups.get(key) ?? { nodes: [], bits: 0 };
        group.nodes.push(node);
        group.bits += spare * sizeOf(node.type.shape);
        groups.set(key, group);
      }
    }
    return [...groups.values()].sort((a, b) => b.bits - a.bits).map(({ nodes }) => nodes);
  }

  /** Time on the network: rounds, and the busiest link's bytes. */
  private seconds(needs: Needs, link: LinkCost): number {
    let online = 0;
    let offline = 0;
    const typeOf = (node: ShareNode): ShareType =>
      isWord(node.type) ? { ...node.type, ring: Math.min(WORD, needs.ring.get(node)!) } : node.type;
    for (const node of this.graph.nodes) {
      const own = typeOf(node);
      const args = node.args.map((argument, i) => {
        const needed = this.demandOf(node, i, needs.ring);
        return isWord(argument.type) ? { ...argument.type, ring: Math.max(1, needed) } : argument.type;
      });
      const cost = SHARE.ops[node.op].cost(args, node.attributes, own);
      online += cost.online;
      offline += cost.offline;
      const wide = needs.wide.get(node);
      if (wide !== undefined && isWord(own) && wide > own.ring) {
        const bytes = (sizeOf(own.shape) * (wide - own.ring)) / 8;
        online += bytes;
        offline += 2 * bytes;
      }
    }
    return this.depth(needs) * link.secondsPerRound + (2 * online + offline) * link.secondsPerByte;
  }

  /** Bits that hold the value's range: its integer bits, a sign, and one to spare for `widen`. */
  private rangeRing(node: ShareNode): number {
    const bound = this.bounds.get(node) ?? Number.POSITIVE_INFINITY;
    const integerBits = Math.ceil(Math.log2(Math.max(bound, 2 ** -wordOf(node).fraction)));
    return Math.max(2, wordOf(node).fraction + integerBits + 2);
  }

  private needs(): Needs {
    const ring = new Map<ShareNode, number>();
    const wide = new Map<ShareNode, number>();
    const { nodes } = this.graph;
    for (let i = nodes.length - 1; i >= 0; i--) {
      const node = nodes[i];
      if (isWord(node.type)) {
        this.needOf(node, ring, wide);
      }
    }
    return { ring, wide };
  }

  private needOf(node: ShareNode, ring: Map<ShareNode, number>, wide: Map<ShareNode, number>): void {
    const widening = this.widenings.get(node);
    let narrow = this.outputs.has(node) ? this.rangeRing(node) : 1;
    let large = 0;
    for (const user of this.users.get(node)!) {
      user.args.forEach((argument, i) => {
        if (argument === node) {
          const needed = this.demandOf(user, i, ring);
          if (widening !== undefined && needed > widening.limit) {
            large = Math.max(large, needed);
          } else {
            narrow = Math.max(narrow, needed);
          }
        }
      });
    }
    if (widening !== undefined) {
      narrow = Math.max(narrow, this.rangeRing(node));
      wide.set(node, large);
    }
    ring.set(node, narrow);
  }

  /** The ring that an op needs of its i-th argument. */
  private demandOf(user: ShareNode, i: number, ring: ReadonlyMap<ShareNode, number>): number {
    if (user.op === "reveal") {
      return this.rangeRing(user.args[i]);
    }
    const own = isWord(user.type) ? requiredOf(user, ring) : 0;
    if (user.op === "rescale") {
      return own + (user.attributes.bits as number);
    }
    const demands = SHARE.ops[user.op].demand(
      user.args.map((argument) => argument.type),
      user.attributes,
      own,
    );
    return demands[i] ?? 0;
  }

  /** The first value, seen from the outputs, that needs more than a word. */
  private violation(needs: Needs): ShareNode | undefined {
    const { nodes } = this.graph;
    for (let i = nodes.length - 1; i >= 0; i--) {
      const node = nodes[i];
      if ((needs.ring.get(node) ?? 0) > WORD || (needs.wide.get(node) ?? 0) > WORD) {
        return node;
      }
    }
    return undefined;
  }

  /** Inserts the best `widen` along the chain of users that makes `violated` too large. */
  private mend(violated: ShareNode, needs: Needs): void {
    const excess = (node: ShareNode) => Math.max(needs.ring.get(node)!, needs.wide.get(node) ?? 0);
    const candidates = this.chainBelow(violated, needs)
      .map((node) => ({ node, limit: WORD - (excess(violated) - needs.ring.get(node)!) }))
      .filter(({ node, limit }) => this.mayWiden(node, limit, needs));
    if (candidates.length === 0) {
      throw fail({
        code: "E0404",
        what: `a value needs a ring of ${excess(violated)} bits, more than a word`,
        where: violated.origin,
        why: "its range and the precision asked for leave no place to widen it",
        fix: "calibrate with real inputs (--calibrate) for tighter ranges",
      });
    }
    const scored = candidates.map((candidate) => ({ ...candidate, ...this.score(candidate, needs) }));
    scored.sort((a, b) => a.depth - b.depth || a.bits - b.bits);
    this.widenings.set(scored[0].node, { limit: scored[0].limit });
  }

  private mayWiden(node: ShareNode, limit: number, needs: Needs): boolean {
    const already = this.widenings.get(node);
    return (
      node.type.kind === "masked" &&
      node.op !== "input" &&
      node.op !== "constant" &&
      this.rangeRing(node) <= limit &&
      needs.ring.get(node)! <= WORD &&
      (already === undefined || already.limit > limit)
    );
  }

  /** From a violated value down the users whose demands cause it, itself included. */
  private chainBelow(violated: ShareNode, needs: Needs): ShareNode[] {
    const chain: ShareNode[] = [];
    let node: ShareNode | undefined = violated;
    while (node !== undefined) {
      chain.push(node);
      node = this.causeOf(node, needs);
    }
    return chain;
  }

  /** The user whose own ring makes this value's need, if it is a ring that propagates. */
  private causeOf(node: ShareNode, needs: Needs): ShareNode | undefined {
    const largest = Math.max(needs.ring.get(node)!, needs.wide.get(node) ?? 0);
    for (const user of this.users.get(node)!) {
      if (isWord(user.type) && !hasOwnRing(user)) {
        for (let i = 0; i < user.args.length; i++) {
          if (user.args[i] === node && this.demandOf(user, i, needs.ring) === largest) {
            return user;
          }
        }
      }
    }
    return undefined;
  }

  private score({ node, limit }: { node: ShareNode; limit: number }, needs: Needs): { depth: number; bits: number } {
    const gained = Math.min(WORD, needs.ring.get(node)!) - Math.max(this.rangeRing(node), 2);
    return { depth: this.depth(needs, node, limit), bits: gained * sizeOf(node.type.shape) };
  }

  /** The longest chain of openings of the program, were `extra` widened for users that need more than `limit`. */
  private depth(needs: Needs, extra?: ShareNode, limit = 0): number {
    const depth = new Map<ShareNode, number>();
    let most = 0;
    for (const user of this.graph.nodes) {
      let own = 0;
      user.args.forEach((argument, i) => {
        const threshold = argument === extra ? limit : this.widenings.get(argument)?.limit;
        const widened = threshold !== undefined && this.demandOf(user, i, needs.ring) > threshold;
        own = Math.max(own, depth.get(argument)! + (widened ? 1 : 0));
      });
      own += isOpening(user) ? 1 : 0;
      depth.set(user, own);
      most = Math.max(most, own);
    }
    return most;
  }

  private rebuild(needs: Needs): Graph<ShareType> {
    const builder = new Builder<ShareType>(SHARE);
    const planned = new Map<ShareNode, ShareNode>();
    const widened = new Map<ShareNode, ShareNode>();
    const reduced = new Map<ShareNode, Map<number, ShareNode>>();
    const atRing = (node: ShareNode, ring: number, origin: string): ShareNode => {
      if (!isWord(node.type) || ring === 0 || node.type.ring <= ring) {
        return node;
      }
      const known = reduced.get(node) ?? new Map<number, ShareNode>();
      reduced.set(node, known);
      const made = known.get(ring) ?? builder.emit("reduce", [node], { ring }, origin);
      known.set(ring, made);
      return made;
    };
    const argumentFor = (user: ShareNode, i: number): ShareNode => {
      const argument = user.args[i];
      const needed = this.demandOf(user, i, needs.ring);
      const wide = this.widenings.get(argument);
      const source = wide !== undefined && needed > wide.limit ? widened.get(argument)! : planned.get(argument)!;
      return keepsRing(user, i) ? source : atRing(source, needed, user.origin);
    };
    for (const node of this.graph.nodes) {
      const args = node.args.map((_, i) => argumentFor(node, i));
      const made = builder.emit(node.op, args, attributesFor(node, needs), node.origin);
      planned.set(node, made);
      const ring = needs.wide.get(node);
      if (ring !== undefined && ring > (made.type as WordType).ring) {
        const narrow = atRing(made, needs.ring.get(node)!, node.origin);
        widened.set(node, builder.emit("widen", [narrow], { ring }, node.origin));
      } else if (ring !== undefined) {
        widened.set(node, made);
      }
    }
    return builder.finish(this.graph.outputs.map(({ name, node }) => ({ name, node: planned.get(node)! })));
  }
}

/** Ops whose result's ring is an attribute that this pass sets. */
const DEALT: ReadonlySet<string> = new Set([
  "input",
  "constant",
  "series",
  "seriesTimes",
  "exponential",
  "toArithmetic",
]);

/** Ops whose result's ring does not come from their users: it is fixed, or they read only a few bits. */
function hasOwnRing(node: ShareNode): boolean {
  return ["reduce", "coarseCount", "series", "exponential"].includes(node.op);
}

/** Arguments whose declared ring is part of the meaning: the digits of a value are cut at its own top. */
function keepsRing(user: ShareNode, _i: number): boolean {
  return SHARE.ops[user.op].needsRange && user.op !== "reveal";
}

function requiredOf(node: ShareNode, ring: ReadonlyMap<ShareNode, number>): number {
  return node.op === "reduce" ? (node.attributes.ring as number) : ring.get(node)!;
}

function attributesFor(node: ShareNode, needs: Needs): ShareNode["attributes"] {
  return DEALT.has(node.op) ? { ...node.attributes, ring: needs.ring.get(node)! } : node.attributes;
}

function isWord(type: ShareType): type is WordType {
  return type.kind === "masked" || type.kind === "additive";
}

function wordOf(node: ShareNode): WordType {
  if (!isWord(node.type)) {
    throw new Error(`${node.op} has no ring`);
  }
  return node.type;
}
