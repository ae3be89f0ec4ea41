/**
 * What a data owner's inputs must be for the plan to answer as the model does: ids that its tables have, masks of zeros
 * and ones, real numbers of the range that the plan was made for. Everything is looked at in the clear, by the owner
 * alone, before anything is offered to anybody; all problems are one error (E0202) that names element and bound.
 */
import { type Diagnostic, fail } from "../ir/diagnostics.js";
import type { Graph, Node } from "../ir/graph.js";
import type { Plan } from "../ir/plan/types.js";
import { indexAt } from "../ir/shape.js";
import { evaluateGraph, traitsOf } from "../ir/tensor/index.js";
import { isFloat, NO_PLACE, type TensorType, type TensorValue } from "../ir/tensor/value.js";

type TensorNode = Node<TensorType>;

/** Masks of real numbers hold zero, or what is far below every score. */
const INFINITE = Number.NEGATIVE_INFINITY;

/** Runs the data owner's program; E0202 with every input that the plan was not made for. */
export function checkedData(
  { owners: { data }, bindings }: Plan,
  inputs: ReadonlyMap<string, TensorValue>,
): ReadonlyMap<string, TensorValue> {
  const problems = data.nodes.filter(({ op }) => op === "input").flatMap((node) => problemsOf(node, data, inputs));
  const observe = (node: TensorNode, _: TensorValue, [index]: readonly TensorValue[]) => {
    if (node.op === "oneHot") {
      problems.push(...outsideOfTable(node, index));
    }
  };
  if (problems.length > 0) {
    throw fail(...problems);
  }
  const values = evaluateGraph(data, inputs, undefined, { observe });
  for (const { owner, output, range } of bindings) {
    if (owner !== "model" && range !== undefined) {
      const { node } = data.outputs.find(({ name }) => name === output)!;
      problems.push(...outsideOfRange(node, values.get(output)!, range));
    }
  }
  if (problems.length > 0) {
    throw fail(...problems);
  }
  return values;
}

/** What is wrong with an input by itself. */
function problemsOf(
  node: TensorNode,
  data: Graph<TensorType>,
  inputs: ReadonlyMap<string, TensorValue>,
): readonly Diagnostic[] {
  const name = String(node.attributes.name);
  const value = inputs.get(name);
  const users = usersOf(node, data);
  const asMask = users.filter(({ op, type }) => op === "cast" && type.dtype === "bool");
  const compared = users.some(({ op, type }) => op !== "cast" && (type.dtype === "bool" || op === "oneHot"));
  if (value === undefined) {
    return [];
  }
  if (isFloat(node.type.dtype)) {
    const isMask = users.some(({ op, type }) => op !== "cast" && type.dtype === "bool");
    return isMask ? [] : firstBad(name, value, (x) => x !== INFINITE, "infinite: only a mask may be");
  }
  const isMask = node.type.dtype !== "bool" && asMask.length > 0 && !compared;
  return isMask ? firstBad(name, value, (x) => x === 0 || x === 1, "no mask: 0 or 1") : [];
}

/** The nodes that do something with a value besides moving it or changing its type from number to number. */
function usersOf(node: TensorNode, { nodes }: Graph<TensorType>): readonly TensorNode[] {
  return nodes
    .filter(({ args }) => args.includes(node))
    .flatMap((user) => {
      const isCopy = traitsOf(user).pattern === "movement" || (user.op === "cast" && user.type.dtype !== "bool");
      return isCopy ? usersOf(user, { nodes, outputs: [] }) : [user];
    });
}

function firstBad(
  name: string,
  { data, shape }: TensorValue,
  isGood: (x: number) => boolean,
  what: string,
): readonly Diagnostic[] {
  const at = data.findIndex((x) => !isGood(x));
  return at < 0
    ? []
    : [{ code: "E0202", what: `element [${indexAt(at, shape)}] is ${data[at]}, which is ${what}`, where: name }];
}

/** A place that there is not in a row, or of which there are several (W0309). */
function withoutPlace({ origin }: TensorNode, index: TensorValue, name: string): readonly Diagnostic[] {
  const row = index.data.findIndex((x) => x >= NO_PLACE);
  const where = origin === "" ? "the model" : `'${origin}'`;
  return row < 0
    ? []
    : [
        {
          code: "E0202",
          what: `row ${row} has no place that the model looks for, or another number of them than the plan takes`,
          where: name,
          why: `${where} reads the value at one place of each row, and the plan was made for one (W0309)`,
          fix: "give texts with the token that the model looks for, once in each row, or as often in all",
        },
      ];
}

/** An id that has no row: looked up in the clear it is an error, or another row, depending on who runs the model. */
function outsideOfTable(node: TensorNode, index: TensorValue): readonly Diagnostic[] {
  const depth = node.attributes.depth as number;
  const { name, shape } = sourceOf(node.args[0]);
  const lost = withoutPlace(node, index, name);
  if (lost.length > 0) {
    return lost;
  }
  const bad = firstBad(
    name,
    { ...index, shape },
    (x) => x >= -depth && x < depth,
    `no row of a table of ${depth} rows`,
  );
  return bad.map((problem) => ({
    ...problem,
    ...(node.origin !== "" && { why: `the model looks it up in '${node.origin}'` }),
    fix: `give whole numbers from 0 to ${depth - 1}; ids must be of the model's own tokenizer`,
  }));
}

function outsideOfRange(node: TensorNode, value: TensorValue, [low, high]: readonly [number, number]) {
  const { name, shape } = sourceOf(node);
  const [least, most] = [Math.min(low, 0), Math.max(high, 0)];
  const what = `outside of the range [${rounded(least)}, ${rounded(most)}] that the plan was made for`;
  return firstBad(name, { ...value, shape }, (x) => x >= least && x <= most, what).map((problem) => ({
    ...problem,
    fix: "compile with --calibrate and inputs like this one",
  }));
}

function rounded(x: number): string {
  return String(Number(x.toPrecision(4)));
}

/** The input that a value is a copy of, element by element, or the node that computes it. */
function sourceOf(node: TensorNode): { readonly name: string; readonly shape: readonly number[] } {
  if (node.op === "input") {
    return { name: String(node.attributes.name), shape: node.type.shape };
  }
  const isCopy = node.op === "cast" || node.op === "reshape";
  return isCopy
    ? sourceOf(node.args[0])
    : { name: node.origin === "" ? inputsOf(node).join(", ") : node.origin, shape: node.type.shape };
}

/** The inputs that a value is made of, by name. */
function inputsOf({ op, args, attributes }: TensorNode): readonly string[] {
  return op === "input" ? [String(attributes.name)] : [...new Set(args.flatMap(inputsOf))];
}
