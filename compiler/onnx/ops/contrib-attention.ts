/**
 * onnxruntime's attention operators: Attention (packed projection), MultiHeadAttention,
 * DecoderMaskedMultiHeadAttention, GroupQueryAttention, and its RotaryEmbedding. They differ in how the heads come in
 * and how a mask is written; each brings both to one form and ends in `attend`. Schemas: onnxruntime,
 * docs/ContribOperators.md.
 */
import { type Call, type OperatorFamily, rule } from "../call.js";
import { type Emitter, knownValue, type Value } from "../emitter.js";
import {
  appendPast,
  attend,
  both,
  lengthMask,
  mergeHeads,
  positionMask,
  rotary,
  splitHeads,
  tableRows,
} from "./attention.js";

/** What may be attended to, from any of the forms of `mask_index`: raw masks of 2 to 4 axes, lengths, or bounds. */
function maskIndex(
  call: Call,
  mask: Value | undefined,
  batch: number,
  queries: number,
  keys: number,
): Value | undefined {
  if (mask === undefined) {
    return undefined;
  }
  const { emitter } = call;
  const { shape } = mask.type;
  switch (shape.length) {
    case 1:
      return lengthForms(emitter, mask, batch, keys);
    case 2:
      return emitter.cast(emitter.reshape(mask, [shape[0], 1, 1, shape[1]]), "bool");
    case 3:
      return emitter.cast(emitter.reshape(mask, [shape[0], 1, shape[1], shape[2]]), "bool");
    case 4: {
      const rows = emitter.sliceAxis(mask, 2, keys - queries, keys);
      return emitter.cast(emitter.sliceAxis(rows, 3, 0, keys), "bool");
    }
    default:
      throw call.malformed(`a mask of ${shape.length} dimensions`);
  }
}

/** [B] lengths; [2B] ends, then starts; [3B+2] lengths first. */
function lengthForms(emitter: Emitter, mask: Value, batch: number, keys: number): Value {
  const part = (index: number): Value => emitter.sliceAxis(mask, 0, index * batch, (index + 1) * batch);
  const before = lengthMask(emitter, part(0), keys);
  return mask.type.shape[0] === 2 * batch
    ? emitter.emit("and", [before, emitter.emit("not", [lengthMask(emitter, part(1), keys)])])
    : before;
}

function causalMask(call: Call, name: string, queries: number, keys: number): Value | undefined {
  return call.flag(name, false)
    ? positionMask(call.emitter, queries, keys, keys - queries, { causal: true, left: -1, right: -1 })
    : undefined;
}

/** What is added to scores that a mask of inputs drops; what causality drops is gone. */
function filterOf(call: Call): number {
  return call.number("mask_filter_value", -10000);
}

/** An absent scale is written as none or as zero. */
function scaleOf(call: Call, width: number): number {
  return call.number("scale", 0) || 1 / Math.sqrt(width);
}

/** One half of keys and values stacked as [2, B, heads, T, d]. */
function unstack(emitter: Emitter, stacked: Value | undefined, index: number): Value | undefined {
  return stacked && emitter.reshape(emitter.sliceAxis(stacked, 0, index, index + 1), stacked.type.shape.slice(1));
}

function stackPair(emitter: Emitter, k: Value, v: Value): Value {
  const wide = [k, v].map((x) => emitter.reshape(x, [1, ...x.type.shape]));
  return emitter.concatenate(wide, 0);
}

function refuseIf(call: Call, index: number, what: string): void {
  if (call.optional(index) !== undefined) {
    throw call.refuse(
      what,
      "it belongs to a decoding loop on one machine's buffers",
      "export the model without buffer sharing",
    );
  }
}

