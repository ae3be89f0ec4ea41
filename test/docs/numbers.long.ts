/** docs/numbers.json says what the plans of its models cost now; if not, `npm run docs:numbers`. */
import { expect, it } from "vitest";
import { measureNumbers, readNumbers } from "../../scripts/numbers.mjs";

it("docs/numbers.json is not stale", () => {
  const known = readNumbers();
  expect(measureNumbers(known)).toEqual(known);
}, 900_000);
