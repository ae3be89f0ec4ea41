/**
 * Control flow. A plan has none: a branch is chosen when its condition is known, or both are computed and one is
 * selected; a loop whose length is known is written out.
 */
import { sizeOf } from "../../../ir/tensor/value.js";
import { type Call, type OperatorFamily, rule } from "../call.js";
import { inputsOf, knownValue, sameNumbers, type Value } from "../emitter.js";

const LONGEST_LOOP = 4096;

function branch(call: Call): readonly Value[] {
  const { emitter } = call;
  const { subgraph } = call.surroundings;
  const condition = call.input(0);
  const known = knownValue(condition);
  if (known !== undefined) {
    return subgraph(call.graph(known.data[0] !== 0 ? "then_branch" : "else_branch"), []);
  }
  const [then, otherwise] = ["then_branch", "else_branch"].map((name) =>
    call.surroundings.attempt(() => subgraph(call.graph(name), [])),
  );
  const alike = (value: Value, other: Value | undefined) =>
    value.type.dtype === other?.type.dtype && sameNumbers(value.type.shape, other.type.shape);
  if (then === undefined || otherwise === undefined || !then.every((value, i) => alike(value, otherwise[i]))) {
    throw undecided(call, condition);
  }
  return then.map((value, i) => emitter.select(emitter.reshape(condition, []), value, otherwise[i]));
}

/** Says which input decides, and how to say what it is. */
function undecided(call: Call, condition: Value): Error {
  const names = inputsOf(condition);
  const from = names.length === 0 ? "a weight" : names.map((name) => `'${name}'`).join(", ");
  const said = condition.op === "input" ? "true or false" : "its value";
  return call.refuse(
    `its condition depends on ${from}, and its branches do not give the same shapes`,
    "a plan has fixed shapes: both branches are computed and one is selected, unless it is known which is taken",
    `add --value ${names[0] ?? "NAME"}=…, ${said} as the model is to run; the other branch is then not looked at`,
  );
}

/** Carried values first, then what each round adds to a scan output. */
function loop(call: Call): readonly Value[] {
  const { emitter } = call;
  const body = call.graph("body");
  const carriedCount = call.inputs.length - 2;
  const most = call.optional(0) === undefined ? Number.POSITIVE_INFINITY : call.known(0, "trip count").data[0];
  let going = call.optional(1) === undefined || call.known(1, "condition").data[0] !== 0;
  let carried: readonly Value[] = call.inputs.slice(2).map((_, i) => call.input(i + 2));
  const scans: Value[][] = Array.from({ length: Math.max(0, body.output.length - 1 - carriedCount) }, () => []);
  for (let round = 0; going && round < most; round++) {
    if (round === LONGEST_LOOP) {
      throw call.refuse(`more than ${LONGEST_LOOP} rounds`, "a loop is written out in the plan");
    }
    const bindings = [emitter.scalar(round, "i64"), emitter.scalar(1, "bool"), ...carried];
    const results = call.surroundings.subgraph(body, bindings);
    const next = knownValue(results[0]);
    if (next === undefined) {
      throw call.refuse(
        "a loop whose condition is not known",
        "a plan has a fixed length",
        "export with a fixed number of rounds",
      );
    }
    going = next.data[0] !== 0;
    carried = results.slice(1, 1 + carriedCount);
    results.slice(1 + carriedCount).forEach((value, i) => {
      scans[i].push(value);
    });
  }
  return [...carried, ...scans.map((rows) => stack(call, rows))];
}

function stack(call: Call, rows: readonly Value[]): Value {
  if (rows.length === 0 || sizeOf(rows[0].type.shape) < 0) {
    throw call.refuse("a loop of no rounds with scan outputs", "their shape is not known");
  }
  const wide = rows.map((row) => call.emitter.reshape(row, [1, ...row.type.shape]));
  return call.emitter.concatenate(wide, 0);
}

export const CONTROL: OperatorFamily = {
  If: rule(1, branch),
  Loop: rule(1, loop),
};
