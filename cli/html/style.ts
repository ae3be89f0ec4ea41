/** The page's style sheet. */
export const STYLE = `
:root{color-scheme:light dark;--ink:#1b1f24;--muted:#5d6670;--paper:#fff;--line:#d9dee3;--fill:#2f6fde;--warm:#d9480f}
@media (prefers-color-scheme:dark){:root{--ink:#e8eaed;--muted:#9aa4ae;--paper:#14171a;--line:#343a40;--fill:#6ea8fe;--warm:#ff922b}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:62rem;margin:0 auto;padding:1rem}h1{font-size:1.6rem;margin:.5rem 0 0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2rem 0 .5rem}.muted{color:var(--muted);font-size:.9rem;overflow-wrap:anywhere}
.figures{list-style:none;display:flex;flex-wrap:wrap;gap:.5rem;padding:0}
.figures li{border:1px solid var(--line);border-radius:.5rem;padding:.5rem .75rem}.figures b{display:block;font-size:1.2rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
td:first-child,th:first-child{text-align:left}td.text{text-align:left;white-space:normal}td.bar{width:40%;min-width:6rem}
svg{display:block;width:100%}svg text{fill:var(--ink);font:11px system-ui,sans-serif}
.fill{fill:var(--fill)}.offline{fill:var(--warm)}.frame{fill:none;stroke:var(--line)}
.cell{stroke:var(--paper);stroke-width:1.5}.graph{max-height:34rem;overflow-y:auto;border:1px solid var(--line);border-radius:.5rem}
`;
