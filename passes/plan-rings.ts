/**
 * Plans the rings of a whole share program (ARCHITECTURE.md, law 7). Lowering leaves every ring open; this pass walks
 * backward and asks how many bits each value needs so that all its users are right (`demand` in the op table), and
 * where that exceeds a word it inserts `widen`. It is the level problem of CKKS compilers in MPC: `rescale` eats bits,
 * `widen` costs a round and buys them back, dealt values (`series`, `toArithmetic`, inputs) come in any ring for free.
 *
 * First the program is made possible: a violation can be mended anywhere along the chain of users that causes it, and
 * the place with the smallest depth of the whole program wins, then the fewest bytes. Then it is made fast for the
 * network that the plan is for: where values are widened, and which of their users read the wide copy, is changed for
 * all like values of all layers at once as long as that saves time.
 */
import { fail } from "../ir/diagnostics.js";
import { Builder, type Graph } from "../ir/graph.js";
import { SHARE, type ShareType, type WordType } from "../ir/share/index.js";
import { sizeOf } from "../ir/tensor/value.js";
import { boundsOf } from "./bounds.js";
import { isWord, type LinkCost, NEVER, Rings, type ShareNode, WORD } from "./rings.js";
import { decidingSquares, squaresFit, widenedSquares, withSquares } from "./squares.js";

/**
 * The program with all rings planned for a network. `bounds` are the largest absolute values of nodes, in reals;
 * `onPlanned` hears what became of each node, before it is widened. E0404 where a value's range leaves no place to
 * widen it.
 */
export function planRings(
  graph: Graph<ShareType>,
  bounds: ReadonlyMap<ShareNode, number>,
  link: LinkCost,
  onPlanned: (node: ShareNode, planned: ShareNode) => void = () => undefined,
): Graph<ShareType> {
  const rings = searchRings(graph, bounds, link);
  const first: Planned = { graph, rings, seconds: secondsOf(rings, link), sourceOf: (node) => node };
  const planned = squaredPlan(first, bounds, link);
  return rebuild(planned.graph, planned.rings, (node, made) => onPlanned(planned.sourceOf(node), made));
}

/** The plan with sums of squares dealt, those that decide the depth or all that may be worth it, where it is faster. */
function squaredPlan(given: Planned, bounds: ReadonlyMap<ShareNode, number>, link: LinkCost): Planned {
  const all = widenedSquares(given.rings, link);
  const deciding = decidingSquares(given.rings, all);
  const choices = [deciding, ...(deciding.size < all.size ? [all] : [])].filter(({ size }) => size > 0);
  return choices.reduce((best, chosen) => {
    const { graph, sources } = withSquares(given.graph, chosen);
    const sourceOf = (node: ShareNode) => sources.get(node)!;
    const known = graph.nodes.flatMap((node): [ShareNode, number][] => {
      const bound = bounds.get(sourceOf(node));
      return bound === undefined ? [] : [[node, bound]];
    });
    const rings = searchRings(graph, new Map(known), link);
    const seconds = secondsOf(rings, link);
    return squaresFit(rings) && seconds < best.seconds ? { graph, rings, seconds, sourceOf } : best;
  }, given);
}

interface Planned {
  readonly graph: Graph<ShareType>;
  readonly rings: Rings;
  readonly seconds: number;
  /** A node of the given program that a node of this one stands for. */
  readonly sourceOf: (node: ShareNode) => ShareNode;
}

/** The seconds of planned rings, by the network. */
export function secondsOf(rings: Rings, link: LinkCost, depth = rings.depth()): number {
  return depth * link.secondsPerRound + rings.bytes * link.secondsPerByte;
}

