/** `pumac batch`: an answer for every row of a set, over all lanes; it goes on where an earlier start was stopped. */
import type { Command } from "commander";
import { batchDocument, classesOf, describeBatch, describeProgress } from "../analysis/data/batch.js";
import { lanesCarried } from "../analysis/memory.js";
import { dataInputs } from "../client/owners.js";
import { tokenizerIn } from "../formats/checkpoint.js";
import { Batch } from "../gateway/batch.js";
import { withLanesFrom } from "../gateway/open-lanes.js";
import { openForSharing, openPlan } from "../index.js";
import { fail } from "../ir/diagnostics.js";
import { interrupted } from "./exit.js";
import { type RunFlags, readingOf, sayFirst } from "./run-common.js";
import { collect, parseCount, parseSeconds, printJson, printNote, printResult, startProgress } from "./terminal.js";

interface BatchFlags extends Pick<RunFlags, "tokenizer" | "truncate" | "labels" | "weights" | "trustPlan" | "json"> {
  readonly data: string;
  readonly output: string;
  readonly topology: readonly string[];
  readonly local?: boolean;
  readonly lanes?: number;
  readonly sharing?: string;
  readonly queue?: string;
  readonly queueCredentials?: string;
  readonly timeout: number;
}

export function addBatch(program: Command): void {
  program
    .command("batch")
    .description("answer every row of a data set over one or more lanes; goes on where it was stopped")
    .argument("<plan>", "the plan file that compile wrote")
    .requiredOption("--data <file>", "a data set, a row each: .jsonl, .csv or .tsv, with labels or without")
    .requiredOption("--output <file>", "where answers are written, a line each: .jsonl")
    .option("--tokenizer <file>", "the model's tokenizer.json, for texts")
    .option("--truncate", "cut texts that are longer than the plan")
    .option("--labels <file>", "what the classes are called")
    .option("--topology <file>", "ask the parties of this topology; several: a lane each", collect, [])
    .option("--local", "start parties on this machine and share the model with them first: no privacy")
    .option(
      "--lanes <number>",
      "of each topology, or with --local (default: as many as the machine carries)",
      parseCount,
    )
    .option("--sharing <id>", "which sharing of the weights (default: the newest that all parties keep)")
    .option("--queue <url>", "a NATS server with JetStream (default: a queue in this process)")
    .option("--queue-credentials <file>", "its credentials")
    .option("--weights <file>", "with --local: the model, where it is not the one the plan names", collect, [])
    .option("--trust-plan <digest>", "with --local: share without compiling the model again", collect, [])
    .option("--timeout <seconds>", "how long a silent party is waited for", parseSeconds, 60)
    .option("--json", "print one JSON document (pumac.batch/1)")
    .action(batchOrRefuse);
}

async function batchOrRefuse(planPath: string, flags: BatchFlags): Promise<void> {
  const { data, output, truncate = false, local = false, topology: topologies, sharing, json } = flags;
  const loaded = openPlan(planPath, flags.weights);
  if ((topologies.length === 0) === !local || flags.lanes === 0) {
    throw fail({ code: "E0201", what: "which parties are to be asked?", fix: "add --topology FILE, or --local" });
  }
  sayFirst(loaded.plan);
  const tokenizer = flags.tokenizer ?? (local ? tokenizerIn(loaded.files().model) : undefined);
  const reading = readingOf({ ...flags, ...(tokenizer !== undefined && { tokenizer }) }, local ? loaded : undefined);
  const expected = dataInputs(loaded.plan);
  const options = { data, output, truncate, reading, expected, encoder: reading.encoder, plan: loaded.digest };
  const batch = await Batch.open({ ...options, classOf: (each) => classesOf(loaded.plan, each) });
  const lanes = flags.lanes ?? (local ? lanesCarried(loaded.plan) : 1);
  const all = lanes * Math.max(1, topologies.length);
  const sharingBar = startProgress("sharing weights");
  const trust = { trusted: flags.trustPlan, signal: interrupted };
  const plans = () => openForSharing([loaded], [], trust);
  const here = { plans, signal: interrupted, onProgress: sharingBar.update };
  if (local) {
    printNote("All parties run on this machine: this shows how it works, and gives no privacy.");
  }
  const parties = {
    loaded,
    lanes,
    topologies,
    sharing,
    local: local ? here : undefined,
    timeout: 1000 * flags.timeout,
  };
  let began = performance.now();
  const queue = { server: flags.queue, credentials: flags.queueCredentials, capacity: 4 * all, onTrouble: printNote };
  try {
    if (batch.before < batch.rows) {
      await withLanesFrom({ ...parties, ...queue }, (opened) => {
        sharingBar.stop();
        began = performance.now();
        const { update, stop } = startProgress("answering", describeProgress(batch.before));
        return batch.answer(opened, 2 * all, update).finally(stop);
      });
    }
  } finally {
    sharingBar.stop();
    batch.close();
  }
  const run = { digest: loaded.digest, data, output, lanes: all, seconds: (performance.now() - began) / 1000 };
  if (json === true) {
    printJson(batchDocument(run, batch.result));
  } else {
    describeBatch(run, batch.result).forEach(printResult);
  }
}
