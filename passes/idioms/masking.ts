/**
 * Masks of attention. Whatever is added to scores before a softmax and is, element by element, either about zero or
 * far below every score is no number but a choice: it becomes the boolean second argument of `softmax`. So neither
 * −3.4·10³⁸ nor −∞ ever reaches fixed point. Equal choices get one spelling (`choices.ts`), however written; what the
 * penalties make of rows that keep nothing is said by `idle-rows.ts`.
 */
import { isFloat, type TensorValue } from "../../ir/tensor/value.js";
import { ElementAnalysis } from "../elements.js";
import type { Rewriter, Rule, TensorNode } from "../rewriter.js";
import { integersOf, scalarOf } from "../rules/common.js";
import { factorsOf, product, termsOf, without } from "./chains.js";
import { Choices, emitKeep } from "./choices.js";
import { DEEP, FAR, idleRows, type Penalty } from "./idle-rows.js";

const NEAR = 1e-6;

/** The mask rules. */
export function maskRules(): readonly Rule[] {
  const contexts = new WeakMap<Rewriter, Context>();
  const contextOf = (rewriter: Rewriter): Context => {
    const known = contexts.get(rewriter) ?? { rewriter, choices: new Choices(rewriter), terms: new Map() };
    contexts.set(rewriter, known);
    return known;
  };
  const apply = (node: TensorNode, rewriter: Rewriter) => maskedSoftmax(node, contextOf(rewriter));
  return [
    { name: "mask of a softmax", ops: ["softmax"], apply },
    {
      name: "mask after a softmax",
      ops: ["multiply", "select"],
      apply: (node, rewriter) => renormalised(node, contextOf(rewriter).choices),
    },
    {
      name: "zero where a softmax keeps nothing",
      ops: ["select"],
      apply: (node, rewriter) => zeroOutside(node, contextOf(rewriter).choices),
    },
  ];
}

interface Context {
  readonly rewriter: Rewriter;
  readonly choices: Choices;
  readonly terms: Map<TensorNode, Part | undefined>;
}

/** Scores without the masks around them, the masks as booleans, and what they put on scores that they drop. */
interface Peeled {
  readonly scores: TensorNode;
  readonly keeps: readonly TensorNode[];
  readonly penalty: Penalty | undefined;
}

/** A term of a sum that is a mask, at least in part. */
interface Part {
  readonly keep: TensorNode;
  readonly penalty: Penalty;
  /** What it adds to the scores that it keeps, if anything. */
  readonly rest?: TensorNode;
}

function maskedSoftmax(node: TensorNode, context: Context): TensorNode | undefined {
  const { rewriter, choices } = context;
  const [argument, given, ...rest] = node.args;
  const peeled = peel(argument, context);
  if (peeled.keeps.length > 0 && rest.length > 0) {
    return undefined;
  }
  const scores = fitted(peeled.scores, node, rewriter);
  const all = [...peeled.keeps, ...(given === undefined ? [] : [given])];
  if (all.length === 0 || scores === undefined) {
    return undefined;
  }
  const every = all.reduce((left, right) => rewriter.emit("and", [left, right], {}, node.origin));
  const keep = choices.spelling(every) ?? every;
  if (rest.length > 0) {
    return keep === given ? undefined : rewriter.emit("softmax", [scores, keep, ...rest], node.attributes, node.origin);
  }
  const found = idleRows({ node, scores, keep, given, penalty: peeled.penalty }, rewriter);
  const args = [found.scores, found.keep, ...found.idle];
  const useful = scalarOf(found.keep) === 1 ? [found.scores] : args;
  const same = useful.length === node.args.length && useful.every((each, i) => each === node.args[i]);
  return same ? undefined : rewriter.emit("softmax", useful, node.attributes, node.origin);
}

/** The scores in the shape of the softmax, from which they may differ by axes of size one. */
function fitted(scores: TensorNode, { type: { shape }, origin }: TensorNode, rewriter: Rewriter) {
  if (scores.type.shape.join() === shape.join()) {
    return scores;
  }
  const real = (sizes: readonly number[]) => sizes.filter((size) => size !== 1).join();
  return real(scores.type.shape) === real(shape) ? rewriter.emit("reshape", [scores], { shape }, origin) : undefined;
}

