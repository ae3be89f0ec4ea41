/**
 * Keys for attributes, so that equal nodes can be found: exact (tensors compared element by element, once), and a
 * structural hash that leaves the names of inputs and parameters and the values of constants out (exporters round them
 * differently), so that two exports of one model order the arguments of commutative ops alike.
 */
import type { Attributes, Node } from "../ir/graph.js";
import { sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import { shrink } from "./shrink.js";

/** Attributes that name a thing instead of saying what it is. */
const NAMES: ReadonlySet<string> = new Set(["name"]);

export class Interner {
  private readonly tensors = new Map<number, TensorValue[]>();
  private readonly keys = new Map<TensorValue, string>();
  private readonly shrunk = new Map<TensorValue, TensorValue>();

  /** Equal exactly for equal attributes. */
  keyOf(attributes: Attributes): string {
    const names = Object.keys(attributes).sort();
    return names.map((name) => `{${name}:${this.keyOfValue(attributes[name])}}`).join("");
  }

  /** A 32-bit hash of op, attributes (without names and tensors), type and the arguments' hashes. */
  hashOf(node: Node<TensorType>, args: readonly number[]): number {
    let text = `${node.op}:${node.type.dtype}[${node.type.shape.join()}]`;
    for (const name of Object.keys(node.attributes).sort()) {
      const value = node.attributes[name];
      if (!NAMES.has(name)) {
        text += isTensor(value) ? ";constant" : `;${name}=${String(value)}`;
      }
    }
    return args.reduce((hash, each) => mix(hash, each), hashText(text));
  }

  /** The smallest tensor that broadcasts to this one. */
  smallest(value: TensorValue): TensorValue {
    const known = this.shrunk.get(value) ?? shrink(value);
    this.shrunk.set(value, known);
    return known;
  }

  private keyOfValue(value: Attributes[string]): string {
    if (isTensor(value)) {
      return this.keyOfTensor(value);
    }
    return Array.isArray(value) ? `[${value.join()}]` : `${typeof value}:${String(value)}`;
  }

  private keyOfTensor(value: TensorValue): string {
    const known = this.keys.get(value);
    if (known !== undefined) {
      return known;
    }
    const hash = hashTensor(value);
    const bucket = this.tensors.get(hash) ?? [];
    this.tensors.set(hash, bucket);
    let index = bucket.findIndex((each) => equalTensors(each, value));
    if (index < 0) {
      index = bucket.push(value) - 1;
    }
    const key = `t${hash}.${index}`;
    this.keys.set(value, key);
    return key;
  }
}

function isTensor(value: unknown): value is TensorValue {
  return typeof value === "object" && value !== null && "data" in value;
}

function equalTensors(a: TensorValue, b: TensorValue): boolean {
  return (
    a.dtype === b.dtype &&
    a.shape.length === b.shape.length &&
    a.shape.every((size, axis) => size === b.shape[axis]) &&
    a.data.every((each, i) => Object.is(each, b.data[i]))
  );
}

function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}

function mix(hash: number, next: number): number {
  let mixed = Math.imul(hash ^ next, 0x9e3779b1);
  mixed ^= mixed >>> 15;
  return Math.imul(mixed + next, 0x85ebca6b) >>> 0;
}

function hashTensor(value: TensorValue): number {
  const data = Float64Array.from(value.data);
  const words = new Uint32Array(data.buffer);
  let hash = hashText(`${value.dtype}[${value.shape.join()}]`);
  for (let i = 0; i < words.length; i++) {
    hash = mix(hash, words[i]);
  }
  return sizeOf(value.shape) === 0 ? hash : hash >>> 0;
}
