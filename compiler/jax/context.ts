/** What the rules for StableHLO operations are given, and how they read attributes. */
import { type Diagnostic, fail, type PumacError } from "../../ir/diagnostics.js";
import type { Attribute, Attributes, Operation, Region } from "./ast.js";
import { decodeDense, staticType } from "./dense.js";
import type { Emitter, Value } from "./values.js";

/** A value of the module: a tensor or a tuple. */
export type Item = Value | readonly Item[];

/** What a rule may ask of the importer. */
export interface Context {
  readonly emitter: Emitter;
  /** Keep NaN fills of out-of-range lookups and JAX's clamping of indices that are not known (tests of semantics). */
  readonly exact: boolean;
  /** The results of a region for these arguments. `lifted`: the arguments are tensors where the region has scalars. */
  runRegion(region: Region, args: readonly Item[], scope: Scope, lifted?: boolean): readonly Item[];
  callFunction(name: string, args: readonly Item[], call: Call): readonly Item[];
  warn(diagnostic: Diagnostic): void;
}

/** The values in reach, by SSA name; regions see their parents'. */
export interface Scope {
  readonly values: Map<string, Item | undefined>;
  readonly parent: Scope | undefined;
  readonly lifted: boolean;
}

/** One operation to import. */
export interface Call {
  readonly operation: Operation;
  readonly scope: Scope;
  readonly context: Context;
  /** `file:line:column`. */
  readonly where: string;
}

export type Rule = (call: Call, operands: readonly Value[]) => readonly Item[];

export function isTuple(item: Item): item is readonly Item[] {
  return Array.isArray(item);
}

/** The tensors of an item, in order. */
export function flatten(item: Item): readonly Value[] {
  return isTuple(item) ? item.flatMap(flatten) : [item];
}

/** The malformed-module error at the operation. */
export function malformed(call: Call, what: string): PumacError {
  return fail({ code: "E0302", what: `${call.operation.name}: ${what}`, where: call.where });
}

/** The error for what pumac cannot do with this operation. */
export function unsupported(call: Call, what: string, fix?: string): PumacError {
  const problem = { code: "E0402", what: `${call.operation.name}: ${what}`, where: call.where } as const;
  return fail(fix === undefined ? problem : { ...problem, fix });
}

export function attributeOf(attributes: Attributes, name: string): Attribute | undefined {
  return Object.hasOwn(attributes, name) ? attributes[name] : undefined;
}

/** An attribute of integers in whichever of MLIR's forms; `missing` where it is absent. */
export function integers(call: Call, name: string, missing?: readonly number[]): readonly number[] {
  const attribute = attributeOf(call.operation.attributes, name);
  if (attribute === undefined) {
    if (missing === undefined) {
      throw malformed(call, `attribute '${name}' is missing`);
    }
    return missing;
  }
  return integersOf(call, name, attribute);
}

function integersOf(call: Call, name: string, attribute: Attribute): readonly number[] {
  switch (attribute.kind) {
    case "denseArray":
      return attribute.values.map((text) => integerOf(call, name, text));
    case "array":
      return attribute.values.flatMap((value) => integersOf(call, name, value));
    case "number":
      return [integerOf(call, name, attribute.text)];
    case "boolean":
      return [Number(attribute.value)];
    case "dense":
      return denseIntegers(call, name, attribute);
    default:
      throw malformed(call, `attribute '${name}' is not a list of integers`);
  }
}

/** Attributes list axes or sizes of axes: more than this many is nonsense. */
const LONGEST = 4096;

function denseIntegers(call: Call, name: string, attribute: Attribute & { kind: "dense" }): readonly number[] {
  const type = staticType(attribute.type, call.where);
  const size = type.shape.reduce((product, n) => product * n, 1);
  if (size > LONGEST) {
    throw malformed(call, `attribute '${name}' is too long`);
  }
  const { shape, data } = decodeDense(attribute.literal, type, call.where);
  return shape.length === 0 ? Array.from({ length: size }, () => data[0]) : Array.from(data);
}

function integerOf(call: Call, name: string, text: string): number {
  const value = text === "true" ? 1 : text === "false" ? 0 : Number(text);
  if (!Number.isSafeInteger(value)) {
    throw malformed(call, `attribute '${name}' has '${text}' for an integer`);
  }
  return value;
}

/** One integer; `missing` where it is absent. */
export function integer(call: Call, name: string, missing?: number): number {
  const values = integers(call, name, missing === undefined ? undefined : [missing]);
  if (values.length !== 1) {
    throw malformed(call, `attribute '${name}' is not one integer`);
  }
  return values[0];
}

/** A string, symbol or enumeration attribute. */
export function text(call: Call, name: string): string {
  const attribute = attributeOf(call.operation.attributes, name);
  if (attribute?.kind === "string" || attribute?.kind === "enumeration") {
    return attribute.value;
  }
  if (attribute?.kind === "symbol") {
    return attribute.name;
  }
  throw malformed(call, `attribute '${name}' is missing`);
}

/** Integers of a field of a structure such as `dimension_numbers`; empty where the field is absent. */
export function field(call: Call, structure: string, name: string): readonly number[] {
  const attribute = attributeOf(call.operation.attributes, structure);
  if (attribute?.kind !== "structure") {
    throw malformed(call, `attribute '${structure}' is missing`);
  }
  const value = attributeOf(attribute.fields, name);
  return value === undefined ? [] : integersOf(call, name, value);
}

/** Integers that must be different axes of a tensor of that rank. */
export function axes(call: Call, name: string, values: readonly number[], rank: number): readonly number[] {
  if (values.some((axis) => axis < 0 || axis >= rank) || new Set(values).size !== values.length) {
    throw malformed(call, `'${name}' [${values.join(", ")}] are not different axes of a tensor of rank ${rank}`);
  }
  return values;
}

/** As many integers as there are axes. */
export function perAxis(
  call: Call,
  name: string,
  rank: number,
  missing: number | undefined,
  least: number,
): readonly number[] {
  const values = integers(call, name, missing === undefined ? undefined : Array.from({ length: rank }, () => missing));
  if (values.length !== rank || values.some((value) => value < least)) {
    throw malformed(call, `'${name}' [${values.join(", ")}] does not fit a tensor of rank ${rank}`);
  }
  return values;
}

/** The static type of result `i` as the module declares it. */
export function resultType(call: Call, i = 0) {
  return staticType(call.operation.resultTypes[i] ?? { kind: "other", text: "none" }, call.where);
}
