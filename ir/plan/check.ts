/**
 * Whether a plan may be run: what a party relies on besides the interpreter. Types are inferred again by the op table,
 * rounds, stream positions and places are checked one by one. Throws an Error that says what is wrong.
 *
 * With it, whatever a plan file says, a party reads and writes only inside its arena, uses no stream position twice,
 * and sends only masked openings (that is the interpreter's own doing, ARCHITECTURE.md, law 9).
 */

import type { Attributes, Node } from "../graph.js";
import { sameShape } from "../shape.js";
import { POWER_INDEX_BITS } from "../share/decays.js";
import { heldBytes, SHARE, type ShareType, type WordType } from "../share/index.js";
import { LINEAR } from "../share/linear.js";
import { isOpening } from "../share/rounds.js";
import { cosineQuarter, negativePowers, tableAngleOf } from "../share/tables.js";
import { TENSOR } from "../tensor/index.js";
import { sizeOf } from "../tensor/value.js";
import { verify } from "../verify.js";
import { publicInputs } from "./disclosed.js";
import { leaksOf } from "./leakage.js";
import { streamable } from "./streamed.js";
import { type HeldPart, type Plan, programsOf, type Step } from "./types.js";

const BLOCK = 16;
/** Streams end here: positions are doubles, and one that is rounded would be another's. */
const LAST_BLOCK = Number.MAX_SAFE_INTEGER;
/** No arena is larger: offsets stay far from where doubles lose integers. */
const LARGEST_ARENA = 2 ** 46;

function insist(condition: boolean, message: string): void {
  if (!condition) {
    throw new Error(message);
  }
}

export function checkPlan(plan: Plan): void {
  const programs = programsOf(plan);
  for (const program of programs) {
    checkProgram(program);
  }
  insist(
    plan.parts.every(({ parts }) => parts.length === 0),
    "its parts have parts",
  );
  checkState(programs);
}

function checkProgram(plan: Plan): void {
  const nodes = nodesOf(plan);
  const outputs = nodes
    .filter(({ op }) => op === "reveal" || op === "verdict" || op === "keep")
    .map((node) => ({ name: node.op === "verdict" ? "verdict" : `${node.op} ${revealName(node)}`, node }));
  const violations = verify({ nodes, outputs }, SHARE);
  insist(violations.length === 0, `its program is not sound: ${violations.slice(0, 3).map(String).join("; ")}`);
  checkRounds(plan);
  checkDraws(plan);
  const leaks = leaksOf(plan, SHARE.ops);
  insist(leaks.length === 0, `it says more than it may: ${leaks.slice(0, 3).join("; ")}`);
  checkPublicArguments(plan);
  checkPlaces(plan, "P0");
  checkPlaces(plan, "P12");
  checkReveals(plan);
  checkTables(plan);
  checkBindings(plan);
  checkHeld(plan);
}

/** The steps as a graph, so that the language's own verifier can look at them. */
function nodesOf(plan: Plan): Node<ShareType>[] {
  const nodes: Node<ShareType>[] = [];
  const isIndex = (n: number, count: number) => Number.isInteger(n) && n >= 0 && n < count;
  plan.steps.forEach((step, i) => {
    insist(
      step.args.every((argument) => isIndex(argument, i)),
      `step ${i} reads a step that does not stand before it`,
    );
    insist(isIndex(step.origin, plan.origins.length), `step ${i} has no origin`);
    const { op, attributes, type } = step;
    insist(!("ring" in type) || type.ring > 0, `step ${i} has no ring`);
    nodes.push({ op, attributes, type, args: step.args.map((k) => nodes[k]), origin: plan.origins[step.origin].node });
  });
  return nodes;
}

function revealName({ attributes }: { readonly attributes: Attributes }): string {
  return String(attributes.name);
}

/**
 * Rounds follow one another: a local step is of the current round, an opening begins the next one or joins the opening
 * before it, so that a round is one message. An opening reads nothing of its own round.
 */
function checkRounds(plan: Plan): void {
  let current = 0;
  plan.steps.forEach((step, i) => {
    const opening = isOpening(step);
    const joins = opening && i > 0 && isOpening(plan.steps[i - 1]) && step.round === current;
    insist(joins || step.round === current + (opening ? 1 : 0), `step ${i} of round ${step.round} follows ${current}`);
    current = step.round;
    const latest = Math.max(0, ...step.args.map((argument) => plan.steps[argument].round));
    insist(!opening || latest < step.round, `step ${i} opens what its own round opens`);
  });
  insist(current === plan.rounds, `it has ${current} rounds, not ${plan.rounds}`);
}

