/**
 * How soon a question begins to be answered by parties that stay and keep its weights.
 *
 *     npm run bench:start -- [MODEL] [TOKENS] [QUESTIONS]      default: bert-base, 128 tokens, 8 questions
 *
 * From the moment in which the data owner has its inputs (token ids) to the one in which all three parties agree, to
 * the one in which all have their shares and begin to run, and to the end of the first online round, which has the
 * first products in it. Clocks are aligned as traces are. The first question does not count: parties have checked their
 * files and laid the plan out then. Other work on the machine only adds to what is shown: the least says most; and the
 * processor time until then, of the data owner (all of its question) and of the busiest party (before its run), which
 * together are no less than what an idle machine takes.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inputsFor } from "../analysis/bench/clear.js";
import { startTrio } from "../client/local/trio.js";
import { dataInputs, runDataOwner } from "../client/owners.js";
import { askParties } from "../client/remote/ask.js";
import type { SessionTrace } from "../client/trace.js";
import { compileModel } from "../compiler/compile.js";
import { savePlan } from "../formats/plan-file.js";
import { writeArchitecture } from "../models/architectures/index.js";
import { PARTIES } from "../runtime/transport.js";
import { printNote, printResult } from "./terminal.js";

const [name = "bert-base", tokens = "128", questions = "8"] = process.argv.slice(2);
const TIMEOUT = 600_000;
const REST = 2000;

/** Milliseconds from the data owner's zero: the last of the parties in which a part begins, or its first round ends. */
function lastOf(trace: SessionTrace, part: string): number {
  const times = PARTIES.flatMap((party) => {
    const { zero, trace: own } = trace.get(party)!;
    const at = part === "first round" ? own.rounds[0] : own.parts.find(([called]) => called === part)?.[1];
    return at === undefined ? [] : [zero + at];
  });
  return Math.max(...times) / 1000;
}

const folder = mkdtempSync(join(tmpdir(), "pumac-bench-"));
try {
  printNote(`${name}, ${tokens} tokens …`);
  const { path, ...reveal } = writeArchitecture(folder, name, Number(tokens));
  const { plan, weights } = await compileModel(path, { ...reveal, assumeRanges: true });
  const planPath = join(folder, "plan.pumac");
  const loaded = savePlan(planPath, plan, { model: path });
  const inputs = inputsFor(dataInputs(plan));
  const plans = [{ ...loaded, weights, file: readFileSync(planPath) }];
  const { topology, close } = await startTrio({ plans, timeout: TIMEOUT });
  const found = {
    agreed: [] as number[],
    begun: [] as number[],
    "first round": [] as number[],
    processors: [] as number[],
  };
  try {
    for (let i = 0; i <= Number(questions); i++) {
      // What the question before has left is cleared away: a request comes to parties that do nothing.
      await new Promise((resolve) => setTimeout(resolve, REST));
      const before = process.cpuUsage();
      const began = performance.now();
      const values = runDataOwner(plan, inputs, new Map());
      const onTrace = (trace: SessionTrace): void => {
        // It is whole when its last part begins: now.
        const zero = performance.now() - began - trace.get("data")!.trace.parts.at(-1)![1] / 1000;
        if (i > 0) {
          found.agreed.push(zero + lastOf(trace, "input"));
          found.begun.push(zero + lastOf(trace, "running"));
          found["first round"].push(zero + lastOf(trace, "first round"));
        }
      };
      const options = { topology, timeout: TIMEOUT, showAlarmed: true, onTrace };
      const { measured } = await askParties(loaded, values, options);
      const { user, system } = process.cpuUsage(before);
      const parties = PARTIES.map((party) => 1000 * ((measured.cpu[party] ?? 0) - (measured.cpuOfRun[party] ?? 0)));
      if (i > 0) {
        found.processors.push((user + system) / 1000 + Math.max(...parties));
      }
      printNote(
        `owner ${((user + system) / 1000).toFixed(0)} ms, parties ${parties.map((ms) => ms.toFixed(0)).join(", ")} ms`,
      );
    }
  } finally {
    close();
  }
  for (const [what, times] of Object.entries(found)) {
    const sorted = times.toSorted((a, b) => a - b);
    const [least, median] = [sorted[0], sorted[sorted.length >> 1]].map((ms) => ms.toFixed(0));
    printResult(`${what}: ${least} ms at best, median ${median}, of ${sorted.length}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
