/**
 * PUMA's formulas by themselves: the program of profile puma in double precision, with its GELU, SiLU and softmax
 * computed by the paper's formulas and everything else exact. What it is off by, no precision of the fixed point mends.
 */
import type { Values } from "../../analysis/data/evaluation.js";
import { programsOf } from "../../analysis/secret-program.js";
import { runDataOwner, runModelOwner } from "../../client/owners.js";
import { PUMA_GELU, PUMA_SILU } from "../../compiler/lower/puma/activation.js";
import type { PumaActivation } from "../../compiler/lower/puma/polynomial.js";
import type { Node } from "../../ir/graph.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { broadcastData } from "../../ir/tensor/types.js";
import type { TensorType, TensorValue } from "../../ir/tensor/value.js";
import type { Prepared } from "./task.js";

function polynomial(terms: PumaActivation["lower"], x: number): number {
  return terms.reduce((sum, [exponent, coefficient]) => sum + coefficient * x ** exponent, 0);
}

function activation({ thresholds: [zero, low, high], lower, middle }: PumaActivation, x: number): number {
  return x < zero ? 0 : x < low ? polynomial(lower, x) : x < high ? polynomial(middle, x) : x;
}

function exponential(x: number): number {
  return x < -14 ? 0 : (1 + x / 32) ** 32;
}

function softmax([x, keep]: readonly TensorValue[], type: TensorType): TensorValue {
  const length = type.shape.at(-1)!;
  const data = new Float64Array(x.data.length);
  const kept = keep === undefined ? undefined : broadcastData(keep, type.shape);
  for (let row = 0; row < data.length; row += length) {
    const places = Array.from({ length }, (_, i) => row + i).filter((i) => kept === undefined || kept[i] !== 0);
    const maximum = places.reduce((most, i) => Math.max(most, x.data[i]), Number.NEGATIVE_INFINITY);
    const sum = places.reduce((total, i) => total + exponential(x.data[i] - maximum), 0);
    for (const i of places) {
      data[i] = exponential(x.data[i] - maximum) / sum;
    }
  }
  return { ...type, data };
}

function evaluate(node: Node<TensorType>, args: readonly TensorValue[]): TensorValue {
  if (node.op === "softmax") {
    return softmax(args, node.type);
  }
  const formula = node.op === "silu" ? PUMA_SILU : node.attributes.approximation === "quick" ? undefined : PUMA_GELU;
  if ((node.op !== "gelu" && node.op !== "silu") || formula === undefined) {
    return TENSOR.ops[node.op].evaluate(args, node.attributes, node.type);
  }
  return { ...node.type, data: Float64Array.from(args[0].data, (x) => activation(formula, x)) };
}

/** The outputs of the program of a plan of profile puma with the formulas in place of its functions. */
export function formulasAlone({ plan, model }: Pick<Prepared, "plan" | "model">): (inputs: Values) => Values {
  const { secret } = programsOf(model, plan);
  const weights = runModelOwner(plan, model.weights);
  return (inputs) => {
    const owners = runDataOwner(plan, inputs, weights);
    const values = new Map<Node<TensorType>, TensorValue>();
    for (const node of secret.nodes) {
      const bound = plan.bindings.find(({ output }) => node.op === "input" && output === node.attributes.name);
      const args = node.args.map((argument) => values.get(argument)!);
      values.set(node, bound === undefined ? evaluate(node, args) : owners.value(bound.owner, bound.input));
    }
    return new Map(secret.outputs.map(({ name, node }) => [name, values.get(node)!]));
  };
}
