/**
 * Attention and rotary embedding, written out in products, masks and a softmax, the form that exporters without the
 * fused operators give. Everything that has an attention (the standard's, onnxruntime's four) ends in `attend`.
 */
import { isFloat } from "../../../ir/tensor/value.js";
import { type Call, type OperatorFamily, rule } from "../call.js";
import type { Emitter, Value } from "../emitter.js";

/** [B, S, heads·d] → [B, heads, S, d]. */
export function splitHeads(emitter: Emitter, x: Value, heads: number): Value {
  const [batch, length, width] = x.type.shape;
  return emitter.transpose(emitter.reshape(x, [batch, length, heads, width / heads]), [0, 2, 1, 3]);
}

/** [B, heads, S, d] → [B, S, heads·d]. */
export function mergeHeads(emitter: Emitter, x: Value): Value {
  const [batch, heads, length, width] = x.type.shape;
  return emitter.reshape(emitter.transpose(x, [0, 2, 1, 3]), [batch, length, heads * width]);
}

/** Each key-value head for `heads / kvHeads` query heads in a row: a view, no arithmetic. */
function repeatHeads(emitter: Emitter, x: Value, heads: number): Value {
  const [batch, own, length, width] = x.type.shape;
  if (own === heads) {
    return x;
  }
  const apart = emitter.reshape(x, [batch, own, 1, length, width]);
  const wide = emitter.broadcast(apart, [batch, own, heads / own, length, width]);
  return emitter.reshape(wide, [batch, heads, length, width]);
}

export interface AttendOptions {
  readonly scale: number;
  /** Scores are held below this by a hyperbolic tangent; 0 for none. */
  readonly softcap?: number;
  /** What may be attended to (bool), and what is added to the scores; both broadcast to [B, heads, S, T]. */
  readonly keep?: Value | undefined;
  readonly bias?: Value | undefined;
  /** What may be attended to, where the operator adds a number to the other scores. */
  readonly penalised?: { readonly keep: Value | undefined; readonly by: number } | undefined;
  /** A logit for each head that takes its share of a row's weights and has no value: [heads]. */
  readonly sink?: Value | undefined;
}

export interface Attended {
  /** [B, heads, S, d]. */
  readonly output: Value;
  /** The scores, scaled; after the cap; after the mask; after the softmax. */
  readonly stages: () => readonly [scaled: Value, capped: Value, masked: Value, weights: Value];
}

/** softmax(mask(cap(scale · q kᵀ))) v for q [B, heads, S, d], k and v [B, kvHeads, T, d']. */
export function attend(emitter: Emitter, q: Value, k: Value, v: Value, options: AttendOptions): Attended {
  const heads = q.type.shape[1];
  const keys = repeatHeads(emitter, k, heads);
  const scaled = emitter.weigh(emitter.matmul(q, emitter.transposeLast(keys)), options.scale);
  const cap = options.softcap ?? 0;
  const capped =
    cap === 0 ? scaled : emitter.scale(emitter.emit("tangentHyperbolic", [emitter.scale(scaled, 1 / cap)]), cap);
  const { keep, bias, penalised } = options;
  const added = bias === undefined ? capped : emitter.add(capped, emitter.cast(bias, q.type.dtype));
  const biased =
    penalised?.keep === undefined ? added : emitter.add(added, penalty(emitter, penalised.keep, penalised.by, q));
  const weights = weightsOf(emitter, biased, keep, options.sink);
  const masked = (): Value =>
    keep === undefined
      ? biased
      : emitter.select(keep, biased, emitter.scalar(Number.NEGATIVE_INFINITY, biased.type.dtype));
  const output = emitter.matmul(weights, repeatHeads(emitter, v, heads));
  return { output, stages: () => [scaled, capped, masked(), weights] };
}

/** softmax over the keys that are kept; a sink is one key more, which takes its share of a row and is then left out. */
function weightsOf(emitter: Emitter, scores: Value, keep: Value | undefined, sink: Value | undefined): Value {
  const softmax = (x: Value, mask: Value | undefined) =>
    emitter.emit("softmax", mask === undefined ? [x] : [x, mask], { axis: 3 });
  if (sink === undefined) {
    return softmax(scores, keep);
  }
  const [batch, heads, queries, keys] = scores.type.shape;
  const column = emitter.broadcast(emitter.reshape(emitter.cast(sink, scores.type.dtype), [1, heads, 1, 1]), [
    ...[batch, heads, queries, 1],
  ]);
  const high = keep?.type.shape.map((_, i, { length }) => (i === length - 1 ? 1 : 0)) ?? [];
  const wide = keep && emitter.broadcast(keep, [...keep.type.shape.slice(0, -1), keys]);
  const mask = wide && emitter.emit("pad", [wide], { low: high.map(() => 0), high, value: 1 });
  return emitter.sliceAxis(softmax(emitter.concatenate([scores, column], 3), mask), 3, 0, keys);
}

/** 0 where kept, a number far below the scores elsewhere. */
function penalty(emitter: Emitter, keep: Value, by: number, like: Value): Value {
  const { dtype } = like.type;
  return emitter.select(keep, emitter.scalar(0, dtype), emitter.scalar(by, dtype));
}

