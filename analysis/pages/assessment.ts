/** The assessment of a plan as one page that loads nothing (`inspect --dpia --html FILE`). */
import type { Statements } from "../assessment.js";
import { element, escapeHtml } from "./element.js";
import { policy, section } from "./page.js";
import { STYLE } from "./style.js";

export function assessmentPage(facts: readonly Statements[]): string {
  const row = ([what, says]: readonly [string, string]): string =>
    element("tr", {}, element("th", { scope: "row" }, escapeHtml(what)), element("td", {}, escapeHtml(says)));
  const parts = facts.map(({ title, rows }) => section(escapeHtml(title), "", element("table", {}, ...rows.map(row))));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy()}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>What a private inference does with data</title>
<style>${STYLE}</style></head><body><main>
<h1>What a private inference does with data</h1>
${parts.join("\n")}
</main></body></html>
`;
}
