/**
 * Recognises functions by their values. Exporters expand special functions into dozens of operations (erfc becomes some
 * 75: two polynomials, an exponential, four selects), in forms that change with the version. Whatever its form, a part
 * of the graph that is elementwise and depends on one value only is a function of that value; it is evaluated on a grid
 * and, where it agrees with a function of the tensor language everywhere, becomes that function.
 *
 * Sound as far as a grid is: 1,200 points on [−12, 12] and a few far out, to 1e-5 absolute or relative, which is how
 * well the expansions themselves agree with the functions they stand for, or to what a short float can say. A match
 * saves operations, never adds any. Two approximations that people write for secure computation by hand are told too:
 * the piecewise GELU of PUMA (Dong et al. 2023, section 4.1), and an exponential that is zero from −14 down.
 */

import type { Diagnostic } from "../../ir/diagnostics.js";
import { type Builder, type Graph, rewrite, usersOf } from "../../ir/graph.js";
import { erf, exp, tanh } from "../../ir/real.js";
import { TENSOR, TENSOR_OPS, type TensorNode, type TensorOp } from "../../ir/tensor/index.js";
import { gelu, softplus } from "../../ir/tensor/numeric.js";
import { sigmoid } from "../../ir/tensor/quick.js";
import { type DType, isFloat, sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";

/** The largest difference, absolute or relative, of an expansion from its function, by its shortest float. */
const TOLERANCE = 1e-5;
const SHORT: Readonly<Partial<Record<DType, number>>> = { bf16: 2 ** -6, f16: 2 ** -9 };
/** Regions of fewer nodes are left to the pattern matchers. */
const SMALLEST_REGION = 4;
/** How far up the chain of single values a region may reach, and how large it may be. */
const LONGEST_CHAIN = 400;
const LARGEST_REGION = 400;

const ELEMENTWISE: ReadonlySet<string> = new Set(
  (
    "negate absolute sign reciprocal squareRoot reciprocalSquareRoot exponential exponential2 exponentialMinusOne " +
    "logarithm logarithmPlusOne tangentHyperbolic errorFunction sigmoid relu isNaN isInfinite not clamp add subtract " +
    "multiply divide power maximum minimum equal less lessOrEqual greater greaterOrEqual and or xor select cast"
  ).split(" "),
);

interface Candidate {
  /** An approximation of the function that is computed instead: what it is. */
  readonly stands?: string;
  readonly compute: (x: number) => number;
  /** The nodes that the replacement needs. */
  readonly nodes: number;
  readonly emit: (builder: Builder<TensorType>, x: TensorNode, origin: string) => TensorNode;
}

function unary(op: string, compute: (x: number) => number, attributes: Record<string, string> = {}): Candidate {
  return { compute, nodes: 1, emit: (builder, x, origin) => builder.emit(op, [x], attributes, origin) };
}

function complementary(builder: Builder<TensorType>, x: TensorNode, origin: string): TensorNode {
  const value: TensorValue = { dtype: x.type.dtype, shape: [], data: Float64Array.of(1) };
  const one = builder.emit("constant", [], { value }, origin);
  return builder.emit("subtract", [one, builder.emit("errorFunction", [x], {}, origin)], {}, origin);
}

/** PUMA's GELU: two polynomials between 0 and x. */
function pumaGelu(x: number): number {
  const low = [-0.5054031199708174, -0.42226581151983866, -0.11807612951181953, -0.011034134030615728];
  const middle = [0.008526321541038084, 0.5, 0.3603292692789629, 0, -0.037688200365904236, 0, 0.0018067462606141187];
  const at = (coefficients: readonly number[]) => coefficients.reduceRight((sum, each) => sum * x + each, 0);
  return x < -4 ? 0 : x < -1.95 ? at(low) : x > 3 ? x : at(middle);
}

/** In order of preference; they differ from each other by far more than the tolerance. */
const CANDIDATES: readonly Candidate[] = [
  unary("gelu", gelu("erf"), { approximation: "erf" }),
  unary("gelu", gelu("tanh"), { approximation: "tanh" }),
  unary("gelu", gelu("quick"), { approximation: "quick" }),
  unary("silu", (x) => x * sigmoid(x)),
  unary("softplus", softplus),
  unary("errorFunction", erf),
  { compute: (x) => 1 - erf(x), nodes: 3, emit: complementary },
  unary("sigmoid", sigmoid),
  unary("tangentHyperbolic", tanh),
  { ...unary("gelu", pumaGelu, { approximation: "erf" }), stands: "PUMA's piecewise GELU" },
  unary("exponential", exp),
];

/** Few points to tell at once that a region is none of the candidates, and the grid that decides. */
const PROBES = Float64Array.of(-2.3, -0.7, 0.4, 1.1, 3.7);
const GRID = Float64Array.from([...Array.from({ length: 1201 }, (_, i) => (i - 600) / 50), -90, -30, 30, 90]);

/** Tables of coefficients are no larger. */
const LARGEST_TABLE = 64;

/** What is known when the module is read: constants, the small tables that it holds, and what is taken out of them. */
function knownValues(graph: Graph<TensorType>, held: (name: string) => TensorValue | undefined): Known {
  const known = new Map<TensorNode, TensorValue>();
  const table: Readonly<Record<string, TensorOp>> = TENSOR_OPS;
  for (const node of graph.nodes) {
    const isSmall = sizeOf(node.type.shape) <= LARGEST_TABLE;
    const args = node.args.map((argument) => known.get(argument));
    const value = !isSmall
      ? undefined
      : node.op === "constant"
        ? (node.attributes.value as TensorValue)
        : node.op === "parameter"
          ? held(String(node.attributes.name))
          : args.length > 0 && args.every((each) => each !== undefined)
            ? table[node.op].evaluate(args as TensorValue[], node.attributes, node.type)
            : undefined;
    if (value !== undefined) {
      known.set(node, value);
    }
  }
  return known;
}

type Known = ReadonlyMap<TensorNode, TensorValue>;

/**
 * The graph with every recognised region replaced by its function. `held`: the value of a parameter that the module
 * itself holds, such as a table of coefficients. `warnings` hears of approximations that are computed as what they
 * stand for.
 */
export function recogniseFunctions(
  graph: Graph<TensorType>,
  held: (name: string) => TensorValue | undefined = () => undefined,
  warnings: Diagnostic[] = [],
): Graph<TensorType> {
  const regions = new Regions(graph, knownValues(graph, held));
  const found = new Map<TensorNode, { candidate: Candidate; source: TensorNode }>();
  const waiting = regions.exits();
  const tried = new Set<TensorNode>();
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (tried.has(node)) {
      continue;
    }
    tried.add(node);
    const match = recognise(regions, node);
    if (match !== undefined) {
      found.set(node, match);
      const { stands } = match.candidate;
      if (stands !== undefined && warnings.every(({ code }) => code !== "W0308")) {
        warnings.push({
          code: "W0308",
          what: `${stands} is computed as the GELU that it stands for`,
          where: node.origin,
          why: "the plan has approximations of its own, nearer to it and cheaper; the two differ by up to 0.02",
          fix: "compare with the model in its stock form",
        });
      }
      // What feeds the region may hold another one.
      waiting.push(match.source);
    } else {
      waiting.push(...node.args);
    }
  }
  if (found.size === 0) {
    return graph;
  }
  return replace(graph, found);
}

