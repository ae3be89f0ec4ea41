/**
 * The syntax tree of an MLIR module as far as StableHLO needs it: one kind of operation whatever form it was written
 * in. The parser turns every pretty form into the generic one (same attribute names, regions and types), so the
 * printer has one form to print and the importer one form to read; `parse(print(parse(text)))` equals `parse(text)`.
 *
 * Numbers and dense elements stay the text they were: the tree must not lose a bit of a 64-bit integer.
 */

export interface Position {
  readonly line: number;
  readonly column: number;
  /** What to call the place where the source has no lines. */
  readonly label?: string;
}

export type Type =
  | { readonly kind: "tensor"; readonly shape: readonly (number | undefined)[]; readonly element: string }
  | { readonly kind: "tuple"; readonly types: readonly Type[] }
  | { readonly kind: "function"; readonly inputs: readonly Type[]; readonly results: readonly Type[] }
  | { readonly kind: "other"; readonly text: string };

/** What stands in `dense<…>`: hexadecimal little-endian bytes, or element texts in row-major order (one is a splat). */
export type DenseLiteral =
  | { readonly form: "hex"; readonly text: string }
  | { readonly form: "list"; readonly elements: readonly string[]; readonly shape: readonly number[] };

export type Attribute =
  | { readonly kind: "number"; readonly text: string; readonly type?: Type }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "boolean"; readonly value: boolean }
  | { readonly kind: "unit" }
  | { readonly kind: "array"; readonly values: readonly Attribute[] }
  | { readonly kind: "denseArray"; readonly element: string; readonly values: readonly string[] }
  | { readonly kind: "dense"; readonly literal: DenseLiteral; readonly type: Type }
  | { readonly kind: "dictionary"; readonly entries: Attributes }
  | { readonly kind: "symbol"; readonly name: string }
  | { readonly kind: "type"; readonly type: Type }
  /** `#stablehlo<comparison_direction EQ>`. */
  | { readonly kind: "enumeration"; readonly name: string; readonly value: string }
  /** `#stablehlo.gather<offset_dims = [1], …>`. */
  | { readonly kind: "structure"; readonly name: string; readonly fields: Attributes }
  /** `[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]`. */
  | { readonly kind: "convolution"; readonly input: Layout; readonly kernel: Layout; readonly output: Layout }
  | { readonly kind: "alias"; readonly name: string }
  /** An attribute of another dialect, kept as text. */
  | { readonly kind: "opaque"; readonly text: string };

/** A convolution's dimension letters in order, e.g. `["b", "0", "1", "f"]`. */
export type Layout = readonly string[];
export type Attributes = Readonly<Record<string, Attribute>>;

export type Location =
  | { readonly kind: "unknown" }
  | { readonly kind: "alias"; readonly name: string }
  | { readonly kind: "name"; readonly name: string; readonly child?: Location }
  | { readonly kind: "file"; readonly text: string }
  | { readonly kind: "callsite"; readonly callee: Location; readonly caller: Location }
  | { readonly kind: "fused"; readonly locations: readonly Location[] };

export interface Operation {
  readonly name: string;
  /** One name per result: `%0`, or `%0#0`, `%0#1`, … of a group. */
  readonly results: readonly string[];
  readonly operands: readonly string[];
  readonly attributes: Attributes;
  readonly regions: readonly Region[];
  readonly operandTypes: readonly Type[];
  readonly resultTypes: readonly Type[];
  readonly location?: Location;
  readonly position: Position;
}

export interface BlockArgument {
  readonly name: string;
  readonly type: Type;
  readonly location?: Location;
}

/** StableHLO's regions have one block. */
export interface Region {
  readonly args: readonly BlockArgument[];
  readonly operations: readonly Operation[];
}

export interface Module {
  /** Top-level operations: usually one `builtin.module`. */
  readonly operations: readonly Operation[];
  readonly attributeAliases: Attributes;
  readonly locationAliases: Readonly<Record<string, Location>>;
}

const NAMELESS = "";

/** The last name that a location carries, "" if none; aliases are looked up, cycles end the search. */
export function nameOfLocation(location: Location | undefined, aliases: Module["locationAliases"]): string {
  const followed = new Set<string>();
  let current = location;
  while (current !== undefined) {
    if (current.kind === "name") {
      return current.name;
    }
    if (current.kind === "alias" && !followed.has(current.name) && Object.hasOwn(aliases, current.name)) {
      followed.add(current.name);
      current = aliases[current.name];
    } else if (current.kind === "callsite") {
      current = current.callee;
    } else if (current.kind === "fused") {
      current = current.locations[0];
    } else {
      return NAMELESS;
    }
  }
  return NAMELESS;
}
