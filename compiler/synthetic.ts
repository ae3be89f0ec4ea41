/**
 * Inputs that the compiler makes itself, the same ones every time: ids over the whole vocabulary, everything kept, rows
 * cut short on either side, positions that count, lengths and windows that keep something, normal floats.
 */
import { NOISE } from "../formats/text.js";
import { type Graph, prune } from "../ir/graph.js";
import { cos, ln } from "../ir/real.js";
import { evaluateGraph, type TensorNode, traitsOf } from "../ir/tensor/index.js";
import { isFloat, NO_PLACE, sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import { extremes } from "../passes/intervals.js";
import type { Placed } from "../passes/place.js";
import { COMPARISONS, constantOf } from "../passes/rules/common.js";
import { placedMaskInputs } from "./masks.js";
import { paddingIds } from "./padding-ids.js";
import { noiseAt } from "./text/drawn.js";

export type ModelInputs = ReadonlyMap<string, TensorValue>;

/** Ids of so few kinds are token types: BERT has two. */
const MOST_TOKEN_TYPES = 2;
/** Samples at most that go through a vocabulary. */
const MOST_ROUNDS = 12;
/** Inputs of more elements are no lengths. */
const MOST_COUNTS = 64;

/** What a sample shows of masks and lengths. */
type Extent = "whole" | "left half" | "right half" | "least";
const WHOLE: readonly Extent[] = ["whole", "whole", "whole", "whole"];
const PARTS: readonly Extent[] = ["left half", "right half", "least"];

/**
 * The samples: some with everything kept, and where inputs say what is kept, some with less. `model`: what the model's
 * owner's program gives, for what padding is.
 */
export function syntheticSamples(placed: Placed, model?: ReadonlyMap<string, TensorValue>): readonly ModelInputs[] {
  const inputs = placed.data.nodes.filter(({ op }) => op === "input");
  const masks = new Set(inputs.filter((node) => isMask(node, placedMaskInputs(placed))));
  const counts = countsOf(placed, inputs);
  const extents = masks.size + counts.size > 0 ? [...WHOLE, ...PARTS] : WHOLE;
  const depths = idDepths(placed);
  const sought = soughtIn(placed);
  const padding = model === undefined || masks.size === 0 ? new Map<TensorNode, number>() : paddingIds(placed, model);
  // Small vocabularies are gone through.
  const turns = inputs.map((node) => Math.ceil((depths.get(node) ?? 0) / sizeOf(node.type.shape)));
  const rounds = Math.max(0, ...turns.filter((each) => each <= MOST_ROUNDS));
  // Twice, one place further the second time: what is seen at the first place is no sample of the others.
  const all = rounds > 1 ? 2 * rounds : rounds;
  return [...extents, ...new Array<Extent>(all).fill("whole")].map((extent, i) => {
    const numbers = uniform(i + 1);
    const round = i - extents.length;
    const shift = round < rounds ? 0 : 1;
    return new Map(
      inputs.map((node) => {
        const data = new Float64Array(sizeOf(node.type.shape));
        const count = counts.get(node);
        data.forEach((_, at) => {
          data[at] =
            count !== undefined
              ? countFor(count[at], extent)
              : masks.has(node)
                ? kept(at, node.type.shape, extent)
                : round >= 0 && depths.has(node)
                  ? ((round % rounds) * data.length + at + shift) % depths.get(node)!
                  : syntheticNumber(node, at, depths.get(node), numbers);
          const pad = padding.get(node);
          data[at] = pad !== undefined && kept(at, node.type.shape, extent) === 0 ? pad : data[at];
        });
        putOnce(data, node.type.shape.at(-1) ?? 1, sought.get(node), i);
        return [node.attributes.name as string, { ...node.type, data }];
      }),
    );
  });
}

/** Puts a number at one place of every row, from the last on, and another number wherever else it was. */
function putOnce(data: Float64Array, length: number, wanted: number | undefined, turn: number): void {
  if (wanted === undefined || length === 0) {
    return;
  }
  const place = length - 1 - (turn % length);
  for (let at = 0; at < data.length; at++) {
    data[at] =
      at % length === place
        ? wanted
        : data[at] === wanted
          ? Math.max(0, wanted - 1) + (wanted === 0 ? 1 : 0)
          : data[at];
  }
}

/** What inputs are compared with to find one place in each row (W0309). */
function soughtIn({ data: { nodes } }: Placed): ReadonlyMap<TensorNode, number> {
  const isSought = nodes.some((node) => constantOf(node)?.data[0] === NO_PLACE);
  const found = new Map<TensorNode, number>();
  for (const { op, args } of isSought ? nodes : []) {
    const [value] = args.flatMap((each) => constantOf(each) ?? []);
    const source = args.map(copyOf).find((each) => each.op === "input");
    if (op === "equal" && source !== undefined && value?.data.length === 1) {
      found.set(source, value.data[0]);
    }
  }
  return found;
}

/** What a value is a copy of, perhaps in another type or shape. */
function copyOf(node: TensorNode): TensorNode {
  return node.op === "cast" || node.op === "reshape" ? copyOf(node.args[0]) : node;
}

function isMask({ attributes, type }: TensorNode, masks: ReadonlySet<string>): boolean {
  const name = attributes.name as string;
  return masks.has(name) || /mask/i.test(name) || type.dtype === "bool";
}

function kept(at: number, shape: readonly number[], extent: Extent): number {
  const last = shape.at(-1) ?? 1;
  const place = at % last;
  switch (extent) {
    case "whole":
      return 1;
    case "left half":
      return place < Math.ceil(last / 2) ? 1 : 0;
    case "right half":
      return place >= Math.floor(last / 2) ? 1 : 0;
    default:
      return place === 0 ? 1 : 0;
  }
}

function countFor(whole: number, extent: Extent): number {
  return extent === "whole" ? whole : extent === "least" ? Math.min(1, whole) : Math.ceil(whole / 2);
}

/** For every input of lengths, positions or bounds the numbers with which the most is kept. */
function countsOf(placed: Placed, inputs: readonly TensorNode[]): ReadonlyMap<TensorNode, readonly number[]> {
  const largest = comparedWith(placed.data.nodes);
  const counting = inputs.filter(
    (node) => largest.get(node)! > 1 && sizeOf(node.type.shape) <= MOST_COUNTS && !isFloat(node.type.dtype),
  );
  const counts = new Map(
    counting.map((node) => [node, new Array<number>(sizeOf(node.type.shape)).fill(largest.get(node)! + 1)] as const),
  );
  const others = inputs.map((node) => [node.attributes.name as string, ones(node.type)] as const);
  const program = madeOf(placed, counting);
  const measure = () => {
    const own = counting.map((node) => {
      const data = Float64Array.from(counts.get(node)!);
      return [node.attributes.name as string, { ...node.type, data }] as const;
    });
    return onesOf(program, new Map([...others, ...own]));
  };
  for (const node of counting) {
    improve(counts.get(node)!, [0, 1, largest.get(node)!], measure);
  }
  return counts;
}

/** Tries candidates for each number, and keeps those with which more is kept. */
function improve(numbers: number[], candidates: readonly number[], measure: () => number): void {
  for (let i = 0; i < numbers.length; i++) {
    let best = measure();
    for (const candidate of candidates) {
      const before = numbers[i];
      numbers[i] = candidate;
      const next = measure();
      if (next > best) {
        best = next;
      } else {
        numbers[i] = before;
      }
    }
  }
}

function ones(type: TensorType): TensorValue {
  return { ...type, data: new Float64Array(sizeOf(type.shape)).fill(1) };
}

/** What the data owner makes of some inputs, without what marks rows that keep nothing. */
function madeOf({ secret, data, bindings }: Placed, inputs: readonly TensorNode[]): Graph<TensorType> {
  const marks = new Set(secret.nodes.flatMap(({ op, args }) => (op.startsWith("softmax") ? args.slice(2) : [])));
  const hidden = new Set([...marks].map(({ attributes }) => attributes.name));
  const names = new Set(bindings.filter(({ input }) => !hidden.has(input)).map(({ output }) => output));
  const made = new Set(inputs);
  for (const node of data.nodes) {
    if (node.args.some((argument) => made.has(argument))) {
      made.add(node);
    }
  }
  return prune({ ...data, outputs: data.outputs.filter(({ name, node }) => names.has(name) && made.has(node)) });
}

/** How many ones a program's truth values have. */
function onesOf(program: Graph<TensorType>, inputs: ModelInputs): number {
  let count = 0;
  for (const { data } of evaluateGraph(program, inputs).values()) {
    const isTruth = data.every((x) => x === 0 || x === 1);
    count += isTruth ? Array.from(data).reduce((sum, x) => sum + x, 0) : 0;
  }
  return count;
}

/** The largest constant that each input, or what is made of it, is compared with; not for ids, which are looked up. */
function comparedWith(nodes: readonly TensorNode[]): ReadonlyMap<TensorNode, number> {
  const sources = new Map<TensorNode, ReadonlySet<TensorNode>>();
  const largest = new Map<TensorNode, number>();
  const lookedUp = new Set<TensorNode>();
  for (const node of nodes) {
    const own = node.op === "input" ? [node] : [];
    const from = new Set([...own, ...node.args.flatMap((argument) => [...sources.get(argument)!])]);
    sources.set(node, from);
    const constants = COMPARISONS.includes(node.op) ? node.args.flatMap((each) => constantOf(each) ?? []) : [];
    for (const source of from) {
      if (node.op === "oneHot") {
        lookedUp.add(source);
      }
      const most = constants.reduce((top, value) => Math.max(top, extremes(value)[1]), 0);
      largest.set(source, Math.max(largest.get(source) ?? 0, most));
    }
  }
  return new Map([...largest].map(([node, most]) => [node, lookedUp.has(node) ? 0 : most]));
}

function syntheticNumber(
  { attributes, type: { dtype, shape } }: TensorNode,
  i: number,
  depth: number | undefined,
  numbers: () => number,
): number {
  const name = attributes.name as string;
  const last = shape.at(-1) ?? 1;
  if (name === NOISE) {
    return noiseAt(numbers());
  }
  if (isFloat(dtype)) {
    return Math.sqrt(-2 * ln(numbers() + 1e-12)) * cos(2 * Math.PI * numbers());
  }
  if (/position/i.test(name)) {
    return i % last;
  }
  const type = /token_type|segment/i.test(name) || (depth !== undefined && depth <= MOST_TOKEN_TYPES);
  return type ? 0 : Math.floor(numbers() * (depth ?? 2));
}

/** So many ids over the whole vocabulary, for the input that holds a model's tokens. */
export function syntheticIds(placed: Placed, name: string, count: number): readonly number[] {
  const depths = [...idDepths(placed)].filter(([{ attributes }]) => attributes.name === name);
  const numbers = uniform(1);
  return Array.from({ length: count }, () => Math.floor(numbers() * (depths[0]?.[1] ?? 2)));
}

/** How many values the ids of an input may take: the depth of the one-hot rows made of them. */
function idDepths(placed: Placed): ReadonlyMap<TensorNode, number> {
  const depths = new Map<TensorNode, number>();
  const sources = new Map<TensorNode, TensorNode>();
  for (const node of placed.data.nodes) {
    // A place that was found in ids is no id.
    const isFound = node.op !== "oneHot" && traitsOf(node).image === "discrete";
    const from = isFound ? [] : node.args.map((argument) => sources.get(argument));
    const source = node.op === "input" ? node : from.find((each) => each);
    if (source !== undefined) {
      sources.set(node, source);
      if (node.op === "oneHot") {
        depths.set(source, Math.min(depths.get(source) ?? Number.POSITIVE_INFINITY, node.attributes.depth as number));
      }
    }
  }
  return depths;
}

/** A fixed sequence of numbers in [0, 1): Park and Miller's generator, good enough to exercise a model. */
function uniform(seed: number): () => number {
  let state = (seed * 7919) % 2147483647;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}
