/** What `inspect --dpia` says: every input and reveal of the plan, what is public in capitals, nothing unescaped. */
import { expect, test } from "vitest";
import { assessmentOf, assessmentText } from "../../analysis/assessment.js";
import { costReport } from "../../analysis/cost.js";
import { assessmentPage } from "../../analysis/pages/assessment.js";
import { escapeHtml } from "../../analysis/pages/element.js";
import { planFor, randomProgram } from "../plan/support.js";

const plan = {
  ...planFor(randomProgram(5, 60)),
  name: "<b>model</b>",
  shapes: { "input|ids": [1, 48], mask: [1, 48] },
  disclosed: [{ name: "mask", shape: [1, 48], why: "a mask" }],
};
const facts = assessmentOf(plan, "ab".repeat(32));

test("public inputs stand in capitals, secret ones do not, every reveal is named", () => {
  const text = assessmentText(facts);
  expect(text).toContain("| MASK | PUBLIC: GIVEN TO P1 AND P2 IN THE CLEAR (a mask) |");
  expect(text).toContain("| input\\|ids | secret: ");
  for (const { name, shape } of plan.reveals) {
    expect(text).toContain(`| ${name} [${shape}] | to the data owner |`);
  }
  expect(text).toContain("ab".repeat(32));
  expect(text.split("\n").filter((line) => line.startsWith("## "))).toHaveLength(facts.length);
});

test("every question of an assessment has its answer", () => {
  const text = assessmentText(facts);
  for (const answer of [
    // Who takes part, by ISO/IEC 4922's names.
    /model owner \(input party\)/,
    /data owner \(input party and result party\)/,
    /P0, P1, P2 \(computing parties\)/,
    // Who receives what, and in which form.
    /## Who receives what\n[^#]*\| P0 \| nothing that depends on an input/,
    /\| P1, P2 \| [^|]*uniformly masked words/,
    /\| data owner \| the answer only/,
    // On which assumption.
    /at most one of the three is curious, none cheats/,
    /not audited/,
    // Keys and their life, ports, what is logged, what is kept and how it is deleted.
    /keys of a session \| made anew for each session/,
    /keys of organisations \|[^|]*the certificate's time is a year/,
    /one port a party, that its topology names; a second one for watching/,
    /logs and audit record \|[^|]*never a value/,
    /shares of the weights \|[^|]*pumac share --delete ID/,
    /shares of inputs and answers \| in memory, for one session; never written to a file; wiped when it ends/,
  ]) {
    expect(text).toMatch(answer);
  }
});

test("the page says the same and holds no markup of the plan's", () => {
  const page = assessmentPage(facts);
  expect(page).toContain(escapeHtml("<b>model</b>"));
  expect(page).not.toContain("<b>model");
  for (const { title } of facts) {
    expect(page).toContain(title);
  }
});

test("the JSON document has the same facts", () => {
  const report = costReport(plan, undefined, "ab".repeat(32));
  expect(report.assessment).toEqual(facts);
});