/** Q, K and V are one product of the input with [H, Q+K+V] weights. */
function packedAttention(call: Call): readonly (Value | undefined)[] {
  const { emitter } = call;
  if (call.flag("do_rotary", false)) {
    throw call.refuse(
      "do_rotary",
      "rotary embedding inside Attention is not supported",
      "export with RotaryEmbedding nodes",
    );
  }
  refuseIf(call, 6, "past_sequence_length (shared buffers)");
  const heads = call.requiredInteger("num_heads");
  const product = emitter.matmul(call.input(0), call.input(1));
  const bias = call.optional(2);
  const projected = bias === undefined ? product : emitter.add(product, bias);
  const [batch, queries, total] = projected.type.shape;
  const sizes = call.integers("qkv_hidden_sizes") ?? [total / 3, total / 3, total / 3];
  const starts = [0, sizes[0], sizes[0] + sizes[1]];
  const [q, newK, newV] = starts.map((start, i) =>
    splitHeads(emitter, emitter.sliceAxis(projected, 2, start, start + sizes[i]), heads),
  );
  const past = call.optional(4);
  const k = appendPast(emitter, unstack(emitter, past, 0), newK);
  const v = appendPast(emitter, unstack(emitter, past, 1), newV);
  const keys = k.type.shape[2];
  const { output } = attend(emitter, q, k, v, {
    scale: scaleOf(call, q.type.shape[3]),
    keep: causalMask(call, "unidirectional", queries, keys),
    bias: call.optional(5),
    penalised: { keep: maskIndex(call, call.optional(3), batch, queries, keys), by: filterOf(call) },
  });
  return [mergeHeads(emitter, output), call.wants(1) ? stackPair(emitter, k, v) : undefined];
}

/** One of several tensors packed along axis 3 of [B, S, heads, n, d], as [B, heads, S, d]. */
function unpack(emitter: Emitter, packed: Value, index: number): Value {
  const [batch, length, heads, , width] = packed.type.shape;
  const part = emitter.reshape(emitter.sliceAxis(packed, 3, index, index + 1), [batch, length, heads, width]);
  return emitter.transpose(part, [0, 2, 1, 3]);
}

/**
 * Query, key and value as [B, heads, S, d], from separate, key-value-packed or fully packed inputs, with their bias.
 */
function headInputs(call: Call, heads: number, biasIndex: number): readonly [q: Value, k: Value, v: Value] {
  const { emitter } = call;
  const [query, key, value] = [call.input(0), call.optional(1), call.optional(2)];
  const bias = call.optional(biasIndex);
  if (query.type.shape.length === 5) {
    return [unpack(emitter, query, 0), unpack(emitter, query, 1), unpack(emitter, query, 2)];
  }
  if (key === undefined) {
    throw call.malformed("input 'key' is missing");
  }
  const width = query.type.shape[2];
  const biasPart = (start: number, size: number): Value | undefined =>
    bias && emitter.sliceAxis(bias, 0, start, start + size);
  const withBias = (x: Value, part: Value | undefined): Value => (part === undefined ? x : emitter.add(x, part));
  const q = splitHeads(emitter, withBias(query, biasPart(0, width)), heads);
  if (key.type.shape.length === 5) {
    return [q, unpack(emitter, key, 0), unpack(emitter, key, 1)];
  }
  if (value === undefined) {
    throw call.malformed("input 'value' is missing");
  }
  if (key.type.shape.length === 4) {
    return [q, key, value];
  }
  const keyWidth = key.type.shape[2];
  const k = withBias(key, biasPart(width, keyWidth));
  const v = withBias(value, biasPart(width + keyWidth, value.type.shape[2]));
  return [q, splitHeads(emitter, k, heads), splitHeads(emitter, v, heads)];
}

interface Positions {
  readonly bias: number;
  readonly mask: number;
  readonly attentionBias: number;
  readonly pastKey: number;
  readonly sharedLength: number;
  readonly indirection: number;
}

const MULTI_HEAD: Positions = { bias: 3, mask: 4, attentionBias: 5, pastKey: 6, sharedLength: 8, indirection: 9 };
const DECODER: Positions = { bias: 10, mask: 3, attentionBias: 4, pastKey: 5, sharedLength: 7, indirection: 9 };