/** The rings that are planned, and which users read wide copies. E0404 as above. */
export function searchRings(graph: Graph<ShareType>, bounds: ReadonlyMap<ShareNode, number>, link: LinkCost): Rings {
  const rings = new Rings(graph, boundsOf(graph, bounds));
  const plans = STARTS.map((start) => {
    rings.limit(rings.nodes.map((_, node) => [node, start(rings, node)]));
    mendAll(rings);
    const seconds = improve(rings, link);
    return { seconds, limits: rings.nodes.map((_, node): [number, number] => [node, rings.limitOf(node)]) };
  });
  const best = plans.reduce((least, plan) => (plan.seconds < least.seconds ? plan : least));
  rings.limit(best.limits);
  return rings;
}

/**
 * Where the search begins: nothing is widened that need not be, few rounds; and every opened value is widened wherever
 * a user needs more bits than its range, few bytes. Between them lies what a network wants, nearer to one of them.
 */
const STARTS: readonly ((rings: Rings, node: number) => number)[] = [
  () => NEVER,
  (rings, node) => (rings.nodes[node].op === "remask" && isWidenable(rings, node) ? rings.rangeOf(node) : NEVER),
];

/** Mends violations until none is left. */
function mendAll(rings: Rings): void {
  for (let violated = rings.violated(); violated !== undefined; violated = rings.violated()) {
    mend(rings, violated);
  }
}

/** Inserts the best `widen` along the chain of users that makes `violated` too large. */
function mend(rings: Rings, violated: number): void {
  const excess = rings.largestOf(violated);
  const candidates = chainBelow(rings, violated)
    .map((node) => ({ node, limit: WORD - (excess - rings.ringOf(node)) }))
    .filter(({ node, limit }) => mayWiden(rings, node, limit));
  if (candidates.length === 0) {
    throw fail({
      code: "E0404",
      what: `a value needs a ring of ${excess} bits, more than a word`,
      where: rings.nodes[violated].origin,
      why: "its range and the precision asked for leave no place to widen it",
      fix: "calibrate with real inputs (--calibrate) for tighter ranges",
    });
  }
  const scored = candidates.map((candidate) => {
    const look = () => ({ depth: rings.depth(), bytes: rings.bytes });
    return { ...candidate, ...rings.attempt([[candidate.node, candidate.limit]], look, () => false) };
  });
  scored.sort((a, b) => a.depth - b.depth || a.bytes - b.bytes);
  rings.limit([[scored[0].node, scored[0].limit]]);
}

function mayWiden(rings: Rings, node: number, limit: number): boolean {
  return (
    isWidenable(rings, node) &&
    rings.rangeOf(node) <= limit &&
    rings.ringOf(node) <= WORD &&
    rings.limitOf(node) > limit
  );
}

/** Whether a wide copy may be made of a value. */
export function isWidenable(rings: Rings, node: number): boolean {
  const { op, type } = rings.nodes[node];
  return type.kind === "masked" && op !== "input" && op !== "constant" && rings.rangeOf(node) <= WORD;
}

/** From a violated value down the users whose demands cause it, itself included. */
function chainBelow(rings: Rings, violated: number): number[] {
  const chain: number[] = [];
  let node: number | undefined = violated;
  while (node !== undefined) {
    chain.push(node);
    node = causeOf(rings, node);
  }
  return chain;
}

/** The user whose own ring makes this value's need, if it is a ring that propagates. */
function causeOf(rings: Rings, node: number): number | undefined {
  const largest = rings.largestOf(node);
  const cause = rings
    .usesOf(node)
    .find(
      ({ user, position }) =>
        isWord(rings.nodes[user].type) && rings.passesOn(user, position) && rings.demandOf(user, position) === largest,
    );
  return cause?.user;
}

/** Choices of limit that are tried for a value, the smallest first. */
const MOST_LIMITS = 3;
const SWEEPS = 4;

type Limits = readonly (readonly [node: number, limit: number])[];

/**
 * Changes where like values (the same place of every layer) are widened as long as the program becomes faster: one
 * group at a time, then pairs of which one gives its `widen` up, because a round is only saved where all its parallel
 * chains do without it. The seconds that the best program takes.
 */