/** select(keep, softmax(x, keep), 0): in rows that keep nothing too the result is 0. */
function zeroOutside(node: TensorNode, choices: Choices): TensorNode | undefined {
  const { rewriter } = choices;
  const [condition, yes, no] = node.args;
  const [inside, value] = scalarOf(no) === 0 ? [condition, yes] : [undefined, no];
  const kept = inside ?? (scalarOf(yes) === 0 ? rewriter.emit("not", [condition], {}, node.origin) : undefined);
  if (kept === undefined || value.op !== "softmax" || value.args.length < 2) {
    return undefined;
  }
  const [scores, keep, idle] = value.args;
  const same = value.type.shape.join() === node.type.shape.join() && (choices.spelling(kept) ?? kept) === keep;
  const args = idle === undefined ? [scores, keep] : [scores, keep, idle];
  return same ? rewriter.emit("softmax", args, value.attributes, node.origin) : undefined;
}

/**
 * p · b / Σ p · b for a softmax p and a choice b is the softmax of what b keeps; and a guard of sums that are zero says
 * what it is there.
 */
function renormalised(node: TensorNode, choices: Choices): TensorNode | undefined {
  const { rewriter } = choices;
  if (node.op === "select") {
    const [condition, value, zero] = node.args;
    const isGuard = condition.op === "greater" && scalarOf(condition.args[1]) === 0 && scalarOf(zero) === 0;
    const sum = isGuard ? sumOfKept(condition.args[0], choices) : undefined;
    return sum !== undefined && sum.softmax === value ? value : undefined;
  }
  const { scale, factors } = factorsOf(node);
  for (const inverse of factors) {
    const sum = inverse.op === "reciprocal" ? sumOfKept(unguarded(inverse.args[0]), choices) : undefined;
    const rest = sum && (without(factors, [...sum.factors, inverse]) ?? without(factors, [sum.product, inverse]));
    if (rest !== undefined) {
      return product(rewriter, sum!.softmax, rest, scale, node.origin);
    }
  }
  return undefined;
}

/** A sum without what keeps it from being zero: max(s, ε), s + ε, select(s > 0, s, 1). */
function unguarded(sum: TensorNode): TensorNode {
  const small = (each: TensorNode | undefined) => Math.abs((each && scalarOf(each)) ?? 1) < NEAR;
  if ((sum.op === "maximum" || sum.op === "add") && small(sum.args[1])) {
    return sum.args[0];
  }
  const isGuard = sum.op === "select" && sum.args[0].op === "greater" && sum.args[0].args[0] === sum.args[1];
  return isGuard && scalarOf(sum.args[0].args[1]) === 0 ? sum.args[1] : sum;
}

/** Σ p · b, or Σ select(b, p, 0), along the axis of the softmax p: with the softmax of what b keeps. */
function sumOfKept(sum: TensorNode, choices: Choices) {
  const { rewriter } = choices;
  const kept = sum.op === "reduceSum" ? sum.args[0] : undefined;
  const factors =
    kept?.op === "multiply"
      ? kept.args
      : kept?.op === "select" && scalarOf(kept.args[2]) === 0
        ? [kept.args[1], kept.args[0]]
        : [];
  for (const [p, b] of [factors, [...factors].reverse()]) {
    const keep = p?.op === "softmax" && b !== undefined ? choices.spelling(b) : undefined;
    if (keep !== undefined && integersOf(sum, "axes").join() === String(p.attributes.axis)) {
      const [scores, given] = p.args;
      const every = given === undefined ? keep : rewriter.emit("and", [given, keep], {}, sum.origin);
      const softmax = rewriter.emit("softmax", [scores, every], p.attributes, sum.origin);
      return { softmax, factors, product: kept! };
    }
  }
  return undefined;
}

const UNMASKED = { keeps: [], penalty: undefined };

function peel(x: TensorNode, context: Context): Peeled {
  switch (x.op) {
    case "add":
    case "subtract":
      return peelSum(x, context);
    case "select":
      return peelSelect(x, context);
    case "concatenate":
      return peelParts(x, context);
    case "maximum":
    case "clamp":
      return peelLimit(x, context);
    case "reshape":
      return peelReshaped(x, context);
    default:
      return { scores: x, ...UNMASKED };
  }
}

