/** A secret input is shared as a whole number only where every part of it is one. */
import { expect, it } from "vitest";
import { floats, runText } from "./support.js";

it("truth values beside fractions are shared with the bits of fractions", async () => {
  const text = `%0 = input {name = "flags", dtype = "bool", shape = [1,2]} : bool[1,2]
%1 = input {name = "x", dtype = "f32", shape = [1,2]} : f32[1,2]
%2 = parameter {name = "w", dtype = "f32", shape = [4,3]} : f32[4,3]
%3 = cast %0 {dtype = "f32"} : f32[1,2]
%4 = concatenate %3, %1 {axis = 1} : f32[1,4]
%5 = matmul %4, %2 : f32[1,3]
output "y" = %5`;
  const inputs = new Map([
    ["flags", { ...floats([1, 2], (i) => i), dtype: "bool" as const }],
    ["x", floats([1, 2], (i) => 0.3 + i / 4)],
  ]);
  const { error } = await runText({ text, weights: new Map([["w", floats([4, 3], (i) => i / 5 - 1)]]), inputs });
  expect(error).toBeLessThan(2e-3);
});
