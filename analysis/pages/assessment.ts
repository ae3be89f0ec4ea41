/** The assessment of a plan as one page that loads nothing (`inspect --dpia --html FILE`). */
import type { Statements } from "../assessment.js";
import { element, escapeHtml } from "./element.js";
import { frame, section } from "./frame.js";

const TITLE = "What a private inference does with data";

export function assessmentPage(facts: readonly Statements[]): string {
  const row = ([what, says]: readonly [string, string]): string =>
    element("tr", {}, element("th", { scope: "row" }, escapeHtml(what)), element("td", {}, escapeHtml(says)));
  const parts = facts.map(({ title, rows }) => section(title, "", element("table", {}, ...rows.map(row))));
  return frame({ title: TITLE, parts: [element("h1", {}, TITLE), ...parts] });
}
