/** The exact optimum of the rings' integer programme, by HiGHS. */
import loadHighs from "highs";
import { secondsOf } from "../../passes/plan-rings.js";
import type { LinkCost, Rings } from "../../passes/rings.js";
import { integerProgramme } from "./integer-programme.js";

/** Its types say CommonJS, its package gives an ES module whose default is the loader itself. */
const load = loadHighs as unknown as typeof loadHighs.default;
const highs = await load();

/** HiGHS ends when what it found and its bound are so near, relatively. */
export const SOLVED = 1e-4;

export interface Gap {
  /** Milliseconds of the planner's rings, and of the optimum. */
  readonly found: number;
  readonly optimum: number;
}

/** How far planned rings are from the optimum, by the planner's own time. */
export function gapOf(rings: Rings, link: LinkCost): Gap {
  const { Status, ObjectiveValue } = highs.solve(integerProgramme(rings, link), { mip_rel_gap: SOLVED });
  if (Status !== "Optimal") {
    throw new Error(`the integer programme is not solved: ${Status}`);
  }
  return { found: secondsOf(rings, link) * 1000, optimum: ObjectiveValue };
}
