/**
 * The share language: the ops that the protocol suite offers, once. Type rule, rings needed, cost and stream use stand
 * in the family files, the meaning in `evaluate.ts`; an op without a meaning does not compile. The roles that carry the
 * ops out are in `runtime/ops`.
 */
import type { Language } from "../graph.js";
import { BILINEAR } from "./bilinear.js";
import { BITS } from "./bits.js";
import { DECAYS } from "./decays.js";
import { EVALUATE } from "./evaluate.js";
import { LINEAR } from "./linear.js";
import { ROUNDS, WIDENED } from "./rounds.js";
import { SPLIT } from "./split.js";
import {
  type OpSpecification,
  parseShareType,
  printShareType,
  type ShareCost,
  type ShareOp,
  type ShareType,
} from "./types.js";

const SPECIFICATIONS = { ...LINEAR, ...BILINEAR, ...ROUNDS, ...WIDENED, ...SPLIT, ...DECAYS, ...BITS } as const;

export type ShareOpName = keyof typeof SPECIFICATIONS;

const NOTHING: ShareCost = { offline: 0, online: 0, output: 0, depth: 0, macs: { P0: 0, P1: 0, P2: 0 } };

/** Every op has a meaning: this line does not compile otherwise. */
const MEANINGS: Readonly<Record<ShareOpName, ShareOp["evaluate"]>> = EVALUATE;

function complete(specification: OpSpecification, evaluate: ShareOp["evaluate"]): ShareOp {
  const { cost } = specification;
  return {
    ...specification,
    evaluate,
    alias: specification.alias ?? false,
    publicArguments: specification.publicArguments ?? [],
    cost: (args, attributes, type) => ({ ...NOTHING, ...cost?.(args, attributes, type) }),
    draws: specification.draws ?? (() => []),
    ulp: specification.ulp ?? (() => 0),
  };
}

export const SHARE_OPS: Readonly<Record<ShareOpName, ShareOp>> = Object.fromEntries(
  Object.entries(SPECIFICATIONS).map(([name, specification]) => [
    name,
    complete(specification, MEANINGS[name as ShareOpName]),
  ]),
) as Record<ShareOpName, ShareOp>;

export const SHARE: Language<ShareType, ShareOp> = {
  name: "share",
  ops: SHARE_OPS,
  printType: printShareType,
  parseType: parseShareType,
};

export * from "./types.js";