function improve(rings: Rings, link: LinkCost): number {
  const groups = likeValues(rings);
  const families = alike(rings, familyOf, CLOSE);
  let best = Number.POSITIVE_INFINITY;
  const seconds = () =>
    rings.isSound && secondsOf(rings, link, rings.leastDepth) < best
      ? secondsOf(rings, link)
      : Number.POSITIVE_INFINITY;
  best = seconds();
  const attempt = (limits: Limits): boolean => {
    const now = rings.attempt(limits, seconds, (each) => each < best);
    const better = now < best;
    best = Math.min(best, now);
    return better;
  };
  const sweep = (tried: readonly (readonly number[])[], without: readonly number[]): boolean => {
    const none = without.map((node): [number, number] => [node, NEVER]);
    let changed = false;
    for (const group of tried) {
      for (const limits of choices(rings, group)) {
        changed = attempt([...none, ...limits]) || changed;
      }
    }
    return changed;
  };
  for (let i = 0; i < SWEEPS; i++) {
    let changed = sweep(groups, []);
    changed = sweep(families, []) || changed;
    for (const group of groups.filter((each) => each.some((node) => rings.limitOf(node) !== NEVER))) {
      changed = sweep(groupsNear(rings, groups, group), group) || changed;
    }
    if (!changed) {
      break;
    }
  }
  return best;
}

/** How much larger a group may be than one that it takes the place of: a place of all layers for one of a few. */
const MOST_RATIO = 2;

/** How far away from a `widen` that is given up another may take its place, in ops. */
const REACH = 8;

/** The groups with a value near one of the given group, as its middle layer shows them. */
function groupsNear(
  rings: Rings,
  groups: readonly (readonly number[])[],
  group: readonly number[],
): readonly (readonly number[])[] {
  const near = new Set([group[group.length >> 1]]);
  let border = [...near];
  for (let i = 0; i < REACH; i++) {
    const around = border.flatMap((node) => [
      ...rings.nodes[node].args.map((_, position) => rings.argumentOf(node, position)),
      ...rings.usesOf(node).map(({ user }) => user),
    ]);
    border = [...new Set(around)].filter((node) => !near.has(node));
    for (const node of border) {
      near.add(node);
    }
  }
  const most = MOST_RATIO * group.length;
  return groups.filter((each) => each.length <= most && each.some((node) => near.has(node)));
}

/** Other limits for a group: for no user, above every value's range, above what its first user needs beyond, … */
function choices(rings: Rings, group: readonly number[]): readonly Limits[] {
  const all = group.map((node) => [NEVER, rings.rangeOf(node), ...rings.demandsBeyondRange(node).slice(0, -1)]);
  const count = Math.min(1 + MOST_LIMITS, Math.max(...all.map(({ length }) => length)));
  return Array.from({ length: count }, (_, choice) =>
    group.map((node, i): [number, number] => [node, all[i][Math.min(choice, all[i].length - 1)]]),
  ).filter((limits) => limits.some(([node, limit]) => rings.limitOf(node) !== limit));
}

/** Values that may be widened, grouped by what they are in their layer. */
function likeValues(rings: Rings): number[][] {
  return alike(rings, ({ op, type }) => `${op} ${type.shape.join(",")}`, NEIGHBOURHOOD);
}

/** How far around itself a value looks to know its place: far enough to tell two projections of a layer apart. */
const NEIGHBOURHOOD = 6;

/**
 * Families are what one chain of a node does for some of its heads or channels and its neighbours for the others: their
 * shapes differ, and a round is only saved where all of them do without a `widen`.
 */
function familyOf({ op, type, origin }: ShareNode): string {
  return `${op} ${type.shape.length} ${/\(\w+\)$/.exec(origin)?.[0]}`;
}

/** How far members of a family look around. */
const CLOSE = 2;