function peelSum(x: TensorNode, context: Context): Peeled {
  const { rewriter } = context;
  const keeps: TensorNode[] = [];
  const penalties: Penalty[] = [];
  const terms: TensorNode[] = [];
  const all = termsOf(rewriter, x);
  for (const term of all) {
    // Numbers that an input adds to what is made of weights are a mask, or a bias; alone they are the scores.
    const beside = all.some((each) => each !== term && isComputed(each, rewriter));
    const part = maskOfTerm(term, context) ?? (beside ? additiveInput(term, rewriter) : undefined);
    const chosen = part === undefined ? peel(term, context) : undefined;
    const scores = part === undefined ? chosen!.scores : part.rest;
    const penalty = part?.penalty ?? chosen!.penalty;
    keeps.push(...(part === undefined ? chosen!.keeps : [part.keep]));
    penalties.push(...(penalty === undefined ? [] : [penalty]));
    terms.push(...(scores === undefined ? [] : [scores]));
  }
  if (keeps.length === 0) {
    return { scores: x, ...UNMASKED };
  }
  if (terms.length === 0) {
    return { scores: rewriter.scalar(0, x), keeps, penalty: total(penalties, x, rewriter) };
  }
  const sum = terms.reduce((left, right) => rewriter.emit("add", [left, right], {}, x.origin));
  const inner = peel(unmultiply(sum, keeps, context), context);
  const every = inner.penalty === undefined ? penalties : [...penalties, inner.penalty];
  return { scores: inner.scores, keeps: [...keeps, ...inner.keeps], penalty: total(every, x, rewriter) };
}

/** Whether a value is made of weights and inputs. */
function isComputed(node: TensorNode, rewriter: Rewriter): boolean {
  const { parameter, input } = rewriter.factsOf(node);
  return parameter && input;
}

/** Penalties that are added to each other. */
function total(penalties: readonly Penalty[], x: TensorNode, rewriter: Rewriter): Penalty {
  return penalties.reduce((a, b) => ({
    node: rewriter.emit("add", [a.node, b.node], {}, x.origin),
    depths: a.depths === undefined || b.depths === undefined ? undefined : [...a.depths, ...b.depths],
    replaced: both("or", a.replaced, b.replaced, x, rewriter),
    added: true,
  }));
}

function both(
  op: string,
  a: TensorNode | undefined,
  b: TensorNode | undefined,
  x: TensorNode,
  rewriter: Rewriter,
): TensorNode | undefined {
  return a === undefined || b === undefined ? (a ?? b) : rewriter.emit(op, [a, b], {}, x.origin);
}

/** select(c, scores, −∞) keeps where c; select(c, −∞, scores) where not; anything else has no mask. */
function peelSelect(x: TensorNode, context: Context): Peeled {
  const { rewriter } = context;
  const [condition, yes, no] = x.args;
  const far = (node: TensorNode) => (scalarOf(node) ?? 0) <= -FAR;
  if (!far(yes) && !far(no)) {
    return { scores: x, ...UNMASKED };
  }
  const keep = far(no) ? condition : rewriter.emit("not", [condition], {}, x.origin);
  const [limit, rest] = far(no) ? [no, yes] : [yes, no];
  const inner = peel(rest, context);
  const zero = rewriter.scalar(0, limit);
  const penalty: Penalty = {
    node: rewriter.emit("select", [keep, inner.penalty?.node ?? zero, limit], {}, x.origin),
    depths:
      inner.penalty === undefined
        ? [scalarOf(limit)!]
        : inner.penalty.depths && [...inner.penalty.depths, scalarOf(limit)!],
    replaced: both("or", rewriter.emit("not", [keep], {}, x.origin), inner.penalty?.replaced, x, rewriter),
    added: inner.penalty?.added ?? false,
  };
  return { scores: inner.scores, keeps: [keep, ...inner.keeps], penalty };
}

/**
 * maximum(masked scores, −3.4·10³⁸), and a clamp there: no penalty is below it. A limit beside which a score is not
 * lost is one of scores too.
 */
