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
