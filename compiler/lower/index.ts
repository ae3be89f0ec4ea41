/**
 * Tensor graph → share program: one entry for each tensor op that a secret value may meet. What is not in this table
 * has
 * no secret meaning; all such nodes are reported at once, with their names.
 */
import { type Diagnostic, fail } from "../../ir/diagnostics.js";
import { type Graph, usersOf } from "../../ir/graph.js";
import type { TensorType } from "../../ir/tensor/value.js";
import type { VarianceRange } from "../../passes/observed.js";
import type { LinkCost } from "../../passes/rings.js";
import type { HeadRange } from "../../passes/rows.js";
import { tablesOf } from "../../passes/tabulate.js";
import { lowerAbsolute, lowerActivation, lowerGeluEven, lowerRelu, lowerSoftCap } from "./activation.js";
import { Attention } from "./attention.js";
import {
  lowerBoolean,
  lowerClamp,
  lowerComparison,
  lowerMaximum,
  lowerNever,
  lowerNot,
  lowerReduceMaximum,
  lowerSelect,
  lowerSign,
} from "./comparison.js";
import {
  constantOf,
  type Kept,
  type Lowered,
  Lowering,
  type Precision,
  type Ranges,
  type SecretInput,
  type ShareNode,
  type TensorNode,
} from "./context.js";
import { lowerConvolution } from "./convolution.js";
import { lowerPower } from "./exponents.js";
import {
  lowerArcTangent,
  lowerDivide,
  lowerExponential,
  lowerExponentialMinusOne,
  lowerLogarithm,
  lowerLogarithmPlusOne,
  lowerReciprocal,
  lowerReciprocalSquareRoot,
  lowerSoftplus,
  lowerSquareRoot,
  lowerTrigonometric,
} from "./functions.js";
import { lowerCumulativeSum, lowerScatter, lowerTake } from "./indices.js";
import {
  lowerAdd,
  lowerMatmul,
  lowerMultiply,
  lowerNegate,
  lowerReduceMean,
  lowerReduceSum,
  lowerSubtract,
} from "./linear.js";
import { lowerLogSoftmax } from "./log-softmax.js";
import {
  lowerBroadcast,
  lowerConcatenate,
  lowerGather,
  lowerKeptRows,
  lowerPad,
  lowerReshape,
  lowerReverse,
  lowerSlice,
  lowerTranspose,
} from "./movement.js";
import { layerNormRows, refineTables, rmsNormRows } from "./norm.js";
import { lowerOneHot, lowerTop } from "./order.js";
import { PUMA_GELU, PUMA_SILU } from "./puma/activation.js";
import { lowerPumaActivation } from "./puma/polynomial.js";
import { lowerPumaSoftmax } from "./puma/softmax.js";
import { lowerCast, lowerFloor, lowerModulo, lowerRound } from "./rounding.js";
import { lowerArgmax } from "./sampling.js";
import { productOfRows, type ScaledRows, scaledAfter, scaledRows, slicedRows, slicesRows } from "./scaled.js";
import { packedScores } from "./structure.js";

export type { Kept, Lowered, Precision, Ranges, SecretInput } from "./context.js";

/** Which formulas compute the non-linear functions (NUMERICS.md). */
export type Profile = "fourier" | "puma";

export interface LoweringOptions {
  /** Default: fourier. */
  readonly profile?: Profile;
  readonly precision: Precision;
  readonly ranges: Ranges;
  /** Intervals that no value can leave. Given, values that may leave their ranges are guarded (`passes/guard.ts`). */
  readonly certain?: Ranges;
  /** The range of the row variances of every norm node. */
  readonly variances: ReadonlyMap<TensorNode, VarianceRange>;
  /** How far |x| may go in every channel of an activation's argument, where samples showed it. */
  readonly reaches?: ReadonlyMap<TensorNode, Float64Array>;
  /** The scores of softmaxes, head by head, where samples showed them. */
  readonly heads?: ReadonlyMap<TensorNode, readonly HeadRange[]>;
  readonly inputs: ReadonlyMap<string, SecretInput>;
  /** The outputs that are kept for later runs, by name; the others are revealed. */
  readonly kept?: ReadonlyMap<string, Kept> | undefined;
  /** The network that decides between more bytes and more rounds. */
  readonly link: LinkCost;
}

type Rule = (lowering: Lowering, node: TensorNode, options: LoweringOptions) => ShareNode;

