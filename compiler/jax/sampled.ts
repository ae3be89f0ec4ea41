/**
 * Recognises functions by their values. Exporters expand special functions into dozens of operations (erfc becomes some
 * 75: two polynomials, an exponential, four selects), in forms that change with the version. Whatever its form, a part
 * of the graph that is elementwise and depends on one value only is a function of that value; it is evaluated on a grid
 * and, where it agrees with a function of the tensor language everywhere, becomes that function.
 *
 * Sound as far as a grid is: 1,200 points on [−12, 12] and a few far out, to 1e-5 absolute or relative, which is how
 * well the expansions themselves agree with the functions they stand for. A match saves operations, never adds any.
 */

import { type Builder, type Graph, rewrite, usersOf } from "../../ir/graph.js";
import { erf, tanh } from "../../ir/real.js";
import { TENSOR, TENSOR_OPS, type TensorNode, type TensorOp } from "../../ir/tensor/index.js";
import { gelu, softplus } from "../../ir/tensor/numeric.js";
import { sigmoid } from "../../ir/tensor/quick.js";
import { isFloat, sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";

/** The largest difference, absolute or relative, of an expansion from its function. */
const TOLERANCE = 1e-5;
/** Regions of fewer nodes are left to the pattern matchers. */
const SMALLEST_REGION = 4;
/** How far up the chain of single values a region may reach, and how large it may be. */
const LONGEST_CHAIN = 400;
const LARGEST_REGION = 400;

const ELEMENTWISE: ReadonlySet<string> = new Set(
  (
    "negate absolute sign reciprocal squareRoot reciprocalSquareRoot exponential exponential2 exponentialMinusOne " +
    "logarithm logarithmPlusOne tangentHyperbolic errorFunction sigmoid relu isNaN isInfinite not clamp add subtract " +
    "multiply divide power maximum minimum equal less lessOrEqual greater greaterOrEqual and or xor select"
  ).split(" "),
);

interface Candidate {
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
];

/** Few points to tell at once that a region is none of the candidates, and the grid that decides. */
const PROBES = Float64Array.of(-2.3, -0.7, 0.4, 1.1, 3.7);
const GRID = Float64Array.from([...Array.from({ length: 1201 }, (_, i) => (i - 600) / 50), -90, -30, 30, 90]);

/** The graph with every recognised region replaced by its function. */
export function recogniseFunctions(graph: Graph<TensorType>): Graph<TensorType> {
  const regions = new Regions(graph);
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
    const probe = evaluateRegion(members, source, PROBES);
    for (const candidate of CANDIDATES) {
      const fits = candidate.nodes < members.length && agrees(candidate, PROBES, probe);
      if (fits && agrees(candidate, GRID, evaluateRegion(members, source, GRID))) {
        return { candidate, source };
      }
    }
  }
  return undefined;
}

function agrees({ compute }: Candidate, at: Float64Array, values: ArrayLike<number>): boolean {
  return at.every((x, i) => {
    const expected = compute(x);
    return Math.abs(values[i] - expected) <= TOLERANCE * Math.max(1, Math.abs(expected));
  });
}

/** The last member's value where the source has these values. */
function evaluateRegion(members: readonly TensorNode[], source: TensorNode, at: Float64Array): ArrayLike<number> {
  const shape = [at.length];
  const values = new Map<TensorNode, TensorValue>([[source, { dtype: source.type.dtype, shape, data: at }]]);
  const table: Readonly<Record<string, TensorOp>> = TENSOR_OPS;
  let last: TensorValue | undefined;
  for (const member of members) {
    const args = member.args.map((argument) => values.get(argument) ?? scalarOf(argument));
    last = table[member.op].evaluate(args, member.attributes, { dtype: member.type.dtype, shape });
    values.set(member, last);
  }
  return last!.data;
}

function isScalar(node: TensorNode): boolean {
  return node.op === "constant" && sizeOf(node.type.shape) === 1;
}

function scalarOf(node: TensorNode): TensorValue {
  const { dtype, data } = node.attributes.value as TensorValue;
  return { dtype, shape: [], data };
}

/**
 * For each node the nearest node on which alone it depends by elementwise operations (its immediate dominator among
 * them); following these links gives every value of which the node is a function.
 */
class Regions {
  private readonly order: ReadonlyMap<TensorNode, number>;
  private readonly parents = new Map<TensorNode, TensorNode>();

  constructor(private readonly graph: Graph<TensorType>) {
    this.order = new Map(graph.nodes.map((node, i) => [node, i]));
    for (const node of graph.nodes) {
      const parent = ELEMENTWISE.has(node.op)
        ? this.meet(node.args.filter((argument) => !isScalar(argument)))
        : undefined;
      if (parent !== undefined && parent.type.shape.join() === node.type.shape.join()) {
        this.parents.set(node, parent);
      }
    }
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
      if (at !== source && !members.has(at) && !isScalar(at)) {
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
