/** `pumac generate`: a language model's text, token by token, from the parties of a topology or from three here. */
import type { Command } from "commander";
import { describeKept, describeWritten, writtenDocument } from "../analysis/measured.js";
import { textOf } from "../client/given.js";
import type { Sampling } from "../client/sampling.js";
import { type Connection, generate, openPlan, type Written } from "../index.js";
import { connectAs, type PartiesFlags, partiesOptions } from "./parties.js";
import { sayFirst } from "./run-common.js";
import { collect, parseCount, printJson, printNote, writePart } from "./terminal.js";

interface GenerateFlags extends PartiesFlags, Sampling {
  readonly tokenizer: string;
  readonly prompt: string;
  readonly chat?: boolean;
  readonly maxTokens: number;
  readonly stop: readonly string[];
  readonly draft?: string;
  readonly json?: boolean;
}

export function addGenerate(program: Command): void {
  partiesOptions(program.command("generate"))
    .description("write text with a language model's plan (compile --context), each token a private question")
    .argument("<plan>", "the plan file that compile wrote")
    .requiredOption("--tokenizer <file>", "the model's tokenizer.json, or llama2.c's tok*.bin")
    .option("--prompt <text>", "what the text begins with: TEXT, @FILE, or - for standard input", "")
    .option("--chat", "the prompt is what a user says: it is put in the model's chat template")
    .option("--max-tokens <number>", "how many tokens to write at most", parseCount, 32)
    .option("--stop <text>", "end before this text; may be given several times", collect, [])
    .option("--temperature <number>", "0 takes the likeliest token (default); above, tokens are drawn", Number)
    .option("--top-k <number>", "draw among so many of the K tokens of compile --reveal topk:K", parseCount)
    .option("--top-p <part>", "draw among the fewest tokens that have this probability together", Number)
    .option("--seed <number>", "draws the same tokens again", Number)
    .option("--draft <model>", "a small public model guesses here what is written, for compile --guesses; same text")
    .option("--json", "print one JSON document (pumac.generate/1)")
    .action(async (planPath: string, flags: GenerateFlags) => {
      const plan = openPlan(planPath, flags.weights);
      sayFirst(plan.plan);
      printNote(describeKept(plan.plan) ?? "the parties keep nothing from one token to the next but the weights");
      const parties = await connectAs(flags, [plan]);
      try {
        await write(parties, flags);
      } finally {
        parties.close();
      }
    });
}

async function write(parties: Connection, flags: GenerateFlags): Promise<void> {
  const { maxTokens, stop: stops, json, tokenizer, temperature, topK, topP, seed, draft } = flags;
  const text = textOf(flags.prompt);
  const prompt = flags.chat === true ? [{ role: "user", content: text } as const] : text;
  const writing = generate(parties, { tokenizer, prompt, maxTokens, stops, temperature, topK, topP, seed, draft });
  const [loaded] = parties.plans;
  const tokens: Written[] = [];
  const started = performance.now();
  let step = await writing.next();
  for (; step.done !== true; step = await writing.next()) {
    tokens.push(step.value);
    if (json !== true) {
      writePart(step.value.text);
    }
  }
  const seconds = (performance.now() - started) / 1000;
  if (json === true) {
    printJson(writtenDocument(loaded, tokens, step.value));
    return;
  }
  writePart("\n");
  printNote(describeWritten(loaded.plan, tokens, seconds, step.value));
}
