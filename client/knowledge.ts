/** Who learns what from running a plan, beyond the plan itself: for the terminal and the page. */
import { type Plan, revealsOf } from "../ir/plan/types.js";
import { hasState } from "../runtime/weight-store.js";
import { choicesOf, promptOf, promptsOf } from "./generate.js";
import { checkingOf } from "./guesses.js";

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
  const open = disclosed.map(({ name, why }) => `${name} (${why})`).join(", ");
  const counts = countsTold(plan);
  const parties =
    disclosed.length === 0
      ? `nothing${counts === "" ? "" : ` but ${counts}`}: ${masked}`
      : `in the clear ${open}${counts === "" ? "" : `, so ${counts}`}; of all else ${masked}`;
  const reveals = revealsOf(plan)
    .map(({ name, shape }) => `${name} [${shape.join(",")}]${toldBy(plan, name)}`)
    .join(", ");
  return [
    { who: "P0", learns: "nothing that depends on an input: it deals masks and receives nothing but seeds" },
    { who: "P1, P2", learns: parties },
    { who: "model owner", learns: "nothing of the data or the answer" },
    { who: "data owner", learns: `the answer only: ${reveals}${isGuarded(plan) ? GUARDED : ""}` },
    { who: "plan reader", learns: `the model's shape${publishedText(plan)}; no weight` },
  ];
}

/** Of a plan that writes: what the parties see of how much is read and written. */
function countsTold(plan: Plan): string {
  if (!hasState(plan)) {
    return "";
  }
  const lengths = promptsOf(plan)
    .map(promptOf)
    .sort((a, b) => a - b);
  const prompt =
    lengths.length === 0 ? "a prompt's length" : `that a prompt has at most ${lengths.join(", or ")} tokens`;
  const guessed =
    checkingOf(plan) === undefined
      ? ""
      : "; with --draft, how many of a draft's guesses were right (how well a public model foretells the text)";
  return `${prompt}, and how many tokens are written and when${guessed}`;
}

/** What a revealed output tells of the weights, where its name says what it is. */
function toldBy(plan: Plan, name: string): string {
  if (name === "token" && choicesOf(plan) === Number.POSITIVE_INFINITY) {
    return DRAWN;
  }
  return TOLD.find(({ pattern }) => pattern.test(name))?.tells ?? "";
}

const DRAWN =
  " (drawn with its own noise, at a temperature that nobody else learns: no score, but that with this noise none was " +
  "larger; who chooses noise instead of drawing it compares scores, and with many questions measures them)";

const TOLD = [
  { pattern: /^token$/, tells: " (the likeliest token, and no score: of the weights no more than that)" },
  { pattern: /^text$/, tells: " (the likeliest tokens, and no score: of the weights no more than that)" },
  { pattern: /^label$/, tells: " (the likeliest class, and no score: of the weights no more than that)" },
  { pattern: /^topk\.ids$/, tells: " (the likeliest tokens, in order)" },
  {
    pattern: /^topk\.logits$/,
    tells: " (their scores are products with the last layer's weights, which many answers tell something of)",
  },
  {
    pattern: /^logits$/,
    tells: " (scores are products with the last layer's weights, which as many answers as it is wide tell)",
  },
] as const;

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
