/**
 * What is kept on disk: the results of a run that is under way, so that a stopped one goes on where it was, and the
 * measured results of whole sets, from which docs/accuracy.md has its table.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { FOR_ALL, writeWhole } from "../../formats/files.js";
import { modelTable, type Result } from "./result.js";
import type { Item, Task } from "./task.js";

const UNDER_WAY = join(".cache", "accuracy");
const RESULTS = join("docs", "accuracy.json");
const PAGE = join("docs", "accuracy.md");
const START = "<!-- trained models: written by npm run accuracy from accuracy.json -->";
const END = "<!-- end of trained models -->";

/** Items of one run, a line each, under the digest of the plan that gave them. */
export class Ledger {
  private readonly path: string;

  constructor(
    private readonly task: Task,
    folder = UNDER_WAY,
  ) {
    this.path = join(folder, `${task.set}-${task.profile}.jsonl`);
  }

  /** The items of a run of the same plan that was stopped; none if there was none. */
  resume(): readonly Item[] {
    if (!existsSync(this.path)) {
      return [];
    }
    const [head, ...lines] = readFileSync(this.path, "utf8").split("\n");
    if ((JSON.parse(head) as { digest: string }).digest !== this.task.digest) {
      return [];
    }
    // The last line may be cut off: whoever stopped the run did not wait for it.
    return lines.slice(0, -1).flatMap((line) => JSON.parse(line) as Item[]);
  }

  begin(): void {
    mkdirSync(dirname(this.path), { recursive: true });
    writeFileSync(this.path, `${JSON.stringify({ digest: this.task.digest })}\n`);
  }

  append(items: readonly Item[]): void {
    appendFileSync(this.path, `${JSON.stringify(items)}\n`);
  }

  end(): void {
    rmSync(this.path);
  }
}

interface ResultsFile {
  readonly schema: "pumac.accuracy/1";
  readonly results: readonly Result[];
}

export function readResults(path = RESULTS): readonly Result[] {
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as ResultsFile).results : [];
}

/** Puts a result in its place, and writes the page's table anew. */
export function recordResult(result: Result): void {
  const others = readResults().filter(({ set, profile }) => set !== result.set || profile !== result.profile);
  const order = ({ set, profile }: Result): string => `${["sst2", "sort", "stories"].indexOf(set)} ${profile}`;
  const results = [...others, result].sort((a, b) => order(a).localeCompare(order(b)));
  const file: ResultsFile = { schema: "pumac.accuracy/1", results };
  writeWhole(RESULTS, "the results", `${JSON.stringify(file, undefined, 2)}\n`, FOR_ALL);
  writeWhole(PAGE, "the page", withTable(readFileSync(PAGE, "utf8"), results), FOR_ALL);
}

/** The page with the table of these results between its markers; at its end if it has none. */
export function withTable(page: string, results: readonly Result[]): string {
  const block = `${START}\n${modelTable(results)}\n${END}`;
  const [start, end] = [page.indexOf(START), page.indexOf(END)];
  return start < 0 || end < start
    ? `${page.trimEnd()}\n\n${block}\n`
    : page.slice(0, start) + block + page.slice(end + END.length);
}