const RULES: Readonly<Record<string, Rule>> = {
  add: lowerAdd,
  subtract: lowerSubtract,
  negate: lowerNegate,
  multiply: lowerMultiply,
  matmul: (lowering, node) => lowerMatmul(lowering, node),
  reduceSum: lowerReduceSum,
  reduceMean: lowerReduceMean,
  reshape: lowerReshape,
  broadcast: lowerBroadcast,
  transpose: lowerTranspose,
  slice: lowerSlice,
  reverse: lowerReverse,
  concatenate: lowerConcatenate,
  pad: lowerPad,
  gather: lowerGather,
  argmax: lowerArgmax,
  argmin: lowerArgmax,
  oneHot: lowerOneHot,
  topValues: lowerTop,
  topIndices: lowerTop,
  cast: lowerCast,
  floor: lowerFloor,
  ceiling: lowerFloor,
  round: lowerRound,
  modulo: lowerModulo,
  isNaN: lowerNever,
  isInfinite: lowerNever,
  convolution: lowerConvolution,
  gelu: lowerActivation,
  geluEven: lowerGeluEven,
  silu: lowerActivation,
  tangentHyperbolic: lowerActivation,
  softCap: lowerSoftCap,
  errorFunction: lowerActivation,
  sigmoid: lowerActivation,
  relu: lowerRelu,
  absolute: lowerAbsolute,
  softplus: lowerSoftplus,
  exponential: lowerExponential,
  exponential2: lowerExponential,
  exponentialMinusOne: lowerExponentialMinusOne,
  logarithm: lowerLogarithm,
  logarithmPlusOne: lowerLogarithmPlusOne,
  reciprocal: lowerReciprocal,
  divide: lowerDivide,
  squareRoot: lowerSquareRoot,
  reciprocalSquareRoot: lowerReciprocalSquareRoot,
  power: lowerPower,
  arcTangent: lowerArcTangent,
  sine: lowerTrigonometric,
  cosine: lowerTrigonometric,
  maximum: lowerMaximum,
  minimum: lowerMaximum,
  clamp: lowerClamp,
  sign: lowerSign,
  less: lowerComparison,
  lessOrEqual: lowerComparison,
  greater: lowerComparison,
  greaterOrEqual: lowerComparison,
  equal: lowerComparison,
  and: lowerBoolean,
  or: lowerBoolean,
  xor: lowerBoolean,
  not: lowerNot,
  select: lowerSelect,
  reduceMaximum: lowerReduceMaximum,
  reduceMinimum: lowerReduceMaximum,
  logSoftmax: lowerLogSoftmax,
  gatherElements: lowerTake,
  gatherND: lowerTake,
  triangular: lowerTake,
  scatterND: lowerScatter,
  scatterElements: lowerScatter,
  cumulativeSum: lowerCumulativeSum,
};

const NORMS = { layerNorm: layerNormRows, rmsNorm: rmsNormRows } as const;

/** What profile `puma` computes otherwise; its norms are ours, one 1/√v a row. */
const PUMA_RULES: Readonly<Record<string, Rule>> = {
  gelu: (lowering, node) =>
    node.attributes.approximation === "quick"
      ? lowerActivation(lowering, node)
      : lowerPumaActivation(lowering, node, PUMA_GELU),
  silu: (lowering, node) => lowerPumaActivation(lowering, node, PUMA_SILU),
  softmax: lowerPumaSoftmax,
};

function varianceOf(node: TensorNode, variances: LoweringOptions["variances"]): VarianceRange {
  const range = variances.get(node);
  if (range === undefined) {
    throw new Error(`no variance range for ${node.origin}`);
  }
  return range;
}

/** Ops that a secret value may meet. */
export function hasSecretMeaning(op: string): boolean {
  return op in RULES || op in NORMS || op === "softmax" || op === "softmaxBase2";
}

