/**
 * Speculation (Leviathan et al., ICML 2023), greedy: a public draft model guesses the next tokens in the clear, on the
 * data owner's machine, and the parties check them all in one pass. What is written is what they would have written
 * token by token: a guess counts only where it is the token that they chose. How many counted, they learn: they forget
 * the rows of those that did not.
 */
import { type Plan, programsOf } from "../ir/plan/types.js";
import { sizeOf, type TensorValue } from "../ir/tensor/value.js";
import { hasState } from "../runtime/weight-store.js";
import type { SessionResult } from "./owners.js";
import { nothingBeside, sumOf } from "./sums.js";

/** So many tokens that a draft takes to follow a text. */
export type Draft = (ids: readonly number[], count: number) => readonly number[];

/** The program that checks guesses, by its place, and how many. */
export function checkingOf(plan: Plan): { readonly place: number; readonly guesses: number } | undefined {
  const rows = plan.parts.map(({ reveals }) =>
    reveals.reduce((most, { name, shape }) => (name === "token" ? sizeOf(shape) : most), 1),
  );
  const place = rows.findIndex((count) => count > 1);
  return place < 0 ? undefined : { place: place + 1, guesses: rows[place] - 1 };
}

/** Whether a program goes on from what was kept. */
export function isContinued({ steps }: Plan): boolean {
  return steps.some(({ op, attributes }) => op === "input" && attributes.owner === "state");
}

/** The places of the programs that forget one row, two, and so on. */
function forgettingOf(plan: Plan): readonly number[] {
  return programsOf(plan).flatMap((each, place) =>
    place > 0 && hasState(each) && isContinued(each) && each.reveals.length === 0 ? [place] : [],
  );
}

type Step = (place: number, read: readonly number[]) => Promise<SessionResult>;

/**
 * Asks for the next token, and gives those that follow it without asking, as far as a draft has guessed them.
 * `ids` has what is written so far; what a check cost is the first token's.
 */
export function guessing(
  plan: Plan,
  { step, draft, context }: { step: Step; draft: Draft; context: number },
): (ids: readonly number[], left: number) => Promise<SessionResult> {
  const { place, guesses } = checkingOf(plan)!;
  const forgetting = forgettingOf(plan);
  let waiting: readonly SessionResult[] = [];
  return async (ids, left) => {
    const [first, ...others] = waiting;
    if (first !== undefined) {
      waiting = others;
      return first;
    }
    // Rows of wrong guesses may push none of the text's out of the window; one token needs no guesses.
    if (left < 2 || ids.length + guesses > context) {
      return await step(0, ids);
    }
    const guessed = draft(ids, guesses);
    const answer = await step(place, [...ids, ...guessed]);
    const chosen = [...answer.outputs.get("token")!.data];
    const wrong = guessed.findIndex((id, i) => id !== chosen[i]);
    const right = wrong < 0 ? guesses : wrong;
    const forgot = right < guesses ? await step(forgetting[guesses - right - 1], []) : undefined;
    const measured = forgot === undefined ? answer.measured : sumOf(answer.measured, forgot.measured);
    const alarm = answer.alarm || forgot?.alarm === true;
    const [asked, ...known] = chosen.slice(0, right + 1).map((id, i) => {
      const token: TensorValue = { dtype: "i64", shape: [1], data: Float64Array.of(id) };
      const outputs = new Map([["token", token]]);
      return { alarm, outputs, measured: i === 0 ? measured : nothingBeside(measured) };
    });
    waiting = known;
    return asked;
  };
}