/** Values that may be widened, grouped by their labels and neighbourhoods; those that may save most come first. */
function alike(rings: Rings, label: (node: ShareNode) => string, distance: number): number[][] {
  const keys = likeness(rings, label, distance);
  const groups = new Map<number, { nodes: number[]; bits: number }>();
  rings.nodes.forEach((node, i) => {
    if (isWidenable(rings, i)) {
      const group = groups.get(keys[i]) ?? { nodes: [], bits: 0 };
      group.nodes.push(i);
      group.bits += (rings.largestOf(i) - rings.rangeOf(i)) * sizeOf(node.type.shape);
      groups.set(keys[i], group);
    }
  });
  return [...groups.values()]
    .filter(({ nodes, bits }) => bits > 0 || nodes.some((node) => rings.limitOf(node) !== NEVER))
    .sort((a, b) => b.bits - a.bits)
    .map(({ nodes }) => nodes);
}

/**
 * What a value is in its layer: its label, and those of what it is made of and of what is made of it, some steps
 * far (Weisfeiler and Leman's refinement). Equal for the same place of every inner layer, whatever the nodes' names.
 */
function likeness(rings: Rings, label: (node: ShareNode) => string, distance: number): readonly number[] {
  let labels = numbered(rings.nodes.map(label));
  for (let i = 0; i < distance; i++) {
    const refined = rings.nodes.map(({ args }, node) => {
      const made = args.map((_, position) => labels[rings.argumentOf(node, position)]);
      const users = rings.usesOf(node).map(({ user, position }) => `${labels[user]}.${position}`);
      return `${labels[node]} ${made.join(",")} ${users.sort().join(",")}`;
    });
    labels = numbered(refined);
  }
  return labels;
}

/** A number for each different text. */
function numbered(texts: readonly string[]): readonly number[] {
  const numbers = new Map<string, number>();
  return texts.map((text) => {
    const number = numbers.get(text) ?? numbers.size;
    numbers.set(text, number);
    return number;
  });
}

/** The program with the planned rings: every argument cut to what its user needs, `widen` where a wide copy is read. */
function rebuild(
  graph: Graph<ShareType>,
  rings: Rings,
  onPlanned: (node: ShareNode, planned: ShareNode) => void,
): Graph<ShareType> {
  const builder = new Builder<ShareType>(SHARE);
  const planned: ShareNode[] = [];
  const widened = new Map<number, ShareNode>();
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
  rings.nodes.forEach((node, i) => {
    const args = node.args.map((_, position) => {
      const argument = rings.argumentOf(i, position);
      const source = rings.readsWide(i, position) ? widened.get(argument)! : planned[argument];
      return keepsRing(node) ? source : atRing(source, rings.demandOf(i, position), node.origin);
    });
    const made = builder.emit(node.op, args, attributesFor(node, rings.ringOf(i)), node.origin);
    planned.push(made);
    onPlanned(node, made);
    const ring = rings.wideRingOf(i);
    if (ring > 0) {
      const isWider = ring > (made.type as WordType).ring;
      const narrow = isWider ? atRing(made, rings.ringOf(i), node.origin) : made;
      widened.set(i, isWider ? builder.emit("widen", [narrow], { ring }, node.origin) : made);
    }
  });
  const index = new Map(rings.nodes.map((node, i): [ShareNode, number] => [node, i]));
  return builder.finish(graph.outputs.map(({ name, node }) => ({ name, node: planned[index.get(node)!] })));
}

/** The digits of a value are cut at its own top: the declared ring of such an argument is part of the meaning. */
function keepsRing(user: ShareNode): boolean {
  return SHARE.ops[user.op].reads === "declared";
}

function attributesFor(node: ShareNode, ring: number): ShareNode["attributes"] {
  return SHARE.ops[node.op].ring === "planned" ? { ...node.attributes, ring } : node.attributes;
}