/**
 * What a query may see by position: nothing behind it if causal, and at most so far to the left and right (-1: all).
 */
export interface Reach {
  readonly causal: boolean;
  readonly left: number;
  readonly right: number;
}

/** [S, T] constant: may query i, which stands at position i + past, see key j? Made once for all layers. */
export function positionMask(emitter: Emitter, queries: number, keys: number, past: number, reach: Reach): Value {
  const { causal, left, right } = reach;
  return emitter.shared(`positions ${[queries, keys, past, causal, left, right].join()}`, () => {
    const data = Float64Array.from({ length: queries * keys }, (_, flat) => {
      const ahead = (flat % keys) - Math.floor(flat / keys) - past;
      return (!causal || ahead <= 0) && (left < 0 || -ahead <= left) && (right < 0 || ahead <= right) ? 1 : 0;
    });
    return { dtype: "bool", shape: [queries, keys], data };
  });
}

/** Both masks, where both are there. */
export function both(emitter: Emitter, x: Value | undefined, y: Value | undefined): Value | undefined {
  return x === undefined || y === undefined ? (x ?? y) : emitter.emit("and", [x, y]);
}

/** [B, 1, 1, T]: key j of row b counts where j < lengths[b]. */
export function lengthMask(emitter: Emitter, lengths: Value, keys: number): Value {
  const batch = lengths.type.shape[0];
  const positions = emitter.integers(
    Array.from({ length: keys }, (_, i) => i),
    [1, 1, 1, keys],
    lengths.type.dtype,
  );
  return emitter.emit("less", [positions, emitter.reshape(lengths, [batch, 1, 1, 1])]);
}

/** Keys or values of earlier calls, before the new ones. */
export function appendPast(emitter: Emitter, past: Value | undefined, x: Value): Value {
  return past === undefined ? x : emitter.concatenate([past, x], 2);
}

/** A mask that is shorter than the keys hides the rest. */
function widenMask(emitter: Emitter, mask: Value, keys: number): Value {
  const { shape, dtype } = mask.type;
  const missing = keys - shape[shape.length - 1];
  if (missing <= 0 || shape[shape.length - 1] === 1) {
    return mask;
  }
  const high = shape.map((_, i) => (i === shape.length - 1 ? missing : 0));
  const value = dtype === "bool" ? 0 : Number.NEGATIVE_INFINITY;
  return emitter.emit("pad", [mask], { low: shape.map(() => 0), high, value });
}

/**
 * The keys that a query may see by causality and by a window to either side. Where a row says how many of its keys
 * count, its last query stands at the last of them.
 */
function attentionMask(
  call: Call,
  queries: number,
  keys: number,
  past: number,
  lengths: Value | undefined,
): Value | undefined {
  const causal = call.flag("is_causal", false);
  const left = call.integer("left_window_size", -1);
  const right = call.integer("right_window_size", -1);
  const reach: Reach = { causal, left, right };
  if (!causal && left < 0 && right < 0) {
    return undefined;
  }
  return lengths === undefined || past > 0
    ? positionMask(call.emitter, queries, keys, past, reach)
    : lengthReach(call.emitter, queries, keys, lengths, reach);
}

/** [B, 1, S, T]: key j is ahead of query i of row b by j − i − (lengths[b] − S). */
function lengthReach(emitter: Emitter, queries: number, keys: number, lengths: Value, reach: Reach): Value {
  const { dtype, shape } = lengths.type;
  const steps = Array.from({ length: queries * keys }, (_, flat) => (flat % keys) - Math.floor(flat / keys) + queries);
  const distances = emitter.integers(steps, [1, 1, queries, keys], dtype);
  const ahead = emitter.emit("subtract", [distances, emitter.reshape(lengths, [shape[0], 1, 1, 1])]);
  const within = (op: string, bound: number) => emitter.emit(op, [ahead, emitter.scalar(bound, dtype)]);
  const conditions = [
    ...(reach.causal ? [within("lessOrEqual", 0)] : []),
    ...(reach.left < 0 ? [] : [within("greaterOrEqual", -reach.left)]),
    ...(reach.right < 0 ? [] : [within("lessOrEqual", reach.right)]),
  ];
  return conditions.reduce((x, y) => emitter.emit("and", [x, y]));
}

