/** One colour for an op, on every page and in every plan: it follows from the op's name alone. */
import { element, escapeHtml, rect } from "./element.js";

/** Ops that most models have, under what the model calls them, and their colour classes of the style sheet. */
const KNOWN: Readonly<Record<string, string>> = {
  MatMul: "c0",
  Softmax: "c1",
  LayerNorm: "c2",
  RMSNorm: "c2",
  Gelu: "c3",
  SiLU: "c3",
  Relu: "c3",
  ReLU: "c3",
  Guard: "c4",
  Mul: "c5",
  Tanh: "c6",
  Embedding: "c7",
  Gather: "c7",
};

/** Colours that no known op has. */
const OTHERS = ["c8", "c9", "c10", "c11"];

export function colourOf(op: string): string {
  const letters = [...op].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 65_521, 7);
  return Object.hasOwn(KNOWN, op) ? KNOWN[op] : OTHERS[letters % OTHERS.length];
}

/** A spot of an op's colour. */
export function swatch(colour: string): string {
  return element("svg", { class: "swatch", viewBox: "0 0 12 12" }, rect(colour, { width: 12, height: 12, rx: 3 }));
}

/** What the colours of these ops mean. */
export function colourKey(ops: readonly string[]): string {
  const items = ops.map((op) => element("li", {}, swatch(colourOf(op)), escapeHtml(op)));
  return element("ul", { class: "key" }, ...items);
}
