/** The page's style sheet: light and dark, from a phone to a wide screen. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ink: #1b1f24; --muted: #59636e; --paper: #fff; --card: #f6f8fa; --line: #d5dbe1; --accent: #1f5fd0;
  --on-accent: #fff; --mine: #dce9ff; --bad: #b3261e; --warn: #fff1d6; --noise: 31, 95, 208;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e9ec; --muted: #9ba6b1; --paper: #14171a; --card: #1c2126; --line: #363d44; --accent: #6ea8fe;
    --on-accent: #0d1116; --mine: #1d3a66; --bad: #ff8a80; --warn: #4a3a14; --noise: 110, 168, 254;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html, body { height: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  display: flex; flex-direction: column; -webkit-text-size-adjust: 100%;
}
header {
  display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center; padding: .5rem 1rem;
  border-bottom: 1px solid var(--line);
}
h1 { font-size: 1.2rem; margin: 0; }
h2 { font-size: 1rem; margin: 1.25rem 0 .25rem; } h2:first-child { margin-top: 0; }
#privacy { margin: 0; padding: .15rem .6rem; border-radius: .5rem; font-size: .85rem; background: var(--card); }
#privacy.local { background: var(--warn); }
label { font-size: .9rem; color: var(--muted); }
select, input, textarea, button {
  font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .35rem .6rem; max-width: 100%;
}
input[type=number] { width: 5rem; }
textarea { width: 100%; resize: vertical; display: block; background: var(--paper); }
button { cursor: pointer; min-height: 2.5rem; } button:disabled { opacity: .5; cursor: default; }
#send { background: var(--accent); color: var(--on-accent); border-color: var(--accent); min-width: 5rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; }
main { flex: 1; width: 100%; max-width: 84rem; margin: 0 auto; }
main { padding: 1rem; display: grid; gap: 1.5rem; min-width: 0; }
section, aside { min-width: 0; }
#log { list-style: none; margin: 0; padding: 0; }
#log li {
  padding: .5rem .8rem; margin: 0 0 .6rem; border-radius: .75rem; white-space: pre-wrap; overflow-wrap: anywhere;
  border: 1px solid var(--line); width: fit-content; max-width: 100%;
}
#log .mine { background: var(--mine); margin-left: auto; }
#log .bad { color: var(--bad); border-color: currentColor; }
#log .waiting::after { content: "…"; color: var(--muted); }
#log table { border-collapse: collapse; } #log td { padding: .1rem .6rem .1rem 0; }
#log td:last-child { font-variant-numeric: tabular-nums; text-align: right; }
#drop { border: 2px dashed var(--line); border-radius: .75rem; padding: 1.25rem; }
#drop.over { background: var(--mine); }
#drop label, #drop input { display: block; margin: .25rem 0; width: 100%; }
#log canvas { width: 8rem; height: auto; margin: 0; } #you canvas { width: 4rem; height: auto; }
.row { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin-top: .5rem; }
.hint { color: var(--muted); font-size: .8rem; margin-right: auto; }
.muted { color: var(--muted); font-size: .85rem; margin: 0 0 .5rem; }
aside { border-top: 1px solid var(--line); padding-top: 1rem; }
ul { list-style: none; margin: 0; padding: 0; }
#figures { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .5rem; }
#figures li { background: var(--card); border: 1px solid var(--line); }
#figures li { border-radius: .5rem; padding: .4rem .7rem; min-width: 0; }
#figures b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
#figures span { color: var(--muted); font-size: .8rem; overflow-wrap: anywhere; }
#seen li { padding: .5rem 0; border-bottom: 1px solid var(--line); min-width: 0; }
#seen b { display: inline-block; min-width: 3.5rem; }
.amount { color: var(--muted); font-size: .85rem; font-variant-numeric: tabular-nums; }
canvas { display: block; width: 100%; height: 2rem; margin: .3rem 0; border-radius: .3rem; image-rendering: pixelated; }
canvas { background: var(--card); color: rgb(var(--noise)); }
code { display: block; font: .75rem/1.4 ui-monospace, monospace; }
code { color: var(--muted); overflow-wrap: anywhere; min-height: 1.1em; }
q { display: block; font-size: .85rem; overflow-wrap: anywhere; max-height: 3em; overflow: hidden; }
q:empty { display: none; }
@media (min-width: 60rem) {
  main { grid-template-columns: minmax(0, 1fr) 22rem; overflow: hidden; }
  body { overflow: hidden; }
  section { display: flex; flex-direction: column; min-height: 0; } #log { flex: 1; overflow-y: auto; min-height: 0; }
  aside { border-top: 0; border-left: 1px solid var(--line); padding: 0 0 0 1.5rem; overflow-y: auto; }
}
@media (min-width: 100rem) { main { grid-template-columns: minmax(0, 1fr) 28rem; } }
@media (prefers-reduced-motion: no-preference) { #log .waiting::after { animation: blink 1s infinite; } }
@keyframes blink { 50% { opacity: .2; } }
`;
