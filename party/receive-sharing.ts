/**
 * A model owner's request at a party: plans and weights are shared once, later plans of the same weights bring only
 * what is new. What arrived before a connection broke is not sent again. Nothing is taken for a plan that the operator
 * has not approved.
 */
import type { InferOutput } from "valibot";
import { fail } from "../ir/diagnostics.js";
import { decodeControl, encodeControl } from "../runtime/control.js";
import { PROTOCOL_VERSION } from "../runtime/handshake.js";
import {
  allWeights,
  blocksOf,
  COMING,
  type KeyedWeight,
  LONGEST_PLAN,
  PIECE_BYTES,
  type Request,
  WIDEST,
} from "../runtime/requests.js";
import type { SocketTransport } from "../runtime/socket-transport.js";
import type { PartyName } from "../runtime/transport.js";
import type { PlanShelf } from "./plans.js";
import type { Sharing, SharingStore } from "./sharings.js";

export interface SharingRequest {
  readonly transport: SocketTransport;
  /** Who asks, by its certificate. */
  readonly owner: string;
  readonly plans: PlanShelf;
  readonly store: SharingStore;
  /** Milliseconds since 1970. */
  readonly now: number;
}

type Share = Extract<Request, { do: "share" }>;

/** Takes what a model's owner shares. The bytes of weights that arrived. E0901 for what does not fit the plans. */
export async function receiveSharing(share: Share, request: SharingRequest): Promise<number> {
  const { transport, plans, store, owner } = request;
  const known = store.get(share.sharing);
  if (known !== undefined && known.owner !== owner) {
    throw fail({ code: "E0901", what: `${owner} adds to a sharing of another owner`, where: "model" });
  }
  await receivePlans(share, request);
  const standings = Object.fromEntries(share.plans.map((digest) => [digest, plans.standing(digest)]));
  const held = Object.fromEntries([...(known?.held ?? [])].map(([key, { block, ring }]) => [key, { block, ring }]));
  await transport.send("model", encodeControl({ plans: standings, held }));
  if (Object.values(standings).some((standing) => standing !== "approved")) {
    // The owner says so to who shares; it comes again when all plans are approved.
    await transport.receive("model").catch(() => undefined);
    return 0;
  }
  return await receiveWeights(share, request, known);
}

/** The plan files that are not here yet. */
async function receivePlans({ plans: digests }: Share, { transport, plans }: SharingRequest): Promise<void> {
  const wanted = digests.filter((digest) => !plans.has(digest));
  await transport.send("model", encodeControl({ version: PROTOCOL_VERSION, wanted }));
  if (wanted.length > 0) {
    transport.allowFrames(LONGEST_PLAN);
  }
  for (const digest of wanted) {
    if (plans.put(await transport.receive("model"), "the plan that the model's owner sent") !== digest) {
      throw fail({ code: "E0901", what: "a plan is another one than was announced", where: "model" });
    }
  }
}

async function receiveWeights(share: Share, request: SharingRequest, known: Sharing | undefined): Promise<number> {
  const { transport, store, owner, now } = request;
  const self = transport.self as PartyName;
  const weights = allWeights(share.plans.flatMap((digest) => weightsOf(request, digest)));
  transport.allowFrames(PIECE_BYTES);
  const { entries } = decodeControl(await transport.receive("model"), "model", COMING);
  const seeds = await transport.receive("model");
  if (seeds.length !== (self === "P0" ? 32 : 16)) {
    throw fail({ code: "E0901", what: `'seeds' came in ${seeds.length} bytes`, where: "model" });
  }
  if (known !== undefined && !Buffer.from(known.seeds).equals(seeds)) {
    const what = "the sharing is another one than the one that this party began";
    throw fail({ code: "E0801", what, where: "model", fix: "delete it (pumac share --delete ID) and share again" });
  }
  const sharing = known ?? store.create(share.sharing, owner, now, seeds);
  const arrived = await receiveWords(sharing, entries, weights, transport).finally(() => sharing.settle());
  for (const digest of share.plans) {
    weightsOf(request, digest).forEach((program) => void sharing.sharesFor(program));
    sharing.serve(digest);
  }
  await transport.send("model", encodeControl({ kept: sharing.held.size }));
  return arrived;
}

/** The weights that come, each at a place of its own in the seeds' streams. */
async function receiveWords(
  sharing: Sharing,
  entries: InferOutput<typeof COMING>["entries"],
  weights: ReadonlyMap<string, KeyedWeight>,
  transport: SocketTransport,
): Promise<number> {
  let arrived = 0;
  for (const { key, ...place } of entries) {
    const weight = weights.get(key);
    if (weight === undefined || place.ring < weight.ring || place.ring > WIDEST) {
      throw fail({ code: "E0901", what: "a weight comes that no plan asks for", where: "model" });
    }
    const isPlace = Number.isSafeInteger(place.block) && place.block >= 0;
    if (!isPlace || !sharing.isFree(place.block, blocksOf(weight.elements))) {
      throw fail({ code: "E0901", what: "two weights are masked by the same stream positions", where: "model" });
    }
    const piece = (left: number) => receivePiece(transport, left);
    arrived += await sharing.keep(weight, place, piece, (words) => transport.release("model", words));
  }
  return arrived;
}

function weightsOf({ plans }: SharingRequest, digest: string): readonly (readonly KeyedWeight[])[] {
  return plans.open(digest).programs.map(({ weights }) => weights);
}

async function receivePiece(transport: SocketTransport, left: number): Promise<Uint8Array> {
  const piece = await transport.receive("model");
  if (piece.length !== Math.min(PIECE_BYTES, left)) {
    const what = `a piece of a weight came in ${piece.length} bytes, not ${Math.min(PIECE_BYTES, left)}`;
    throw fail({ code: "E0901", what, where: "model" });
  }
  return piece;
}