function replace(
  graph: Graph<TensorType>,
  found: ReadonlyMap<TensorNode, { candidate: Candidate; source: TensorNode }>,
): Graph<TensorType> {
  const images = new Map<TensorNode, TensorNode>();
  return rewrite(graph, TENSOR, (node, args, builder) => {
    const match = found.get(node);
    const unchanged = args.every((argument, i) => argument === node.args[i]);
    const image =
      match === undefined
        ? unchanged
          ? builder.append(node)
          : builder.emit(node.op, args, node.attributes, node.origin)
        : match.candidate.emit(builder, images.get(match.source)!, node.origin);
    images.set(node, image);
    return image;
  });
}

function recognise(regions: Regions, node: TensorNode): { candidate: Candidate; source: TensorNode } | undefined {
  if (!isFloat(node.type.dtype) || !ELEMENTWISE.has(node.op)) {
    return undefined;
  }
  for (const source of regions.sources(node)) {
    const members = regions.between(source, node);
    if (members === undefined) {
      return undefined;
    }
    if (members.length < SMALLEST_REGION) {
      continue;
    }
    const probe = regions.evaluate(members, source, PROBES);
    const tolerance = Math.max(TOLERANCE, ...members.map(({ type }) => SHORT[type.dtype] ?? 0));
    for (const candidate of CANDIDATES) {
      const fits = candidate.nodes < members.length && agrees(candidate, PROBES, probe, tolerance);
      if (fits && agrees(candidate, GRID, regions.evaluate(members, source, GRID), tolerance)) {
        return { candidate, source };
      }
    }
  }
  return undefined;
}

