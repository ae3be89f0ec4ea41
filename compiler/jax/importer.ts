/**
 * A StableHLO syntax tree → a tensor graph. Functions are inlined, regions run, constants computed; the rules for
 * single operations are in `ops-*.ts`. An operation that fails poisons its results only, so that all problems of a
 * module are reported together.
 */
import { type Diagnostic, fail, PumacError, Refusal } from "../../ir/diagnostics.js";
import type { Graph, Output } from "../../ir/graph.js";
import { sameShape } from "../../ir/shape.js";
import type { TensorType } from "../../ir/tensor/value.js";
import { type Module, nameOfLocation, type Operation, type Region, type Type } from "./ast.js";
import {
  attributeOf,
  type Call,
  type Context,
  flatten,
  type Item,
  isTuple,
  malformed,
  type Rule,
  type Scope,
} from "./context.js";
import { staticType } from "./dense.js";
import { CONTROL } from "./ops-control.js";
import { ELEMENTWISE } from "./ops-elementwise.js";
import { LOOKUP } from "./ops-gather.js";
import { LINEAR } from "./ops-linear.js";
import { MOVEMENT } from "./ops-movement.js";
import { REDUCTIONS } from "./ops-reduce.js";
import { ORDERS } from "./ops-sort.js";
import { Emitter, type Value } from "./values.js";

const RULES: Readonly<Record<string, Rule>> = {
  ...ELEMENTWISE,
  ...MOVEMENT,
  ...LINEAR,
  ...LOOKUP,
  ...REDUCTIONS,
  ...ORDERS,
};

/** The operations that the importer knows. */
const KNOWN_OPERATIONS: readonly string[] = [...Object.keys(RULES), ...Object.keys(CONTROL)].sort();

/** An argument of the entry function. */
export interface Argument {
  readonly index: number;
  /** The tree path in its location, or `argN`. */
  readonly path: string;
  readonly type: TensorType;
}

/** What the importer asks about a module's values. */
export interface Ownership {
  /** The node of an argument: an input, a parameter or a constant. */
  argument(emitter: Emitter, argument: Argument): Value;
  /** The parameter that a constant is, or undefined for public structure. */
  constant(emitter: Emitter, operation: Operation, value: Value): Value | undefined;
}

export interface ImporterOptions {
  readonly file: string;
  /** The function to compile; `main` if not given. */
  readonly entry?: string;
  readonly exact: boolean;
  readonly ownership: Ownership;
}

const MOST_PROBLEMS = 20;
const DEEPEST_CALL = 64;
const MOST_OPERATIONS = 2_000_000;

/** Thrown where a value is missing because of a problem that has been recorded. */
class Poisoned extends Error {}
/** Thrown when enough problems are recorded. */
class TooMany extends Error {}

export class Importer implements Context {
  readonly emitter = new Emitter();
  readonly exact: boolean;
  readonly warnings: Diagnostic[] = [];
  private readonly problems: Diagnostic[] = [];
  private readonly unknown = new Set<string>();
  private readonly functions = new Map<string, Operation>();
  private depth = 0;
  private operations = 0;

  constructor(
    private readonly module: Module,
    private readonly options: ImporterOptions,
  ) {
    this.exact = options.exact;
    for (const operation of module.operations.flatMap((top) =>
      top.name === "builtin.module" ? [...(top.regions[0]?.operations ?? []), top] : [top],
    )) {
      const name = attributeOf(operation.attributes, "sym_name");
      if (operation.name === "func.func" && name?.kind === "string" && !this.functions.has(name.value)) {
        this.functions.set(name.value, operation);
      }
    }
  }

  /** The graph of the entry function; throws a PumacError with every problem found. */
  run(): Graph<TensorType> {
    try {
      return this.runEntry();
    } catch (error) {
      if (error instanceof TooMany) {
        throw fail(...this.problems);
      }
      throw error;
    }
  }

  private runEntry(): Graph<TensorType> {
    const entry = this.entry();
    const [region] = entry.regions;
    const scope: Scope = { values: new Map(), parent: undefined, lifted: false };
    const call: Call = { operation: entry, scope, context: this, where: this.place(entry) };
    if (region === undefined) {
      throw malformed(call, "the entry function has no body");
    }
    region.args.forEach((argument, index) => {
      this.emitter.origin = "";
      const path = nameOfLocation(argument.location, this.module.locationAliases) || `arg${index}`;
      const type = staticType(argument.type, `${call.where} (argument ${path})`);
      scope.values.set(argument.name, this.options.ownership.argument(this.emitter, { index, path, type }));
    });
    const results = this.attempt(() => this.runOperations(region, scope), call) ?? [];
    const outputs = this.attempt(() => this.outputsOf(entry, results), call);
    if (this.problems.length > 0 || outputs === undefined) {
      throw fail(...this.problems);
    }
    return this.emitter.builder.finish(outputs);
  }

  private outputsOf(entry: Operation, results: readonly Item[]): readonly Output<TensorType>[] {
    const names = outputNames(entry, results.length);
    return results.flatMap((item, i) => {
      const values = flatten(item);
      return values.map((value, k) => ({
        name: values.length === 1 ? names[i] : `${names[i]}.${k}`,
        node: this.emitter.whole(value),
      }));
    });
  }

