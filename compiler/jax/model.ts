/** A JAX module with its owners: reads the files, decides what is a weight, and imports. */
import { readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import type { SafetensorsFile } from "../../formats/safetensors.js";
import { type Diagnostic, fail } from "../../ir/diagnostics.js";
import type { Graph } from "../../ir/graph.js";
import { sameShape } from "../../ir/shape.js";
import type { WeightStore } from "../../ir/tensor/index.js";
import { type DType, isFloat, type TensorType, type TensorValue } from "../../ir/tensor/value.js";
import { type DeclaredNames, type GivenValue, type ImportedModel, valueFor } from "../imported.js";
import { type Module, nameOfLocation, type Operation } from "./ast.js";
import { hloToModule } from "./hlo.js";
import { type Argument, Importer, type Ownership } from "./importer.js";
import { parseStableHlo } from "./parser.js";
import { refuseOtherForms } from "./recognise.js";
import { recogniseFunctions } from "./sampled.js";
import { constantOf, type Emitter, fromNode, isConstant, type Value, withoutLeadingOnes } from "./values.js";
import { isNamed, mayBeStructure, numberKeys, pathSaysWeight, weightKeys } from "./weights.js";

export interface JaxOptions {
  /** Arguments that are weights: tree paths or their beginnings (`params`), `argN`, or `N-M`. */
  readonly weightArguments?: readonly string[];
  /** A file with the weights, named by tree path (`['dense']['kernel']` or `dense.kernel`) or `argNNN`. */
  readonly weights?: SafetensorsFile;
  /** Names for the arguments, in order, where the module has none. */
  readonly argumentNames?: readonly string[];
  /** Inputs whose value is known and public: they become constants, and everything that follows from them folds. */
  readonly values?: Readonly<Record<string, GivenValue>>;
  /** The function to compile; `main` if not given. */
  readonly entry?: string;
  /**
   * Keep what JAX defines for lookups out of range (clamping, NaN) and leave expanded functions as they are: for tests
   * of the semantics. A plan needs neither.
   */
  readonly exact?: boolean;
}

/** More text than a module with its weights inside can have in one string. */
const LARGEST_FILE = 2 ** 29;

/**
 * Imports a file of StableHLO text (`.mlir`) or an HloModuleProto (`.pb`).
 * E0301: not readable, or a jax.export blob or MLIR bytecode, with the command that makes text of it. E0302: malformed,
 * all problems with line and column. E0401, E0402: unsupported operations, shapes or types, all of them.
 */
export function importJax(path: string, options: JaxOptions = {}): ImportedModel {
  const name = basename(path).replace(/\.(?:stablehlo|mlir|hlo|pb|txt)(?=\.|$)/g, "");
  const bytes = readBytes(path);
  refuseOtherForms(bytes, path);
  return looksLikeText(bytes)
    ? importStableHlo(new TextDecoder().decode(bytes), { ...options, file: path, name })
    : importHlo(bytes, { ...options, file: path, name });
}

export interface SourceOptions extends JaxOptions {
  /** What diagnostics call the module. */
  readonly file?: string;
  readonly name?: string;
}

/** Imports StableHLO text. Errors as `importJax`. */
export function importStableHlo(text: string, options: SourceOptions = {}): ImportedModel {
  return importModule(parseStableHlo(text, options.file), options);
}

/** Imports a serialised HloModuleProto. Errors as `importJax`. */
export function importHlo(bytes: Uint8Array, options: SourceOptions = {}): ImportedModel {
  return importModule(hloToModule(bytes, options.file ?? "module"), options);
}

/** Imports a syntax tree. */
export function importModule(module: Module, options: SourceOptions = {}): ImportedModel {
  const first = runImport(module, options, new Set());
  const positions = onlyUnderWaves(first.graph);
  const { graph, owners, importer } = positions.size === 0 ? first : runImport(module, options, positions);
  const warnings = [...importer.warnings, ...owners.warnings(graph)];
  const final = options.exact === true ? graph : recogniseFunctions(graph, (name) => owners.held(name), warnings);
  return {
    graph: final,
    weights: owners.store(),
    warnings,
    name: options.name ?? "module",
    inputs: owners.inputs,
    arguments: owners.arguments,
  };
}

function runImport(module: Module, options: SourceOptions, publicNames: ReadonlySet<string>) {
  const file = options.file ?? "module";
  const owners = new Owners(module, options, publicNames, file);
  const entry = options.entry === undefined ? {} : { entry: options.entry };
  const importer = new Importer(module, { file, ...entry, exact: options.exact ?? false, ownership: owners });
  return { graph: importer.run(), owners, importer };
}

/** Decides who owns arguments and constants, and remembers the weights that the module itself holds. */
class Owners implements Ownership {
  readonly inputs: { name: string; dtype: DType; shape: readonly number[] }[] = [];
  private readonly baked = new Map<string, TensorValue>();
  /** Parameter name → key in the weights file. */
  private readonly filed = new Map<string, string>();
  private readonly missing: string[] = [];
  private readonly names: string[] = [];
  private nameless = 0;
  /** Tree path → key, where the weights file says so in its metadata. */
  private readonly keyOfPath: ReadonlyMap<string, string>;

  constructor(
    private readonly module: Module,
    private readonly options: SourceOptions,
    private readonly publicNames: ReadonlySet<string>,
    private readonly file: string,
  ) {
    this.keyOfPath = new Map(Object.entries(options.weights?.metadata ?? {}).map(([key, path]) => [path, key]));
  }

  get arguments(): DeclaredNames["arguments"] {
    return { names: this.names, filed: this.filed.size };
  }

  /** The value of a weight that the module itself holds. */
  held(name: string): TensorValue | undefined {
    return this.baked.get(name);
  }

  argument(emitter: Emitter, { index, path, type }: Argument): Value {
    const name = this.options.argumentNames?.[index] ?? path;
    this.names[index] = name;
    const given = Object.hasOwn(this.options.values ?? {}, name) ? this.options.values?.[name] : undefined;
    if (given !== undefined) {
      return { node: emitter.constant(valueFor(name, given, type)), shape: type.shape };
    }
    const attributes = { name, dtype: type.dtype, shape: type.shape };
    if (this.isWeight(name, index, type)) {
      return fromNode(emitter.builder.emit("parameter", [], attributes, name));
    }
    this.inputs.push({ name, ...type });
    this.nameless += NAMELESS.test(name) && isFloat(type.dtype) ? 1 : 0;
    return fromNode(emitter.builder.emit("input", [], attributes, name));
  }

  private isWeight(name: string, index: number, type: TensorType): boolean {
    const { weights, weightArguments } = this.options;
    const fitting = (key: string | undefined) =>
      key !== undefined && fits(weights?.typeOf(key), type) ? key : undefined;
    const byPath = fitting(this.keyOfPath.get(name)) ?? weightKeys(name).find(fitting);
    const byNumber = numberKeys(index).find(fitting);
    const named = weightArguments === undefined ? undefined : isNamed(weightArguments, name, index);
    const told = byPath !== undefined || pathSaysWeight(name) || (byNumber !== undefined && NAMELESS.test(name));
    const weight = named ?? (isFloat(type.dtype) && told);
    const key = byPath ?? byNumber;
    if (weight && key !== undefined) {
      this.filed.set(name, key);
    } else if (weight) {
      this.missing.push(name);
    }
    return weight;
  }

  constant(emitter: Emitter, operation: Operation, value: Value): Value | undefined {
    if (!isConstant(value.node) || value.node.type.shape.length === 0) {
      return undefined;
    }
    const data = constantOf(value.node);
    const name = this.nameOfConstant(operation);
    if (this.publicNames.has(name) || mayBeStructure(data)) {
      return undefined;
    }
    const shape = withoutLeadingOnes(data.shape);
    this.baked.set(name, { ...data, shape });
    return {
      node: emitter.builder.emit("parameter", [], { name, dtype: data.dtype, shape }, name),
      shape: value.shape,
    };
  }

  /** Constants are told apart by where they stand: names in their locations say which layer, never which weight. */
  private nameOfConstant(operation: Operation): string {
    const location = nameOfLocation(operation.location, this.module.locationAliases).replace(
      /^(?:jit\([^)]*\)\/?)+/,
      "",
    );
    const { line, column, label } = operation.position;
    return `constant@${label ?? `${line}:${column}`}${location === "" ? "" : ` ${location}`}`;
  }

  store(): WeightStore {
    const { weights } = this.options;
    return {
      read: (name, room): TensorValue => {
        const baked = this.baked.get(name);
        const key = this.filed.get(name);
        if (baked !== undefined || (key !== undefined && weights !== undefined)) {
          return baked ?? weights!.read(key!, 0, undefined, room);
        }
        throw fail({
          code: "E0301",
          what: `there is no value for the weight '${name}'`,
          where: this.file,
          fix: "add --weights FILE.safetensors, which has it by tree path, e.g. 'dense.kernel' (docs/exporting.md)",
        });
      },
    };
  }

  /** What looks wrong: unused inputs, weights without values, arguments of which nothing says what they are. */
  warnings(graph: Graph<TensorType>): readonly Diagnostic[] {
    const used = new Set(graph.nodes.flatMap((node) => node.args));
    const unused = graph.nodes.filter(
      (node) => node.op === "input" && !used.has(node) && !graph.outputs.some((o) => o.node === node),
    );
    const found: Diagnostic[] = unused.map((node) => ({
      code: "W0301",
      what: `input '${node.attributes.name}' is unused`,
      where: this.file,
    }));
    if (this.missing.length > 0) {
      const where = this.options.weights === undefined ? "have no weights file" : "are not in the weights file";
      const what = `${this.missing.length} weights ${where}, the first is '${this.missing[0]}'`;
      found.push({ code: "W0303", what, where: this.file });
    }
    if (this.nameless > MANY_FLOATS) {
      const what = `${this.nameless} float arguments have no names and are taken for data`;
      const fix = "export with as_text(debug_info=True), or say which are weights with --weights-args";
      found.push({ code: "W0306", what, where: this.file, fix });
    }
    return found;
  }
}

