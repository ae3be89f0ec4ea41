/** What every request is answered with: the plans, the parties that are asked, who waits, who looks on. */
import type { OwnerValues, SessionResult } from "../client/owners.js";
import type { Conversation } from "../client/remote/converse.js";
import type { LoadedPlan } from "../formats/plan-file.js";
import { ApiError } from "./errors.js";
import type { Live } from "./live.js";
import type { Kind, Served } from "./served.js";
import type { Turns } from "./turns.js";

interface Asking {
  readonly signal: AbortSignal;
  readonly onShared: (words: Uint8Array) => void;
}

/** Who answers. */
export interface Parties {
  /** Asks once. */
  readonly ask: (loaded: LoadedPlan, values: OwnerValues, options: Asking) => Promise<SessionResult>;
  /** Begins a session of many runs, of a plan that keeps its cache at the parties. */
  readonly converse: (loaded: LoadedPlan, options: Asking) => Promise<Talk>;
  readonly close: () => void;
}

/** Asks once. */
export type Ask = Parties["ask"];

type Talk = Pick<Conversation, "run" | "close">;

const ENDPOINT: Readonly<Record<Kind, string>> = {
  text: "/v1/chat/completions or /v1/completions",
  class: "/v1/classify",
  embedding: "/v1/embeddings",
};

export class Gateway {
  constructor(
    readonly plans: readonly Served[],
    private readonly parties: Parties,
    readonly queue: Turns,
    readonly live: Live,
    /** Ends everything. */
    readonly signal: AbortSignal,
  ) {}

  /** A plan by its name. 404 where there is none, 400 where it answers something else. */
  find(id: string, kind: Kind): Served {
    const plan = this.plans.find((each) => each.id === id);
    if (plan === undefined) {
      const message = `there is no such model: ${this.plans.map((each) => each.id).join(", ")} are served`;
      throw new ApiError(404, message, { param: "model", code: "model_not_found" });
    }
    if (plan.kind !== kind) {
      const article = plan.kind === "embedding" ? "an" : "a";
      const message = `${id} answers with ${article} ${plan.kind}: ask ${ENDPOINT[plan.kind]}`;
      throw new ApiError(400, message, { param: "model", code: "unsupported_model" });
    }
    return plan;
  }

  /** Asks the parties once. */
  ask(loaded: LoadedPlan, values: OwnerValues, signal: AbortSignal): Promise<SessionResult> {
    return this.parties.ask(loaded, values, this.asking(signal));
  }

  /** Begins a conversation. */
  converse(loaded: LoadedPlan, signal: AbortSignal): Promise<Talk> {
    return this.parties.converse(loaded, this.asking(signal));
  }

  /** Shows the masked words that leave. */
  private asking(signal: AbortSignal): Asking {
    let bytes = 0;
    const onShared = (words: Uint8Array): void => {
      bytes += 2 * words.length;
      this.live.show({ at: "sent", from: "data", bytes, rounds: 0, words });
    };
    return { signal, onShared };
  }
}
