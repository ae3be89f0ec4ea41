/** Rotary positions: the frequencies as a config says them, and the cosines and sines of all positions. */
import { cos, pow, sin } from "../../ir/real.js";
import type { GraphWriter } from "./writer.js";

/** How frequencies differ from θ^(-2i/d): all divided, or (LLaMA 3.1) only those whose waves are long. */
export interface RotaryScaling {
  readonly factor: number;
  /** Positions that the model was trained on, and the waves in them between which the division sets in. */
  readonly trained?: { readonly positions: number; readonly low: number; readonly high: number };
}

/** The cosines and sines of all positions, [1, 1, S, d], halves repeated. */
export interface Rotary {
  readonly cosines: string;
  readonly sines: string;
}

/** The base and the scaling of a config, old form (`rope_theta`, `rope_scaling`) or new (`rope_parameters`). */
export function rotaryOf(
  json: Readonly<Record<string, unknown>>,
  refuse: (what: string) => void,
): { readonly theta: number; readonly scaling?: RotaryScaling } {
  const stated = (json.rope_parameters ?? json.rope_scaling ?? {}) as Readonly<Record<string, unknown>>;
  const base = stated.rope_theta ?? json.rope_theta;
  const theta = typeof base === "number" ? base : 10000;
  const type = String(stated.rope_type ?? stated.type ?? "default");
  const number = (name: string): number => {
    const value = stated[name];
    if (typeof value !== "number") {
      refuse(`the config says no '${name}' of its rotary positions`);
    }
    return Number(value);
  };
  const partial = json.partial_rotary_factor ?? stated.partial_rotary_factor;
  if (partial !== undefined && partial !== 1) {
    refuse("rotary positions of a part of a head cannot be written");
  }
  switch (type) {
    case "default":
      return { theta };
    case "linear":
      return { theta, scaling: { factor: number("factor") } };
    case "llama3": {
      const positions = number("original_max_position_embeddings");
      const [low, high] = [number("low_freq_factor"), number("high_freq_factor")];
      return { theta, scaling: { factor: number("factor"), trained: { positions, low, high } } };
    }
    default:
      refuse(`rotary positions of type '${type}' cannot be written`);
      return { theta };
  }
}

/** Numbers are rounded to float32 where torch does. */
export function rotaryTables(
  graph: GraphWriter,
  config: { readonly theta: number; readonly rotary?: RotaryScaling },
  length: number,
  width: number,
): Rotary {
  const half = width / 2;
  const frequencies = Array.from({ length: half }, (_, i) =>
    scaled(Math.fround(1 / Math.fround(pow(config.theta, (2 * i) / width))), config.rotary),
  );
  const angles = Array.from({ length: length * width }, (_, i) =>
    Math.fround(Math.floor(i / width) * frequencies[(i % width) % half]),
  );
  const table = (f: (angle: number) => number): string => graph.constant(angles.map(f), [1, 1, length, width], "f32");
  return { cosines: table(cos), sines: table(sin) };
}

function scaled(frequency: number, scaling: RotaryScaling | undefined): number {
  if (scaling === undefined) {
    return frequency;
  }
  const { factor, trained } = scaling;
  const divided = frequency / factor;
  if (trained === undefined) {
    return Math.fround(divided);
  }
  const waves = (trained.positions * frequency) / (2 * Math.PI);
  const share = Math.min(1, Math.max(0, (waves - trained.low) / (trained.high - trained.low)));
  return Math.fround((1 - share) * divided + share * frequency);
}
