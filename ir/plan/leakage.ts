/**
 * Whether a plan's messages say anything, looked at without running it. Every message of a step is held against the
 * stream bytes that the step uses: it must be hidden by bytes of a stream whose key its sender has and its receiver has
 * not, at least as many as the message has, which no other message of that receiver uses. That no two steps use one
 * position is checkDraws' part, that nothing is revealed but what the plan lists checkReveals' (check.ts).
 *
 * What a step sends is what its cost says: the law test holds that to the bytes on the wire. What is left to trust is
 * that the roles add the bytes that they draw to what they send (test/share/security.test.ts measures it).
 */
import type { Attributes } from "../graph.js";
import type { Draw, Pair, ShareCost, ShareType } from "../share/types.js";
import { sizeOf } from "../tensor/value.js";
import type { Plan } from "./types.js";

/** The part of the share language's table that is looked at. */
export type Masking = Readonly<
  Record<
    string,
    {
      readonly cost: (args: readonly ShareType[], attributes: Attributes, type: ShareType) => ShareCost;
      readonly draws: (args: readonly ShareType[], attributes: Attributes, type: ShareType) => readonly Draw[];
    }
  >
>;

/** Who receives, and the one pair that has a stream without it, which the sender belongs to. */
const HIDDEN_BY = {
  P1: "02",
  P2: "01",
  "the data owner": "12",
} as const satisfies Record<string, Pair>;
type Receiver = keyof typeof HIDDEN_BY;

/** Every message that is not hidden, as a sentence; none in a sound plan. */
export function leaksOf({ steps }: Pick<Plan, "steps">, ops: Masking): readonly string[] {
  return steps.flatMap(({ op, args, attributes, type }, i) => {
    const types = args.map((argument) => steps[argument].type);
    const drawn: Record<Pair, number> = { "01": 0, "02": 0, "12": 0 };
    for (const { pair, bytes } of ops[op].draws(types, attributes, type)) {
      drawn[pair] += bytes;
    }
    const sent = messagesOf(op, attributes, type, ops[op].cost(types, attributes, type));
    return Object.entries(sent).flatMap(([receiver, bytes]) => {
      const hidden = drawn[HIDDEN_BY[receiver as Receiver]];
      const what = `step ${i} (${op}) sends ${receiver} ${bytes} bytes, of which ${hidden} are hidden`;
      return bytes > hidden ? [what] : [];
    });
  });
}

/** Bytes that a receiver gets of a step: dealt ones and an opening at P2, an opening at P1, a share of an answer. */
function messagesOf(
  op: string,
  attributes: Attributes,
  type: ShareType,
  { offline, online, output }: ShareCost,
): Readonly<Record<Receiver, number>> {
  if (op === "input" && attributes.owner === "state") {
    // What an earlier run kept: it comes from nobody.
    return { P1: 0, P2: 0, "the data owner": 0 };
  }
  if (op === "input" && attributes.owner !== "public" && "ring" in type) {
    // The owner's words, from its own streams: the same ones to both.
    const words = Math.ceil((sizeOf(type.shape) * type.ring) / 8);
    return { P1: words, P2: words, "the data owner": 0 };
  }
  return { P1: online, P2: online + offline, "the data owner": output };
}