function multiHead(at: Positions) {
  return (call: Call): readonly (Value | undefined)[] => {
    const { emitter } = call;
    refuseIf(call, at.indirection, "cache_indirection (beam search)");
    const [q, newK, newV] = headInputs(call, call.requiredInteger("num_heads"), at.bias);
    const buffers = [at.pastKey, at.pastKey + 1].map((i) => call.optional(i));
    const [pastK, pastV] = buffers.map((buffer) => buffer && usedPart(call, buffer, at.sharedLength));
    const k = appendPast(emitter, pastK, newK);
    const v = appendPast(emitter, pastV, newV);
    const [batch, , queries, width] = q.type.shape;
    const keys = k.type.shape[2];
    const result = attend(emitter, q, k, v, {
      scale: scaleOf(call, width),
      keep: causalMask(call, "unidirectional", queries, keys),
      bias: call.optional(at.attentionBias),
      penalised: { keep: maskIndex(call, call.optional(at.mask), batch, queries, keys), by: filterOf(call) },
    });
    const weights = call.wants(3) ? result.stages()[3] : undefined;
    const [presentK, presentV] = [k, v].map((x, i) => inBuffer(emitter, x, buffers[i]));
    return [mergeHeads(emitter, result.output), presentK, presentV, weights];
  };
}

/** The keys or values of a cache that count: all of them, or as many as are said of a buffer with room to grow. */
function usedPart(call: Call, buffer: Value, sharedLength: number): Value {
  const used = call.flag("past_present_share_buffer", false) && call.optional(sharedLength) !== undefined;
  const length = used ? call.known(sharedLength, "past sequence length").data[0] : buffer.type.shape[2];
  return call.emitter.sliceAxis(buffer, 2, 0, length);
}

/** What stands in the buffer afterwards: its unused room is left as it was. */
function inBuffer(emitter: Emitter, x: Value, buffer: Value | undefined): Value {
  const [length, room] = [x.type.shape[2], buffer?.type.shape[2] ?? 0];
  return buffer === undefined || room <= length
    ? x
    : emitter.concatenate([x, emitter.sliceAxis(buffer, 2, length, room)], 2);
}

/** Query, key and value of a GroupQueryAttention, from three inputs or packed in one, as [B, heads, S, d]. */
function groupedInputs(call: Call): readonly [q: Value, k: Value, v: Value] {
  const { emitter } = call;
  const heads = call.requiredInteger("num_heads");
  const kvHeads = call.requiredInteger("kv_num_heads");
  const [query, key, value] = [call.input(0), call.optional(1), call.optional(2)];
  if (key !== undefined && value !== undefined) {
    return [splitHeads(emitter, query, heads), splitHeads(emitter, key, kvHeads), splitHeads(emitter, value, kvHeads)];
  }
  const width = query.type.shape[2] / (heads + 2 * kvHeads);
  const part = (first: number, count: number): Value =>
    splitHeads(emitter, emitter.sliceAxis(query, 2, first * width, (first + count) * width), count);
  return [part(0, heads), part(heads, kvHeads), part(heads + kvHeads, kvHeads)];
}

/**
 * How many keys came before. The operator reads it from `seqlens_k` for each row; here it must be the length of the
 * past, that is, the past has no unused room and rows are not padded when there is one.
 */
function pastLength(call: Call, queries: number): number {
  const length = call.optional(3)?.type.shape[2] ?? 0;
  const known = knownValue(call.input(5));
  const [batch] = call.input(0).type.shape;
  if (length > 0 && known === undefined && batch > 1) {
    throw call.refuse(
      "past keys for several rows, and lengths (seqlens_k) that are not known",
      "where a row's new keys go would depend on them",
      "bind attention_mask as a public value, or use batch 1",
    );
  }
  if (length > 0 && known?.data.some((n) => n + 1 !== length + queries)) {
    throw call.refuse(
      "a past that is padded",
      "new keys are appended behind the past",
      "give past inputs without padding",
    );
  }
  return length;
}

/** Rotates new queries and keys; their positions follow the past unless they are given. */
function rotateGrouped(call: Call, x: Value, past: number): Value {
  const { emitter } = call;
  const [, , length] = x.type.shape;
  const following = emitter.integers(
    Array.from({ length }, (_, i) => past + i),
    [1, length],
  );
  const positions = call.optional(9) ?? following;
  const [cosines, sines] = [call.input(7), call.input(8)].map((table) => tableRows(emitter, table, positions));
  return rotary(emitter, x, cosines, sines, call.flag("rotary_interleaved", false));
}

