/**
 * `npm run accuracy`: trained models by the three simulated roles against the plain models, in both profiles.
 * `-- sst2`, `sort` or `stories` take some of the sets, `--profile NAME` one profile, `--count N` the first N items.
 * A stopped run goes on where it was (`--fresh`: from the start). A whole set's result is written to docs/accuracy.json
 * and into docs/accuracy.md. Exit 5 where a bound is missed, 3 where a set is not at hand.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { sortTask, storiesTask } from "./accuracy/decoders.js";
import { Ledger, recordResult } from "./accuracy/ledger.js";
import { describeResult, missed, resultOf } from "./accuracy/result.js";
import { sst2Task } from "./accuracy/sst2.js";
import { DATA, type Item, PROFILES, type Profile, type SetName, type Task } from "./accuracy/task.js";
import { printNote, printResult, startProgress } from "./terminal.js";

interface SetEntry {
  readonly make: (profile: Profile) => Promise<Task>;
  /** What must be there. */
  readonly needs: string;
}

const SETS: Readonly<Record<SetName, SetEntry>> = {
  sort: { make: (profile) => sortTask(profile, DATA), needs: join(DATA, "gpt-nano-sort") },
  stories: { make: (profile) => storiesTask(profile, DATA), needs: join(DATA, "llama-stories260k") },
  sst2: { make: (profile) => sst2Task(profile, join("models", "bert-sst2"), DATA), needs: "models" },
};

/** Runs items until `count` of them are there. */
async function runTask(task: Task, count: number, isFresh: boolean): Promise<readonly Item[]> {
  const ledger = new Ledger(task);
  const items: Item[] = isFresh ? [] : [...ledger.resume()];
  if (items.length === 0) {
    ledger.begin();
  } else {
    printNote(`${task.set}, ${task.profile}: goes on after ${items.length} ${task.unit}`);
  }
  const progress = startProgress(`${task.set}, ${task.profile}`);
  try {
    while (items.length < count) {
      const done = await task.run(items.length);
      items.push(...done);
      ledger.append(done);
      progress.update(Math.min(items.length, count), count);
    }
  } finally {
    progress.stop();
  }
  if (items.length >= task.total) {
    ledger.end();
  }
  return items.slice(0, count);
}

async function runSet(set: SetName, profile: Profile, limit: number, isFresh: boolean): Promise<boolean> {
  const task = await SETS[set].make(profile);
  const items = await runTask(task, Math.min(task.total, limit), isFresh);
  const result = resultOf(task, items, new Date().toISOString().slice(0, 10));
  printResult(`${describeResult(result)}\n`);
  const misses = missed(result, task.bounds);
  for (const words of misses) {
    printNote(`${set}, ${profile}: ${words}`);
  }
  // Without the sentences of SST-2 the set is the 20 bundled ones, which have no labels.
  if (items.length === task.total && result.right.labelled > 0) {
    recordResult(result);
  }
  return misses.length === 0;
}

function isOneOf<T extends string>(name: string, known: readonly T[]): name is T {
  return known.some((each) => each === name);
}

async function main(): Promise<number> {
  const options = { count: { type: "string" }, profile: { type: "string" }, fresh: { type: "boolean" } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const names = Object.keys(SETS) as SetName[];
  const wrong = [
    ...positionals.filter((name) => !isOneOf(name, names)),
    ...(values.profile === undefined || isOneOf(values.profile, PROFILES) ? [] : [values.profile]),
    ...(/^[1-9]\d*$/.test(values.count ?? "1") ? [] : [`count ${values.count}`]),
  ];
  if (wrong.length > 0) {
    printNote(`there is no ${wrong.join(", no ")}: sets are ${names.join(", ")}, profiles ${PROFILES.join(", ")}`);
    return 2;
  }
  const limit = values.count === undefined ? Number.POSITIVE_INFINITY : Number(values.count);
  let status = 0;
  for (const set of positionals.length === 0 ? names : (positionals as SetName[])) {
    if (!existsSync(SETS[set].needs)) {
      printNote(`${set} is not at hand: PUMAC_DATA should name the folder with ${SETS[set].needs}`);
      status = Math.max(status, 3);
      continue;
    }
    for (const profile of PROFILES.filter((each) => values.profile === undefined || each === values.profile)) {
      status = (await runSet(set, profile, limit, values.fresh === true)) ? status : 5;
    }
  }
  return status;
}

process.exitCode = await main();