  private entry(): Operation {
    const wanted = this.options.entry ?? "main";
    const found =
      this.functions.get(wanted) ?? (this.functions.size === 1 ? [...this.functions.values()][0] : undefined);
    if (found === undefined) {
      const known = [...this.functions.keys()].slice(0, 10).join(", ");
      throw fail({
        code: "E0302",
        what: `the module has no function '${wanted}'`,
        where: this.options.file,
        why: `it has: ${known}`,
      });
    }
    return found;
  }

  runRegion(region: Region, args: readonly Item[], parent: Scope, lifted = false): readonly Item[] {
    const scope: Scope = { values: new Map(), parent, lifted: lifted || parent.lifted };
    return this.runBody(region, args, scope);
  }

  callFunction(name: string, args: readonly Item[], call: Call): readonly Item[] {
    const region = this.functions.get(name)?.regions[0];
    if (region === undefined) {
      throw malformed(call, `there is no function '${name}'`);
    }
    return this.runBody(region, args, { values: new Map(), parent: undefined, lifted: call.scope.lifted });
  }

  private runBody(region: Region, args: readonly Item[], scope: Scope): readonly Item[] {
    if (region.args.length !== args.length) {
      throw fail({ code: "E0302", what: `${args.length} values are given to a body that takes ${region.args.length}` });
    }
    if (this.depth >= DEEPEST_CALL) {
      throw fail({ code: "E0402", what: `calls are nested more than ${DEEPEST_CALL} deep: a recursion?` });
    }
    region.args.forEach((argument, i) => {
      scope.values.set(argument.name, args[i]);
    });
    this.depth++;
    try {
      return this.runOperations(region, scope);
    } finally {
      this.depth--;
    }
  }

  private runOperations(region: Region, scope: Scope): readonly Item[] {
    for (const operation of region.operations) {
      if (++this.operations > MOST_OPERATIONS) {
        throw fail({ code: "E0402", what: `more than ${MOST_OPERATIONS} operations after unrolling` });
      }
      const call: Call = { operation, scope, context: this, where: this.place(operation) };
      if (operation.name.endsWith(".return")) {
        return operation.operands.map((name) => lookUp(call, name));
      }
      const results = this.attempt(() => this.runOperation(call), call);
      operation.results.forEach((name, i) => {
        scope.values.set(name, results?.[i]);
        if (name.endsWith("#0")) {
          scope.values.set(name.slice(0, -2), results?.[i]);
        }
      });
    }
    throw fail({ code: "E0302", what: "a body ends without a return" });
  }

  /** Runs; a problem is recorded and gives undefined. */
  private attempt<T>(run: () => T, call: Call): T | undefined {
    try {
      return run();
    } catch (error) {
      if (error instanceof Poisoned) {
        return undefined;
      }
      for (const diagnostic of diagnosticsOf(error, call)) {
        const where = diagnostic.where?.startsWith(this.options.file) ? diagnostic.where : call.where;
        this.problems.push({ ...diagnostic, where });
      }
      if (this.problems.length >= MOST_PROBLEMS) {
        throw new TooMany();
      }
      return undefined;
    }
  }

  private runOperation(call: Call): readonly Item[] {
    const { operation, scope } = call;
    const items = operation.operands.map((name) => lookUp(call, name));
    const origin = nameOfLocation(operation.location, this.module.locationAliases);
    if (origin !== "" || this.depth === 0) {
      this.emitter.origin = origin === "" ? `${operation.results[0] ?? operation.name}` : tidyOrigin(origin);
    }
    if (!scope.lifted) {
      items.forEach((item, i) => {
        checkType(call, item, operation.operandTypes[i], "operand");
      });
    }
    const results = this.apply(call, items);
    if (!scope.lifted) {
      results.forEach((item, i) => {
        checkType(call, item, operation.resultTypes[i], "result");
      });
    }
    return results;
  }

  private apply(call: Call, items: readonly Item[]): readonly Item[] {
    const { operation, scope } = call;
    if (Object.hasOwn(CONTROL, operation.name)) {
      return CONTROL[operation.name](call, items);
    }
    const rule = Object.hasOwn(RULES, operation.name) ? RULES[operation.name] : undefined;
    if (rule === undefined) {
      throw this.unknownOperation(call);
    }
    if (scope.lifted && !Object.hasOwn(ELEMENTWISE, operation.name) && !LIFTABLE.has(operation.name)) {
      throw fail({ code: "E0402", what: `'${operation.name}' inside the region of a reduction`, where: call.where });
    }
    const values = items.map((item) => {
      if (isTuple(item)) {
        throw malformed(call, "does not take a tuple");
      }
      return item;
    });
    checkArity(call, values);
    const results = rule(call, values);
    return operation.name === "stablehlo.constant" ? results.map((result) => this.owned(call, result)) : results;
  }

  private readonly ownedConstants = new Map<Operation, Value>();

