/**
 * `npm run demo`: the bundled BERT, trained on film reviews, from the model file to a private answer. Installs and builds
 * what is missing, compiles, says what it will cost, runs three party processes, and puts the private answer beside
 * onnxruntime's, and the measured cost beside the predicted one. Exits with 5 if they differ more than they may.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { buildIfStale, install, root } from "./workspace.mjs";

// Paths as a reader would write them, from the root of the checkout, where every command runs.
const model = "models/bert-sst2/bert_sst2.legacy.op14.onnx";
const tokenizer = "models/bert-sst2/tokenizer.json";
const plan = ".cache/demo.pumac";
const text = process.argv[2] ?? "An inventive, moving story, beautifully acted and beautifully shot.";
const LENGTH = 48;
const LABELS = ["negative", "positive"];
const TOLERANCE = 0.02;

/** Runs a command of pumac; its notes go to stderr, the result is its stdout. */
function pumac(...args) {
  try {
    return execFileSync(process.execPath, [join(root, "dist", "cli", "main.js"), ...args], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
      maxBuffer: 1 << 28,
    });
  } catch (error) {
    process.exit(error.status ?? 1);
  }
}

function say(line = "") {
  process.stdout.write(`${line}\n`);
}

function title(line) {
  say(`\n── ${line} ${"─".repeat(Math.max(0, 76 - line.length))}`);
}

install();
buildIfStale();
const { referenceLogits } = await import("./onnxruntime.mjs");
const started = performance.now();
mkdirSync(join(root, ".cache"), { recursive: true });

title("compile the model to a plan");
say(`./pumac compile ${model} --dim b=1,s=${LENGTH} -o ${plan}`);
pumac("compile", model, "--dim", `b=1,s=${LENGTH}`, "-o", plan);

title("what it will cost");
say(`./pumac inspect ${plan}`);
say(pumac("inspect", plan).trimEnd());
const predicted = JSON.parse(pumac("inspect", plan, "--json")).cost;

title("classify a sentence with three party processes");
say(`./pumac run ${plan} --input 'text:${text}' --tokenizer ${tokenizer}`);
const run = JSON.parse(pumac("run", plan, "--input", `text:${text}`, "--tokenizer", tokenizer, "--json"));
const { measured } = run;

title("the answer");
const privately = run.outputs.logits.data;
const plainly = await referenceLogits(join(root, model), join(root, tokenizer), text, LENGTH);
const show = (logits) => `${logits.map((x) => x.toFixed(4).padStart(8)).join(" ")}   ${LABELS[Number(logits[1] > logits[0])]}`;
say(`"${text}"`);
say(`private, by three parties   ${show(privately)}`);
const difference = plainly === undefined ? 0 : Math.max(...plainly.map((x, i) => Math.abs(x - privately[i])));
say(plainly === undefined ? "(onnxruntime is not installed)" : `in the clear, onnxruntime    ${show(plainly)}`);
say(`largest difference of a logit ${difference.toFixed(4)}`);

title("what it did cost (bytes: sum over all parties)");
const rows = [
  ["rounds", measured.rounds, predicted.rounds],
  ...["online", "offline", "total", "input"].map((what) => [`bytes ${what}`, measured.bytes[what], predicted.bytes[what]]),
];
say(`${"".padEnd(16)}${"measured".padStart(14)}${"predicted".padStart(14)}`);
for (const [what, is, was] of rows) {
  say(`${what.padEnd(16)}${is.toLocaleString("en").padStart(14)}${was.toLocaleString("en").padStart(14)}`);
}
const { online, weights, total } = measured.seconds;
say(`online ${online.toFixed(2)} s, sharing the weights ${weights.toFixed(2)} s, session ${total.toFixed(2)} s`);
say(`demo without installation and build: ${((performance.now() - started) / 1000).toFixed(1)} s`);

const isEqual = rows.every(([, is, was]) => is === was);
if (difference > TOLERANCE || !isEqual) {
  say(isEqual ? `the answer differs by more than ${TOLERANCE}` : "measured and predicted cost differ");
  process.exit(5);
}