/** Lowers the secret program; every output is revealed to the data owner, or kept. */
export function lower(graph: Graph<TensorType>, options: LoweringOptions): Lowered {
  refuseInfinite(graph);
  const { precision, ranges, inputs, link, reaches, certain } = options;
  const lowering = new Lowering(precision, ranges, inputs, link, reaches, certain);
  const rules = options.profile === "puma" ? { ...RULES, ...PUMA_RULES } : RULES;
  const packed = packedScores(graph);
  const attention = new Attention(lowering, graph, packed, options.heads ?? new Map());
  const masks = new Set(graph.nodes.flatMap(({ op, args }) => (op === "softmaxBase2" ? args.slice(1) : [])));
  const users = usersOf(graph);
  const revealed = new Set(graph.outputs.map(({ node }) => node));
  const kept = new Set(graph.outputs.flatMap(({ name, node }) => (options.kept?.has(name) ? [node] : [])));
  /** Products with the rows of a norm, and slices for such, that are scaled afterwards: the rows as they came in. */
  const unscaled = new Map<TensorNode, ScaledRows>();
  const lowerNode = (node: TensorNode): void => {
    if (node.op in NORMS) {
      const rows = NORMS[node.op as keyof typeof NORMS](lowering, node, varianceOf(node, options.variances));
      lowering.defer(node, () => scaledRows(lowering, rows));
      lowering.hold(node, [{ value: rows.rows, scale: rows.scale }]);
      // A scale that is there with its rows is not waited for.
      const after = revealed.has(node) || rows.isKnown === true ? [] : scaledAfter(lowering, node, users);
      for (const user of after) {
        unscaled.set(user, rows);
      }
    } else if (slicesRows(node) && unscaled.has(node)) {
      const rows = slicedRows(lowering, node, unscaled.get(node)!);
      for (const user of users.get(node)!) {
        unscaled.set(user, rows);
      }
      lowering.defer(node, () => scaledRows(lowering, rows));
      lowering.hold(node, [{ value: rows.rows, scale: rows.scale }]);
    } else if (node.op === "softmaxBase2") {
      attention.lower(node);
    } else if (attention.takes(node)) {
      // Its softmax lowers it.
    } else if (node.op === "matmul" && attention.has(node.args[0])) {
      lowering.define(node, attention.weighted(node));
    } else if (node.op === "matmul" && unscaled.has(node)) {
      lowering.define(node, productOfRows(lowering, node, unscaled.get(node)!));
    } else if (packed.has(node)) {
      lowering.define(node, lowerMatmul(lowering, node, packed.get(node)!.kept));
    } else if (kept.has(node) && node.op === "concatenate") {
      lowering.define(node, lowerKeptRows(lowering, node));
    } else if (masks.has(node) && node.op === "and") {
      lowering.defer(node, () => rules.and(lowering, node, options));
    } else if (node.op !== "input" && node.op !== "constant") {
      lowering.define(node, rules[node.op](lowering, node, options));
    }
  };
  for (const tables of tablesOf(graph)) {
    refineTables(lowering, tables, varianceOf(tables.norm, options.variances));
  }
  for (const node of graph.nodes) {
    lowering.at(node);
    lowering.located(() => lowerNode(node));
  }
  const outputs = givenBy(lowering, graph, options);
  const { bounds, accepted, alarms, origins, given, scaled } = lowering;
  const verdicts = alarms.length === 0 ? [] : [{ name: "verdict", node: lowering.builder.emit("verdict", alarms) }];
  const program = lowering.builder.finish([...outputs, ...verdicts]);
  const formulas = lowering.formulas.finish();
  const choices = lowering.choices.finish();
  return { graph: program, bounds, accepted, formulas, choices, held: lowering.held(), origins, given, scaled };
}

/** What the program gives: outputs are revealed, or kept for later runs. */
function givenBy(lowering: Lowering, graph: Graph<TensorType>, options: LoweringOptions) {
  return graph.outputs.map(({ name, node }) => {
    lowering.at(node);
    const kept = options.kept?.get(name);
    return {
      name,
      node:
        kept === undefined
          ? lowering.emit("reveal", [lowering.value(node)], { name })
          : lowering.keep(node, name, kept),
    };
  });
}

function refuseInfinite({ nodes }: Graph<TensorType>): void {
  const infinite = nodes.filter((node) => constantOf(node)?.data.every(Number.isFinite) === false);
  if (infinite.length > 0) {
    const diagnostics = infinite.map((constant): Diagnostic => {
      const user = nodes.find(({ args }) => args.includes(constant)) ?? constant;
      return {
        code: "E0404",
        what: `${user.op} of secret values with an infinite constant`,
        where: user.origin,
        why: "a mask of −∞ that no pass recognised: fixed point holds no infinite number",
        fix: "declare the mask --public, or export the model with a finite mask such as -100",
      };
    });
    throw fail(...diagnostics);
  }
}
