/**
 * A data set over all lanes: an answer for every row, exactly one, beside the rows that have none and why. Rows are
 * read as lanes have room for them, so that a set of any length takes the same memory, and an answer is written as soon
 * as it is there: a batch that is stopped, by whatever, goes on where it was.
 */
import { answeredRows, lineOf } from "../client/answered-rows.js";
import type { Reading } from "../client/answers.js";
import type { SessionResult } from "../client/owners.js";
import { fail, PumacError } from "../ir/diagnostics.js";
import type { TensorValue } from "../ir/tensor/value.js";
import { BatchOutput, type Tally } from "./batch-output.js";
import type { Lanes } from "./lanes.js";
import { type ReadyRow, RowInputs, type RowInputsOptions } from "./row-inputs.js";
import { countRows, readRows } from "./rows.js";

type Values = ReadonlyMap<string, TensorValue>;

type ClassOf = (outputs: Values, row: number) => number;

/** What a session of a lane is asked and gives. */
export type Answering = Lanes<Values, SessionResult>;

export interface BatchOptions extends RowInputsOptions {
  /** The plan's digest. */
  readonly plan: string;
  /** A .jsonl, .csv or .tsv file. */
  readonly data: string;
  /** Where answers are written, and are there already: .jsonl. */
  readonly output: string;
  readonly reading: Reading;
  /** For a plan of so many rows at a time: the class that the outputs say of one of them, for sets with labels. */
  readonly classOf?: (batch: number) => ClassOf | undefined;
}

export interface BatchResult extends Tally {
  readonly rows: number;
  /** Rows that were answered before this start. */
  readonly before: number;
  /** Texts that were cut now. */
  readonly cut: number;
}

export class Batch {
  /** Rows that were answered before this start. */
  readonly before: number;
  private readonly classOf: ClassOf | undefined;
  private isOver = false;

  private constructor(
    private readonly options: BatchOptions,
    readonly rows: number,
    private readonly inputs: RowInputs,
    private readonly output: BatchOutput,
  ) {
    this.before = output.tally.done;
    this.classOf = options.classOf?.(inputs.batch);
  }

  /** Looks through the set and what is answered already. E0201, E0202 and E0301: neither can be used. */
  static async open(options: BatchOptions): Promise<Batch> {
    const { data, output: path, plan } = options;
    if (!path.endsWith(".jsonl")) {
      throw fail({ code: "E0201", what: `answers cannot be written to '${path}'`, fix: "name a .jsonl file" });
    }
    const { rows, digest } = await countRows(data);
    if (rows === 0) {
      throw fail({ code: "E0202", what: "the data set is empty", where: data });
    }
    const inputs = new RowInputs(options);
    return new Batch(options, rows, inputs, await BatchOutput.open(path, { plan, data: digest }, rows));
  }

  get result(): BatchResult {
    return { ...this.output.tally, rows: this.rows, before: this.before, cut: this.inputs.cut };
  }

  /**
   * Answers every row that has no answer, asking about so many groups of rows at a time: a little more than there are
   * lanes. Ends with what made it impossible to go on; what is written then is kept.
   */
  async answer(lanes: Answering, width: number, onProgress: (done: number, all: number) => void): Promise<void> {
    const groups = this.groups();
    const pump = async (): Promise<void> => {
      while (!this.isOver) {
        const { value, done } = await groups.next();
        if (done === true || this.isOver) {
          return;
        }
        await this.ask(value, lanes);
        onProgress(this.output.tally.done, this.rows);
      }
    };
    const pumps = Array.from({ length: width }, () =>
      pump().catch((error: unknown) => {
        this.isOver = true;
        throw error;
      }),
    );
    const ends = await Promise.allSettled(pumps);
    const failed = ends.find((end) => end.status === "rejected");
    if (failed !== undefined) {
      throw failed.reason;
    }
  }

  close(): void {
    this.output.close();
  }

  /** Rows that are not answered and can be read, as many as the plan takes at a time. */
  private async *groups(): AsyncGenerator<readonly ReadyRow[]> {
    let group: ReadyRow[] = [];
    for await (const row of readRows(this.options.data)) {
      if (this.output.has(row.row)) {
        continue;
      }
      try {
        group.push(await this.inputs.read(row));
      } catch (error) {
        this.refuse(row.row, undefined, error);
        continue;
      }
      if (group.length === this.inputs.batch) {
        yield group;
        group = [];
      }
    }
    if (group.length > 0) {
      yield group;
    }
  }

  private async ask(group: readonly ReadyRow[], lanes: Answering): Promise<void> {
    const inputs = this.inputs.join(group);
    let result: SessionResult;
    try {
      result = await lanes.submit(inputs);
    } catch (error) {
      if (lanes.failure !== undefined) {
        throw error;
      }
      if (group.length > 1) {
        // One of them is the cause: alone, the others have their answers.
        for (const row of group) {
          await this.ask([row], lanes);
        }
        return;
      }
      this.refuse(group[0].row, group[0].label, error);
      return;
    }
    const labels = group.map(({ label }) => label);
    const reading = { labels, batch: this.inputs.batch };
    const answers = await answeredRows([...group.keys()], result, inputs, reading, this.options.reading);
    for (const [i, { row, label }] of group.entries()) {
      const found = label === undefined ? undefined : this.classOf?.(result.outputs, i);
      const right = found === undefined ? {} : { right: found === label };
      this.output.write({ ...lineOf({ ...answers[i], row }), ...right, row });
    }
  }

  /** Writes why a row has no answer; throws what is no row's. */
  private refuse(row: number, label: number | undefined, error: unknown): void {
    if (!(error instanceof PumacError) || error.diagnostics[0].code === "E0201") {
      throw error;
    }
    const [diagnostic] = error.diagnostics;
    const named = label === undefined ? {} : { label };
    const { code, what, why } = diagnostic;
    const said = code === "E0503" ? { withheld: true } : { error: { code, what, ...(why !== undefined && { why }) } };
    this.output.write({ row, ...said, ...named });
  }
}
