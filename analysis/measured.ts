/** What a session did cost, beside what was predicted, as text. */
import type { Ending, Written } from "../client/generate.js";
import type { Prepared } from "../client/remote/prepare.js";
import type { LoadedPlan } from "../formats/plan-file.js";
import type { Plan } from "../ir/plan/types.js";
import type { Measured } from "../runtime/measurement.js";
import { costOf, costReport, runCost, writingCost } from "./cost.js";
import { formatBytes, formatSeconds } from "./units.js";

/** A table; `inputBytes`: what the owners share, where it is not weights and inputs. */
export function describeMeasured(plan: Plan, measured: Measured, inputBytes: number | undefined): string {
  const cost = costOf(plan);
  const predicted = { ...cost.bytes, ...(inputBytes !== undefined && { input: inputBytes }) };
  if (measured.bytes.offline === 0) {
    // Its material was made ahead.
    Object.assign(predicted, { offline: 0, total: predicted.online });
  }
  const row = (what: string, is: string, predicted: string): string =>
    `${what.padEnd(22)}${is.padStart(14)}${predicted.padStart(14)}`;
  const bytes = (what: "online" | "offline" | "total" | "input"): string =>
    row(`bytes ${what}`, formatBytes(measured.bytes[what]), formatBytes(predicted[what]));
  return [
    row("(sum over parties)", "measured", "predicted"),
    row("rounds", String(measured.rounds), String(cost.rounds)),
    bytes("online"),
    bytes("offline"),
    bytes("total"),
    bytes("input"),
    row("seconds online", formatSeconds(measured.seconds.online), ""),
    row("seconds total", formatSeconds(measured.seconds.total), ""),
  ].join("\n");
}

/** What `pumac prepare` made, and what there is. */
export function describePrepared({ made, ready, bytes, expires, dropped }: Prepared): string {
  if (dropped !== undefined && made === 0) {
    return `${dropped.entries} dropped, ${formatBytes(dropped.bytes)} free again at P1 and P2; ${ready} ready`;
  }
  const each = `${formatBytes(bytes)} each on P2's disk`;
  const until = ready === 0 ? "" : `, the first until ${expires}`;
  return `${made} made, ${each}; ${ready} ready${until}`;
}

/** Before this part is done, a guess of the time that is left would be none. */
const LITTLE = 0.1;

/** Says, while a session runs, how many of a plan's rounds and bytes are done, and the time that is left by them. */
export function roundsDone(plan: Plan): (done: number, all: number, seconds: number) => string {
  let bytes: readonly number[] | undefined;
  return (done, all, seconds) => {
    bytes ??= sumsOf(plan);
    const [sent, total] = [bytes[Math.min(done, bytes.length - 1)], bytes[bytes.length - 1]];
    const part = (done / all + sent / Math.max(total, 1)) / 2;
    const left = part < LITTLE ? "" : `, about ${formatSeconds((seconds * (1 - part)) / part)} left`;
    return `${done} of ${all} rounds, ${formatBytes(sent)} of ${formatBytes(total)}${left}`;
  };
}

/** The bytes that are sent by the end of each round. */
function sumsOf(plan: Plan): readonly number[] {
  const perRound = new Map(
    costReport(plan).perRound.map(({ name, bytes }) => [Number(name.match(/\d+/)), bytes.total]),
  );
  let sum = 0;
  return Array.from({ length: plan.rounds + 1 }, (_, round) => {
    sum += perRound.get(round) ?? 0;
    return sum;
  });
}

const ENDINGS: Readonly<Record<Ending, string>> = {
  length: "--max-tokens is reached",
  "end of text": "the model ended the text",
  stop: "a --stop was written",
  context: "the plan's length is reached: compile for a longer one to write on",
};

/** What the parties will hold of a conversation, before it begins; undefined where they keep nothing. */
export function describeKept(plan: Plan): string | undefined {
  const { P0, P1 } = writingCost(plan)?.kept ?? { P0: 0, P1: 0 };
  const each = `${formatBytes(P0)} at P0, ${formatBytes(P1)} at each of P1 and P2`;
  return P1 === 0
    ? undefined
    : `of this conversation the parties keep ${each}, however long it gets, and wipe it at its end`;
}

/** How fast tokens were written, why no more were, and what each did cost. */
export function describeWritten(plan: Plan, tokens: readonly Written[], seconds: number, ending: Ending): string {
  const passes = tokens.filter(({ measured }) => measured.rounds > 0);
  // The first reads the prompt, by a program of its own.
  const each = passes[passes.length > 1 ? 1 : 0]?.measured;
  const { token, check } = writingCost(plan) ?? { token: runCost(plan) };
  const isGuessed = passes.length < tokens.length;
  const predicted = (isGuessed && check) || token;
  const { rounds, bytes } = each === undefined ? token : { rounds: each.rounds, bytes: each.bytes.total };
  return [
    `${tokens.length} tokens, ${(tokens.length / seconds).toFixed(2)} a second; ${ENDINGS[ending]}`,
    ...(isGuessed ? [`in ${passes.length} passes: the draft guessed the others`] : []),
    `a ${isGuessed ? "pass" : "token"}: ${rounds} rounds, ${formatBytes(bytes)} ` +
      `(predicted ${predicted.rounds}, ${formatBytes(predicted.bytes)})`,
  ].join("\n");
}

/** The document of `generate --json`. */
export function writtenDocument({ digest }: LoadedPlan, tokens: readonly Written[], ended: Ending): object {
  return {
    schema: "pumac.generate/1",
    plan: { digest },
    text: tokens.map(({ text }) => text).join(""),
    tokens: tokens.map(({ id }) => id),
    ended,
    measured: tokens.map(({ measured }) => measured),
  };
}
