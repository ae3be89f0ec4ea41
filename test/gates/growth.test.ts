/** Compiling takes time in proportion to the number of layers, not to its square. */
import { expect, it } from "vitest";
import { compileArchitecture, shortened } from "./support.js";

async function secondsFor(layers: number): Promise<number> {
  const before = process.cpuUsage();
  await compileArchitecture(shortened("llama-7b", layers), 8);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

it("four times the layers take at most seven times as long", async () => {
  await secondsFor(4); // compiles the compiler
  const [few, many] = [await secondsFor(8), await secondsFor(32)];
  expect(many / few).toBeLessThan(7);
}, 120_000);