  private owned(call: Call, item: Item): Item {
    if (isTuple(item)) {
      return item;
    }
    const known = this.ownedConstants.get(call.operation);
    const value = known ?? this.options.ownership.constant(this.emitter, call.operation, item) ?? item;
    this.ownedConstants.set(call.operation, value);
    return value;
  }

  private unknownOperation(call: Call): Error {
    const { name } = call.operation;
    if (this.unknown.has(name)) {
      return new Poisoned();
    }
    this.unknown.add(name);
    return fail({
      code: "E0401",
      what: `operation '${name}' is not supported`,
      where: call.where,
      fix: `rewrite the function without it; pumac reads ${KNOWN_OPERATIONS.length} operations of StableHLO and CHLO`,
    });
  }

  warn(diagnostic: Diagnostic): void {
    this.warnings.push(diagnostic);
  }

  private place({ position }: Operation): string {
    return position.label === undefined
      ? `${this.options.file}:${position.line}:${position.column}`
      : `${this.options.file}: ${position.label}`;
  }
}

/** The problems that an error stands for; an error that is a bug goes on. */
function diagnosticsOf(error: unknown, call: Call): readonly Diagnostic[] {
  if (error instanceof PumacError) {
    return error.diagnostics;
  }
  if (error instanceof Refusal) {
    return [{ code: "E0302", what: `${call.operation.name}: ${error.message}`, where: call.where }];
  }
  throw error;
}

/** Besides the elementwise ones, what may stand in a region that is applied to whole tensors. */
const LIFTABLE: ReadonlySet<string> = new Set(["stablehlo.constant"]);

function lookUp(call: Call, name: string): Item {
  const plain = name.endsWith("#0") ? name.slice(0, -2) : name;
  for (let scope: Scope | undefined = call.scope; scope !== undefined; scope = scope.parent) {
    for (const key of [name, plain]) {
      if (scope.values.has(key)) {
        const item = scope.values.get(key);
        if (item === undefined) {
          throw new Poisoned();
        }
        return item;
      }
    }
  }
  throw malformed(call, `${name} is not defined before it is used`);
}

function checkType(call: Call, item: Item, type: Type | undefined, what: string): void {
  if (isTuple(item) || type === undefined || type.kind === "tuple") {
    if (!isTuple(item) || type?.kind !== "tuple" || item.length !== type.types.length) {
      throw malformed(call, `the types of the ${what}s do not fit the values`);
    }
    item.forEach((each, i) => {
      checkType(call, each, type.types[i], what);
    });
    return;
  }
  const declared = staticType(type, call.where);
  if (declared.dtype !== item.node.type.dtype || !sameShape(declared.shape, item.shape)) {
    const found = `${item.node.type.dtype}[${item.shape.join(", ")}]`;
    const wanted = `${declared.dtype}[${declared.shape.join(", ")}]`;
    throw malformed(call, `a ${what} is ${found} and is declared ${wanted}`);
  }
}

const ARITY: Readonly<Record<string, number>> = {
  "stablehlo.clamp": 3,
  "stablehlo.select": 3,
  "stablehlo.compare": 2,
  "stablehlo.constant": 0,
  "stablehlo.iota": 0,
  "stablehlo.pad": 2,
  "stablehlo.gather": 2,
  "stablehlo.dot": 2,
  "stablehlo.dot_general": 2,
  "stablehlo.convolution": 2,
};
const BINARY = /\.(?:add|subtract|multiply|divide|power|maximum|minimum|and|or|xor|remainder|shift_left)$/;
const VARIADIC = /\.(?:concatenate|dynamic_slice|dynamic_update_slice|reduce|reduce_window|map|sort|scatter)$/;

function checkArity(call: Call, values: readonly Value[]): void {
  const { name } = call.operation;
  if (VARIADIC.test(name)) {
    if (values.length === 0) {
      throw malformed(call, "needs operands");
    }
    return;
  }
  const wanted = Object.hasOwn(ARITY, name) ? ARITY[name] : BINARY.test(name) ? 2 : 1;
  if (values.length !== wanted) {
    throw malformed(call, `takes ${wanted} operands, not ${values.length}`);
  }
}

/** `jit(f)/Model/encoder/add` without the jit. */
function tidyOrigin(name: string): string {
  return name.replace(/^(?:jit\([^)]*\)\/)+/, "");
}

/** From `jax.result_info`: `['logits']`, `[0]`, `.loss`, or nothing. */
function outputNames(entry: Operation, count: number): readonly string[] {
  const attributes = attributeOf(entry.attributes, "res_attrs");
  const infos = attributes?.kind === "array" ? attributes.values : [];
  const names = Array.from({ length: count }, (_, i) => {
    const info = infos[i]?.kind === "dictionary" ? attributeOf(infos[i].entries, "jax.result_info") : undefined;
    const path = info?.kind === "string" ? info.value.replace(/^result/, "") : "";
    const key = path.replace(/^\[['"]?|['"]?\]$|^\./g, "");
    return key === "" ? (count === 1 ? "output" : `output.${i}`) : /^\d+$/.test(key) ? `output.${key}` : key;
  });
  return new Set(names).size === names.length ? names : names.map((_, i) => `output.${i}`);
}
