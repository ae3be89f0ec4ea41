/**
 * Frequencies of free series (`curves.ts`) for the functions of transformers, in units of 2π/2^(the curve's headroom).
 * Found by variable projection (Golub and Pereyra 1973; Levenberg's and Marquardt's steps), rounded to the grid and
 * polished there one by one; coefficients are fitted where a plan is made. Windows beyond the last are a triangle's.
 */
import type { Grid } from "./curves.js";

export const GELU_GRIDS: readonly Grid[] = [
  { window: 3, frequencies: [32, 87] },
  { window: 4, frequencies: [25, 69, 113] },
  { window: 4.5, frequencies: [23, 64, 104] },
  { window: 5.25, frequencies: [20, 56, 89, 117] },
  { window: 7, frequencies: [12, 37, 63, 90, 119] },
  { window: 8.5, frequencies: [13, 16, 40, 65, 90, 116] },
];

/** x·(σ(1.702 x) − ½). */
export const QUICK_GRIDS: readonly Grid[] = [
  { window: 3, frequencies: [31, 88, 155] },
  { window: 4.5, frequencies: [23, 65, 108, 151] },
  { window: 6, frequencies: [17, 49, 81, 115, 152] },
];

export const SILU_GRIDS: readonly Grid[] = [
  { window: 4, frequencies: [45, 130] },
  { window: 6, frequencies: [34, 96, 165] },
  { window: 10, frequencies: [20, 58, 97, 139, 185] },
];

export const TANH_GRIDS: readonly Grid[] = [
  { window: 2, frequencies: [31, 102, 203] },
  { window: 4, frequencies: [14, 50, 95, 146, 207] },
  { window: 4.75, frequencies: [2, 38, 78, 121, 167, 216] },
  { window: 6, frequencies: [8, 32, 62, 63, 93, 127, 163, 199] },
];

/** tanh to 2·10⁻⁵ at a headroom of 10: what a soft cap multiplies by tens. */
export const CAP_GRIDS: readonly Grid[] = [
  { window: 1, frequencies: [166, 599] },
  { window: 1.5, frequencies: [138, 462, 898] },
  { window: 2.5, frequencies: [75, 231, 428, 685, 995] },
  { window: 4, frequencies: [62, 192, 320, 432, 584, 776, 998, 1247] },
  { window: 6, frequencies: [44, 125, 212, 296, 375, 483, 498, 629, 774, 926, 1076] },
];
/** The headroom that they are for. */
export const CAP_HEADROOM = 10;

export const ERF_GRIDS: readonly Grid[] = [
  { window: 2, frequencies: [21, 69, 126, 196] },
  { window: 3, frequencies: [16, 47, 86, 134, 191] },
];

/** σ(x) − ½ = tanh(x/2)/2: a grid twice as fine, windows twice as wide. */
export const SIGMOID_GRIDS: readonly Grid[] = [
  { window: 4, frequencies: [31, 102, 203] },
  { window: 8, frequencies: [14, 50, 95, 146, 207] },
  { window: 9.5, frequencies: [2, 38, 78, 121, 167, 216] },
  { window: 12, frequencies: [8, 32, 62, 63, 93, 127, 163, 199] },
];

/** ln(1 + e^x) − x/2. */
export const SOFTPLUS_GRIDS: readonly Grid[] = [{ window: 8.5, frequencies: [11, 35, 38, 59] }];