function agrees({ compute }: Candidate, at: Float64Array, values: ArrayLike<number>, tolerance: number): boolean {
  return at.every((x, i) => {
    const expected = compute(x);
    return (
      Object.is(values[i], expected) || Math.abs(values[i] - expected) <= tolerance * Math.max(1, Math.abs(expected))
    );
  });
}

/**
 * For each node the nearest node on which alone it depends by elementwise operations (its immediate dominator among
 * them); following these links gives every value of which the node is a function.
 */
class Regions {
  private readonly order: ReadonlyMap<TensorNode, number>;
  private readonly parents = new Map<TensorNode, TensorNode>();

  constructor(
    private readonly graph: Graph<TensorType>,
    private readonly known: Known,
  ) {
    this.order = new Map(graph.nodes.map((node, i) => [node, i]));
    for (const node of graph.nodes) {
      const parent = ELEMENTWISE.has(node.op)
        ? this.meet(node.args.filter((argument) => !this.isScalar(argument)))
        : undefined;
      if (parent !== undefined && parent.type.shape.join() === node.type.shape.join()) {
        this.parents.set(node, parent);
      }
    }
  }

  private isScalar(node: TensorNode): boolean {
    return this.known.has(node) && sizeOf(node.type.shape) === 1;
  }

  /** The last member's value where the source has these values. */
  evaluate(members: readonly TensorNode[], source: TensorNode, at: Float64Array): ArrayLike<number> {
    const shape = [at.length];
    const values = new Map<TensorNode, TensorValue>([[source, { dtype: source.type.dtype, shape, data: at }]]);
    const table: Readonly<Record<string, TensorOp>> = TENSOR_OPS;
    let last: TensorValue | undefined;
    for (const member of members) {
      const args = member.args.map((argument) => values.get(argument) ?? { ...this.known.get(argument)!, shape: [] });
      last = table[member.op].evaluate(args, member.attributes, { dtype: member.type.dtype, shape });
      values.set(member, last);
    }
    return last!.data;
  }

  /** The nearest node that all of these are functions of. */
  private meet(nodes: readonly TensorNode[]): TensorNode | undefined {
    let [common] = nodes;
    for (const node of nodes.slice(1)) {
      let other: TensorNode | undefined = node;
      while (common !== other) {
        if (common === undefined || other === undefined) {
          return undefined;
        }
        if (this.order.get(common)! > this.order.get(other)!) {
          common = this.parents.get(common)!;
        } else {
          other = this.parents.get(other);
        }
      }
    }
    return common;
  }

  /** The float values of which the node is a function, farthest first. */
  sources(node: TensorNode): readonly TensorNode[] {
    const chain: TensorNode[] = [];
    for (let at = this.parents.get(node); at !== undefined && chain.length < LONGEST_CHAIN; at = this.parents.get(at)) {
      if (isFloat(at.type.dtype)) {
        chain.push(at);
      }
    }
    return chain.reverse();
  }

  /** The nodes after `source` that `node` needs, in order; undefined where there are too many. */
  between(source: TensorNode, node: TensorNode): readonly TensorNode[] | undefined {
    const members = new Set<TensorNode>();
    const waiting = [node];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      if (at !== source && !members.has(at) && !this.isScalar(at)) {
        members.add(at);
        if (members.size > LARGEST_REGION) {
          return undefined;
        }
        waiting.push(...at.args);
      }
    }
    return [...members].sort((a, b) => this.order.get(a)! - this.order.get(b)!);
  }

  /** Where elementwise chains end: nodes with a user outside the elementwise ones, and outputs. */
  exits(): TensorNode[] {
    const users = usersOf(this.graph);
    const outputs = new Set(this.graph.outputs.map((output) => output.node));
    return this.graph.nodes.filter(
      (node) => outputs.has(node) || users.get(node)!.some((user) => !this.parents.has(user)),
    );
  }
}
