/**
 * The page at a gateway's root: it asks what a program would ask, and shows beside the answer what it costs and what
 * the parties see. It loads nothing; one style sheet and one script are named by their hashes in the policy.
 */
import { createHash } from "node:crypto";
import type { Served } from "../served.js";
import { SCRIPT } from "./script.js";
import { STYLE } from "./style.js";

export interface Page {
  readonly html: string;
  /** The content security policy that it is sent with. */
  readonly policy: string;
}

export function page(plans: readonly Served[], isLocal: boolean): Page {
  const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const policy =
    `default-src 'none'; style-src ${hash(STYLE)}; script-src ${hash(SCRIPT)}; connect-src 'self'; ` +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return { html: htmlOf(plans, isLocal), policy };
}

/** A value in a block of data: no text of it can end the block. */
function dataOf(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

const PRIVACY = {
  local: "All three parties run on this machine: it shows how it works, and gives no privacy.",
  remote: "What you write leaves this machine as shares only. No party can read it; the answer comes to you alone.",
} as const;

const SEEN = {
  local: "Masked words as they reach each party. They look like noise, and are.",
  remote:
    "Masked words as they leave this machine; P1 and P2 get the same. What the parties tell each other they alone see.",
} as const;

function row(id: string, name: string): string {
  return `<li id="${id}"><b>${name}</b><span class="amount">nothing yet</span>
<canvas width="96" height="8" aria-hidden="true"></canvas><code></code></li>`;
}

function htmlOf(plans: readonly Served[], isLocal: boolean): string {
  const shown = plans.map(({ id, kind, length, template, predicted, picture }) => {
    const { rounds, bytes, seconds, network } = predicted;
    const size = picture && { width: picture.width, height: picture.height };
    return { id, kind, length, size, chat: template !== undefined, rounds, bytes, seconds, network };
  });
  const seen = isLocal ? ["P0", "P1", "P2"].map((name) => row(name, name)) : [row("sent", "P1, P2")];
  const dealer = isLocal ? "" : `<li><b>P0</b><span class="amount">two seeds, and nothing of your text</span></li>`;
  const where = isLocal ? "local" : "remote";
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>pumac: ask in private</title>
<style>${STYLE}</style></head><body>
<header><h1>pumac</h1>
<label>Model <select id="model"></select></label>
<p id="privacy" class="${where}">${PRIVACY[where]}</p></header>
<main>
<section id="talk" aria-label="Conversation">
<ol id="log" aria-live="polite"></ol>
<form id="form">
<label for="text" id="what">Text</label>
<textarea id="text" rows="3" autocomplete="off" autofocus></textarea>
<div id="drop" hidden><label for="file">Drop a picture here, or choose one</label>
<input id="file" type="file" accept="image/*"></div>
<div class="row"><label id="limit">At most <input id="most" type="number" min="1" value="16"> tokens</label>
<span class="hint" id="keys">Enter sends, Shift+Enter is a new line, Esc stops</span>
<button type="button" id="fresh">New</button>
<button type="button" id="stop" disabled>Stop</button><button id="send">Send</button></div>
</form>
<form id="login" hidden><label for="token">This gateway wants its token</label>
<div class="row"><input id="token" type="password" autocomplete="off"><button>Use it</button></div></form>
</section>
<aside aria-label="What it costs and what is seen">
<h2>This answer</h2>
<ul id="figures">
<li><b id="speed">–</b><span id="speedOf">tokens a second</span></li>
<li><b id="rounds">–</b><span id="roundsOf">rounds</span></li>
<li><b id="bytes">–</b><span id="bytesOf">over all parties</span></li>
<li><b id="seconds">–</b><span id="secondsOf">seconds</span></li>
</ul>
<h2>What each has seen</h2>
<p class="muted">${SEEN[where]}</p>
<ul id="seen"><li id="you"><b>You</b><span class="amount">what you ask, in the clear</span><q></q></li>
${dealer}${seen.join("\n")}</ul>
</aside>
</main>
<script type="application/json" id="plans">${dataOf(shown)}</script>
<script>${SCRIPT}</script></body></html>
`;
}
