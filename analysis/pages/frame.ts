/** What all pages have in common: one file that works offline, its policy, and how its parts are written. */
import { createHash } from "node:crypto";
import { element, escapeHtml } from "./element.js";
import { dataElement } from "./scripts.js";
import { STYLE } from "./style.js";

/** The policy that a page carries: nothing is loaded, and nothing runs but the script, if any; one style sheet. */
export function policy(script: string): string {
  const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const runs = script === "" ? "" : ` script-src ${hash(script)};`;
  return `default-src 'none'; style-src ${hash(STYLE)};${runs} base-uri 'none'; form-action 'none'`;
}

export interface Framed {
  readonly title: string;
  /** The page's parts, in order. */
  readonly parts: readonly string[];
  readonly script?: string;
  /** What the script draws. */
  readonly data?: object;
}

/** A whole page. */
export function frame({ title, parts, script = "", data }: Framed): string {
  const runs = script === "" ? "" : `${data === undefined ? "" : dataElement(data)}<script>${script}</script>`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy(script)}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style></head><body><main>
${parts.join("\n")}
</main>${runs}</body></html>
`;
}

export function section(title: string, about: string, ...body: readonly string[]): string {
  const note = about === "" ? "" : muted(about);
  return element("section", { id: anchorOf(title) }, element("h2", {}, escapeHtml(title)), note, ...body);
}

function anchorOf(title: string): string {
  return title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
}

/** Links to the sections; beside them where the window is wide enough. */
export function contents(sections: readonly string[]): string {
  const titles = sections.flatMap((text) => /<h2>(.*?)<\/h2>/.exec(text)?.[1] ?? []);
  const links = titles.map((title) => element("li", {}, element("a", { href: `#${anchorOf(title)}` }, title)));
  return element("nav", { "aria-label": "contents" }, element("ul", {}, ...links));
}

export function muted(text: string): string {
  return element("p", { class: "muted" }, escapeHtml(text));
}

/** Numbers of one look: each a value with its name. */
export function cards(items: readonly (readonly [name: string, value: string])[], ...more: readonly string[]): string {
  const each = items.map(([name, value]) => element("li", {}, element("b", {}, value), escapeHtml(name)));
  return element("ul", { class: "figures" }, ...each, ...more);
}
