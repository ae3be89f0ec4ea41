/** The page's style sheet: light and dark, wide and narrow. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ink: #1b1f24; --muted: #59636e; --paper: #fff; --card: #f6f8fa; --line: #d5dbe1;
  --online: #2f6fde; --offline: #e8590c; --heat: 214, 72, 12; --edge: #8b95a1;
  --a: #d0e2ff; --b: #ffe0cc; --c: #d3f3df; --d: #ecdcff; --e: #fff0b8; --f: #ffd6e2; --g: #c9f0f2; --h: #e3e6ea;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e9ec; --muted: #9ba6b1; --paper: #14171a; --card: #1c2126; --line: #363d44;
    --online: #6ea8fe; --offline: #ff922b; --heat: 255, 146, 43; --edge: #6b7681;
    --a: #1d3a66; --b: #5c3013; --c: #17472c; --d: #40285f; --e: #4d4210; --f: #5a2236; --g: #12474a; --h: #333a41;
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
.muted { color: var(--muted); font-size: .9rem; }
.figures { list-style: none; display: grid; gap: .5rem; padding: 0; margin: 1rem 0; }
.figures { grid-template-columns: repeat(2, 1fr); }
.figures li { margin: 0; padding: .5rem .75rem; background: var(--card); border: 1px solid var(--line); }
.figures li { border-radius: .5rem; font-size: .9rem; color: var(--muted); }
.figures b { display: block; font-size: 1.3rem; color: var(--ink); font-variant-numeric: tabular-nums; }
.controls { display: flex; flex-wrap: wrap; gap: .25rem .75rem; align-items: center; font-size: .9rem; }
.controls[hidden] { display: none; }
input, select { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); }
input, select { border-radius: .35rem; padding: .15rem .4rem; }
input[type=number] { width: 6rem; } input[type=search] { width: 100%; max-width: 24rem; } [hidden] { display: none; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid var(--online); }
td.name { text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 6rem; }
#nodes { font-size: .8rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1rem; padding: 0; font-size: .9rem; }
a { color: var(--online); } section { scroll-margin-top: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
td, th { padding: .3rem .5rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--muted); font-weight: 600; }
td:first-child, th:first-child { text-align: left; }
td.text { text-align: left; white-space: normal; min-width: 14rem; }
td.bar { width: 30%; min-width: 5rem; }
tr.sum td { font-weight: 600; }
svg { display: block; width: 100%; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .small { fill: var(--muted); font-size: 11px; }
svg .bold { font-weight: 600; }
.online { fill: var(--online); } .offline { fill: var(--offline); } .axis { stroke: var(--line); }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.map { height: 24rem; } .map rect { stroke: var(--paper); stroke-width: 2; }
.a { fill: var(--a); } .b { fill: var(--b); } .c { fill: var(--c); } .d { fill: var(--d); }
.e { fill: var(--e); } .f { fill: var(--f); } .g { fill: var(--g); } .h { fill: var(--h); }
.key { list-style: none; padding: 0; margin: .5rem 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
.key { font-size: .85rem; color: var(--muted); }
.key svg { display: inline-block; width: 12px; height: 12px; vertical-align: -1px; margin-right: .35rem; }
.time { height: 13rem; }
.flow { max-width: 27rem; margin: 0 auto; } .flow path { fill: none; stroke-linecap: round; }
.flow .on { stroke: var(--online); } .flow .off { stroke: var(--offline); } .flow .in { stroke: var(--edge); }
.party { fill: var(--card); stroke: var(--line); }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .4rem 0; background: var(--card); }
summary { cursor: pointer; padding: .4rem .75rem; font-variant-numeric: tabular-nums; }
summary span { color: var(--muted); font-size: .85rem; }
details > div { background: var(--paper); border-top: 1px solid var(--line); border-radius: 0 0 .5rem .5rem; }
details > div { padding: .25rem; overflow: hidden; }
.heat { fill: rgb(var(--heat)); } .node { width: calc(100% - 57px); }
.nodes path { fill: none; stroke: var(--edge); stroke-width: 1.2; } .nodes circle { fill: var(--edge); }
.nodes .small { fill: var(--ink); opacity: .75; }
@media (min-width: 44rem) { .figures { grid-template-columns: repeat(4, 1fr); } }
@media (min-width: 76rem) {
  main { margin-left: max(13rem, calc(50% - 32rem)); }
  nav { position: fixed; top: 1rem; left: 1rem; width: 11rem; }
  nav ul { display: block; }
}
@media print {
  nav, .controls { display: none; } section { break-inside: avoid; } main { max-width: none; }
}
@media (max-width: 60rem) { .desktop { display: none; } }
@media (max-width: 36rem) {
  main { padding: .75rem; } .map { height: 30rem; } td, th { padding: .3rem .35rem; } .tablet { display: none; }
  .costs, .costs tbody { display: block; }
  .costs tr { display: grid; grid-template-columns: 3.5rem 1fr 1fr 1fr; border-bottom: 1px solid var(--line); }
  .costs td, .costs th { grid-row: 2; border: 0; padding: .1rem; }
  .costs td:first-child, .costs th:first-child { grid-area: 1 / 1 / 2 / 4; font-weight: 600; }
  .costs .bar { grid-area: 1 / 4 / 2 / 5; width: auto; min-width: 0; align-self: center; }
}
`;
