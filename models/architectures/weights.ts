/** Where the weights of a written model come from: a seed, or a checkpoint that lies as Hugging Face saved it. */
import type { TensorSource } from "../../formats/onnx/write.js";
import { type DType, sizeOf } from "../../ir/tensor/value.js";

/** A weight under the name that the graph reads it by. */
export interface NamedWeight {
  readonly name: string;
  readonly dtype: DType;
  /** What is written into the model's file; absent where the weight stays in a file of its own. */
  readonly source?: TensorSource;
}

export interface WeightSource {
  /** Weights are as PyTorch keeps them: linear ones [out, in], position tables whole. Exporters fold that away. */
  readonly asStored: boolean;
  has(name: string): boolean;
  /** A weight by its Hugging Face name and shape; `centre`: around what random ones lie. */
  tensor(name: string, shape: readonly number[], centre: number): NamedWeight;
}

/**
 * Deviations of random weights. Rows of tables are so large that the first norm's rows vary as a trained model's do,
 * and as plans of assumed ranges take it (passes/range.ts): the overflow guard withholds answers of others.
 */
const DEVIATION = { table: 0.14, other: 0.02 } as const;
const TABLE = /(_embeddings|embed_tokens|wte|wpe)\.(weight|rows)$/;

/** Random weights, made when they are written, piece by piece: uniform around a centre. */
export function randomWeights(seed: number): WeightSource {
  return {
    asStored: false,
    has: () => true,
    tensor(name, shape, centre) {
      const deviation = TABLE.test(name) ? DEVIATION.table : DEVIATION.other;
      const stream = (): Iterable<Uint8Array> =>
        uniformBytes(sizeOf(shape), hashOf(name, seed), centre, deviation * Math.sqrt(3));
      return { name, dtype: "f32", source: { name, dtype: "f32", shape, stream } };
    },
  };
}

/** Elements made at a time. */
const PIECE = 1 << 16;

/** A 32-bit hash of a name: each weight has its own stream, whatever the order of writing (FNV-1a). */
function hashOf(text: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash || 1;
}

/** Uniform float32 values centre ± spread, little-endian, from a seeded xorshift. For random weights only. */
function* uniformBytes(count: number, seed: number, centre: number, spread: number): Iterable<Uint8Array> {
  let state = seed;
  const scale = (2 * spread) / 2 ** 32;
  for (let first = 0; first < count; first += PIECE) {
    const piece = new Float32Array(Math.min(PIECE, count - first));
    for (let i = 0; i < piece.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      piece[i] = centre + (state >>> 0) * scale - spread;
    }
    yield new Uint8Array(piece.buffer);
  }
}
