/**
 * What a data owner gives for a plan's inputs: tensors by name, texts, a folder of ONNX test data. Everything is
 * checked against the plan before any party starts: every problem is one diagnostic, all are reported together.
 */
import { fitted } from "../formats/fitted.js";
import { type ReadTensor, tensorOfArrays } from "../formats/tensor-files.js";
import { readTestData } from "../formats/test-data.js";
import { loadEncoder, type OnCut, PADDED, textInputs, usualValue } from "../formats/text.js";
import { type Diagnostic, fail, PumacError } from "../ir/diagnostics.js";
import { type DType, sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";

/** Numbers in nested arrays of equal lengths. */
export type NestedNumbers = number | readonly NestedNumbers[];

/** A tensor in row-major order; without a type it takes the plan's. */
export interface GivenTensor {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
  readonly dtype?: DType | undefined;
}

/** The values of a plan's inputs, in any mix; a tensor by name goes before what a text or the folder says. */
export interface GivenInputs {
  readonly tensors?: Readonly<Record<string, GivenTensor | NestedNumbers>>;
  /** As many as the plan takes at a time; they fill ids, mask, types and positions. */
  readonly texts?: readonly string[];
  /** The model's tokenizer.json, for texts. */
  readonly tokenizer?: string | undefined;
  /** Cuts texts that are longer than the plan; it is told of each. Without it such a text is an error. */
  readonly onCut?: OnCut | undefined;
  /** An ONNX test data folder: input_0.pb, input_1.pb, … */
  readonly folder?: string | undefined;
  /** Hears what is taken for inputs that were not given: a mask of ones, token types of zeros, positions counted. */
  readonly onFilled?: ((name: string, what: string) => void) | undefined;
}

/**
 * The values of the plan's inputs, each of exactly the plan's shape and type. `expected`: what the plan declares. E0201
 * for texts without a tokenizer, E0202 for every input that is missing, unknown or of another form, E0301 for files.
 */
export async function inputValues(
  given: GivenInputs,
  expected: ReadonlyMap<string, TensorType>,
): Promise<ReadonlyMap<string, TensorValue>> {
  const { texts = [], folder, tensors = {} } = given;
  // A folder is recorded for the model: what the plan does not read of it (a cache of length 0, a mask) is left out.
  const recorded = folder === undefined ? [] : readTestData(folder, "input", [...expected.keys()]);
  const read = new Map([...recorded].filter(([name]) => expected.has(name)));
  const problems: Diagnostic[] = [];
  const collect = <T>(action: () => T): T | undefined => {
    try {
      return action();
    } catch (error) {
      problems.push(...diagnosticsOf(error));
      return undefined;
    }
  };
  for (const [name, tensor] of Object.entries(tensors)) {
    const value = collect(() => tensorOf(name, tensor));
    if (value !== undefined) {
      read.set(name, value);
    }
  }
  const values = new Map(texts.length > 0 ? await fromTexts(given, texts, expected) : []);
  for (const [name, value] of read) {
    const type = expected.get(name);
    const fitting = collect(() => {
      if (type === undefined) {
        throw fail(unknownInput(name, expected));
      }
      return fitted(name, value, type);
    });
    if (fitting !== undefined) {
      values.set(name, fitting);
    }
  }
  // A prompt is as long as the plan unless something says otherwise, and a cache of length 0 holds nothing.
  for (const [name, type] of expected) {
    const size = sizeOf(type.shape);
    if (!values.has(name) && (name === PADDED || size === 0)) {
      values.set(name, { ...type, data: new Float64Array(size) });
    }
  }
  for (const [name, type] of expected) {
    const usual = values.size === 0 || values.has(name) || read.has(name) || name in tensors;
    const filled = usual ? undefined : usualValue(name, type);
    if (filled !== undefined) {
      values.set(name, filled.value);
      given.onFilled?.(name, filled.what);
    }
  }
  const missing = [...expected.keys()].filter((name) => !values.has(name) && !read.has(name) && !(name in tensors));
  problems.push(...missing.map((name) => missingInput(name, expected.get(name)!)));
  if (problems.length > 0) {
    throw fail(...problems);
  }
  return values;
}

function tensorOf(name: string, given: GivenTensor | NestedNumbers): ReadTensor {
  if (typeof given === "object" && "shape" in given) {
    const { shape, data, dtype } = given;
    if (data.length !== sizeOf(shape)) {
      const what = `${data.length} numbers do not fill the shape [${shape}]`;
      throw fail({ code: "E0202", what, where: name });
    }
    return { shape, data: Float64Array.from(data), dtype };
  }
  try {
    return tensorOfArrays(given);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw fail({ code: "E0202", what: "the input is no tensor", where: name, why });
  }
}

function diagnosticsOf(error: unknown): readonly Diagnostic[] {
  if (error instanceof PumacError) {
    return error.diagnostics;
  }
  throw error;
}

async function fromTexts(
  { tokenizer, onCut }: GivenInputs,
  texts: readonly string[],
  expected: ReadonlyMap<string, TensorType>,
): Promise<ReadonlyMap<string, TensorValue>> {
  if (tokenizer === undefined) {
    throw fail({ code: "E0201", what: "text needs a tokenizer", fix: "add --tokenizer path/to/tokenizer.json" });
  }
  const encoder = loadEncoder(tokenizer);
  return textInputs(encoder.paddingId, await encoder.encode(texts), expected, onCut);
}

function unknownInput(name: string, expected: ReadonlyMap<string, TensorType>): Diagnostic {
  return {
    code: "E0202",
    what: `the plan has no input '${name}'`,
    fix: `its inputs are ${[...expected.keys()].join(", ")}`,
  };
}

function missingInput(name: string, { dtype, shape }: TensorType): Diagnostic {
  const what = `the plan's input '${name}' was not given`;
  const file = `--input ${name}=@file.npy of shape [${shape}] and type ${dtype}`;
  const fix = `add ${file}, or --input text:"…" --tokenizer FILE`;
  return { code: "E0202", what, where: name, fix };
}
