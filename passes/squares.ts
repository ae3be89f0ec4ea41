/**
 * Sums of squares that need no wide value. A norm squares a value that was opened with few bits, and widens it for
 * that, a round before anything else can happen: the sum of its squares is dealt (`squares`) where that costs less than
 * the round. Whoever else reads the value wide does so beside the opening of the sum.
 */
import { Builder, type Graph } from "../ir/graph.js";
import { SHARE, type ShareType, type WordType } from "../ir/share/index.js";
import { isOpening, squaredBits } from "../ir/share/rounds.js";
import { sizeOf } from "../ir/tensor/value.js";
import { type LinkCost, type Rings, type ShareNode, WORD } from "./rings.js";

/** A program, and where each of its nodes comes from in the one that it was made of. */
export interface Squared {
  readonly graph: Graph<ShareType>;
  readonly sources: ReadonlyMap<ShareNode, ShareNode>;
}

/** What is dealt for so small a part of a round's price is dealt wherever it may help: for a row or two. */
const CHEAP = 1 / 16;

/**
 * Sums of squares of values that are widened for them, of which a round costs more than what is dealt instead; and
 * cheap ones, without which their values could be opened with fewer bits than they are.
 */
export function widenedSquares(rings: Rings, link: LinkCost): ReadonlySet<ShareNode> {
  const isWorth = (node: ShareNode, i: number): boolean => {
    const [x, other] = node.args;
    if (node.op !== "dot" || x !== other || node.args.length > 2) {
      return false;
    }
    const range = rings.rangeOf(rings.argumentOf(i, 0));
    const at = (type: ShareType, ring: number): WordType => ({ ...(type as WordType), ring });
    const bits = squaredBits(at(x.type, range), at(node.type, rings.ringOf(i)), node.attributes);
    const part = (((3 * sizeOf(x.type.shape) * bits) / 8) * link.secondsPerByte) / link.secondsPerRound;
    return range <= WORD && part < (widenedReaders(rings, i).length > 0 ? 1 : CHEAP);
  };
  return new Set(rings.nodes.filter(isWorth));
}

/** Those of them without whose `widen` the whole program is less deep: no other chain is as long as theirs. */
export function decidingSquares(rings: Rings, chosen: ReadonlySet<ShareNode>): ReadonlySet<ShareNode> {
  const opens = Uint8Array.from(rings.nodes, (node) => (isOpening(node) ? 1 : 0));
  const depths = new Int32Array(opens.length);
  const depthWithout = (readers: ReadonlySet<number>): number => {
    rings.nodes.forEach(({ args }, i) => {
      depths[i] = 0;
      args.forEach((_, position) => {
        const isWidened = rings.readsWide(i, position) && !readers.has(i);
        depths[i] = Math.max(depths[i], depths[rings.argumentOf(i, position)] + (isWidened ? 1 : 0));
      });
      depths[i] += opens[i];
    });
    return depths.reduce((most, depth) => Math.max(most, depth), 0);
  };
  const depth = rings.depth();
  const deciding = rings.nodes.flatMap((node, i) =>
    chosen.has(node) && depthWithout(new Set(widenedReaders(rings, i))) < depth ? [node] : [],
  );
  return new Set(deciding);
}

/** The nodes that read wide copies of values: this one, or those that it is made of by local ops. */
function widenedReaders(rings: Rings, node: number): readonly number[] {
  return rings.nodes[node].args.flatMap((argument, position) => {
    const isLocal = LINEAR.has(argument.op) && argument.type.kind === "masked";
    const readers = isLocal ? widenedReaders(rings, rings.argumentOf(node, position)) : [];
    return rings.readsWide(node, position) ? [node] : readers;
  });
}

const LINEAR: ReadonlySet<string> = new Set([
  ...["rescale", "reduce", "relabel", "shiftLeft", "reshape", "view", "take", "concatenate"],
  ...["add", "subtract", "negate", "sum", "addConstant", "multiplyConstant"],
]);

/** The program with these sums of squares dealt. */
export function withSquares(graph: Graph<ShareType>, chosen: ReadonlySet<ShareNode>): Squared {
  const builder = new Builder<ShareType>(SHARE);
  const made = new Map<ShareNode, ShareNode>();
  for (const node of graph.nodes) {
    const args = node.args.map((argument) => made.get(argument)!);
    const { attributes, origin } = node;
    const ring = (node.type as WordType).ring;
    const squares = () => builder.emit("squares", [args[0]], { drop: attributes.drop, ring }, origin);
    made.set(node, chosen.has(node) ? squares() : builder.emit(node.op, args, attributes, origin));
  }
  const outputs = graph.outputs.map(({ name, node }) => ({ name, node: made.get(node)! }));
  return { graph: builder.finish(outputs), sources: new Map([...made].map(([from, to]) => [to, from])) };
}

/** Whether the squares that were planned fit a word before their lowest bits are dropped. */
export function squaresFit(rings: Rings): boolean {
  return rings.nodes.every(
    ({ op, attributes }, i) => op !== "squares" || rings.ringOf(i) + (attributes.drop as number) <= WORD,
  );
}
