/**
 * What is written on a command line as `name=…`: tensors, shapes, dimensions and values. Whatever cannot be read is
 * E0201 with an example of what could.
 */
import { fail } from "../ir/diagnostics.js";
import { parseInline, type ReadTensor, readTensor } from "./tensor-files.js";

/** `name=@file.npy`, `name=2x3xi64=1,2,3,4,5,6`. */
export function parseTensor(text: string): readonly [name: string, tensor: ReadTensor] {
  const equals = text.indexOf("=");
  const rest = text.slice(equals + 1);
  const tensor = equals <= 0 ? undefined : rest.startsWith("@") ? readTensor(rest.slice(1)) : parseInline(rest);
  if (tensor === undefined) {
    throw fail({
      code: "E0201",
      what: `'${text.slice(0, 60)}' is not an input`,
      fix: 'write name=@file.npy, name=@file.json, name=2x3xi64=1,2,3,4,5,6 or text:"…"',
    });
  }
  return [text.slice(0, equals), tensor];
}

const TRUTH: Readonly<Record<string, number>> = { true: 1, false: 0 };

/** `use_cache_branch=true`, `offset=3`, `lengths=3,4` (without a shape), and whatever `parseTensor` takes. */
export function parseValue(
  text: string,
): readonly [name: string, value: ReadTensor | { readonly data: readonly number[] }] {
  const [, name, rest] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  const parts = rest?.split(",") ?? [""];
  const numbers = parts.map((each) => TRUTH[each] ?? (each.trim() === "" ? Number.NaN : Number(each)));
  if (name !== undefined && !numbers.some(Number.isNaN)) {
    return [name, { data: numbers }];
  }
  if (rest === undefined || !/^@|=/.test(rest)) {
    throw fail({ code: "E0201", what: `'${text}' gives no value`, fix: "write --value use_cache_branch=true" });
  }
  return parseTensor(text);
}

/** `input_ids=1x128`, `scalar=`; each its own text, or separated by commas. */
export function parseShapes(texts: readonly string[]): Readonly<Record<string, readonly number[]>> {
  const bindings = texts
    .flatMap((text) => text.split(","))
    .map((text): [string, readonly number[]] => {
      const [, name, shape] = /^(.+)=(\d+(?:x\d+)*|)$/.exec(text) ?? [];
      if (name === undefined) {
        throw fail({ code: "E0201", what: `'${text}' is no shape`, fix: "write --shape input_ids=1x128" });
      }
      return [name, shape === "" ? [] : shape.split("x").map(Number)];
    });
  return Object.fromEntries(bindings);
}

/** `batch=1,sequence=128`. */
export function parseDims(texts: readonly string[]): Readonly<Record<string, number>> {
  const bindings = texts
    .flatMap((text) => text.split(","))
    .map((text): [string, number] => {
      const [, name, size] = /^(.+)=(\d+)$/.exec(text) ?? [];
      if (name === undefined) {
        throw fail({ code: "E0201", what: `'${text}' binds no dimension`, fix: "write --dim batch=1,sequence=128" });
      }
      return [name, Number(size)];
    });
  return Object.fromEntries(bindings);
}
