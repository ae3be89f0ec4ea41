/**
 * The rings of a share program as a state that can be changed and taken back: every value's ring, its wide copy if it
 * is widened, the program's depth and its bytes. Planning tries thousands of changes, so that a change recomputes only
 * what it reaches, nodes and edges are numbers in flat arrays, and what an op asks of its arguments and costs is
 * computed once for each ring.
 */

import type { Graph, Node } from "../ir/graph.js";
import { ceilLog2 } from "../ir/real.js";
import { SHARE, type ShareType, type WordType } from "../ir/share/index.js";
import { isOpening } from "../ir/share/rounds.js";
import { sizeOf } from "../ir/tensor/value.js";

export type ShareNode = Node<ShareType>;

export const WORD = 64;

/** What a round and a byte on a link cost: the network that the plan is for. */
export interface LinkCost {
  readonly secondsPerRound: number;
  readonly secondsPerByte: number;
}

/** The limit of a value that is not widened: no user needs so many bits. */
export const NEVER = 1 << 24;
/** The ring of a value without a bound: more than any word. */
const BOUNDLESS = 1 << 20;
/** What is asked of arguments for a ring that no word holds is the same for all of these: changes end there. */
const LARGEST_ASKED = 2 * WORD;
/** No depth was asked for yet. */
const UNKNOWN = -1;
/** Rings that a key of remembered costs tells apart. */
const KEY_BASE = 131;
/** Arguments whose rings fit a key: a double holds it exactly. */
const MOST_KEYED = 6;

/** A use of a value: `user` reads it at `position`. */
export interface Use {
  readonly user: number;
  readonly position: number;
}

/** The arrays of which changes are remembered, so that they can be taken back. */
type Changing = Int32Array | Float64Array;

/** Nodes to recompute, users before what they use: a heap with the last node on top, each node in it once. */
class Pending {
  private readonly heap: Int32Array;
  private readonly isIn: Uint8Array;
  private size = 0;

  constructor(nodes: number) {
    this.heap = new Int32Array(nodes);
    this.isIn = new Uint8Array(nodes);
  }

