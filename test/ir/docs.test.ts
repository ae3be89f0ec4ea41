/** The pages about ops are the op tables; `npm run docs` writes them anew. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { describeLanguage } from "../../ir/docs.js";
import type { Language } from "../../ir/graph.js";
import { SHARE } from "../../ir/share/index.js";
import { TENSOR } from "../../ir/tensor/index.js";

function page(name: string): string {
  return readFileSync(join(import.meta.dirname, "..", "..", "docs", `${name}-ops.md`), "utf8");
}

describe("the pages about ops", () => {
  it("are made from the tables", () => {
    expect(page("tensor")).toBe(describeLanguage(TENSOR));
    expect(page("share")).toBe(describeLanguage(SHARE));
  });

  it("have a row for every op, with its attributes and its number of arguments", () => {
    const toy: Language<string> = {
      name: "toy",
      ops: {
        join: {
          doc: "a|b.",
          arity: [1, 65536],
          attributes: { axis: "integer", names: "strings" },
          infer: () => "",
        },
        nothing: { doc: "Nothing.", arity: [0, 0], attributes: {}, infer: () => "" },
        some: { doc: "Some.", arity: [1, 2], attributes: {}, infer: () => "" },
      },
      printType: String,
      parseType: String,
    };
    expect(describeLanguage(toy).trimEnd().split("\n").slice(-3)).toEqual([
      "| `join` | 1 or more | `axis` integer, `names` strings | a\\|b. |",
      "| `nothing` | 0 |  | Nothing. |",
      "| `some` | 1 to 2 |  | Some. |",
    ]);
  });
});
