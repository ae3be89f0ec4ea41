/**
 * A picture as a vision model takes it: red, green and blue of each pixel, scaled and normalised as the model's own
 * preprocessor_config.json says (Hugging Face's image processors).
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fail } from "../ir/diagnostics.js";
import { isFloat, type TensorType, type TensorValue } from "../ir/tensor/value.js";

/** value = (byte * scale - mean) / deviation, for each of the three colours. */
export interface Normalisation {
  readonly scale: number;
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

/** What most vision transformers were trained with: -1 to 1. */
export const USUAL_PIXELS: Normalisation = { scale: 1 / 255, mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5] };

interface Preprocessor {
  readonly do_rescale?: boolean;
  readonly rescale_factor?: number;
  readonly do_normalize?: boolean;
  readonly image_mean?: readonly number[];
  readonly image_std?: readonly number[];
}

/** The normalisation beside a model; undefined where there is none. E0301 where it cannot be understood. */
export function normalisationBeside(model: string): Normalisation | undefined {
  const where = join(dirname(model), "preprocessor_config.json");
  if (!existsSync(where)) {
    return undefined;
  }
  try {
    const file = JSON.parse(readFileSync(where, "utf8")) as Preprocessor;
    const { mean, deviation, scale } = USUAL_PIXELS;
    const isNormal = file.do_normalize !== false;
    return {
      scale: file.do_rescale === false ? 1 : (file.rescale_factor ?? scale),
      mean: isNormal ? (file.image_mean ?? mean) : [0, 0, 0],
      deviation: isNormal ? (file.image_std ?? deviation) : [1, 1, 1],
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw fail({ code: "E0301", what: "the image processor's settings cannot be read", where, why });
  }
}

/** The input of a plan that is one picture, and its size; undefined where there is none. */
export function pictureIn(inputs: ReadonlyMap<string, TensorType>) {
  for (const [name, type] of inputs) {
    const { shape } = type;
    const isFirst = shape.length === 4 && shape[1] === 3;
    if (isFloat(type.dtype) && shape.length === 4 && shape[0] === 1 && (isFirst || shape[3] === 3)) {
      const [height, width] = isFirst ? shape.slice(2) : shape.slice(1);
      return { name, type, height, width, isFirst };
    }
  }
  return undefined;
}

export type Picture = NonNullable<ReturnType<typeof pictureIn>>;

/** The input of a picture's bytes, red, green, blue, row by row. E0202 where they are not as many as it has. */
export function pixelsOf(
  { name, type, height, width, isFirst }: Picture,
  bytes: Uint8Array,
  { scale, mean, deviation }: Normalisation,
): TensorValue {
  const all = height * width;
  if (bytes.length !== 3 * all) {
    const what = `the picture has ${bytes.length} bytes, the plan takes ${width} by ${height} pixels of 3`;
    throw fail({ code: "E0202", what, where: name, fix: "scale it first" });
  }
  const data = new Float64Array(3 * all);
  for (let i = 0; i < bytes.length; i++) {
    const [pixel, colour] = [Math.floor(i / 3), i % 3];
    data[isFirst ? colour * all + pixel : i] = (bytes[i] * scale - mean[colour]) / deviation[colour];
  }
  return { ...type, data };
}