  add(node: number): void {
    if (this.isIn[node] === 1) {
      return;
    }
    this.isIn[node] = 1;
    const { heap } = this;
    let at = this.size++;
    for (let parent = (at - 1) >> 1; at > 0 && heap[parent] < node; parent = (at - 1) >> 1) {
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = node;
  }

  /** Takes the last node out; -1 where there is none. */
  take(): number {
    if (this.size === 0) {
      return -1;
    }
    const { heap } = this;
    const top = heap[0];
    this.isIn[top] = 0;
    const moved = heap[--this.size];
    let at = 0;
    for (let child = 1; child < this.size; child = 2 * at + 1) {
      child += child + 1 < this.size && heap[child + 1] > heap[child] ? 1 : 0;
      if (heap[child] <= moved) {
        break;
      }
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = moved;
    return top;
  }
}

/** What was overwritten, in order. */
class Journal {
  private readonly arrays: Changing[] = [];
  private readonly indices: number[] = [];
  private readonly values: number[] = [];
  private size = 0;

  note(array: Changing, index: number): void {
    this.arrays[this.size] = array;
    this.indices[this.size] = index;
    this.values[this.size++] = array[index];
  }

  takeBack(): void {
    while (this.size > 0) {
      this.size--;
      this.arrays[this.size][this.indices[this.size]] = this.values[this.size];
    }
  }

  forget(): void {
    this.size = 0;
  }
}

export class Rings {
  readonly nodes: readonly ShareNode[];
  /** Ring that a value itself must have; 0 for values without one. */
  private readonly narrow: Int32Array;
  /** Ring of its wide copy, 0 where there is none. */
  private readonly wide: Int32Array;
  /** Users that need more bits than this read the wide copy. */
  private readonly limits: Int32Array;
  private readonly costs: Float64Array;
  /** Edges lie in the order of users and positions: those of node i are first[i] … first[i + 1] − 1. */
  private readonly first: Int32Array;
  private readonly argument: Int32Array;
  private readonly demands: Int32Array;
  private readonly uses: (Use & { readonly edge: number })[][];
  private readonly opens: Uint8Array;
  private readonly isWord: Uint8Array;
  private readonly isPriced: Uint8Array;
  private readonly ranges: Int32Array;
  /** What a value's ring is at least: its range if it is an output, or given by an owner whatever its users read. */
  private readonly least: Int32Array;
  private readonly depths: Int32Array;
  private readonly pending: Pending;
  private readonly known: Map<number, number>[];
  private readonly asked: Map<number, readonly number[]>[];
  private readonly journal = new Journal();
  private isTrying = false;
  private total = 0;
  private tooLarge = 0;
  /** The depth when it was last asked for outside of attempts, and how many uses left and took wide copies since. */
  private lastDepth = UNKNOWN;
  private left = 0;
  private taken = 0;

  /** `bounds` are the largest absolute values of nodes, in reals; a value without one cannot be widened. */
  constructor(graph: Graph<ShareType>, bounds: ReadonlyMap<ShareNode, number>) {
    const { nodes } = graph;
    this.nodes = nodes;
    const index = new Map(nodes.map((node, i): [ShareNode, number] => [node, i]));
    this.first = new Int32Array(nodes.length + 1);
    nodes.forEach(({ args }, i) => {
      this.first[i + 1] = this.first[i] + args.length;
    });
    this.argument = Int32Array.from(nodes.flatMap(({ args }) => args.map((each) => index.get(each)!)));
    this.uses = nodes.map(() => []);
    nodes.forEach(({ args }, user) => {
      args.forEach((_, position) => {
        const edge = this.first[user] + position;
        this.uses[this.argument[edge]].push({ user, position, edge });
      });
    });
    const zeros = () => new Int32Array(nodes.length);
    [this.narrow, this.wide, this.depths] = [zeros(), zeros(), zeros()];
    this.limits = zeros().fill(NEVER);
    this.demands = new Int32Array(this.argument.length);
    this.costs = new Float64Array(nodes.length);
    this.pending = new Pending(nodes.length);
    this.opens = Uint8Array.from(nodes, (node) => (isOpening(node) ? 1 : 0));
    this.isWord = Uint8Array.from(nodes, ({ type }) => (isWord(type) ? 1 : 0));
    this.isPriced = Uint8Array.from(nodes, (node) => (bytesOf(node, () => WORD, WORD) > 0 ? 1 : 0));
    this.ranges = Int32Array.from(nodes, (node) => (isWord(node.type) ? rangeRing(node.type, bounds.get(node)) : 0));
    const outputs = new Set(graph.outputs.map(({ node }) => node));
    const given = (i: number) => Math.min(WORD, this.ranges[i] - 1);
    this.least = Int32Array.from(nodes, (node, i) =>
      outputs.has(node) ? this.ranges[i] : node.op === "input" ? given(i) : 1,
    );
    this.known = nodes.map(() => new Map());
    this.asked = nodes.map(() => new Map());
    for (let i = 0; i < nodes.length; i++) {
      this.pending.add(i);
    }
    this.update(true);
  }

  /** Bytes through the busiest network card, P2's: what P1 opens to it, P0 deals to it and owners give it. */
  get bytes(): number {
    return this.total;
  }

  get isSound(): boolean {
    return this.tooLarge === 0;
  }

  ringOf(node: number): number {
    return this.narrow[node];
  }

  /** The ring of a value's wide copy; 0 where nobody reads one. */
  wideRingOf(node: number): number {
    return this.wide[node];
  }

  /** The larger of a value's ring and its wide copy's. */
  largestOf(node: number): number {
    return Math.max(this.narrow[node], this.wide[node]);
  }

  limitOf(node: number): number {
    return this.limits[node];
  }

  /** What a value's ring is at least, whatever its users need. */
  leastOf(node: number): number {
    return this.least[node];
  }

  /** Bits that hold a value's range: its integer bits, a sign, and one to spare for `widen`. */
  rangeOf(node: number): number {
    return this.ranges[node];
  }

  /** The ring that a node needs of an argument. */
  demandOf(node: number, position: number): number {
    return this.demands[this.first[node] + position];
  }

  /** Whether what a node needs of an argument grows with what its own users need of it. */
  passesOn(node: number, position: number): boolean {
    const ring = this.narrow[node];
    return this.demandsFor(node, ring + 1)[position] > this.demandsFor(node, ring)[position];
  }

  /** Whether a node reads the wide copy of an argument. */
  readsWide(node: number, position: number): boolean {
    const edge = this.first[node] + position;
    return this.demands[edge] > this.limits[this.argument[edge]];
  }

  /** The argument of a node, by number. */
  argumentOf(node: number, position: number): number {
    return this.argument[this.first[node] + position];
  }

  usesOf(node: number): readonly Use[] {
    return this.uses[node];
  }

  /** What the users of a value need of it beyond its range, each once, ascending. */
  demandsBeyondRange(node: number): readonly number[] {
    const needed = this.uses[node].map(({ edge }) => this.demands[edge]).filter((each) => each > this.ranges[node]);
    return [...new Set(needed)].sort((a, b) => a - b);
  }

  /** The first value, seen from the outputs, that needs more than a word. */
  violated(): number | undefined {
    for (let i = this.nodes.length - 1; i >= 0 && !this.isSound; i--) {
      if (this.largestOf(i) > WORD) {
        return i;
      }
    }
    return undefined;
  }

  /** The longest chain of openings. */
  depth(): number {
    const isKnown = this.lastDepth !== UNKNOWN && this.left === 0 && this.taken === 0;
    const depth = isKnown ? this.lastDepth : this.countDepth();
    if (!this.isTrying) {
      this.lastDepth = depth;
      this.left = 0;
      this.taken = 0;
    }
    return depth;
  }

  /** No depth is less: each use that leaves a wide copy makes at most one opening of a chain needless. */
  get leastDepth(): number {
    return this.lastDepth === UNKNOWN ? 0 : this.lastDepth - this.left;
  }

  private countDepth(): number {
    const { first, argument, demands, limits, depths, opens } = this;
    let most = 0;
    for (let i = 0; i < opens.length; i++) {
      let own = 0;
      for (let edge = first[i]; edge < first[i + 1]; edge++) {
        const from = argument[edge];
        const depth = depths[from] + (demands[edge] > limits[from] ? 1 : 0);
        if (depth > own) {
          own = depth;
        }
      }
      depths[i] = own + opens[i];
      if (depths[i] > most) {
        most = depths[i];
      }
    }
    return most;
  }

  /** Users that need more than their `limit` bits of these values read wide copies; NEVER: nobody does. */
  limit(changes: readonly (readonly [node: number, limit: number])[]): void {
    for (const [node, limit] of changes) {
      const before = this.limits[node];
      if (before !== limit) {
        for (const { edge } of this.uses[node]) {
          this.noteWide(this.demands[edge] > before, this.demands[edge] > limit);
        }
        this.write(this.limits, node, limit);
        this.pending.add(node);
      }
    }
    this.update();
  }

  /** Makes changes and says what `look` sees; they stay if `keep` of that, otherwise everything is as before. */
  attempt<T>(changes: readonly (readonly [number, number])[], look: () => T, keep: (seen: T) => boolean): T {
    const before = { total: this.total, tooLarge: this.tooLarge };
    this.depth();
    this.isTrying = true;
    this.limit(changes);
    const seen = look();
    this.isTrying = false;
    if (keep(seen)) {
      this.journal.forget();
    } else {
      this.journal.takeBack();
      this.total = before.total;
      this.tooLarge = before.tooLarge;
      this.left = 0;
      this.taken = 0;
    }
    return seen;
  }

  private write(array: Changing, index: number, value: number): void {
    if (this.isTrying) {
      this.journal.note(array, index);
    }
    array[index] = value;
  }

  private noteWide(before: boolean, now: boolean): void {
    this.left += before && !now ? 1 : 0;
    this.taken += now && !before ? 1 : 0;
  }

  /**
   * Recomputes the pending values and all that follows: users before what they use. An attempt on a sound program ends
   * with the first value that no longer fits a word: what is above it in the program is not looked at any more.
   */
  private update(isFirst = false): void {
    const mustBeSound = this.isTrying && this.isSound;
    for (let i = this.pending.take(); i >= 0; i = this.pending.take()) {
      if (mustBeSound && !this.isSound) {
        continue;
      }
      if (this.replan(i) || isFirst) {
        this.ask(i);
      }
      this.price(i);
    }
  }

  /** A value's rings from its users' demands; true where its own ring changed. */
  private replan(node: number): boolean {
    if (this.isWord[node] === 0) {
      return false;
    }
    const limit = this.limits[node];
    let narrow = limit === NEVER ? this.least[node] : Math.max(this.least[node], this.ranges[node]);
    let large = 0;
    for (const { edge } of this.uses[node]) {
      const needed = this.demands[edge];
      if (needed > limit) {
        large = Math.max(large, needed);
      } else {
        narrow = Math.max(narrow, needed);
      }
    }
    const isOther = this.narrow[node] !== narrow;
    if (isOther || this.wide[node] !== large) {
      this.tooLarge -= this.largestOf(node) > WORD ? 1 : 0;
      this.write(this.narrow, node, narrow);
      this.write(this.wide, node, large);
      this.tooLarge += this.largestOf(node) > WORD ? 1 : 0;
    }
    return isOther;
  }

  /** What a node of this ring needs of its arguments; those of which it needs something else now are pending. */
  private ask(node: number): void {
    const ring = Math.min(this.narrow[node], LARGEST_ASKED);
    let wanted = this.asked[node].get(ring);
    if (wanted === undefined) {
      wanted = this.demandsFor(node, ring);
      this.asked[node].set(ring, wanted);
    }
    for (let i = 0; i < wanted.length; i++) {
      const edge = this.first[node] + i;
      const before = this.demands[edge];
      if (before !== wanted[i]) {
        const argument = this.argument[edge];
        const limit = this.limits[argument];
        this.noteWide(before > limit, wanted[i] > limit);
        this.write(this.demands, edge, wanted[i]);
        this.pending.add(argument);
      }
    }
  }

  /** The rings that a node would need of its arguments if its own were this. */
  demandsFor(node: number, ring: number): readonly number[] {
    const { op, args, attributes } = this.nodes[node];
    const { reads, demand } = SHARE.ops[op];
    if (reads === "range") {
      return args.map((_, position) => this.ranges[this.argumentOf(node, position)]);
    }
    const demands = demand(
      args.map(({ type }) => type),
      attributes,
      ring,
    );
    return args.map((_, position) => demands[position] ?? 0);
  }

  private price(node: number): void {
    const gained = this.wide[node] === 0 ? 0 : this.wide[node] - Math.min(WORD, this.narrow[node]);
    const widening = gained > 0 ? (sizeOf(this.nodes[node].type.shape) * gained * WIDEN_SECTIONS) / 8 : 0;
    const cost = (this.isPriced[node] === 1 ? this.ownBytes(node) : 0) + widening;
    if (this.costs[node] !== cost) {
      this.total += cost - this.costs[node];
      this.write(this.costs, node, cost);
    }
  }

  private ownBytes(node: number): number {
    const ring = Math.min(WORD, this.narrow[node]);
    if (this.first[node + 1] - this.first[node] > MOST_KEYED) {
      return bytesOf(this.nodes[node], (i) => this.demandOf(node, i), ring);
    }
    let key = ring;
    for (let edge = this.first[node]; edge < this.first[node + 1]; edge++) {
      key = key * KEY_BASE + Math.min(WORD, this.demands[edge]);
    }
    let bytes = this.known[node].get(key);
    if (bytes === undefined) {
      bytes = bytesOf(this.nodes[node], (i) => this.demandOf(node, i), ring);
      this.known[node].set(key, bytes);
    }
    return bytes;
  }
}

/** What `widen` brings to P2 for each new bit: two dealt, one opened. */
export const WIDEN_SECTIONS = 3;

/** Bytes that reach P2 of a node whose arguments and result have these rings: opened by P1, and dealt. */
export function bytesOf(node: ShareNode, demanded: (i: number) => number, ring: number): number {
  const at = (type: ShareType, planned: number): ShareType => (isWord(type) ? { ...type, ring: planned } : type);
  const args = node.args.map(({ type }, i) => at(type, Math.min(WORD, Math.max(1, demanded(i)))));
  const { online, offline } = SHARE.ops[node.op].cost(args, node.attributes, at(node.type, ring));
  const given = node.op === "input" ? (sizeOf(node.type.shape) * ring) / 8 : 0;
  return online + offline + given * (node.attributes.owner === "model" ? WEIGHT_PRICE : 1);
}

/**
 * What a byte of a weight counts beside a byte of a session: weights are shared once, for many sessions. So they are
 * given in a ring no larger than their uses need wherever that costs a session next to nothing.
 */
const WEIGHT_PRICE = 1 / 128;

function rangeRing({ fraction }: WordType, bound = Number.POSITIVE_INFINITY): number {
  const integerBits = ceilLog2(Math.max(bound, 2 ** -fraction));
  return Number.isFinite(integerBits) ? Math.max(2, fraction + integerBits + 2) : BOUNDLESS;
}

export function isWord(type: ShareType): type is WordType {
  return type.kind === "masked" || type.kind === "additive";
}
