/** `pumac verify`: whether a plan is of a model, before anybody shares weights for it. */
import type { Command } from "commander";
import { openPlan, verify } from "../index.js";
import { interrupted } from "./exit.js";
import { printJson, printResult } from "./terminal.js";

interface VerifyFlags {
  readonly model?: string;
  readonly weights?: string;
  readonly json?: boolean;
}

export function addVerify(program: Command): void {
  program
    .command("verify")
    .description("compile a model again as its plan says, and compare byte for byte (exit 8 where they differ)")
    .argument("<plan>", "the plan file that compile wrote")
    .option("--model <file>", "the model (default: the one the plan was compiled from)")
    .option("--weights <file>", "JAX: the .safetensors file with the weights")
    .option("--json", "print one JSON document (pumac.verify/1)")
    .action(verifyCommand);
}

async function verifyCommand(path: string, { model, weights, json }: VerifyFlags): Promise<void> {
  const given = [model, weights].filter((file) => file !== undefined);
  const plan = openPlan(path, given);
  await verify(plan, { signal: interrupted });
  if (json === true) {
    printJson({ schema: "pumac.verify/1", plan: { digest: plan.digest }, verified: true });
  } else {
    printResult(`${path}: the model gives this plan, byte for byte\ndigest ${plan.digest}`);
  }
}
