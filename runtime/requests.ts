/**
 * What an owner and a party that stays say to each other before anything secret moves (control frames): a data owner
 * asks where a plan stands and enters; a model's owner shares weights, or has a sharing deleted; anybody who is known
 * probes. Everything that a party says here is about itself, never about a value.
 */
import { createHash } from "node:crypto";
import {
  array,
  boolean,
  type InferOutput,
  literal,
  maxLength,
  nullable,
  number,
  object,
  optional,
  picklist,
  pipe,
  record,
  regex,
  string,
  variant,
} from "valibot";
import type { Graph, Node } from "../ir/graph.js";
import type { Plan } from "../ir/plan/types.js";
import { TENSOR } from "../ir/tensor/index.js";
import type { TensorType } from "../ir/tensor/value.js";
import { print } from "../ir/text.js";
import { type InputLayout, inputLayouts } from "./weight-store.js";

const ID = pipe(string(), regex(/^[0-9a-f]{32}$/, "no id"));
const DIGEST = pipe(string(), regex(/^[0-9a-f]{64}$/, "no digest"));

/**
 * The first frame of a data owner: the plan, and when it drew the session's id (milliseconds since 1970). Of a question
 * the id of the entry that it uses; or not a question, but an entry is to be made that may be used until `until`.
 */
export const ASK = object({
  ...{ version: number(), plan: DIGEST, at: number() },
  prepared: optional(ID),
  until: optional(number()),
  /** Whether the parties are to say in their reports what they did when. */
  trace: optional(boolean()),
});
export type Asking = InferOutput<typeof ASK>;

/** Why a party does not take part. */
const REFUSALS = ["E0902", "E1001", "E1002", "E1003"] as const;

/** Where a plan stands at a party; unknown: its file is not here. */
export const STANDING = ["approved", "unapproved", "unknown"] as const;

/** A party's answer to ASK; sharings of weights that serve the plan, the newest first. */
export const HAVE = object({
  version: number(),
  plan: picklist(STANDING),
  sharings: array(string()),
  /** Whether it keeps the entry that was asked for. */
  prepared: optional(boolean(), false),
  refused: nullable(picklist(REFUSALS)),
});
export type Have = InferOutput<typeof HAVE>;

/** A data owner enters a party's queue. */
export const ENTER = object({ enter: literal(true) });
/** The place in the queue; 0: the session may begin. Or no place: ask again after so many seconds. */
export const PLACE = object({ place: number(), refused: nullable(picklist(REFUSALS)), seconds: number() });

/** The first frame of a model's owner, of whoever probes, or of a data owner that gives up what was prepared for it. */
export const REQUEST = variant("do", [
  object({ do: literal("share"), version: number(), sharing: ID, plans: pipe(array(DIGEST), maxLength(64)) }),
  object({ do: literal("delete"), version: number(), sharing: ID }),
  object({ do: literal("drop"), version: number(), plan: DIGEST, sharing: optional(ID) }),
  object({ ...{ do: literal("probe"), version: number() }, plans: array(DIGEST), bytes: number(), links: boolean() }),
]);
export type Request = InferOutput<typeof REQUEST>;

/** Which plan files a party does not have: they follow, a frame each. */
export const WANTED = object({ version: number(), wanted: array(DIGEST) });

/** Where a weight has its masks in the seeds' streams, and in how many bits its words are held. */
const PLACE_OF_WEIGHT = { block: number(), ring: number() };

/** Where the plans stand, and what of the weights a party holds, by key. */
export const HELD = object({
  plans: record(DIGEST, picklist(STANDING)),
  held: record(DIGEST, object(PLACE_OF_WEIGHT)),
});

/** What follows: seeds, then the words of these, in pieces. */
export const COMING = object({ entries: array(object({ key: DIGEST, ...PLACE_OF_WEIGHT })) });
export const KEPT = object({ kept: number() });
export const DELETED = object({ found: boolean(), bytes: number() });
/** Prepared entries that are gone, and the bytes that they took. */
export const DROPPED = object({ entries: number(), bytes: number() });

/** The longest frame in which words are shared. */
export const PIECE_BYTES = 4 << 20;
/** The longest plan file that a party takes. */
export const LONGEST_PLAN = 64 << 20;

/** A weight of a plan: its layout, and the key under which a sharing holds it. */
export interface KeyedWeight extends InputLayout {
  readonly key: string;
}

/**
 * What a plan's own program takes of the model's owner. The key names a weight whatever the plan: the program that
 * the owner runs for it in the clear, its shape and its fractional bits. Two plans of one model with a key in common
 * use one sharing of it, even in rings of different sizes: words and masks modulo 2^64 are also words and masks modulo
 * smaller powers.
 */
export function weightsOf(plan: Plan): readonly KeyedWeight[] {
  return inputLayouts(plan.steps, "model").map((layout) => ({ ...layout, key: keyOf(plan, layout) }));
}

function keyOf({ bindings, owners }: Plan, { name, fraction, shape }: InputLayout): string {
  const binding = bindings.find(({ input, owner }) => input === name && owner === "model")!;
  const { node } = owners.model.outputs.find((output) => output.name === binding.output)!;
  const program = print(programOf(owners.model, node), TENSOR);
  return createHash("sha256").update(`${fraction} ${shape}\n${program}`).digest("hex");
}

/** The nodes that a value needs, and no name of it. */
function programOf({ nodes }: Graph<TensorType>, node: Node<TensorType>): Graph<TensorType> {
  const needed = new Set<Node<TensorType>>();
  const visit = (each: Node<TensorType>): void => {
    if (!needed.has(each)) {
      needed.add(each);
      each.args.forEach(visit);
    }
  };
  visit(node);
  return { nodes: nodes.filter((each) => needed.has(each)), outputs: [{ name: "", node }] };
}

/**
 * Names a sharing and where it has what a plan's programs take: alike at parties that hold the same, and another one as
 * soon as a weight has come again for a wider ring.
 */
export function identityOfWeights(
  sharing: string,
  programs: readonly { readonly weights: readonly KeyedWeight[] }[],
  held: ReadonlyMap<string, { readonly block: number }>,
): string {
  const hash = createHash("sha256");
  for (const { key } of programs.flatMap(({ weights }) => weights)) {
    hash.update(`${key} ${held.get(key)?.block}\n`);
  }
  return `${sharing} ${hash.digest("hex")}`;
}

/** The widest ring. */
export const WIDEST = 64;

/** By key, the weights that programs take, each in the widest ring that one of them needs. */
export function allWeights(programs: readonly (readonly KeyedWeight[])[]): ReadonlyMap<string, KeyedWeight> {
  const all = new Map<string, KeyedWeight>();
  for (const weight of programs.flat()) {
    const known = all.get(weight.key);
    if (known === undefined || known.ring < weight.ring) {
      all.set(weight.key, weight);
    }
  }
  return all;
}

/** How many blocks of both seeds' streams hide so many elements: 8 bytes an element, 16 a block. */
export function blocksOf(elements: number): number {
  return Math.ceil(elements / 2);
}
