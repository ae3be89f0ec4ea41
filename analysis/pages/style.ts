/** The page's style sheet: light and dark, wide and narrow. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ink: #1b1f24; --muted: #59636e; --paper: #fff; --card: #f6f8fa; --line: #d5dbe1;
  --online: #2f6fde; --offline: #e8590c; --edge: #8b95a1;
  --c0: #9dc3fb; --c1: #ffbd85; --c2: #93dbaa; --c3: #cdaef7; --c4: #f7a6bd; --c5: #f3d969; --c6: #86d8dc;
  --c7: #d6c2a8; --c8: #b9c4d0; --c9: #c6e08a; --c10: #e7b3e3; --c11: #a9b8f5; --mark: #ffe08a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e9ec; --muted: #9ba6b1; --paper: #14171a; --card: #1c2126; --line: #363d44;
    --online: #6ea8fe; --offline: #ff922b; --edge: #6b7681;
    --c0: #3465ad; --c1: #a35a1f; --c2: #27804d; --c3: #7049a8; --c4: #a03d60; --c5: #7d6c18; --c6: #227e83;
    --c7: #746047; --c8: #586673; --c9: #5a7a28; --c10: #8a4d85; --c11: #4d5db0; --mark: #6b5410;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 1rem; -webkit-text-size-adjust: 100%; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .25rem; }
p { margin: .25rem 0 .75rem; }
li { margin: .2rem 0; }
code { overflow-wrap: anywhere; font-size: .85em; }
.muted { color: var(--muted); font-size: .9rem; overflow-wrap: anywhere; }
.figures { list-style: none; display: grid; gap: .5rem; padding: 0; margin: 1rem 0; }
.figures { grid-template-columns: repeat(2, 1fr); }
.figures li { margin: 0; padding: .5rem .75rem; background: var(--card); border: 1px solid var(--line); }
.figures li { border-radius: .5rem; font-size: .9rem; color: var(--muted); }
.figures b { display: block; font-size: 1.3rem; color: var(--ink); font-variant-numeric: tabular-nums; }
.controls { display: flex; flex-wrap: wrap; gap: .25rem .75rem; align-items: center; font-size: .9rem; }
.controls[hidden] { display: none; }
input, select { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); }
input, select { border-radius: .35rem; padding: .15rem .4rem; }
input[type=number] { width: 6rem; } input[type=search] { flex: 1; min-width: 8rem; max-width: 24rem; }
[hidden] { display: none; }
th button { all: unset; cursor: pointer; }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
 th button:focus-visible { outline: 2px solid var(--online); }
td.name { text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 6rem; }
.nodes { font-size: .8rem; } .whole b { font-weight: inherit; }
.controls button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); }
.controls button { border-radius: .35rem; padding: .1rem .5rem; cursor: pointer; }
.controls button:disabled { border-color: transparent; background: none; font-weight: 600; cursor: auto; }
.controls .right { margin-left: auto; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1rem; padding: 0; font-size: .9rem; }
a { color: var(--online); } section { scroll-margin-top: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
td, th { padding: .3rem .5rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--muted); font-weight: 600; }
td:first-child, th:first-child { text-align: left; }
td.text { text-align: left; white-space: normal; min-width: 14rem; }
td.bar { width: 30%; min-width: 5rem; }
tfoot td { font-weight: 600; } tr[hidden] { display: none; }
svg { display: block; width: 100%; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .small { fill: var(--muted); font-size: 11px; }
svg .bold { font-weight: 600; }
.online { fill: var(--online); } .offline { fill: var(--offline); }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.c0 { --fill: var(--c0); } .c1 { --fill: var(--c1); } .c2 { --fill: var(--c2); } .c3 { --fill: var(--c3); }
.c4 { --fill: var(--c4); } .c5 { --fill: var(--c5); } .c6 { --fill: var(--c6); } .c7 { --fill: var(--c7); }
.c8 { --fill: var(--c8); } .c9 { --fill: var(--c9); } .c10 { --fill: var(--c10); } .c11 { --fill: var(--c11); }
.swatch rect, .bar { fill: var(--fill); }
svg.swatch { display: inline-block; width: .75em; height: .75em; margin-right: .4em; }
.map { position: relative; height: clamp(20rem, 45vw, 30rem); }
.map > * { position: absolute; overflow: hidden; padding: 0; font: 12px/1.25 system-ui, sans-serif; }
.map > * { display: flex; flex-direction: column; align-items: start; justify-content: center; }
.map > * { color: var(--ink); border: 0; border-radius: 0; }
.map span { display: block; white-space: nowrap; padding: 1px 4px; }
.map .group { background: var(--card); font-weight: 600; cursor: zoom-in; justify-content: start; }
.map .cell { background: var(--fill, var(--card)); } .map button.cell { cursor: zoom-in; }
.map :focus-visible, .map .cell:hover { outline: 2px solid var(--ink); outline-offset: -2px; }
.timeline svg, .errors svg { touch-action: pan-y; cursor: grab; }
.axis path, .axis line { fill: none; stroke: var(--line); } .axis text { fill: var(--muted); font-size: 11px; }
.even rect { fill: var(--card); } .odd rect { fill: none; }
.even text, .odd text { text-anchor: middle; fill: var(--muted); font-size: 11px; }
.hit { fill: transparent; } .hit:hover, g:hover > .hit { fill: var(--line); opacity: .5; }
#tip { position: fixed; z-index: 2; max-width: min(26rem, calc(100vw - 1rem)); padding: .35rem .6rem; }
#tip { background: var(--ink); color: var(--paper); font-size: .85rem; border-radius: .35rem; pointer-events: none; }
#tip { overflow-wrap: anywhere; }
mark { background: var(--mark); color: inherit; border-radius: .25rem; padding: 0 .25em; }
.pair { display: grid; gap: 1rem; } .pair > div { min-width: 0; } h3 { margin: .5rem 0 .25rem; font-size: 1rem; }
.key { list-style: none; padding: 0; margin: .5rem 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
.key { font-size: .85rem; color: var(--muted); }
.key svg { display: inline-block; width: 12px; height: 12px; vertical-align: -1px; margin-right: .35rem; }
.flow { max-width: 27rem; margin: 0 auto; } .flow path { fill: none; stroke-linecap: round; }
.flow .on { stroke: var(--online); } .flow .off { stroke: var(--offline); } .flow .in { stroke: var(--edge); }
.party { fill: var(--card); stroke: var(--line); }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .4rem 0; background: var(--card); }
summary { cursor: pointer; padding: .4rem .75rem; font-variant-numeric: tabular-nums; }
summary span { color: var(--muted); font-size: .85rem; }
details > div { background: var(--paper); border-top: 1px solid var(--line); border-radius: 0 0 .5rem .5rem; }
details > div { padding: .25rem; overflow: hidden; }
.heat { fill: var(--fill); } .node { width: calc(100% - 57px); }
.nodes > path, .nodes > svg > path { fill: none; stroke: var(--edge); stroke-width: 1.2; }
.nodes > circle { fill: var(--edge); }
svg.nodes .small { fill: var(--ink); opacity: .75; }
.finding { border: 1px solid var(--offline); border-left-width: .4rem; border-radius: .5rem; padding: .5rem .75rem; }
.finding p { margin: .2rem 0; overflow-wrap: anywhere; }
.errors .curve { fill: none; stroke-width: 2; } .errors circle { fill: var(--offline); }
.roles { stroke: var(--offline); } .fixed { stroke: var(--online); } .own { stroke: var(--edge); }
.key .roles, .key .fixed, .key .own { stroke-width: 3; }
.limit { stroke: var(--ink); stroke-dasharray: 4 4; opacity: .5; }
.room { fill: var(--online); } .none { fill: var(--offline); }
tr.bad td { color: var(--offline); } .report { font-size: .8rem; }
.plots { display: grid; gap: .5rem; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
figure { margin: 0; padding: .25rem; border: 1px solid var(--line); border-radius: .35rem; min-width: 0; }
figure.bad { border-color: var(--offline); }
figcaption { font-size: .75rem; color: var(--muted); overflow-wrap: anywhere; line-height: 1.25; }
.scatter { aspect-ratio: 1; } .scatter path { stroke: var(--online); stroke-width: 3; stroke-linecap: round; }
.scatter line { stroke: var(--line); }
@media (min-width: 44rem) { .figures { grid-template-columns: repeat(4, 1fr); } }
@media (min-width: 60rem) { .pair { grid-template-columns: 1fr 1fr; } }
@media (min-width: 76rem) {
  main { max-width: 80rem; margin-left: max(13rem, calc(50% - 40rem)); padding-right: 2rem; }
  nav { position: fixed; top: 1rem; left: 1rem; width: 11rem; }
  nav ul { display: block; }
}
@media print {
  nav, .controls, #tip { display: none; } main { max-width: none; margin: 0; } h2 { break-after: avoid; }
  .treemap, .timeline, .errors, .flow, tr, figure { break-inside: avoid; } details { border: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
@media (max-width: 36rem) {
  main { padding: .75rem; } td, th { padding: .3rem .35rem; }
  .sortable tr { display: grid; align-items: end; grid-template-columns: 4rem repeat(3, 1fr); }
  .sortable tr { border-bottom: 1px solid var(--line); }
  .sortable tr[hidden] { display: none; }
  .sortable td, .sortable th { border: 0; padding: .1rem .2rem; }
  .sortable td:first-child, .sortable th:first-child { grid-column: 1 / 5; font-weight: 600; }
  .sortable td.bar { grid-column: 1 / 5; width: auto; min-width: 0; } .sortable th.bar { display: none; }
  .changes { font-size: .8rem; } .changes tr { grid-template-columns: 3.3rem 3.3rem 1fr 1fr 1fr; }
  .changes td:first-child, .changes th:first-child { grid-column: 1 / 6; } .changes th { white-space: normal; }
  .report tr { grid-template-columns: 1fr 1fr; gap: 0 1rem; } .report thead tr { display: flex; flex-wrap: wrap; }
  .report td:first-child { grid-column: 1 / 3; } .report td:not(:first-child) { display: flex; gap: .3em; }
  .report td:not(:first-child)::before { content: attr(data-h); color: var(--muted); margin-right: auto; }
  .nodes tr { grid-template-columns: 1.2fr 1fr 1fr 1fr; } .nodes td.name:not(:first-child) { font-weight: 600; }
  .nodes td:nth-child(2), .nodes th:nth-child(2) { grid-column: 1 / 3; text-align: left; }
  .nodes td:nth-child(3), .nodes th:nth-child(3) { grid-column: 3 / 5; text-align: left; }
}
`;
