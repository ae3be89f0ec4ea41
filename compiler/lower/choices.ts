/** What a plan says of the forms that its functions took: between which the compiler chose, and what each takes. */
import type { Choice } from "../../ir/plan/types.js";

/** Digits of seconds: they are an estimate, and the plan's bytes. */
const DIGITS = 3;

/** The choices of one lowering, in the order in which they were made. */
export class ChoiceNotes {
  private readonly choices: Choice[] = [];

  /** Notes the form taken for `what` at a node; forms that are not possible there have infinite seconds. */
  add(node: string, what: string, taken: string, seconds: Readonly<Record<string, number>>): void {
    const possible = Object.entries(seconds).filter(([, each]) => Number.isFinite(each));
    const forms = possible.map(([form, each]) => ({ form, seconds: Number(each.toPrecision(DIGITS)) }));
    const order = (form: string) => (form === taken ? 0 : 1);
    this.choices.push({ node, what, forms: forms.sort((a, b) => order(a.form) - order(b.form)) });
  }

  finish(): readonly Choice[] {
    return this.choices;
  }
}
