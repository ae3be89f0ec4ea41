/** Pictures as a model takes them: whose settings count, in which order colours lie, and what is no picture. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { normalisationBeside, pictureIn, pixelsOf, USUAL_PIXELS } from "../../formats/pixels.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-pixels-"));
afterAll(() => rmSync(folder, { recursive: true }));
const MODEL = join(folder, "model.onnx");
const picture = (shape: readonly number[]) => pictureIn(new Map([["pixel_values", { dtype: "f32", shape }]]))!;

it.each([
  [{}, USUAL_PIXELS],
  [
    { image_mean: [1, 2, 3], image_std: [4, 5, 6] },
    { scale: 1 / 255, mean: [1, 2, 3], deviation: [4, 5, 6] },
  ],
  [
    { do_normalize: false, rescale_factor: 0.5 },
    { scale: 0.5, mean: [0, 0, 0], deviation: [1, 1, 1] },
  ],
  [{ do_rescale: false }, { ...USUAL_PIXELS, scale: 1 }],
])("is scaled as %j says", (settings, expected) => {
  writeFileSync(join(folder, "preprocessor_config.json"), JSON.stringify(settings));
  expect(normalisationBeside(MODEL)).toEqual(expected);
});

it("is scaled by no file that is not there or cannot be read", () => {
  expect(normalisationBeside(join(folder, "none", "model.onnx"))).toBeUndefined();
  writeFileSync(join(folder, "preprocessor_config.json"), "{");
  expect(() => normalisationBeside(MODEL)).toThrow(/E0301.*preprocessor_config/s);
});

it("has its colours first or last, as the plan has them", () => {
  const bytes = Uint8Array.of(255, 0, 0, 0, 0, 255);
  expect([...pixelsOf(picture([1, 3, 1, 2]), bytes, USUAL_PIXELS).data]).toEqual([1, -1, -1, -1, -1, 1]);
  expect([...pixelsOf(picture([1, 1, 2, 3]), bytes, USUAL_PIXELS).data]).toEqual([1, -1, -1, -1, -1, 1]);
  expect(() => pixelsOf(picture([1, 3, 2, 2]), bytes, USUAL_PIXELS)).toThrow(/E0202.*2 by 2/s);
});

it.each([[[2, 3, 4, 4]], [[1, 4, 4, 4]], [[1, 3]]])("is nothing of shape %j", (shape) => {
  expect(pictureIn(new Map([["x", { dtype: "f32", shape }]]))).toBeUndefined();
});
