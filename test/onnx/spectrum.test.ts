/** Fourier transforms and windows mean what onnxruntime computes, whichever axis, side and length. */
import { describe, it } from "vitest";
import { compareWithRuntime, type OperatorCase } from "./oracle.js";

const whole = (...values: number[]) => ({ shape: [], values, dtype: "i64" as const, fixed: true });
const flag = (name: string) => ({ [name]: { integer: 1 } });
const WINDOW = { shape: [8], values: [0, 0.2, 0.6, 0.95, 0.95, 0.6, 0.2, 0], dtype: "f32" as const, fixed: true };

const CASES: Readonly<Record<string, OperatorCase>> = {
  "DFT of a real signal": { op: "DFT", inputs: [{ shape: [2, 9, 1] }], outputs: [[2, 9, 2]] },
  "DFT, one side": {
    ...{ op: "DFT", inputs: [{ shape: [2, 9, 1] }], outputs: [[2, 5, 2]] },
    attributes: flag("onesided"),
  },
  "DFT of a complex signal along another axis": {
    ...{ op: "DFT", inputs: [{ shape: [2, 6, 4, 2] }], outputs: [[2, 6, 4, 2]] },
    attributes: { axis: { integer: 2 } },
  },
  "DFT backwards": {
    ...{ op: "DFT", inputs: [{ shape: [1, 8, 2] }], outputs: [[1, 8, 2]] },
    attributes: flag("inverse"),
  },
  "DFT with zeros behind": { op: "DFT", inputs: [{ shape: [1, 5, 1] }, whole(8)], outputs: [[1, 8, 2]] },
  "DFT of opset 20": {
    ...{ op: "DFT", opset: 20, inputs: [{ shape: [1, 8, 3, 1] }, null, whole(1)], outputs: [[1, 5, 3, 2]] },
    attributes: flag("onesided"),
  },
  "STFT with a window": { op: "STFT", inputs: [{ shape: [2, 30, 1] }, whole(5), WINDOW], outputs: [[2, 5, 5, 2]] },
  "STFT, both sides": {
    ...{ op: "STFT", inputs: [{ shape: [1, 20, 1] }, whole(4), null, whole(8)], outputs: [[1, 4, 8, 2]] },
    attributes: { onesided: { integer: 0 } },
  },
};

describe("spectra", () => {
  it.each(Object.entries(CASES))("%s", (_, each) => compareWithRuntime(each));

  it.each(["HannWindow", "HammingWindow", "BlackmanWindow"])("%s", async (op) => {
    for (const periodic of [0, 1]) {
      const attributes = { periodic: { integer: periodic } };
      await compareWithRuntime({ op, inputs: [whole(7)], outputs: [[7]], attributes });
    }
  });
});