function peelLimit(x: TensorNode, context: Context): Peeled {
  const { rewriter } = context;
  const [low, high] =
    x.op === "clamp"
      ? [x.attributes.low as number, x.attributes.high as number]
      : [scalarOf(x.args[1]), Number.POSITIVE_INFINITY];
  if (low === undefined || low > -DEEP || high < FAR) {
    return { scores: x, ...UNMASKED };
  }
  const { scores, keeps, penalty } = peel(x.args[0], context);
  if (penalty === undefined) {
    return { scores, keeps, penalty };
  }
  const node = rewriter.emit("maximum", [penalty.node, rewriter.scalar(low, penalty.node)], {}, x.origin);
  const depths = penalty.depths?.map((depth) => Math.max(depth, low));
  return { scores, keeps, penalty: { ...penalty, node, depths: depths && [...depths, low] } };
}

/** Masked scores, or a masked bias, that gained or lost axes of size one. */
function peelReshaped(x: TensorNode, context: Context): Peeled {
  const { rewriter } = context;
  const { shape } = x.type;
  const inner = x.args[0].type.shape;
  const real = (sizes: readonly number[]) => sizes.filter((size) => size !== 1).join();
  const { scores, keeps, penalty } =
    real(inner) === real(shape) ? peel(x.args[0], context) : { scores: x, ...UNMASKED };
  if (keeps.length === 0) {
    return { scores: x, ...UNMASKED };
  }
  const moved = (node: TensorNode) =>
    rewriter.emit("reshape", [rewriter.emit("broadcast", [node], { shape: inner }, x.origin)], { shape }, x.origin);
  return {
    scores: moved(scores),
    keeps: keeps.map(moved),
    penalty: penalty && {
      ...penalty,
      node: moved(penalty.node),
      replaced: penalty.replaced && moved(penalty.replaced),
    },
  };
}

/** Parts of which some are masked: a sink beside the scores is one more key that is always seen. */
function peelParts(x: TensorNode, context: Context): Peeled {
  const { rewriter } = context;
  const parts = x.args.map((part) => peel(part, context));
  if (parts.every(({ keeps }) => keeps.length === 0)) {
    return { scores: x, ...UNMASKED };
  }
  const attributes = x.attributes;
  const join = (nodes: readonly TensorNode[]) => {
    const spread = nodes.map((node, i) =>
      alongside(node, nodes, x.args[i].type.shape, attributes.axis as number, rewriter),
    );
    return rewriter.emit("concatenate", spread, attributes, x.origin);
  };
  const truth = rewriter.constant({ dtype: "bool", shape: [], data: Float64Array.of(1) }, x.origin);
  const keep = join(
    parts.map(({ keeps }) => keeps.reduce((a, b) => rewriter.emit("and", [a, b], {}, x.origin), truth)),
  );
  const masked = parts.flatMap(({ penalty }) => (penalty === undefined ? [] : [penalty]));
  const zero = rewriter.scalar(0, masked[0].node);
  const penalty: Penalty = {
    node: join(parts.map((each) => each.penalty?.node ?? zero)),
    depths: masked.some(({ depths }) => depths === undefined) ? undefined : masked.flatMap(({ depths }) => depths!),
    replaced: undefined,
    added: masked.some(({ added }) => added),
  };
  const scores = parts.map((part, i) => fitted(part.scores, x.args[i], rewriter) ?? part.scores);
  return { scores: rewriter.emit("concatenate", scores, attributes, x.origin), keeps: [keep], penalty };
}

/** A value that broadcasts to a part, in the smallest shape in which all of them can be concatenated. */
function alongside(
  node: TensorNode,
  all: readonly TensorNode[],
  part: readonly number[],
  axis: number,
  rewriter: Rewriter,
): TensorNode {
  const rank = part.length;
  const own = (each: TensorNode, i: number) => each.type.shape[each.type.shape.length - rank + i] ?? 1;
  const shape = part.map((size, i) => (i === axis ? size : Math.max(...all.map((each) => own(each, i)))));
  return rewriter.emit("broadcast", [node], { shape }, node.origin);
}

function maskOfTerm(term: TensorNode, context: Context): Part | undefined {
  if (!context.terms.has(term)) {
    context.terms.set(term, context.rewriter.factsOf(term).parameter ? undefined : partOf(term, context.rewriter));
  }
  return context.terms.get(term);
}

