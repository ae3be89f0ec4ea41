/**
 * PUMA's coefficients, as its published code has them (NUMERICS.md): GELU with a maximum error of 0.0199 (the paper
 * says 0.0140), SiLU (the code for LLaMA) with 0.072.
 */
import type { PumaActivation } from "./polynomial.js";

export const PUMA_GELU: PumaActivation = {
  thresholds: [-4, -1.95, 3],
  lower: [
    [3, -0.011034134030615728],
    [2, -0.11807612951181953],
    [1, -0.42226581151983866],
    [0, -0.5054031199708174],
  ],
  middle: [
    [6, 0.0018067462606141187],
    [4, -0.037688200365904236],
    [2, 0.3603292692789629],
    [1, 0.5],
    [0, 0.008526321541038084],
  ],
};

export const PUMA_SILU: PumaActivation = {
  thresholds: [-8, -4, 4],
  lower: [
    [2, -0.0055465625580307],
    [1, -0.0819767021525476],
    [0, -0.3067541139982155],
  ],
  middle: [
    [6, 0.0002743776353465],
    [4, -0.011113046708173],
    [2, 0.228143084172827],
    [1, 0.5],
    [0, 0.0085064025895951],
  ],
};
