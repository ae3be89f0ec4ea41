/** ONNX test data folders: `input_0.pb`, `output_0.pb`, …, as the model zoo and exporters' tests write them. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../ir/diagnostics.js";
import { readTensorFile } from "./onnx/tensor-proto.js";
import type { ReadTensor } from "./tensor-files.js";

/** The inputs or outputs of a folder; names come from the files, or from `order` where they have none. */
export function readTestData(
  folder: string,
  what: "input" | "output",
  order: readonly string[],
): ReadonlyMap<string, ReadTensor> {
  if (!existsSync(folder)) {
    throw fail({ code: "E0301", what: "the folder does not exist", where: folder });
  }
  const numbered = readdirSync(folder).flatMap((file) => {
    const match = /^(input|output)_(\d+)\.pb$/.exec(file);
    return match?.[1] === what ? [{ file, at: Number(match[2]) }] : [];
  });
  if (numbered.length === 0) {
    throw fail({ code: "E0301", what: `the folder holds no ${what}_0.pb`, where: folder });
  }
  const read = numbered.map(({ file, at }) => ({ at, ...readTensorFile(join(folder, file)) }));
  // Where the tensors have the model's names, those say what is what: a plan may lack some of the model's inputs.
  const isNamed = read.some(({ name }) => order.includes(name));
  const tensors = new Map<string, ReadTensor>();
  for (const { name, at, value } of read.sort((one, other) => one.at - other.at)) {
    const known = isNamed && name !== "" ? name : (order[at] ?? name);
    tensors.set(known, { shape: value.shape, data: Float64Array.from(value.data), dtype: value.dtype });
  }
  return tensors;
}
