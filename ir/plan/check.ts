/**
 * Whether a plan may be run: what a party relies on besides the interpreter. Types are inferred again by the op table,
 * rounds, stream positions and places are checked one by one. Throws an Error that says what is wrong.
 *
 * With it, whatever a plan file says, a party reads and writes only inside its arena, uses no stream position twice,
 * and sends only masked openings (that is the interpreter's own doing, ARCHITECTURE.md, law 9).
 */
import type { Node } from "../graph.js";
import { placeBytes, SHARE, type ShareType } from "../share/index.js";
import { cosineQuarter, negativePowers } from "../share/tables.js";
import { verify } from "../verify.js";
import type { Plan, Step } from "./types.js";

const BLOCK = 16;

function insist(condition: boolean, message: string): void {
  if (!condition) {
    throw new Error(message);
  }
}

export function checkPlan(plan: Plan): void {
  const nodes = nodesOf(plan);
  const outputs = nodes.filter(({ op }) => op === "reveal").map((node) => ({ name: revealName(node), node }));
  const violations = verify({ nodes, outputs }, SHARE);
  insist(violations.length === 0, `its program is not sound: ${violations.slice(0, 3).map(String).join("; ")}`);
  checkRounds(plan);
  checkDraws(plan);
  checkPlaces(plan, "P0");
  checkPlaces(plan, "P12");
  checkReveals(
    plan,
    outputs.map(({ name }) => name),
  );
  checkTables(plan);
  checkBindings(plan);
}

/** The steps as a graph, so that the level's own verifier can look at them. */
function nodesOf(plan: Plan): Node<ShareType>[] {
  const nodes: Node<ShareType>[] = [];
  plan.steps.forEach((step, i) => {
    insist(
      step.args.every((argument) => argument < i),
      `step ${i} reads a step that does not stand before it`,
    );
    insist(step.origin < plan.origins.length, `step ${i} has no origin`);
    const { op, attributes, type } = step;
    nodes.push({ op, attributes, type, args: step.args.map((k) => nodes[k]), origin: plan.origins[step.origin] });
  });
  return nodes;
}

function revealName(node: Node<ShareType>): string {
  return String(node.attributes.name);
}

/** An opening's round is later than its arguments'; rounds never go back along the list. */
function checkRounds(plan: Plan): void {
  let current = 0;
  plan.steps.forEach((step, i) => {
    const opening = isOpening(step);
    insist(step.round >= current, `step ${i} is of round ${step.round}, after round ${current}`);
    insist(step.round <= plan.rounds, `step ${i} is of round ${step.round} of ${plan.rounds}`);
    for (const argument of step.args) {
      const before = plan.steps[argument].round;
      insist(opening ? before < step.round : before <= step.round, `step ${i} reads a value of a later round`);
    }
    current = step.round;
  });
}

function isOpening(step: Step): boolean {
  return step.op === "remask" || step.op === "remaskBits" || step.op === "widen";
}

/** Positions fit what the op draws, and no two draws of a stream overlap. */
function checkDraws(plan: Plan): void {
  const used = new Map<string, { from: number; to: number }[]>();
  plan.steps.forEach((step, i) => {
    const types = step.args.map((argument) => plan.steps[argument].type);
    const needed = SHARE.ops[step.op].draws(types, step.attributes, step.type);
    insist(needed.length === step.draws.length, `step ${i} has ${step.draws.length} stream positions`);
    needed.forEach(({ pair, bytes }, k) => {
      const draw = step.draws[k];
      insist(draw.pair === pair, `step ${i} draws from another stream`);
      insist(Number.isSafeInteger(draw.block) && draw.block >= 0, `step ${i} draws at no position`);
      const stream = step.op === "input" ? `${String(step.attributes.owner)} ${pair}` : pair;
      const intervals = used.get(stream) ?? [];
      intervals.push({ from: draw.block, to: draw.block + Math.ceil(bytes / BLOCK) });
      used.set(stream, intervals);
    });
  });
  for (const [stream, intervals] of used) {
    intervals.sort((a, b) => a.from - b.from);
    for (let i = 1; i < intervals.length; i++) {
      insist(intervals[i].from >= intervals[i - 1].to, `a position of stream ${stream} is used twice`);
    }
  }
}

interface Life {
  at: number;
  bytes: number;
  from: number;
  to: number;
}

/** Every value lies inside the arena, and values that live at the same time lie apart. */
function checkPlaces(plan: Plan, party: "P0" | "P12"): void {
  const roots: number[] = [];
  const lives = new Map<number, Life>();
  let moment = 0;
  plan.steps.forEach((step, i) => {
    const previous = plan.steps[i - 1];
    const joined = i > 0 && isOpening(step) && isOpening(previous) && previous.round === step.round;
    moment += joined ? 0 : 1;
    const at = step.places[party];
    const bytes = placeBytes(step.type, party);
    insist(bytes === 0 || (Number.isSafeInteger(at) && at >= 0 && at % 64 === 0), `step ${i} has no place`);
    insist(bytes === 0 || at + bytes <= plan.arena[party], `step ${i} lies outside the arena`);
    const source = SHARE.ops[step.op].alias ? roots[step.args[0]] : i;
    const root = source !== i && plan.steps[source].places[party] === at ? source : i;
    roots.push(root);
    const life = lives.get(root) ?? { at, bytes: 0, from: moment, to: moment };
    life.bytes = Math.max(life.bytes, bytes);
    life.to = moment;
    lives.set(root, life);
    for (const argument of step.args) {
      const used = lives.get(roots[argument])!;
      used.to = Math.max(used.to, moment);
    }
  });
  checkApart([...lives.values()].filter(({ bytes }) => bytes > 0));
}

function checkApart(lives: readonly Life[]): void {
  let active: Life[] = [];
  for (const life of lives) {
    active = active.filter((other) => other.to >= life.from);
    for (const other of active) {
      const apart = life.at + life.bytes <= other.at || other.at + other.bytes <= life.at;
      insist(apart, "two values that are needed at the same time have one place");
    }
    active.push(life);
  }
}

function checkReveals(plan: Plan, names: readonly string[]): void {
  const listed = plan.reveals.map(({ name }) => name).join(", ");
  insist(names.join(", ") === listed, `it reveals ${names.join(", ")} but lists ${listed}`);
}

/** The tables are the ones that every party would compute: a plan cannot smuggle in a function of its own. */
function checkTables(plan: Plan): void {
  const same = (a: Int32Array, b: Int32Array) => a.length === b.length && a.every((x, i) => x === b[i]);
  for (const [angle, table] of plan.tables.cosines) {
    insist(
      angle >= 3 && angle <= 26 && same(table, cosineQuarter(angle)),
      `the cosine table of ${angle} bits is wrong`,
    );
  }
  for (const [fraction, table] of plan.tables.exponentials) {
    const good = fraction >= 1 && fraction <= 24 && same(table, negativePowers(fraction));
    insist(good, `the exponential table of ${fraction} bits is wrong`);
  }
}

function checkBindings(plan: Plan): void {
  const bound = new Set(plan.bindings.map(({ input }) => input));
  for (const { op, attributes } of plan.steps) {
    insist(op !== "input" || bound.has(String(attributes.name)), `nobody gives the input '${String(attributes.name)}'`);
  }
  for (const { input, owner, output } of plan.bindings) {
    const program = owner === "model" ? plan.owners.model : plan.owners.data;
    insist(
      program.outputs.some(({ name }) => name === output),
      `'${input}' is no output of its owner's program`,
    );
  }
}