/**
 * Positions fit what the op draws, lie where a counter can count, and no two draws of a stream overlap. An owner's two
 * streams are read at one position, which is in the plan twice. Positions of the two owners lie apart too: whoever is
 * both owners and draws the seeds once still uses no position twice.
 */
function checkDraws(plan: Plan): void {
  const used = new Map<string, { from: number; to: number }[]>();
  plan.steps.forEach((step, i) => {
    const types = step.args.map((argument) => plan.steps[argument].type);
    const needed = SHARE.ops[step.op].draws(types, step.attributes, step.type);
    insist(needed.length === step.draws.length, `step ${i} has ${step.draws.length} stream positions`);
    needed.forEach(({ pair, bytes }, k) => {
      const draw = step.draws[k];
      insist(draw.pair === pair, `step ${i} draws from another stream`);
      const blocks = Math.ceil(bytes / BLOCK);
      const isPosition = Number.isInteger(draw.block) && draw.block >= 0 && draw.block <= LAST_BLOCK - blocks;
      insist(isPosition, `step ${i} draws at no position`);
      const isOwners = step.op === "input";
      insist(!isOwners || draw.block === step.draws[0].block, `step ${i} draws its two masks at two positions`);
      const stream = isOwners ? `${pair} of the owners` : pair;
      const intervals = used.get(stream) ?? [];
      intervals.push({ from: draw.block, to: draw.block + blocks });
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

/**
 * What an op reads in the clear is public: a public input, a constant, or what local linear ops make of these, whose
 * masks are 0. With any other value the result would be noise.
 */
function checkPublicArguments({ steps }: Plan): void {
  const open: boolean[] = [];
  steps.forEach(({ op, args, attributes, type }, i) => {
    const isLinear = Object.hasOwn(LINEAR, op) && type.kind === "masked";
    const isGiven = op === "constant" || (op === "input" && attributes.owner === "public");
    open.push(isGiven || (isLinear && op !== "input" && args.every((argument) => open[argument])));
    for (const offset of SHARE.ops[op].publicArguments) {
      insist(offset >= args.length || open[args[offset]], `step ${i} reads in the clear what is not public`);
    }
  });
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
  insist(plan.arena[party] >= 0 && plan.arena[party] <= LARGEST_ARENA, "its arena is too large");
  let moment = 0;
  const can = streamable(plan.steps);
  plan.steps.forEach((step, i) => {
    const previous = plan.steps[i - 1];
    const joined = i > 0 && isOpening(step) && isOpening(previous) && previous.round === step.round;
    moment += joined ? 0 : 1;
    const at = step.offsets[party];
    const bytes = at < 0 && can[i] ? 0 : heldBytes(step.type, party);
    insist(bytes === 0 || (Number.isSafeInteger(at) && at >= 0 && at % 64 === 0), `step ${i} has no offset`);
    insist(bytes === 0 || at + bytes <= plan.arena[party], `step ${i} lies outside the arena`);
    const source = SHARE.ops[step.op].alias ? roots[step.args[0]] : i;
    const root = source !== i && plan.steps[source].offsets[party] === at ? source : i;
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

/** What the steps reveal is what the plan lists, value by value. */
function checkReveals(plan: Plan): void {
  const text = (name: string, shape: readonly number[]) => `${JSON.stringify(name)} [${shape.join(",")}]`;
  const listed = plan.reveals.map(({ name, shape }) => text(name, shape)).join(", ");
  const found = plan.steps.filter(({ op }) => op === "reveal").map((step) => text(revealName(step), step.type.shape));
  insist(plan.steps.filter(({ op }) => op === "verdict").length <= 1, "it has more than one verdict");
  insist(found.join(", ") === listed, `it reveals ${found.join(", ")} but lists ${listed}`);
}

/**
 * All programs that keep anything keep the same values, each once, and what any program reads is as those keep it: of
 * the same shape and fraction, in at least the bits that are read. So whatever ran before, a run finds what it reads;
 * at the beginning that is zeros.
 */
function checkState(programs: readonly Plan[]): void {
  const kept = programs.map(
    ({ steps }) =>
      new Map(steps.flatMap((step) => (step.op === "keep" ? [[revealName(step), step.type as WordType]] : []))),
  );
  const types = kept.filter((own, i) => i === 0 || own.size > 0);
  const names = (of: ReadonlyMap<string, WordType>) => [...of.keys()].sort().join(", ");
  types.forEach((own) => {
    insist(names(own) === names(types[0]), `its programs keep ${names(types[0])} and ${names(own)}`);
  });
  for (const { steps } of programs) {
    const reads = steps.filter(({ op, attributes }) => op === "input" && attributes.owner === "state");
    for (const { attributes, type } of reads) {
      const read = type as WordType;
      const fits = types.every((own) => {
        const has = own.get(revealName({ attributes }));
        return has?.fraction === read.fraction && sameShape(has.shape, read.shape) && has.ring >= read.ring;
      });
      insist(fits, `it reads '${revealName({ attributes })}' otherwise than it is kept`);
    }
  }
}

/**
 * The tables are the ones that every party would compute, and the ones that the steps read: a plan cannot smuggle in a
 * function of its own.
 */
function checkTables({ steps, tables }: Plan): void {
  const same = (a: Int32Array, b: Int32Array) => a.length === b.length && a.every((x, i) => x === b[i]);
  const { angles, fractions } = tablesRead(steps);
  insist(String([...tables.cosines.keys()]) === String(angles), "it has other cosine tables than its steps read");
  insist(String([...tables.exponentials.keys()]) === String(fractions), "it has other powers than its steps read");
  for (const [angle, table] of tables.cosines) {
    insist(same(table, cosineQuarter(angle)), `the cosine table of ${angle} bits is wrong`);
  }
  for (const [fraction, table] of tables.exponentials) {
    insist(same(table, negativePowers(fraction)), `the exponential table of ${fraction} bits is wrong`);
  }
}

/** The sizes of the tables that steps read, ascending: angles of cosines, fractions of exponentials. */
export function tablesRead(steps: readonly Step[]): { angles: readonly number[]; fractions: readonly number[] } {
  const angles = new Set<number>();
  const fractions = new Set<number>();
  for (const step of steps) {
    if (step.op === "series" || step.op === "seriesTimes") {
      angles.add(tableAngleOf(step.attributes.angle as number));
    } else if (step.op === "exponential") {
      fractions.add((steps[step.args[0]].type as WordType).fraction);
    } else if (step.op === "decays") {
      fractions.add(POWER_INDEX_BITS);
    }
  }
  const ascending = (set: ReadonlySet<number>) => [...set].sort((a, b) => a - b);
  return { angles: ascending(angles), fractions: ascending(fractions) };
}

/** Every input has one giver, whose program has such an output, of the input's size. */
function checkBindings(plan: Plan): void {
  for (const [owner, program] of Object.entries(plan.owners)) {
    const violations = verify(program, TENSOR);
    insist(violations.length === 0, `the ${owner} owner's program is not sound: ${violations.slice(0, 3).join("; ")}`);
  }
  const bound = new Map(plan.bindings.map((binding) => [binding.input, binding]));
  insist(bound.size === plan.bindings.length, "an input is given twice");
  const inputs = plan.steps.filter(({ op, attributes }) => op === "input" && attributes.owner !== "state");
  for (const { attributes, type } of inputs) {
    const name = String(attributes.name);
    const binding = bound.get(name);
    insist(binding !== undefined && binding.owner === attributes.owner, `nobody gives the input '${name}'`);
    const program = binding!.owner === "model" ? plan.owners.model : plan.owners.data;
    const output = program.outputs.find((each) => each.name === binding!.output);
    insist(output !== undefined, `'${name}' is no output of its owner's program`);
    insist(sizeOf(output!.node.type.shape) === sizeOf(type.shape), `'${name}' has another size than what is given`);
  }
  const given = publicInputs(plan.owners.data, plan.bindings);
  const listed = new Set(plan.disclosed.map(({ name }) => name));
  const unsaid = given.filter((name) => !listed.has(name));
  insist(unsaid.length === 0, `it gives ${unsaid.join(", ")} to P1 and P2 and does not say so`);
}

/** Values are those of steps. */
function checkHeld({ values, steps }: Plan): void {
  const known = ({ step, scale }: HeldPart) => step < steps.length && (scale ?? 0) < steps.length;
  insist(
    values.every(({ parts }) => parts.length > 0 && parts.every(known)),
    "it says that a step holds a value, and has no such step",
  );
}
