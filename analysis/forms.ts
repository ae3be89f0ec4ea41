/** Which forms the functions of a plan took, and why: what each would have taken, summed over like nodes. */
import type { Choice } from "../ir/plan/types.js";

export interface TakenForm {
  readonly what: string;
  readonly nodes: readonly string[];
  /** The form that was taken first, then the others that were possible. */
  readonly forms: Choice["forms"];
}

/** Choices alike in what is computed, what was taken and what was possible, as one, in the plan's order. */
export function takenForms(choices: readonly Choice[]): readonly TakenForm[] {
  const groups = new Map<string, Choice[]>();
  for (const choice of choices) {
    const key = [choice.what, ...choice.forms.map(({ form }) => form)].join("\n");
    groups.set(key, [...(groups.get(key) ?? []), choice]);
  }
  return [...groups.values()].map((alike) => ({
    what: alike[0].what,
    nodes: [...new Set(alike.map(({ node }) => node))],
    forms: alike[0].forms.map(({ form }, i) => ({
      form,
      seconds: alike.reduce((sum, { forms }) => sum + forms[i].seconds, 0),
    })),
  }));
}

/** In one line: what was taken, where, and what else was possible, with what each takes. */
export function describeForm({ what, nodes, forms: [taken, ...others] }: TakenForm): string {
  const where = nodes.length === 1 ? nodes[0] : `${nodes.length} nodes`;
  const rest = others.length === 0 ? "" : ` (${others.map(timedForm).join("; ")})`;
  return `${what} at ${where}: ${timedForm(taken)}${rest}`;
}

export function timedForm({ form, seconds }: TakenForm["forms"][number]): string {
  return `${form}, ${Number((seconds * 1000).toPrecision(2))} ms`;
}
