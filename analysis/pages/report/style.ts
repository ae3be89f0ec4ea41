/** What the accuracy report's page adds to the style sheet, and its only script, which sorts tables. */
import { STYLE } from "../style.js";

export const REPORT_STYLE = `${STYLE}
.finding { border: 1px solid var(--offline); border-left-width: .4rem; border-radius: .5rem; padding: .5rem .75rem; }
.finding p { margin: .2rem 0; overflow-wrap: anywhere; }
.curve { height: 15rem; } .curve path { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
.curve .hit { fill: transparent; stroke: none; } .curve .hit:hover { fill: var(--line); opacity: .5; }
.roles { stroke: var(--offline); } .fixed { stroke: var(--online); } .own { stroke: var(--edge); }
.key .roles, .key .fixed, .key .own { stroke-width: 3; }
.limit { stroke: var(--ink); stroke-dasharray: 4 4; opacity: .5; }
.room { fill: var(--online); } .none { fill: var(--offline); }
tr.bad td { color: var(--offline); }
td.name { white-space: normal; overflow-wrap: anywhere; min-width: 11rem; }
table.sortable { font-size: .8rem; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid var(--online); }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
.plots { display: grid; gap: .5rem; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
figure { margin: 0; padding: .25rem; border: 1px solid var(--line); border-radius: .35rem; min-width: 0; }
figure.bad { border-color: var(--offline); }
figcaption { font-size: .75rem; color: var(--muted); overflow-wrap: anywhere; line-height: 1.25; }
.scatter { aspect-ratio: 1; } .scatter path { stroke: var(--online); stroke-width: 3; stroke-linecap: round; }
.scatter line { stroke: var(--line); }
`;

/** Sorts a table by the column whose heading is pressed: numbers largest first, names by letter; then the other way. */
export const SORT_SCRIPT = `
for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.addEventListener("click", ({ target }) => {
    const heading = target.closest("th");
    if (heading === null) return;
    const key = (row) => row.cells[heading.cellIndex].dataset.v;
    const rows = [...table.tBodies[0].rows];
    const isText = rows.some((row) => Number.isNaN(Number(key(row))));
    const was = heading.getAttribute("aria-sort") ?? (isText ? "descending" : "ascending");
    const order = was === "ascending" ? "descending" : "ascending";
    for (const each of heading.parentElement.cells) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const compare = (a, b) => sign * (isText ? key(a).localeCompare(key(b)) : Number(key(a)) - Number(key(b)));
    table.tBodies[0].append(...rows.sort(compare));
  });
}
`;
