/** Who learns what from running a plan, beyond the plan itself: for the terminal and the page. */
import type { Plan } from "../ir/plan/types.js";

export interface Knowledge {
  readonly who: string;
  readonly learns: string;
}

/** What P1 and P2 are given in the clear, a line for each input, with the reason. */
export function disclosureOf({ disclosed }: Plan): readonly string[] {
  return disclosed.map(({ name, why }) => `public: ${name} is given to P1 and P2 in the clear (${why})`);
}

export function knowledgeOf(plan: Plan): readonly Knowledge[] {
  const { disclosed } = plan;
  const masked = "uniformly masked words, each mask fresh";
  const parties =
    disclosed.length === 0
      ? `nothing: ${masked}`
      : `in the clear ${disclosed.map(({ name, why }) => `${name} (${why})`).join(", ")}; of all else ${masked}`;
  const reveals = plan.reveals.map(({ name, shape }) => `${name} [${shape.join(",")}]`).join(", ");
  return [
    { who: "P0", learns: "nothing that depends on an input: it deals masks and receives nothing but seeds" },
    { who: "P1, P2", learns: parties },
    { who: "model owner", learns: "nothing of the data or the answer" },
    { who: "data owner", learns: `the answer only: ${reveals}${isGuarded(plan) ? GUARDED : ""}` },
    { who: "plan reader", learns: `the model's shape${publishedText(plan)}; no weight` },
  ];
}

const MOST_NAMES = 3;

/** What of the model's file the plan shows, by reason: how many, and the first names. */
function publishedText({ published }: Plan): string {
  const reasons = new Map<string, string[]>();
  for (const { name, shape, why } of published) {
    const text = shape.length === 0 ? name : `${name} [${shape.join(",")}]`;
    reasons.set(why, [...(reasons.get(why) ?? []), text]);
  }
  return [...reasons]
    .map(([why, names]) => {
      const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : "";
      return `; ${why}: ${names.slice(0, MOST_NAMES).join(", ")}${more}`;
    })
    .join("");
}

const GUARDED = "; and whether some value left its range";

/** Whether the plan has an overflow guard. */
function isGuarded({ steps }: Plan): boolean {
  return steps.some(({ op }) => op === "verdict");
}
