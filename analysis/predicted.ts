/** What a question is predicted to cost, as plain numbers for who knows nothing of plans, and as a line. */
import { parseNetwork } from "../compiler/network.js";
import type { LoadedPlan } from "../formats/plan-file.js";
import { costOf, writingCost } from "./cost.js";
import { partyMemory } from "./memory.js";
import { formatBytes, formatSeconds } from "./units.js";

/** Bytes over all parties, the parties' memory together, seconds on the network that is named. */
export interface PredictedQuestion {
  readonly rounds: number;
  readonly bytes: number;
  /** Of a plan that keeps its cache, its programs for prompts of up to so many tokens; shortest first. */
  readonly prompts: readonly { readonly length: number; readonly rounds: number; readonly bytes: number }[];
  readonly seconds: number;
  readonly network: string;
  readonly memory: number;
}

/** E0201 for what is no network. */
export function predictedOf({ plan }: LoadedPlan, network: string): PredictedQuestion {
  const { rounds, bytes, seconds } = costOf(plan, parseNetwork(network));
  const { P0, P1, P2 } = partyMemory(plan);
  const prompts = writingCost(plan)?.prompts ?? [];
  return { rounds, bytes: bytes.total, prompts, seconds: seconds.estimate, network, memory: P0 + P1 + P2 };
}

/** What is served: `story: text, at most 32 tokens in all; …`. */
export function describePredicted(served: {
  readonly id: string;
  readonly kind: string;
  readonly length: number;
  readonly predicted: PredictedQuestion;
}): string {
  const { id, kind, length, predicted } = served;
  const { rounds, bytes, prompts, seconds, network, memory } = predicted;
  const [limit, each] = kind === "text" ? [" in all, question and answer", "token"] : ["", "question"];
  return [
    `${id}: ${kind}, of ${length === 0 ? "a picture" : `at most ${length} tokens${limit}`}`,
    `  a ${each}: ${rounds} rounds, ${formatBytes(bytes)}, ${formatSeconds(seconds)} on ${network} (predicted)`,
    ...prompts.map(
      (each) => `  a prompt of up to ${each.length} tokens: ${each.rounds} rounds, ${formatBytes(each.bytes)}`,
    ),
    `  the parties take ${formatBytes(memory)} of memory while one is answered, and keep nothing of it`,
  ].join("\n");
}
