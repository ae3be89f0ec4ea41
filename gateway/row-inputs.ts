/**
 * A row of a data set as the inputs of a plan: a text by the model's tokenizer, or the model's inputs by name. A plan
 * of batch B takes B rows at a time: each is read alone, so that a bad one is no other's, and then put beside others.
 */
import { fitted } from "../formats/fitted.js";
import { LABELS, TEXTS } from "../formats/table.js";
import { tensorOfArrays } from "../formats/tensor-files.js";
import { type Encoder, textInputs, usualValue } from "../formats/text.js";
import { fail, PumacError } from "../ir/diagnostics.js";
import { sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import type { Row } from "./rows.js";

type Types = ReadonlyMap<string, TensorType>;
type Values = ReadonlyMap<string, TensorValue>;

/** A row that can be asked about: its part of every input, and its class where the set says it. */
export interface ReadyRow {
  readonly row: number;
  readonly inputs: Values;
  readonly label: number | undefined;
}

export interface RowInputsOptions {
  /** The plan's inputs. */
  readonly expected: Types;
  readonly encoder: Encoder | undefined;
  /** Whether longer texts are cut. */
  readonly truncate: boolean;
}

export class RowInputs {
  /** Rows that the plan takes at a time. */
  readonly batch: number;
  /** Texts that were cut. */
  cut = 0;
  /** The inputs for one row. */
  private readonly single: Types;

  constructor(private readonly options: RowInputsOptions) {
    const [first] = options.expected.values();
    this.batch = first === undefined || first.shape.length < 2 ? 1 : first.shape[0];
    const isWhole = this.batch === 1;
    const one = ({ dtype, shape }: TensorType): TensorType => ({
      dtype,
      shape: isWhole ? shape : [1, ...shape.slice(1)],
    });
    this.single = new Map([...options.expected].map(([name, type]) => [name, one(type)]));
  }

  /** What the row gives. E0201 for a text without tokenizer, E0202 for what does not fit the plan. */
  async read({ row, cells, problem }: Row): Promise<ReadyRow> {
    if (cells === undefined) {
      throw fail({ code: "E0202", what: problem ?? "it is no row" });
    }
    const label = labelOf(cells);
    const given = [...this.single.keys()].filter((name) => cells[name] !== undefined);
    const text = given.length === 0 ? TEXTS.find((name) => typeof cells[name] === "string") : undefined;
    if (text === undefined && given.length === 0) {
      const fix = `give a column ${TEXTS[0]}, or the model's inputs: ${[...this.single.keys()].join(", ")}`;
      throw fail({ code: "E0202", what: "the row has neither a text nor an input of the plan", fix });
    }
    const found = text === undefined ? this.fromCells(cells) : await this.fromText(cells[text] as string);
    return { row, label, inputs: this.complete(found) };
  }

  /** Rows beside each other: as many as the plan takes, the last one again where there are fewer. */
  join(rows: readonly ReadyRow[]): Values {
    return new Map(
      [...this.options.expected].map(([name, { dtype, shape }]) => {
        const data = new Float64Array(sizeOf(shape));
        const length = data.length / this.batch;
        for (let i = 0; i < this.batch; i++) {
          data.set(rows[Math.min(i, rows.length - 1)].inputs.get(name)!.data, i * length);
        }
        return [name, { dtype, shape, data }];
      }),
    );
  }

  private async fromText(text: string): Promise<Values> {
    const { encoder, truncate } = this.options;
    if (encoder === undefined) {
      throw fail({ code: "E0201", what: "text needs a tokenizer", fix: "add --tokenizer path/to/tokenizer.json" });
    }
    const tokens = await encoder.encode([text]);
    const onCut = truncate ? () => void this.cut++ : undefined;
    return textInputs(encoder.paddingId, tokens, this.single, onCut);
  }

  private fromCells(cells: Readonly<Record<string, unknown>>): Values {
    const named = [...this.single].filter(([name]) => cells[name] !== undefined);
    return new Map(named.map(([name, type]) => [name, fromCell(name, cells[name], type)]));
  }

  private complete(found: Values): Values {
    return new Map(
      [...this.single].map(([name, type]) => {
        const value = found.get(name) ?? usualValue(name, type)?.value;
        if (value === undefined) {
          throw fail({ code: "E0202", what: `the row has no input '${name}'` });
        }
        return [name, value];
      }),
    );
  }
}

/** Nested lists, which a table holds as JSON; of the plan's shape, with or without a first dimension of one row. */
function fromCell(name: string, cell: unknown, type: TensorType): TensorValue {
  try {
    const { shape, ...rest } = tensorOfArrays(typeof cell === "string" ? JSON.parse(cell) : cell);
    const isBare = type.shape[0] === 1 && shape.join() === type.shape.slice(1).join();
    return fitted(name, { ...rest, shape: isBare ? type.shape : shape }, type);
  } catch (error) {
    if (error instanceof PumacError) {
      throw error;
    }
    throw fail({ code: "E0202", what: "the cell is no tensor", where: name, fix: "write numbers in nested lists" });
  }
}

/** The row's class: a whole number from 0; -1 and none are none. */
function labelOf(cells: Readonly<Record<string, unknown>>): number | undefined {
  const name = LABELS.find((each) => cells[each] !== undefined);
  if (name === undefined) {
    return undefined;
  }
  const cell = cells[name];
  const label = typeof cell === "string" && cell.trim() === "" ? Number.NaN : Number(cell);
  if (!Number.isInteger(label) || label < -1) {
    throw fail({ code: "E0202", what: "the row's label is no class number", fix: "write whole numbers from 0, or -1" });
  }
  return label === -1 ? undefined : label;
}
