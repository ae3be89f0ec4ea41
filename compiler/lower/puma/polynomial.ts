/**
 * Piecewise polynomials as PUMA evaluates them (arXiv 2307.12533, sections 4.2 and 4.3): exact thresholds from one
 * dealing of digits beside the powers, the pieces' values times the bits of their intervals. Outside its interval a
 * piece may overflow: its bit is 0, and 0 times anything in a ring is 0.
 */
import { pow } from "../../../ir/real.js";
import { TENSOR } from "../../../ir/tensor/index.js";
import { encodedScalar, fractionOf, type Lowering, type ShareNode, type TensorNode } from "../context.js";
import { sumAdditive } from "../digits.js";
import { addReal } from "../linear.js";
import { below } from "../thresholds.js";

/** Coefficients by power: [power, coefficient]; power 0 is the constant. */
export type Polynomial = readonly (readonly [power: number, coefficient: number])[];

/** 0 below the first threshold, `lower` up to the second, `middle` up to the third, x above. */
export interface PumaActivation {
  readonly thresholds: readonly [number, number, number];
  readonly lower: Polynomial;
  readonly middle: Polynomial;
}

const COEFFICIENT_BITS = 20;

/** The activation of a tensor node's argument, additive. Five rounds to the opened result at most. */
export function lowerPumaActivation(lowering: Lowering, node: TensorNode, f: PumaActivation): ShareNode {
  const [argument] = node.args;
  notePolynomials(lowering, node, f);
  const x = lowering.masked(argument);
  const fraction = fractionOf(x);
  const [first, second, third] = below(lowering, x, lowering.boundOf(argument), f.thresholds, fraction);
  const bit = (value: ShareNode) => lowering.emit("remaskBits", [value]);
  const powers = powersOf(lowering, x, Math.max(...f.thresholds.map(Math.abs)));
  const pieces: [ShareNode, ShareNode][] = [
    [bit(lowering.emit("exclusiveOr", [first, second])), polynomial(lowering, powers, f.lower, fraction)],
    [bit(lowering.emit("exclusiveOr", [second, third])), polynomial(lowering, powers, f.middle, fraction)],
    [bit(lowering.emit("complement", [third])), x],
  ];
  return sumAdditive(
    lowering,
    pieces.map((piece) => lowering.emit("timesBit", piece)),
  );
}

function polynomialAt(terms: Polynomial, x: number): number {
  return terms.reduce((sum, [power, coefficient]) => sum + coefficient * pow(x, power), 0);
}

function notePolynomials(lowering: Lowering, node: TensorNode, f: PumaActivation): void {
  const [first, second, third] = f.thresholds;
  const { op, attributes } = node;
  const at = (x: number) => ({ dtype: "f64", shape: [], data: Float64Array.of(x) }) as const;
  const exact = (x: number) => TENSOR.ops[op].evaluate([at(x)], attributes, at(x)).data[0];
  const degree = (terms: Polynomial) => Math.max(...terms.map(([power]) => power));
  lowering.formulas.add(`puma ${op}`, "", () => ({
    function: attributes.approximation === undefined ? op : `${op} (${String(attributes.approximation)})`,
    profile: "puma",
    form: `degree ${degree(f.lower)} up to ${second}, degree ${degree(f.middle)} above`,
    distance: "absolute",
    outside: "0 below, x above",
    section: "Profile `puma`",
    window: [first, third],
    coefficients: [f.lower, f.middle].flat(2),
    pieces: [
      { from: 4 * first, to: first, value: () => 0, exact },
      { from: first, to: second, value: (x) => polynomialAt(f.lower, x), exact },
      { from: second, to: third, value: (x) => polynomialAt(f.middle, x), exact },
      { from: third, to: 4 * third, value: (x) => x, exact },
    ],
  }));
}

type Powers = (n: number) => ShareNode;

/** x, x², x³, x⁴, x⁶ as they are asked for; additive after their product. `reach` bounds |x| where it matters. */
function powersOf(lowering: Lowering, x: ShareNode, reach: number): Powers {
  const fraction = fractionOf(x);
  const known = new Map<number, ShareNode>([[1, x]]);
  const factors: Readonly<Record<number, readonly [number, number]>> = { 2: [1, 1], 3: [2, 1], 4: [2, 2], 6: [4, 2] };
  const of: Powers = (n) => {
    const done = known.get(n);
    if (done !== undefined) {
      return done;
    }
    const args = factors[n].map((factor) => lowering.atFraction(of(factor), fraction));
    const made = lowering.bounded(lowering.emit("multiply", args, { drop: 0 }), pow(reach, n));
    known.set(n, made);
    return made;
  };
  return of;
}

/** Σ c_n xⁿ, masked at `fraction`. */
function polynomial(lowering: Lowering, powers: Powers, terms: Polynomial, fraction: number): ShareNode {
  const constant = terms.find(([power]) => power === 0)?.[1] ?? 0;
  const common = 2 * fraction + COEFFICIENT_BITS;
  const scaled = terms
    .filter(([power]) => power > 0)
    .map(([power, coefficient]) => {
      const value = encodedScalar(coefficient, COEFFICIENT_BITS);
      const term = lowering.emit("multiplyConstant", [powers(power)], { value, fraction: COEFFICIENT_BITS });
      return lowering.additive(term, common);
    });
  const sum = addReal(lowering, sumAdditive(lowering, scaled), constant);
  return lowering.atFraction(lowering.bounded(sum, 8), fraction);
}
