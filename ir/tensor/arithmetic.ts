/**
 * What an evaluation computes with: who multiplies matrices, and where results are put. Whoever runs many graphs brings
 * faster means; the meaning is that of the plain ones, to the bit.
 */

/** Row-major matrices that begin at elements of their arrays: c [rows, columns] = a [rows, inner]·b [inner, columns] */
export interface RealProduct {
  readonly c: Float64Array;
  readonly cAt: number;
  readonly a: Float64Array;
  readonly aAt: number;
  readonly b: Float64Array | Float32Array;
  readonly bAt: number;
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
}

/**
 * Fills c. Measured ranges decide a plan, so whoever computes it gives the same bits: every element is
 * ((0 + a₀·b₀) + a₁·b₁) + … in order of the inner index, each product and each sum rounded by itself.
 */
export type MultiplyReals = (product: RealProduct) => void;

export interface Arithmetic {
  readonly multiply: MultiplyReals;
  /** Room for so many numbers, with anything in it. */
  readonly room: (count: number) => Float64Array;
}

/** Less than this many bytes is not worth keeping. */
const LEAST_KEPT = 1 << 12;
/** A piece of memory is used again for what fills so much of it at least. */
const PART_FILLED = 1 / 32;

/** Pieces of memory that are free; one gets the smallest that is large enough and not far too large. */
export class Pieces<P extends { readonly byteLength: number }> {
  private readonly free: P[] = [];

  constructor(private readonly make: (bytes: number) => P) {}

  take(bytes: number): P {
    const fit = this.free.findIndex(({ byteLength }) => byteLength >= bytes && bytes >= byteLength * PART_FILLED);
    return fit < 0 ? this.make(bytes) : this.free.splice(fit, 1)[0];
  }

  give(piece: P): void {
    if (piece.byteLength >= LEAST_KEPT) {
      const at = this.free.findIndex(({ byteLength }) => byteLength >= piece.byteLength);
      this.free.splice(at < 0 ? this.free.length : at, 0, piece);
    }
  }
}

/** Rooms that are used again: large arrays are dear to get, and dearer to collect. */
export class Rooms {
  private readonly lent = new Map<Float64Array | Float32Array, ArrayBuffer>();
  private readonly pieces = new Pieces((bytes) => new ArrayBuffer(bytes));

  take(count: number): Float64Array {
    return this.lend(count * 8, (piece) => new Float64Array(piece, 0, count));
  }

  /** Room for so many numbers as a file holds them. */
  takeSingle(count: number): Float32Array {
    return this.lend(count * 4, (piece) => new Float32Array(piece, 0, count));
  }

  /** Takes a room back whose numbers nobody needs; what is not from here is left alone. */
  give(room: Float64Array | Float32Array): void {
    const piece = this.lent.get(room);
    if (piece !== undefined) {
      this.lent.delete(room);
      this.pieces.give(piece);
    }
  }

  private lend<R extends Float64Array | Float32Array>(bytes: number, over: (piece: ArrayBuffer) => R): R {
    const piece = this.pieces.take(bytes);
    const room = over(piece);
    this.lent.set(room, piece);
    return room;
  }
}

/** Columns of b that are multiplied at a time: their sums stay in registers. */
const PANEL = 4;

/** Each panel of b is copied out and meets all rows of a, two at a time. */
export function multiplyReals({ c, cAt, a, aAt, b, bAt, rows, inner, columns }: RealProduct): void {
  const panel = new Float64Array(inner * PANEL);
  const sums = new Float64Array(2 * PANEL);
  for (let column = 0; column < columns; column += PANEL) {
    const width = Math.min(PANEL, columns - column);
    for (let k = 0; k < inner; k++) {
      for (let j = 0; j < width; j++) {
        panel[k * PANEL + j] = b[bAt + k * columns + column + j];
      }
    }
    for (let row = 0; row < rows; row += 2) {
      const second = Math.min(row + 1, rows - 1);
      rowsTimesPanel(sums, a, aAt + row * inner, aAt + second * inner, panel);
      for (let j = 0; j < width; j++) {
        c[cAt + row * columns + column + j] = sums[j];
        c[cAt + second * columns + column + j] = sums[PANEL + j];
      }
    }
  }
}

/** The sums of products of two rows of a with the panel's columns: eight running sums, few loads. */
function rowsTimesPanel(sums: Float64Array, a: Float64Array, first: number, second: number, panel: Float64Array): void {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let t0 = 0;
  let t1 = 0;
  let t2 = 0;
  let t3 = 0;
  const apart = second - first;
  for (let at = 0, k = first; at < panel.length; at += PANEL, k++) {
    const s = a[k];
    const t = a[k + apart];
    s0 += s * panel[at];
    s1 += s * panel[at + 1];
    s2 += s * panel[at + 2];
    s3 += s * panel[at + 3];
    t0 += t * panel[at];
    t1 += t * panel[at + 1];
    t2 += t * panel[at + 2];
    t3 += t * panel[at + 3];
  }
  sums.set([s0, s1, s2, s3, t0, t1, t2, t3]);
}

export const PLAIN: Arithmetic = { multiply: multiplyReals, room: (count) => new Float64Array(count) };
