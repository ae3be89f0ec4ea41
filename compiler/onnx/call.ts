/**
 * One ONNX node as its converter sees it: inputs by position, attributes by name and type with defaults, the operator
 * set's version, and the two ways to refuse. Converters (ops/*.ts) are written against this alone.
 */

import type { AttributeProto, GraphProto, NodeProto } from "../../formats/onnx/schema.js";
import type { StoredTensor } from "../../formats/onnx/tensor-proto.js";
import { type Diagnostic, fail, type PumacError } from "../../ir/diagnostics.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { type Emitter, inputsOf, knownValue, type Value } from "./emitter.js";
import { tensorFromBytes } from "./model.js";

/** What a converter needs from the translation around it. */
export interface Surroundings {
  readonly emitter: Emitter;
  readonly modelPath: string;
  /** Translates a sub-graph where the node stands; `bindings` are the values of its inputs. */
  readonly subgraph: (graph: GraphProto, bindings: readonly Value[]) => readonly Value[];
  /** What the action gives; undefined where it meets a problem, which is then forgotten. */
  readonly attempt: <R>(action: () => R) => R | undefined;
  /** A weight of the model's owner that is not an initialiser. */
  readonly weight: (name: string, tensor: StoredTensor) => Value;
  /** Adds a warning, once for each kind. */
  readonly warn: (warning: Diagnostic) => void;
  /** Whether of a result's places in every row the last alone is read (structure.ts). */
  readonly isLastRead: (name: string) => boolean;
  /** True where a value is used for positions alone (structure.ts). */
  readonly isPublic: (name: string) => boolean;
}

const ATTRIBUTE_TYPES = {
  number: 1,
  integer: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  numbers: 6,
  integers: 7,
  strings: 8,
} as const;

const decoder = new TextDecoder();

export class Call {
  constructor(
    readonly node: NodeProto,
    /** How errors call the node: its name, or its first output. */
    readonly label: string,
    readonly opset: number,
    readonly inputs: readonly (Value | undefined)[],
    private readonly attributes: ReadonlyMap<string, AttributeProto>,
    readonly surroundings: Surroundings,
  ) {}

  get emitter(): Emitter {
    return this.surroundings.emitter;
  }

  /** A required input; E0302 where it is missing. */
  input(index: number): Value {
    const value = this.inputs[index];
    if (value === undefined) {
      throw this.malformed(`input ${index} is missing`);
    }
    return value;
  }

  optional(index: number): Value | undefined {
    return this.inputs[index];
  }

  /** All inputs, each required. */
  all(): readonly Value[] {
    return this.inputs.map((_, index) => this.input(index));
  }

  /** A required input whose value must be known at compile time; E0402 where it is not. */
  known(index: number, role: string): TensorValue {
    const value = knownValue(this.input(index));
    if (value === undefined) {
      const names = inputsOf(this.input(index));
      const from = names.length === 0 ? "a weight" : names.map((name) => `'${name}'`).join(", ");
      throw this.refuse(
        `its ${role} must be known at compile time`,
        `a plan has fixed shapes, but the ${role} is computed from ${from}`,
        names.length === 0 ? `export with a constant ${role}` : `say what it is: --value ${names[0]}=…`,
      );
    }
    return value;
  }

  /** The same, as a list of numbers, or `undefined` where the input is absent. */
  knownNumbers(index: number, role: string): readonly number[] | undefined {
    return this.optional(index) === undefined ? undefined : Array.from(this.known(index, role).data);
  }

  /** True where output `index` has a name, that is, may be used. */
  wants(index: number): boolean {
    return index < this.node.output.length && this.node.output[index] !== "";
  }

  has(name: string): boolean {
    return this.attributes.has(name);
  }

  private attribute(name: string, type: keyof typeof ATTRIBUTE_TYPES): AttributeProto | undefined {
    const attribute = this.attributes.get(name);
    if (attribute !== undefined && attribute.type !== ATTRIBUTE_TYPES[type]) {
      throw this.malformed(`attribute '${name}' is not a ${type}`);
    }
    return attribute;
  }

  number(name: string, fallback: number): number {
    return this.attribute(name, "number")?.f ?? fallback;
  }

  integer(name: string, fallback: number): number {
    return this.attribute(name, "integer")?.i ?? fallback;
  }

  requiredInteger(name: string): number {
    const attribute = this.attribute(name, "integer");
    if (attribute === undefined) {
      throw this.malformed(`attribute '${name}' is missing`);
    }
    return attribute.i;
  }

  flag(name: string, fallback: boolean): boolean {
    return this.integer(name, fallback ? 1 : 0) !== 0;
  }

  integers(name: string): readonly number[] | undefined {
    return this.attribute(name, "integers")?.ints;
  }

  numbers(name: string): readonly number[] | undefined {
    return this.attribute(name, "numbers")?.floats;
  }

  string(name: string, fallback: string): string {
    const attribute = this.attribute(name, "string");
    return attribute === undefined ? fallback : decoder.decode(attribute.s);
  }

  graph(name: string): GraphProto {
    const graph = this.attribute(name, "graph")?.g;
    if (graph === undefined || graph === null) {
      throw this.malformed(`attribute '${name}' is missing`);
    }
    return graph;
  }

  tensor(name: string): StoredTensor | undefined {
    const attribute = this.attribute(name, "tensor");
    const output = this.node.output[0] ?? "";
    return attribute && tensorFromBytes(attribute.t, this.surroundings.modelPath, output);
  }

  /** An axis counted from the front, of a tensor of this rank; E0302 where it is outside. */
  axis(axis: number, rank: number): number {
    const normal = axis < 0 ? axis + rank : axis;
    if (!Number.isInteger(normal) || normal < 0 || normal >= rank) {
      throw this.malformed(`axis ${axis} is outside a tensor of ${rank} dimensions`);
    }
    return normal;
  }

  /** Axes counted from the front, ascending, each once. */
  axes(axes: readonly number[], rank: number): readonly number[] {
    const normal = axes.map((axis) => this.axis(axis, rank)).sort((x, y) => x - y);
    if (new Set(normal).size !== normal.length) {
      throw this.malformed(`axes [${axes.join(", ")}] name an axis twice`);
    }
    return normal;
  }

  /** The operator is known, but not like this (E0402). */
  refuse(what: string, why: string, fix = "export the model otherwise"): PumacError {
    return fail({ code: "E0402", what: `${this.node.opType}: ${what}`, where: this.label, why, fix });
  }

  /** The file contradicts itself (E0302). */
  malformed(what: string): PumacError {
    return fail({
      code: "E0302",
      what: `${this.node.opType}: ${what}`,
      where: this.label,
      fix: "export the model again, or check it with the ONNX checker",
    });
  }
}

/** Turns a node into values, one for each of its outputs (trailing and unwanted ones may be missing). */
export type Convert = (call: Call) => readonly (Value | undefined)[];

/** A registry entry: from which version of its operator set on, and how. */
export interface OperatorRule {
  readonly since: number;
  readonly convert: Convert;
}

/** A family of operators by type. */
export type OperatorFamily = Readonly<Record<string, OperatorRule>>;

export function rule(since: number, convert: Convert): OperatorRule {
  return { since, convert };
}