/** What an argument without a location is called. */
const NAMELESS = /^arg\d+$/;
/** A model takes few float tensors as data. */
const MANY_FLOATS = 4;

function fits(found: TensorType | undefined, wanted: TensorType): boolean {
  return found !== undefined && isFloat(found.dtype) && sameShape(found.shape, wanted.shape);
}

/** Baked constants whose every use ends in a sine or cosine: frequencies, not weights. */
function onlyUnderWaves(graph: Graph<TensorType>): ReadonlySet<string> {
  const waves = new Set(["sine", "cosine"]);
  const ends = new Map(graph.nodes.map((node) => [node, true]));
  const used = new Set<unknown>();
  for (const { node } of graph.outputs) {
    ends.set(node, false);
  }
  for (const node of [...graph.nodes].reverse()) {
    for (const argument of node.args) {
      used.add(argument);
      if (!waves.has(node.op) && !ends.get(node)) {
        ends.set(argument, false);
      }
    }
  }
  const names = graph.nodes.filter((node) => node.op === "parameter" && used.has(node) && ends.get(node));
  return new Set(names.map((node) => node.attributes.name as string).filter((name) => name.startsWith("constant@")));
}

function readBytes(path: string): Uint8Array {
  try {
    const { size } = statSync(path);
    if (size > LARGEST_FILE) {
      const fix = "pass the weights as arguments instead of closing over them: the module is then small";
      throw fail({ code: "E0301", what: `the module has ${size} bytes`, where: path, fix });
    }
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && typeof error.code === "string") {
      throw fail({ code: "E0301", what: "the file cannot be read", where: path, why: error.code });
    }
    throw error;
  }
}

/** StableHLO text begins with printable characters; a proto's first bytes are a tag and a length. */
function looksLikeText(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 512).every((byte) => byte >= 0x20 || byte === 9 || byte === 10 || byte === 13);
}
