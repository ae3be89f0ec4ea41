/** ONNX's backend tests of single operators (`PUMAC_DATA`), unpacked and read. */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { PumacError } from "../../ir/diagnostics.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { DATA, present, readTensors } from "./support.js";

const ARCHIVE = join(DATA, "onnx-node-tests.tar.gz");

export type Tensors = readonly { readonly name: string; readonly value: TensorValue }[];

export interface NodeCase {
  readonly name: string;
  /** The model's path. */
  readonly model: string;
  readonly inputs: Tensors;
  readonly outputs: Tensors;
}

/** Cases whose data files hold sequences, not tensors. */
const SEQUENCES = ["test_loop13_seq", "test_loop16_seq_none"];

/**
 * All cases but those with tensors of types that the tensor language lacks (8-bit floats, sub-byte integers, strings);
 * none where the archive is absent. They are unpacked into `folder`.
 */
export function readNodeCases(folder: string): readonly NodeCase[] {
  if (!present(ARCHIVE)) {
    return [];
  }
  execFileSync("tar", ["-xzf", ARCHIVE, "-C", folder]);
  const names = readdirSync(folder).filter((name) => !SEQUENCES.includes(name));
  return names.flatMap((name) => {
    const data = join(folder, name, "test_data_set_0");
    try {
      const [inputs, outputs] = [readTensors(data, "input"), readTensors(data, "output")];
      return [{ name, model: join(folder, name, "model.onnx"), inputs, outputs }];
    } catch (error) {
      if (error instanceof PumacError && error.diagnostics[0].code === "E0402") {
        return [];
      }
      throw error;
    }
  });
}
