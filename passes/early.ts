/**
 * Drops fraction bits before they are dealt and opened, not after (PROTOCOL.md, "early rescale"). Lowering writes
 * `rescale` behind the opening, where it thinks in masked values; what is cut there need not have been sent. A rescale
 * of additive values is local too, and that of a product is its attribute `drop`: neither the dealt half nor the
 * opening then holds the bits that are cut.
 *
 *     rescale(remask(a)) → remask(rescale(a))     rescale(product) → product that drops more
 *     rescale(a + b) → rescale(a) + rescale(b) where that is exact or each is a product's
 *     product + product of one op → one sum of products, under one dealt half
 */
import { Builder, type Graph, type Node, usersOf } from "../ir/graph.js";
import { sameShape } from "../ir/shape.js";
import { SHARE, type ShareType } from "../ir/share/index.js";
import type { TensorValue } from "../ir/tensor/value.js";

type ShareNode = Node<ShareType>;

/** A share program with the largest absolute values of its nodes, in reals, where they are known. */
export interface BoundedProgram {
  readonly graph: Graph<ShareType>;
  readonly bounds: ReadonlyMap<ShareNode, number>;
  /** How large values may become without alarm, in reals, of those whose bound is not certain (`guard.ts`). */
  readonly accepted: ReadonlyMap<ShareNode, number>;
}

const PRODUCTS: ReadonlySet<string> = new Set(["multiply", "matmul", "dot"]);
/** Ops that cut bits of a sum or a movement by cutting those of every argument. */
const TRANSPARENT: ReadonlySet<string> = new Set([
  "add",
  "subtract",
  "negate",
  "reshape",
  "view",
  "take",
  "concatenate",
  "addConstant",
  "relabel",
]);
/** Factors of one sum of products. */
const MOST_FACTORS = 16;

export interface EarlyProgram extends BoundedProgram {
  /** Where a value of the given program is in this one, perhaps at another fraction; merged products are nowhere. */
  readonly moved: ReadonlyMap<ShareNode, ShareNode>;
}

/** The program with every rescale as early as it may be. */
export function dropEarly(program: BoundedProgram): EarlyProgram {
  return new Early(program).run();
}

class Early {
  private readonly builder = new Builder(SHARE);
  private readonly made = new Map<ShareNode, ShareNode>();
  /** Values that are made without their lowest bits. */
  private readonly smaller = new Map<ShareNode, ShareNode>();
  private readonly users: ReadonlyMap<ShareNode, readonly ShareNode[]>;
  private readonly outputs: ReadonlySet<ShareNode>;
  /** Bits that are dropped of an opened value before it is opened. */
  private readonly dropped = new Map<ShareNode, number>();

  constructor(private readonly program: BoundedProgram) {
    this.users = usersOf(program.graph);
    this.outputs = new Set(program.graph.outputs.map(({ node }) => node));
  }

  run(): EarlyProgram {
    const { graph, bounds, accepted } = this.program;
    for (const node of graph.nodes) {
      this.made.set(node, this.visit(node));
    }
    const outputs = graph.outputs.map(({ name, node }) => ({ name, node: this.of(node) }));
    const moved = (numbers: ReadonlyMap<ShareNode, number>) => {
      const kept = [...numbers].filter(([node]) => this.made.has(node));
      return new Map(kept.map(([node, number]) => [this.of(node), number]));
    };
    const graphs = { graph: this.builder.finish(outputs), moved: new Map([...this.made, ...this.smaller]) };
    return { ...graphs, bounds: moved(bounds), accepted: moved(accepted) };
  }

  private of(node: ShareNode): ShareNode {
    return this.made.get(node)!;
  }

  private allOf(nodes: readonly ShareNode[]): ShareNode[] {
    return nodes.map((node) => this.of(node));
  }

  private emit(node: ShareNode, args: readonly ShareNode[], attributes: ShareNode["attributes"]): ShareNode {
    return this.builder.emit(node.op, args, attributes, node.origin);
  }

  private visit(node: ShareNode): ShareNode {
    const [argument] = node.args;
    if (node.op === "remask") {
      const bits = this.commonRescale(node);
      this.dropped.set(node, bits);
      return this.emit(node, [this.without(argument, bits, node.origin)], {});
    }
    if (node.op === "rescale") {
      const bits = (node.attributes.bits as number) - (this.dropped.get(argument) ?? 0);
      if (bits < 0) {
        this.dropped.set(node, -bits);
        return this.of(argument);
      }
      return argument.type.kind === "additive"
        ? this.without(argument, bits, node.origin)
        : this.rescaled(this.of(argument), bits, node.origin);
    }
    const merged = node.op === "add" ? this.sumOfProducts(node, 0) : undefined;
    return merged ?? this.emit(node, this.allOf(node.args), node.attributes);
  }

