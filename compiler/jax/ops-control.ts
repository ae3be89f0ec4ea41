/**
 * Calls, loops, branches and tuples. A graph has none of these: functions are inlined, loops are run (their counters
 * are constants, so the condition is one, too), branches on constants are chosen and on data computed both ways.
 */
import { type Call, type Item, integer, isTuple, malformed, text, unsupported } from "./context.js";
import { STATIC_SHAPES } from "./dense.js";
import { like } from "./ops-elementwise.js";
import { topK } from "./ops-sort.js";
import { constantOf, isConstant, type Value } from "./values.js";

/** A rule that may see tuples. */
export type ItemRule = (call: Call, items: readonly Item[]) => readonly Item[];

/** A loop that runs longer than this is no loop over layers or positions. */
const MOST_ITERATIONS = 65_536;

export const CONTROL: Readonly<Record<string, ItemRule>> = {
  "func.call": (call, items) => call.context.callFunction(text(call, "callee"), items, call),
  "stablehlo.composite": composite,
  "stablehlo.custom_call": customCall,
  "stablehlo.while": whileLoop,
  "stablehlo.if": branchIf,
  "stablehlo.case": branchCase,
  "stablehlo.tuple": (_, items) => [items],
  "stablehlo.get_tuple_element": tupleElement,
  "stablehlo.optimization_barrier": (_, items) => items,
  "sdy.sharding_constraint": (_, items) => items,
};

/** Operations whose meaning is in StableHLO's decomposition, except those that the tensor graph knows better. */
function composite(call: Call, items: readonly Item[]): readonly Item[] {
  const known = knownCall(call, text(call, "name"), items);
  return known ?? call.context.callFunction(text(call, "decomposition"), items, call);
}

/** Custom calls that say where values live on devices: the values stay the same. */
const TRANSPARENT: ReadonlySet<string> = new Set([
  "Sharding",
  "SPMDFullToShardShape",
  "SPMDShardToFullShape",
  "LayoutConstraint",
  "annotate_device_placement",
  "MoveToDevice",
  "MoveToHost",
  "xla.sdy.FuncResultSharding",
]);

function customCall(call: Call, items: readonly Item[]): readonly Item[] {
  const target = text(call, "call_target_name");
  if (TRANSPARENT.has(target)) {
    return items;
  }
  if (target === "shape_assertion") {
    throw malformedShape(call);
  }
  const known = knownCall(call, target, items);
  if (known === undefined) {
    throw unsupported(
      call,
      `the call of '${target}'`,
      "lower the function for the CPU platform without custom kernels",
    );
  }
  return known;
}

function malformedShape(call: Call) {
  return unsupported(call, `the module has symbolic dimensions (${STATIC_SHAPES.why})`, STATIC_SHAPES.fix);
}

const UNARY_CALLS: Readonly<Record<string, string>> = {
  "chlo.erf": "errorFunction",
  "mhlo.erf": "errorFunction",
  "mhlo.tan": "tangent",
  "chlo.tan": "tangent",
  "mhlo.sinh": "hyperbolicSine",
  "mhlo.cosh": "hyperbolicCosine",
};

function knownCall(call: Call, name: string, items: readonly Item[]): readonly Item[] | undefined {
  const [first] = items;
  if (first === undefined || isTuple(first)) {
    return undefined;
  }
  if (Object.hasOwn(UNARY_CALLS, name)) {
    return [call.context.emitter.elementwise(UNARY_CALLS[name], [first])];
  }
  if (name === "mhlo.topk" || name === "chlo.top_k" || name === "TopK") {
    const [type] = call.operation.resultTypes;
    const shaped = type?.kind === "tuple" ? type.types[0] : type;
    const count = shaped?.kind === "tensor" ? shaped.shape[shaped.shape.length - 1] : undefined;
    return count === undefined ? undefined : wrapTuple(call, topK(call, first, count));
  }
  return undefined;
}

/** Results as one tuple where the operation declares one. */
function wrapTuple(call: Call, results: readonly Value[]): readonly Item[] {
  return call.operation.resultTypes[0]?.kind === "tuple" ? [results] : results;
}

function knownScalar(item: Item | undefined): number | undefined {
  if (item === undefined || isTuple(item) || !isConstant(item.node)) {
    return undefined;
  }
  const { data } = constantOf(item.node);
  return data.length === 1 ? data[0] : undefined;
}

function whileLoop(call: Call, items: readonly Item[]): readonly Item[] {
  const { context, operation, scope } = call;
  const [condition, body] = operation.regions;
  if (operation.regions.length !== 2) {
    throw malformed(call, "needs a condition and a body");
  }
  let current = items;
  for (let i = 0; i < MOST_ITERATIONS; i++) {
    const goOn = knownScalar(context.runRegion(condition, current, scope)[0]);
    if (goOn === undefined) {
      const fix = "use jax.lax.scan or fori_loop with a fixed length, or unroll the loop";
      throw unsupported(call, "the number of iterations depends on data", fix);
    }
    if (goOn === 0) {
      return current;
    }
    current = context.runRegion(body, current, scope);
    if (current.length !== items.length) {
      throw malformed(call, "the body does not return what the loop carries");
    }
  }
  throw unsupported(call, `more than ${MOST_ITERATIONS} iterations`);
}

function branchIf(call: Call, [predicate]: readonly Item[]): readonly Item[] {
  const { regions } = call.operation;
  if (regions.length !== 2 || predicate === undefined || isTuple(predicate)) {
    throw malformed(call, "needs a predicate and two branches");
  }
  const known = knownScalar(predicate);
  if (known !== undefined) {
    return call.context.runRegion(regions[known === 0 ? 1 : 0], [], call.scope);
  }
  const [yes, no] = regions.map((region) => call.context.runRegion(region, [], call.scope));
  return choose(call, predicate, yes, no);
}

/** Both branches computed, and one selected by a rank-0 predicate. */
function choose(call: Call, predicate: Value, yes: readonly Item[], no: readonly Item[]): readonly Item[] {
  if (yes.length !== no.length) {
    throw malformed(call, "the branches return different numbers of values");
  }
  const { emitter } = call.context;
  const condition = { node: emitter.reshape(predicate.node, []), shape: [] };
  return yes.map((value, i) => {
    const other = no[i];
    if (isTuple(value) || isTuple(other)) {
      throw unsupported(call, "branches on data that return tuples");
    }
    return emitter.elementwise("select", [condition, value, other]);
  });
}

function branchCase(call: Call, [index]: readonly Item[]): readonly Item[] {
  const { context, operation, scope } = call;
  const last = operation.regions.length - 1;
  if (last < 0 || index === undefined || isTuple(index)) {
    throw malformed(call, "needs an index and a branch");
  }
  const known = knownScalar(index);
  if (known !== undefined) {
    return context.runRegion(operation.regions[known >= 0 && known <= last ? known : last], [], scope);
  }
  const branches = operation.regions.map((region) => context.runRegion(region, [], scope));
  return branches.slice(0, -1).reduceRight((otherwise, branch, i) => {
    const isThis = context.emitter.elementwise("equal", [index, like(context.emitter, index, i)]);
    return choose(call, isThis, branch, otherwise);
  }, branches[last]);
}

function tupleElement(call: Call, [tuple]: readonly Item[]): readonly Item[] {
  const at = integer(call, "index");
  if (tuple === undefined || !isTuple(tuple) || at < 0 || at >= tuple.length) {
    throw malformed(call, `there is no element ${at}`);
  }
  return [tuple[at]];
}
