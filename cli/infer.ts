/** `pumac infer`: a data owner asks the parties of a topology; what is given and shown is as with `run`. */
import type { Command } from "commander";
import { inputValues } from "../client/inputs.js";
import { dataInputs, runDataOwner } from "../client/owners.js";
import { askParties, sharedByDataOwner } from "../client/remote/ask.js";
import { traceInto } from "../client/trace.js";
import { loadPlan } from "../formats/plan-file.js";
import { loadTopology } from "../formats/topology.js";
import {
  type AnswerFlags,
  answerOptions,
  checkNames,
  presentRun,
  readingOf,
  sayFirst,
  whatIsFilled,
} from "./run-common.js";
import { parseSeconds, printNote } from "./terminal.js";

interface InferFlags extends AnswerFlags {
  readonly topology: string;
  readonly sharing?: string;
  readonly timeout: number;
}

export function addInfer(program: Command): void {
  answerOptions(program.command("infer").description("ask the parties of a topology, which keep the model's shares"))
    .requiredOption("--topology <file>", "this data owner's topology (pumac init)")
    .option("--sharing <id>", "which sharing of the weights (default: the newest that all parties keep)")
    .option("--timeout <seconds>", "how long a silent party is waited for", parseSeconds, 60)
    .option("--trace <file>", "write what all sides did when, for Perfetto (Chrome's trace events)")
    .action(async (planPath: string, flags: InferFlags) => {
      const loaded = loadPlan(planPath);
      const topology = loadTopology(flags.topology);
      checkNames(loaded.plan, flags);
      const reading = readingOf(flags);
      sayFirst(loaded.plan);
      const inputs = await whatIsFilled(flags, (given) => inputValues(given, dataInputs(loaded.plan)));
      const answer = await askParties(loaded, runDataOwner(loaded.plan, inputs, new Map()), {
        topology,
        timeout: flags.timeout * 1000,
        sharing: flags.sharing,
        onTrace: traceInto(flags, loaded.digest),
        onPlace: (party, place) => printNote(`waiting at ${party}, place ${place}`),
      });
      await presentRun({ loaded, inputs, reading, inputBytes: sharedByDataOwner(loaded.plan) }, answer, flags);
    });
}