  /** Bits that all users of an opened value drop, at once or one after the other. */
  private commonRescale(node: ShareNode): number {
    const users = this.outputs.has(node) ? [] : this.users.get(node)!;
    const bits = users.map((user) =>
      user.op === "rescale" ? (user.attributes.bits as number) + this.commonRescale(user) : 0,
    );
    return bits.length === 0 ? 0 : Math.min(...bits);
  }

  private rescaled(value: ShareNode, bits: number, origin: string): ShareNode {
    return bits === 0 ? value : this.builder.emit("rescale", [value], { bits }, origin);
  }

  /** An additive value of the old program, without its lowest bits. */
  private without(node: ShareNode, bits: number, origin: string): ShareNode {
    return bits > 0 && this.mayDrop(node, bits) ? this.drop(node, bits) : this.rescaled(this.of(node), bits, origin);
  }

  private isUsedOnce(node: ShareNode): boolean {
    return this.users.get(node)!.length === 1 && !this.outputs.has(node);
  }

  /** Whether a value can be made without its lowest bits, at no more than the rounding of a product's. */
  private mayDrop(node: ShareNode, bits: number): boolean {
    const { op, args, attributes } = node;
    if (isMultiple(node, bits)) {
      return true;
    }
    if (!this.isUsedOnce(node)) {
      return false;
    }
    if (op === "shiftLeft") {
      return this.mayDrop(args[0], bits - (attributes.bits as number));
    }
    const drops = PRODUCTS.has(op) && (attributes.drop as number) + bits < 64;
    return drops || (TRANSPARENT.has(op) && args.every((argument) => this.mayDrop(argument, bits)));
  }

  private drop(node: ShareNode, bits: number): ShareNode {
    const made = this.dropOf(node, bits);
    this.smaller.set(node, made);
    return made;
  }

  private dropOf(node: ShareNode, bits: number): ShareNode {
    const { op, args, attributes } = node;
    if (isMultiple(node, bits)) {
      return this.dropZeros(node, bits);
    }
    if (op === "shiftLeft") {
      return this.drop(args[0], bits - (attributes.bits as number));
    }
    if (PRODUCTS.has(op)) {
      const drop = (attributes.drop as number) + bits;
      return this.emit(node, this.allOf(args), { ...attributes, drop });
    }
    const merged = op === "add" ? this.sumOfProducts(node, bits) : undefined;
    const without = () => args.map((each) => this.drop(each, bits));
    return merged ?? this.emit(node, without(), dropAttributes(node, bits));
  }

  /** The bits of a multiple of 2^bits that are zero. */
  private dropZeros(node: ShareNode, bits: number): ShareNode {
    if (node.op === "toAdditive") {
      return this.emit(node, [this.dropZeros(node.args[0], bits)], {});
    }
    const left = (node.attributes.bits as number) - bits;
    const source = this.of(node.args[0]);
    return left === 0 ? source : this.emit(node, [source], { bits: left });
  }

  /** One op for the sum of two sums of products, without its lowest bits. */
  private sumOfProducts(node: ShareNode, bits: number): ShareNode | undefined {
    const [a, b] = node.args;
    const like = (x: ShareNode) => JSON.stringify(x.attributes);
    const drop = ((a.attributes.drop as number | undefined) ?? 0) + bits;
    const fits =
      PRODUCTS.has(a.op) &&
      a.op === b.op &&
      a !== b &&
      like(a) === like(b) &&
      sameShape(a.type.shape, b.type.shape) &&
      a.args.length + b.args.length <= MOST_FACTORS &&
      drop < 64 &&
      this.isUsedOnce(a) &&
      this.isUsedOnce(b);
    const factors = () => this.allOf([...a.args, ...b.args]);
    return fits ? this.builder.emit(a.op, factors(), { ...a.attributes, drop }, a.origin) : undefined;
  }
}

/** Whether a value is a multiple of 2^bits by how it was made. */
function isMultiple({ op, args, attributes }: ShareNode, bits: number): boolean {
  return op === "shiftLeft" ? (attributes.bits as number) >= bits : op === "toAdditive" && isMultiple(args[0], bits);
}

/** The attributes of an op of which every argument lost its lowest bits. */
function dropAttributes({ op, attributes }: ShareNode, bits: number): ShareNode["attributes"] {
  if (op === "relabel") {
    return { fraction: (attributes.fraction as number) - bits };
  }
  if (op !== "addConstant") {
    return attributes;
  }
  const { data, ...rest } = attributes.value as TensorValue;
  return { value: { ...rest, data: Float64Array.from(data, (each) => Math.round(each / 2 ** bits)) } };
}
