/**
 * What a node's name tells a reader: the layer, and with the op what the model calls it. Exporters name nodes by their
 * modules (`/bert/encoder/layer.0/output/dense/MatMul`, `model.layers.3.mlp/node_silu`), so the layer is found by a
 * number after the name of a list.
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

/** A module of the model that is one op of it, however many nodes an exporter writes for it. */
const NORM_MODULES = /(^|[/._])(\w*layer_?norm\w*|ln_\w+|ln\d*|\w*rms_?norm\w*)([/.]|$)/i;

/** Ops of the tensor language under the names that models have for them. */
const NAMES: Readonly<Record<string, string>> = {
  matmul: "MatMul",
  geluEven: "Gelu",
  softmaxBase2: "Softmax",
  logSoftmax: "LogSoftmax",
  layerNorm: "LayerNorm",
  rmsNorm: "RMSNorm",
  silu: "SiLU",
  relu: "ReLU",
  tangentHyperbolic: "Tanh",
  softCap: "SoftCap",
  errorFunction: "Erf",
  reciprocalSquareRoot: "Rsqrt",
  squareRoot: "Sqrt",
};

/** What the model calls an op at a node: LayerNorm, Softmax, MatMul; "" for what no node of the model asks for. */
export function modelOp(name: string, op: string): string {
  const module = NORM_MODULES.exec(name)?.[2];
  if (module !== undefined) {
    return /rms/i.test(module) ? "RMSNorm" : "LayerNorm";
  }
  return NAMES[op] ?? op.replace(/^[a-z]/, (letter) => letter.toUpperCase());
}
