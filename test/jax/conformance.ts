/**
 * StableHLO's self-checking modules as tests of a graph. `main` calls `@inputs` and `@expected`, computes, and checks
 * by `check.expect_*`. To test the graph and not the folding, the calls are cut out: `@inputs` is imported on its own,
 * its results are the arguments of `main`, and what is checked is what `main` returns.
 */
import type { Module, Operation, Region } from "../../compiler/jax/ast.js";
import { importModule } from "../../compiler/jax/index.js";
import { parseStableHlo } from "../../compiler/jax/parser.js";
import { evaluateGraph } from "../../ir/tensor/index.js";
import { isFloat, type TensorValue } from "../../ir/tensor/value.js";

interface Check {
  readonly kind: string;
  readonly actual: TensorValue;
  readonly expected: TensorValue;
}

/** Of `expect_close`: some units in the last place of float32, in which the expected values were computed. */
const CLOSE = 4e-6;
/** Of `expect_almost_eq`: StableHLO's own default. */
const ALMOST = 1e-3;

/** Runs a module; returns what is wrong with it, or undefined. Import errors are thrown. */
export function runModule(text: string, file: string): string | undefined {
  const module = parseStableHlo(text, file);
  const functions = functionsOf(module);
  const main = functions.get("main")!;
  const [region] = main.regions;
  const inputs = region.operations.find((operation) => calls(operation, "inputs"));
  const given = inputs === undefined ? [] : valuesOf(replaceMain(module, functions.get("inputs")!));
  const checks = region.operations.filter((operation) => checkOf(operation) !== undefined);
  const { operation, kinds } = openMain(main, inputs, checks);
  const model = importModule(replaceMain(module, operation), { exact: true, file });
  const named = new Map(model.inputs.map(({ name }, i) => [name, given[i]]));
  const results = [...evaluateGraph(model.graph, named, model.weights).values()];
  for (const [i, kind] of kinds.entries()) {
    const wrong = differs({ kind, actual: results[2 * i], expected: results[2 * i + 1] });
    if (wrong !== undefined) {
      return wrong;
    }
  }
  return kinds.length === 0 ? "the module checks nothing" : undefined;
}

function functionsOf(module: Module): ReadonlyMap<string, Operation> {
  const [top] = module.operations;
  const all = top.name === "builtin.module" ? top.regions[0].operations : module.operations;
  return new Map(all.map((operation) => [nameOf(operation), operation]));
}

function nameOf(operation: Operation): string {
  const name = operation.attributes.sym_name;
  return name?.kind === "string" ? name.value : "";
}

function calls(operation: Operation, name: string): boolean {
  const callee = operation.attributes.callee;
  return operation.name === "func.call" && callee?.kind === "symbol" && callee.name === name;
}

function checkOf(operation: Operation): string | undefined {
  const target = operation.attributes.call_target_name;
  const isCheck = operation.name === "stablehlo.custom_call" && target?.kind === "string";
  return isCheck && target.value.startsWith("check.") ? target.value.slice("check.".length) : undefined;
}

function replaceMain(module: Module, main: Operation): Module {
  const [top] = module.operations;
  const renamed = { ...main, attributes: { ...main.attributes, sym_name: { kind: "string", value: "main" } as const } };
  const others = top.regions[0].operations.filter((each) => nameOf(each) !== "main");
  const body: Region = { args: [], operations: [renamed, ...others] };
  return { ...module, operations: [{ ...top, regions: [body] }] };
}

function valuesOf(module: Module): readonly TensorValue[] {
  const model = importModule(module, { exact: true });
  return [...evaluateGraph(model.graph, new Map(), model.weights).values()];
}

/** `main` with the inputs as arguments and the checked values returned. */
function openMain(main: Operation, inputs: Operation | undefined, checks: readonly Operation[]) {
  const [region] = main.regions;
  const args = (inputs?.results ?? []).map((name, i) => ({ name, type: inputs!.resultTypes[i] }));
  const kept = region.operations.filter(
    (operation) => operation !== inputs && !checks.includes(operation) && !operation.name.endsWith(".return"),
  );
  const give: Operation = {
    ...region.operations[region.operations.length - 1],
    operands: checks.flatMap((check) => check.operands),
    operandTypes: checks.flatMap((check) => check.operandTypes),
  };
  const operation = { ...main, regions: [{ args, operations: [...kept, give] }] };
  return { operation, kinds: checks.map((check) => checkOf(check)!) };
}

function differs({ kind, actual, expected }: Check): string | undefined {
  if (actual.shape.join() !== expected.shape.join() || actual.dtype !== expected.dtype) {
    return `${actual.dtype}[${actual.shape.join(",")}] instead of ${expected.dtype}[${expected.shape.join(",")}]`;
  }
  const tolerance = kind === "expect_eq" ? 0 : kind === "expect_close" ? CLOSE : ALMOST;
  for (let i = 0; i < expected.data.length; i++) {
    // The tensor language computes in doubles: equality is of what float32 would hold.
    const [a, b] = isFloat(actual.dtype)
      ? [Math.fround(actual.data[i]), expected.data[i]]
      : [actual.data[i], expected.data[i]];
    const same = Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b));
    if (!same && !(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)))) {
      return `${kind}: element ${i} is ${a} instead of ${b}`;
    }
  }
  return undefined;
}
