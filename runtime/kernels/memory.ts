/**
 * An arena seen through the views that the TypeScript kernels use. Offsets are bytes everywhere outside; inside, a
 * place of words is an index into `words` or `halves`.
 */
export interface Memory {
  readonly arena: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly words: BigUint64Array;
  /** Words as two 32-bit halves, the low one first (the project runs on little-endian machines only). */
  readonly halves: Uint32Array;
  readonly tables: Int32Array;
}

export function memoryOf(arena: ArrayBuffer): Memory {
  return {
    arena,
    bytes: new Uint8Array(arena),
    words: new BigUint64Array(arena),
    halves: new Uint32Array(arena),
    tables: new Int32Array(arena),
  };
}
