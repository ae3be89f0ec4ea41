/**
 * Golden files: each names the passes to run, an input and the output that is expected, all as text. After a change
 * that is meant, `BLESS=1 npx vitest run test/passes` writes the outputs anew; read the difference before you keep it.
 * Whatever a file expects, the output must mean what the input means.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { Graph } from "../../ir/graph.js";
import { evaluateGraph, TENSOR } from "../../ir/tensor/index.js";
import type { TensorType } from "../../ir/tensor/value.js";
import { parse, print } from "../../ir/text.js";
import { TENSOR_PASSES } from "../../passes/index.js";
import { type Placed, place } from "../../passes/place.js";
import { openInputs } from "../../passes/uses.js";
import { evaluatePlaced, expectClose, expectValid, randomValues, storeOf } from "./support.js";

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), "golden");
/** Idioms are matched to the digits that float32 constants have. */
const TOLERANCE = 1e-6;
const OPTIONS = { isPublic: (input: string) => input.endsWith("mask"), measured: true, pays: () => true };

interface Golden {
  readonly head: string;
  readonly passes: readonly string[];
  readonly input: string;
  readonly output: string;
}

function read(file: string): Golden {
  const [head, input, output] = readFileSync(join(FOLDER, file), "utf8").split(/^---\n/m);
  const passes = /^passes: (.*)$/m.exec(head)![1].split(" ");
  return { head, passes, input, output };
}

interface Result {
  readonly graph: Graph<TensorType>;
  readonly placed?: Placed;
}

function run(graph: Graph<TensorType>, passes: readonly string[]): Result {
  let current = graph;
  for (const name of passes) {
    if (name === "place") {
      return { graph: current, placed: place(current, { isPublic: (input) => openInputs(current).has(input) }) };
    }
    current = TENSOR_PASSES.find((pass) => pass.name === name)!.run(current, OPTIONS);
    expectValid(current, name);
  }
  return { graph: current };
}

function textOf({ graph, placed }: Result): string {
  if (placed === undefined) {
    return print(graph, TENSOR);
  }
  const bindings = placed.bindings.map(({ input, owner, output }) => `${input} = ${owner} ${output}\n`).join("");
  const programs = [placed.secret, placed.model, placed.data].map((program) => print(program, TENSOR));
  return `secret:\n${programs[0]}model:\n${programs[1]}data:\n${programs[2]}bindings:\n${bindings}`;
}

describe("golden files", () => {
  it.each(readdirSync(FOLDER))("%s", (file) => {
    const golden = read(file);
    const graph = parse(golden.input, TENSOR);
    const result = run(graph, golden.passes);
    const text = textOf(result);
    if (process.env.BLESS === "1") {
      writeFileSync(join(FOLDER, file), `${golden.head}---\n${golden.input}---\n${text}`);
    } else {
      expect(text).toBe(golden.output);
    }
    const inputs = randomValues(graph, "input", 1);
    const weights = storeOf(randomValues(graph, "parameter", 2));
    const { placed } = result;
    const outputs =
      placed === undefined ? evaluateGraph(result.graph, inputs, weights) : evaluatePlaced(placed, inputs, weights);
    expectClose(outputs, evaluateGraph(graph, inputs, weights), TOLERANCE, file);
  });
});
