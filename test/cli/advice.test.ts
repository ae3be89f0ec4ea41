/**
 * Every `fix:` in the sources that names an option is tried: by a case of advice.ts, which advice.long.ts follows, or
 * by the test that is named here; what nobody tries says why. A new one is found.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, it } from "vitest";
import { createProgram } from "../../cli/program.js";
import { ROOT, readSources, walk } from "../tidy/sources.js";
import { CASES, removeFiles } from "./advice.js";

/** What needs parties or another program is tried by these tests, which do what is advised. */
const ELSEWHERE: readonly (readonly [fix: string, test: string, done: RegExp])[] = [
  ["add --topology FILE", "test/processes/generate.test.ts", /"--local"|"--topology"/],
  ["pumac share MODEL --plan PLAN --topology FILE", "examples/three-organisations/walk.sh", /share "\$model" --plan/],
  ["pumac share --delete ", "test/party/sessions.test.ts", /deleteSharing|delete/],
  ["or raise --prepared there", "test/party/prepared.test.ts", /prepared: 1.5/],
  ["pumac init --renew", "test/party/sessions.test.ts", /renew/],
  ["pumac init --party P0", "examples/three-organisations/walk.sh", /init --party/],
  ["pumac doctor --topology FILE", "test/processes/parties.test.ts", /"doctor"/],
  ["pumac generate PLAN --tokenizer FILE", "test/processes/generate.test.ts", /"generate"/],
  ["compile it with --reveal token", "test/client/generate.test.ts", /token/],
  ["see pumac $", "test/cli/help.test.ts", /--help/],
  ["compile again with --calibrate on inputs like", "test/lower/beyond.test.ts", /calibrat/],
  ["which has it by tree path", "test/jax/models.test.ts", /weights: file/],
  ["which shows the data owner more of the weights", "test/text/plan.test.ts", /reveal: \["topk:4"\]/],
  ["leave --top-k and --top-p out", "test/text/drawn.test.ts", /temperature: 2, seed: 4/],
  ["leave --guesses out", "test/text/guesses.test.ts", /context: 6, buckets: \[3\] \}\)/],
  ["give --guesses as 1 or more", "test/text/guesses.test.ts", /guesses: 2 \}/],
  ["compile it with --context and --guesses K", "test/text/trained.test.ts", /guesses: GUESSES/],
  ['"leave --calibrate out"', "test/text/plan.test.ts", /OPTIONS = \{ context: 6, buckets: \[3\] \}/],
  ['"leave out --data, and give --input"', "test/party/trace.test.ts", /trace/],
  ['"raise --memory"', "test/party/sessions.test.ts", /restart\("P1", \{ memory: 1e9 \}\)/],
  ["or raise --memory there", "test/party/sessions.test.ts", /restart\("P1", \{ memory: 1e9 \}\)/],
  ["leave --buckets and --reveal text out", "test/text/steps.test.ts", /context: 10, buckets: \[4\]/],
  ["name another --output, or remove that one", "test/gateway/batch.test.ts", /does not write into other answers/],
  ["start nats-server -js there", "test/gateway/queue.test.ts", /startNats\(\)/],
  ['"add --tokenizer FILE"', "test/processes/serve.test.ts", /E0201\.\*tokenizer/],
  ["or say which are weights with --weights-args", "test/jax/models.test.ts", /weightArguments/],
];

/** What no test follows, and why. */
const UNTRIED: Readonly<Record<string, string>> = {
  "calibration inputs (--calibrate) may also be unlike real ones": "says that the inputs, not the plan, may be odd",
  '"calibrate with real inputs (--calibrate)"': "a warning: the answer is as good as its assumption",
  '"calibrate with real inputs (--calibrate) for tighter ranges"': "a net below the ring planner; no model reaches it",
  "or declare them --public if they are no secret": "computed positions become one-hot: no model known comes there",
  "or export the model with the ε of its norms": "another export of the model",
  "compile with a longer one in --buckets": "a longer prompt than any that was planned for",
  "serve a plan of texts that reveals a token (--reveal token)": "the gateway's own tests give one",
  "add --token-file FILE, --tls-key FILE": "the gateway's own tests give them",
};

/** The texts of `fix: …` and `const fix = …`, as they are written, that name an option. */
function advice(): readonly string[] {
  const found: string[] = [];
  for (const { path, tree } of readSources()) {
    if (!/^(test|bench|scripts)\//.test(path)) {
      walk(tree, (node) => {
        const isFix =
          (ts.isPropertyAssignment(node) || ts.isVariableDeclaration(node)) &&
          /^(fix|EXPORT_AGAIN)$/.test(node.name.getText());
        const text = isFix ? (node.initializer?.getText() ?? "") : "";
        if (/--[a-z]/.test(text)) {
          found.push(text);
        }
      });
    }
  }
  return found;
}

it("is tried wherever it names an option", () => {
  const tried = [...CASES.map(({ fix }) => fix), ...ELSEWHERE.map(([fix]) => fix), ...Object.keys(UNTRIED)];
  const all = advice();
  expect(all.length).toBeGreaterThan(30);
  expect(all.filter((text) => !tried.some((fix) => text.includes(fix)))).toEqual([]);
  expect(tried.filter((fix) => !all.some((text) => text.includes(fix)))).toEqual([]);
  removeFiles();
});

it.each(ELSEWHERE)("'%s' is tried by %s", (_, test, pattern) => {
  expect(existsSync(join(ROOT, test))).toBe(true);
  expect(readFileSync(join(ROOT, test), "utf8")).toMatch(pattern);
});

it("names options that there are", async () => {
  const { commands } = await createProgram(undefined);
  const nested = [...commands, ...commands.flatMap((command) => command.commands)];
  const options = new Set(["--help", ...nested.flatMap((command) => command.options.map(({ long }) => long))]);
  const named = advice().flatMap((text) => text.match(/--[a-z][a-z-]*/g) ?? []);
  expect(named.filter((option) => !options.has(option))).toEqual([]);
});