function partOf(term: TensorNode, rewriter: Rewriter): Part | undefined {
  const analysis = new ElementAnalysis();
  const elements = analysis.of(term);
  if (elements === undefined) {
    return additiveSelect(term, rewriter);
  }
  const values = [...new Set([...new Set(elements.atZero), ...new Set(elements.atOne)])];
  const depths = values.filter((value) => value <= -FAR);
  const truth = (data: TensorValue["data"]) => Float64Array.from(data, (value) => (value <= -FAR ? 0 : 1));
  const choice = { ...elements, atZero: truth(elements.atZero), atOne: truth(elements.atOne) };
  const penalty = { node: term, depths, replaced: undefined, added: true };
  if (depths.length > 0 && values.every((value) => Math.abs(value) < NEAR || value <= -FAR)) {
    const keep = emitKeep(choice, term, rewriter, analysis);
    return keep === undefined ? additiveSelect(term, rewriter) : { keep, penalty };
  }
  return mixedConstant(term, rewriter);
}

/** select(c, 0, −∞), whatever c is made of. */
function additiveSelect(term: TensorNode, rewriter: Rewriter): Part | undefined {
  if (term.op !== "select") {
    return undefined;
  }
  const [condition, yes, no] = term.args;
  const near = (node: TensorNode) => Math.abs(scalarOf(node) ?? FAR) < NEAR;
  const far = (node: TensorNode) => (scalarOf(node) ?? 0) <= -FAR;
  const penalty = { node: term, depths: [Math.min(scalarOf(yes) ?? 0, scalarOf(no) ?? 0)], replaced: undefined };
  if (near(yes) && far(no)) {
    return { keep: condition, penalty: { ...penalty, added: true } };
  }
  const keep = far(yes) && near(no) ? rewriter.emit("not", [condition], {}, term.origin) : undefined;
  return keep === undefined ? undefined : { keep, penalty: { ...penalty, added: true } };
}

/** What a movement of an input may go through. */
const MOVEMENTS: ReadonlySet<string> = new Set(["reshape", "transpose", "broadcast", "slice", "concatenate", "cast"]);

/** Numbers that the data owner gives, to be added: a mask where they are far below zero, a bias elsewhere. */
function additiveInput(term: TensorNode, rewriter: Rewriter): Part | undefined {
  let source = term;
  while (MOVEMENTS.has(source.op) && source.args.length === 1) {
    source = source.args[0];
  }
  if (source.op !== "input" || !isFloat(source.type.dtype)) {
    return undefined;
  }
  const make = (op: string, ...args: TensorNode[]) => rewriter.emit(op, args, {}, term.origin);
  const keep = make("greater", term, rewriter.scalar(-FAR, term));
  const zero = rewriter.scalar(0, term);
  const penalty = { node: make("select", keep, zero, term), depths: undefined, replaced: undefined, added: true };
  return { keep, penalty, rest: make("select", keep, term, zero) };
}

/** A constant that is a mask and a bias in one (positional slopes and the causal mask): the choice, and the rest. */
function mixedConstant(term: TensorNode, rewriter: Rewriter): Part | undefined {
  const elements = new ElementAnalysis().of(term);
  if (elements === undefined || elements.variable.some((each) => each >= 0)) {
    return undefined;
  }
  const { atOne, shape } = elements;
  const depths = [...new Set(atOne)].filter((value) => value <= -FAR);
  if (depths.length === 0 || atOne.every((value) => value <= -FAR)) {
    return undefined;
  }
  const constant = (dtype: TensorValue["dtype"], value: (each: number) => number) =>
    rewriter.constant(rewriter.smallest({ dtype, shape, data: Float64Array.from(atOne, value) }), term.origin);
  return {
    keep: constant("bool", (value) => (value <= -FAR ? 0 : 1)),
    rest: constant(term.type.dtype, (value) => (value <= -FAR ? 0 : value)),
    penalty: {
      node: constant(term.type.dtype, (value) => (value <= -FAR ? value : 0)),
      depths,
      replaced: undefined,
      added: true,
    },
  };
}

/** scores · b where b is one wherever the masks keep: the scores. */
function unmultiply(sum: TensorNode, keeps: readonly TensorNode[], { choices }: Context): TensorNode {
  if (sum.op !== "multiply") {
    return sum;
  }
  for (const [scores, b] of [sum.args, [sum.args[1], sum.args[0]]]) {
    const truth = choices.spelling(b);
    if (truth !== undefined && keeps.includes(truth) && scores.type.shape.join() === sum.type.shape.join()) {
      return scores;
    }
  }
  return sum;
}
