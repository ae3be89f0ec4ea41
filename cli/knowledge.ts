/** Who learns what from running a plan, beyond the plan itself: for the terminal and the page. */
import type { Plan } from "../ir/plan/types.js";

export interface Knowledge {
  readonly who: string;
  readonly learns: string;
}

export function knowledgeOf(plan: Plan): readonly Knowledge[] {
  const open = plan.bindings.filter(({ owner }) => owner === "public").map(({ input }) => input);
  const given = open.length === 0 ? "" : `; the public inputs ${open.join(", ")}`;
  const reveals = plan.reveals.map(({ name, shape }) => `${name} [${shape.join(",")}]`).join(", ");
  return [
    { who: "P0", learns: "nothing that depends on an input: it deals masks and receives nothing but seeds" },
    { who: "P1, P2", learns: `nothing: uniformly masked words, each mask fresh${given}` },
    { who: "model owner", learns: "nothing of the data or the answer" },
    { who: "data owner", learns: `the answer only: ${reveals}` },
  ];
}
