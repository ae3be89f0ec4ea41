/**
 * HTML and SVG as text, made so that nothing of a plan can become markup: `element` escapes every attribute, `escape`
 * what is text. Names in a plan come from model files.
 */
type Attributes = Readonly<Record<string, string | number>>;

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

/** An element around children that are markup already. */
export function element(tag: string, attributes: Attributes, ...children: readonly string[]): string {
  const list = Object.entries(attributes).map(([name, value]) => ` ${name}="${escapeHtml(String(value))}"`);
  return `<${tag}${list.join("")}>${tag === "input" ? "" : `${children.join("")}</${tag}>`}`;
}

/** SVG text at a place. */
export function label(words: string, x: number | string, y: number | string, kind = ""): string {
  return element("text", kind === "" ? { x, y } : { x, y, class: kind }, escapeHtml(words));
}

/** An SVG rectangle. */
export function rect(kind: string, place: Attributes): string {
  return element("rect", { class: kind, ...place });
}

/** The text that a pointer shows. */
export function hint(words: string): string {
  return element("title", {}, escapeHtml(words));
}

/** A picture with a name for those who cannot see it. */
export function picture(kind: string, name: string, more: Attributes, ...children: readonly string[]): string {
  return element("svg", { class: kind, role: "img", "aria-label": name, ...more }, ...children);
}

/** A length with at most two decimals. */
export function short(length: number): string {
  return String(Math.round(length * 100) / 100);
}

/** A share of the whole as a percentage. */
export function percent(part: number): string {
  return `${short(100 * part)}%`;
}
