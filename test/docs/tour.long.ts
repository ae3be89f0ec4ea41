/** The README's tour runs word for word: its commands print what it shows. `npm run docs:tour` renews it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runTour, shortened, steady, tourOf } from "../../scripts/tour.mjs";

const blocks = tourOf(readFileSync(join(import.meta.dirname, "..", "..", "README.md"), "utf8"));
const printed = runTour(blocks);
const commands = blocks.flatMap(({ commands }, i) =>
  commands.map(({ command, output }, j) => ({ command, shown: output, now: printed[i][j] })),
);

describe("the README", () => {
  it("has a tour", () => {
    expect(commands.length).toBeGreaterThan(8);
  });
  it.each(commands)("shows what is printed by: $command", ({ shown, now }) => {
    const lines = (text: readonly string[]) => text.map(steady).filter((line) => line !== "");
    expect(lines(shown)).toEqual(lines(shortened(shown, now)));
  });
});
