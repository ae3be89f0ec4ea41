/** Powers of two in one opening, of an argument that is known not to be negative (PROTOCOL.md, split, exponentials). */
import { floorLog2 } from "../../ir/real.js";
import { DECAY_COEFFICIENT_FRACTION, RATE_FRACTION } from "../../ir/share/decays.js";
import { fractionOf, type Lowering, type ShareNode } from "./context.js";

/** Fractional bits of the secret factors, and those of the public ones beyond the result's: a unit in all. */
const SECRET_FRACTION = 12;
const PUBLIC_BITS = 3;

/** Bits of a dealt word beyond its result's, for a bucket of so many octaves. */
export function droppedBits(octaves: number): number {
  return SECRET_FRACTION + PUBLIC_BITS + Math.ceil(octaves);
}

interface Power {
  /** log₂ of the window, in units of t: what t is read modulo. */
  readonly bits: number;
  /** A bucket of the window, a power of two: t stays below 2^bits − width. */
  readonly width: number;
  readonly fraction: number;
  /** Octaves a unit. */
  readonly unit: number;
}

/** 2^(−unit · t) at `fraction`, additive; no round. Error 3·10⁻⁴ at fraction 12, about a unit in the last place. */
export function exp2Negative(lowering: Lowering, t: ShareNode, { bits, width, fraction, unit }: Power): ShareNode {
  const own = fractionOf(t);
  const publicFraction = fraction + PUBLIC_BITS + Math.ceil(width * unit);
  return lowering.emit("decays", [t], {
    bits: bits + own,
    rates: [Math.round(unit * 2 ** (RATE_FRACTION - own))],
    coefficients: [2 ** DECAY_COEFFICIENT_FRACTION],
    buckets: [floorLog2(width) + own],
    publicFraction,
    secretFraction: SECRET_FRACTION,
    drop: droppedBits(width * unit),
    ring: 0,
  });
}