/** A smooth softmax divides by one more than the sum of exponentials: a sink of e⁰. */
function zeroSink(call: Call): Value {
  return call.emitter.filled(0, [call.requiredInteger("num_heads")], "f32");
}

function groupQuery(call: Call): readonly (Value | undefined)[] {
  const { emitter } = call;
  if ([12, 13, 14, 15].some((i) => call.optional(i) !== undefined)) {
    throw call.refuse("quantised caches or norms of Q and K", "these variants are not supported");
  }
  const [rawQ, rawK, newV] = groupedInputs(call);
  const [, , queries, width] = rawQ.type.shape;
  const past = pastLength(call, queries);
  const rotates = call.flag("do_rotary", false);
  const q = rotates ? rotateGrouped(call, rawQ, past) : rawQ;
  const k = appendPast(emitter, call.optional(3), rotates ? rotateGrouped(call, rawK, past) : rawK);
  const v = appendPast(emitter, call.optional(4), newV);
  const keys = k.type.shape[2];
  const window = call.integer("local_window_size", -1);
  const left = window < 0 ? -1 : window - 1;
  const causal = positionMask(emitter, queries, keys, past, { causal: true, left, right: -1 });
  const counts = emitter.reshape(call.input(5), [call.input(5).type.shape.reduce((n, m) => n * m, 1)]);
  const lengths = past === 0 && keys > 1 ? lengthMask(emitter, emitter.offset(counts, 1), keys) : undefined;
  const { output } = attend(emitter, q, k, v, {
    scale: scaleOf(call, width),
    softcap: call.number("softcap", 0),
    keep: both(emitter, causal, lengths),
    bias: call.optional(10),
    sink: call.optional(11) ?? (call.flag("smooth_softmax", false) ? zeroSink(call) : undefined),
  });
  return [mergeHeads(emitter, output), k, v];
}

/** Positions [B, S], or [1]: the first of consecutive ones. */
function consecutive(emitter: Emitter, positions: Value, length: number): Value {
  if (positions.type.shape.length !== 1) {
    return positions;
  }
  const steps = emitter.integers(
    Array.from({ length }, (_, i) => i),
    [1, length],
    positions.type.dtype,
  );
  return emitter.add(emitter.reshape(positions, [1, 1]), steps);
}

function rotaryEmbedding(call: Call): readonly Value[] {
  const { emitter } = call;
  if (call.flag("is_packed_batching", false)) {
    throw call.refuse("is_packed_batching", "rows of different lengths in one are not supported");
  }
  const x = call.input(0);
  const flat = x.type.shape.length === 3;
  const [cosines, sines] = [call.input(2), call.input(3)];
  const width = call.integer("rotary_embedding_dim", 0) || 2 * cosines.type.shape[1];
  const heads = call.integer("num_heads", 0) || (flat ? x.type.shape[2] / width : x.type.shape[1]);
  const split = flat ? splitHeads(emitter, x, heads) : x;
  const positions = consecutive(emitter, call.input(1), split.type.shape[2]);
  const rows = (table: Value): Value => {
    const found = tableRows(emitter, table, positions);
    return emitter.sliceAxis(found, 2, 0, width / 2);
  };
  const turned = rotary(emitter, split, rows(cosines), rows(sines), call.flag("interleaved", false));
  const scaled = emitter.scale(turned, call.number("scale", 1));
  return [flat ? mergeHeads(emitter, scaled) : scaled];
}

export const CONTRIB_ATTENTION: OperatorFamily = {
  Attention: rule(1, packedAttention),
  MultiHeadAttention: rule(1, multiHead(MULTI_HEAD)),
  DecoderMaskedMultiHeadAttention: rule(1, multiHead(DECODER)),
  GroupQueryAttention: rule(1, groupQuery),
  RotaryEmbedding: rule(1, rotaryEmbedding),
};
