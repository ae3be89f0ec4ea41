/**
 * Bit packing, the wire's form of words and bits: fields one after the other from bit 0 of byte 0 on. Words are handled
 * as two 32-bit halves, in steps of 24 bits, so that everything fits a 32-bit integer.
 */

/** Writes `count` fields of `bits` bits; field i is the low bits of halves[2 * first + 2 i …]. */
export function packHalves(
  halves: Uint32Array,
  first: number,
  count: number,
  bits: number,
  out: Uint8Array,
  at: number,
): void {
  let position = at;
  let pending = 0;
  let held = 0;
  for (let i = 0; i < count; i++) {
    let low = halves[2 * (first + i)];
    let high = halves[2 * (first + i) + 1];
    for (let left = bits; left > 0; ) {
      const taken = Math.min(left, 24);
      pending |= (low & ((1 << taken) - 1)) << held;
      held += taken;
      left -= taken;
      low = (low >>> taken) | (high << (32 - taken));
      high >>>= taken;
      while (held >= 8) {
        out[position++] = pending;
        pending >>>= 8;
        held -= 8;
      }
    }
  }
  if (held > 0) {
    out[position] = pending;
  }
}

/** Reads `count` fields of `bits` bits into halves[2 * first …], high bits 0. */
export function unpackHalves(
  source: Uint8Array,
  at: number,
  count: number,
  bits: number,
  halves: Uint32Array,
  first: number,
): void {
  let position = at;
  let pending = 0;
  let held = 0;
  for (let i = 0; i < count; i++) {
    let low = 0;
    let high = 0;
    for (let got = 0; got < bits; ) {
      const taken = Math.min(bits - got, 24);
      while (held < taken) {
        pending |= source[position++] << held;
        held += 8;
      }
      const field = pending & ((1 << taken) - 1);
      pending >>>= taken;
      held -= taken;
      if (got === 0) {
        low = field;
      } else if (got === 24) {
        low |= field << 24;
        high = field >>> 8;
      } else {
        high |= field << 16;
      }
      got += taken;
    }
    halves[2 * (first + i)] = low;
    halves[2 * (first + i) + 1] = high;
  }
}
