/**
 * What a node's name tells a reader: the layer. Exporters name nodes by their modules
 * (`/bert/encoder/layer.0/output/dense/MatMul`, `model.layers.3.mlp/node_silu`), so the layer is found by a number
 * after the name of a list.
 */

const LISTS: ReadonlySet<string> = new Set(["layer", "layers", "h", "block", "blocks", "encoder", "decoder"]);
const PARTS = /^(embed\w*|wte|wpe|pooler|classifier|\w*head|norm|layernorm|ln_f|\w*projection|predictions)$/i;

/** `encoder.0`, `h.3`, `layers.7`; outside of layers the model's part (`embeddings`, `pooler`), else `other`. */
export function layerOf(name: string): string {
  const segments = name.split(/[/.]/).flatMap((segment) => segment.split(/_(?=\d+$)/));
  const at = segments.findIndex((segment, i) => i > 0 && /^\d+$/.test(segment) && LISTS.has(segments[i - 1]));
  if (at > 0) {
    const list = segments[at - 1] === "layer" && LISTS.has(segments[at - 2]) ? segments[at - 2] : segments[at - 1];
    return `${list}.${segments[at]}`;
  }
  return segments.find((segment) => PARTS.test(segment)) ?? "other";
}

/** A node's name without the part that leads to its layer: what is left to say beside the layer. */
export function nameInLayer(name: string): string {
  const layer = layerOf(name);
  const number = layer.split(".").at(1);
  const [list] = layer.split(".");
  const marker = number === undefined ? list : number;
  const pattern = number === undefined ? `^.*?\\b${escapePattern(marker)}\\b[./]?` : `^.*?[./_]${marker}(?:[./]|$)`;
  const rest = name.replace(new RegExp(pattern), "");
  return rest === "" || layer === "other" ? name.replace(/^\//, "") : rest;
}

function escapePattern(text: string): string {
  return text.replace(/[^\w]/g, "\\$&");
}