/** ai.onnx Attention (operator set 23; 24 adds the keys' lengths, 25 windows). */
function attention(call: Call): readonly (Value | undefined)[] {
  const { emitter } = call;
  const flat = call.input(0).type.shape.length === 3;
  const heads = (x: Value, name: string): Value => (flat ? splitHeads(emitter, x, call.requiredInteger(name)) : x);
  const q = heads(call.input(0), "q_num_heads");
  const k = appendPast(emitter, call.optional(4), heads(call.input(1), "kv_num_heads"));
  const v = appendPast(emitter, call.optional(5), heads(call.input(2), "kv_num_heads"));
  const [, , queries, width] = q.type.shape;
  const keys = k.type.shape[2];
  const past = call.optional(4)?.type.shape[2] ?? 0;
  const given = call.optional(3);
  const mask = given && widenMask(emitter, given, keys);
  const lengths = call.optional(6);
  const structure = both(
    emitter,
    attentionMask(call, queries, keys, past, lengths),
    lengths && lengthMask(emitter, lengths, keys),
  );
  const boolean = mask !== undefined && !isFloat(mask.type.dtype) ? emitter.cast(mask, "bool") : undefined;
  const result = attend(emitter, q, k, v, {
    scale: call.number("scale", 1 / Math.sqrt(width)),
    softcap: call.number("softcap", 0),
    keep: both(emitter, structure, boolean),
    bias: boolean === undefined ? mask : undefined,
  });
  const output = flat ? mergeHeads(emitter, result.output) : result.output;
  const scores = call.wants(3) ? scoresOutput(call, result) : undefined;
  return [output, k, v, scores];
}

/**
 * Which stage of the scores the fourth output is: raw, after cap and mask in the standard's numbering, or the
 * weights.
 */
function scoresOutput(call: Call, result: Attended): Value {
  const [scaled, capped, masked, weights] = result.stages();
  switch (call.integer("qk_matmul_output_mode", 0)) {
    case 0:
      return scaled;
    case 1:
      return call.opset >= 24 ? capped : masked;
    case 2:
      return masked;
    default:
      return weights;
  }
}

/** A table row for each position: [B, S, r/2] from [maximum, r/2], or the table itself where there are no positions. */
export function tableRows(emitter: Emitter, table: Value, positions: Value | undefined): Value {
  return positions === undefined ? table : emitter.emit("gather", [table, positions], { axis: 0 });
}

/** [.., r/2] → [.., r]: each value for both halves, or twice in a row for interleaved pairs. */
function doubled(emitter: Emitter, x: Value, interleaved: boolean): Value {
  const { shape } = x.type;
  const half = shape[shape.length - 1];
  if (!interleaved) {
    return emitter.concatenate([x, x], shape.length - 1);
  }
  const outer = shape.slice(0, -1);
  const pairs = emitter.broadcast(emitter.reshape(x, [...outer, half, 1]), [...outer, half, 2]);
  return emitter.reshape(pairs, [...outer, 2 * half]);
}

/** (−second, first): by halves, or by neighbouring pairs. */
function rotated(emitter: Emitter, x: Value, interleaved: boolean): Value {
  const { shape } = x.type;
  const last = shape.length - 1;
  const half = shape[last] / 2;
  if (!interleaved) {
    const second = emitter.sliceAxis(x, last, half, 2 * half);
    return emitter.concatenate([emitter.emit("negate", [second]), emitter.sliceAxis(x, last, 0, half)], last);
  }
  const pairs = emitter.reshape(x, [...shape.slice(0, -1), half, 2]);
  const second = emitter.emit("negate", [emitter.sliceAxis(pairs, last + 1, 1, 2)]);
  return emitter.reshape(emitter.concatenate([second, emitter.sliceAxis(pairs, last + 1, 0, 1)], last + 1), shape);
}

/**
 * Rotary position embedding of x [B, heads, S, d] with cosines and sines [B or 1, S, r/2]: the first r of the d
 * features turn (RoFormer, Su et al. 2021, eq. 34), the rest pass.
 */
export function rotary(emitter: Emitter, x: Value, cosines: Value, sines: Value, interleaved: boolean): Value {
  const { shape } = x.type;
  const last = shape.length - 1;
  const expanded = (table: Value): Value => {
    const [batch, length, half] = table.type.shape;
    return doubled(emitter, emitter.reshape(table, [batch, 1, length, half]), interleaved);
  };
  const [c, s] = [expanded(cosines), expanded(sines)];
  const width = c.type.shape[3];
  const part = emitter.sliceAxis(x, last, 0, width);
  const turned = emitter.add(emitter.multiply(part, c), emitter.multiply(rotated(emitter, part, interleaved), s));
  return width === shape[last]
    ? turned
    : emitter.concatenate([turned, emitter.sliceAxis(x, last, width, shape[last])], last);
}

/** ai.onnx RotaryEmbedding (operator set 23). Its tables may have batch 1 (the dynamo exporter writes such). */
function rotaryEmbedding(call: Call): readonly Value[] {
  const { emitter } = call;
  const x = call.input(0);
  const flat = x.type.shape.length === 3;
  const heads = flat ? splitHeads(emitter, x, call.requiredInteger("num_heads")) : x;
  const positions = call.optional(3);
  const rows = (table: Value): Value => {
    const width = call.integer("rotary_embedding_dim", 0) / 2 || table.type.shape[table.type.shape.length - 1];
    const found = tableRows(emitter, table, positions);
    return emitter.sliceAxis(found, found.type.shape.length - 1, 0, width);
  };
  const y = rotary(emitter, heads, rows(call.input(1)), rows(call.input(2)), call.flag("interleaved", false));
  return [flat ? mergeHeads(emitter, y) : y];
}

export const ATTENTION: OperatorFamily = {
  Attention: rule(23, attention),
  RotaryEmbedding: rule(23, rotaryEmbedding),
};
