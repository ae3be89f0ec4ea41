/**
 * What a plan says of its approximations: each formula that the lowering used, once, with the window on which it was
 * fitted, its largest error there and what it gives outside. The error is that of the formula in exact arithmetic, over
 * a dense grid; rounding in fixed point comes on top (docs/accuracy.md measures both together).
 */
import { createHash } from "node:crypto";
import type { Formula } from "../../ir/plan/types.js";

/** A part of the argument's axis, on which the formula gives `value` for `exact`. Parts may overlap: either holds. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  readonly value: (x: number) => number;
  readonly exact: (x: number) => number;
}

export interface Note {
  readonly function: string;
  readonly profile: Formula["profile"];
  readonly form: string;
  readonly distance: Formula["distance"];
  readonly outside: string;
  /** A heading of docs/numerics.md. */
  readonly section: string;
  /** Where the formula holds, if that is less than where its pieces do. */
  readonly window?: readonly [number, number];
  /** What the digest is of. */
  readonly coefficients: readonly number[];
  readonly pieces: readonly Piece[];
}

export interface NotedFormula extends Formula {
  readonly pieces: readonly Piece[];
}

const GRID = 800;
/** A grid misses the very peak by less than this. */
const GRID_SLACK = 1.02;

/** The formulas of one lowering. A formula of buckets grows by those that further values need. */
export class FormulaNotes {
  private readonly notes = new Map<string, Note[]>();

  /** Notes a formula, or a part of one, under a key; `part` tells parts apart. */
  add(key: string, part: string, make: () => Note): void {
    const parts = this.notes.get(key) ?? [];
    this.notes.set(key, parts);
    if (!this.known.has(`${key} ${part}`)) {
      this.known.add(`${key} ${part}`);
      parts.push(make());
    }
  }

  private readonly known = new Set<string>();

  /** All of them, by name. */
  finish(): readonly NotedFormula[] {
    const formulas = [...this.notes.values()].map(joined);
    const keyOf = (formula: Formula) => `${formula.function} ${formula.window} ${formula.digest}`;
    return formulas.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }
}

function joined(parts: readonly Note[]): NotedFormula {
  const ordered = [...parts].sort((a, b) => a.pieces[0].from - b.pieces[0].from);
  const [{ function: name, profile, form, distance, outside, section }] = ordered;
  const pieces = ordered.flatMap((note) => note.pieces);
  const windows = ordered.map(({ window, pieces: own }) => window ?? [own[0].from, own.at(-1)!.to]);
  const low = Math.min(...windows.map(([from]) => from));
  const high = Math.max(...windows.map(([, to]) => to));
  return {
    function: name,
    profile,
    window: `[${short(low)}, ${short(high)}]`,
    form: parts.length === 1 ? form : `${parts.length} buckets, each ${form}`,
    maxError: roundedUp(Math.max(...pieces.map((piece) => largestError(piece, distance))) * GRID_SLACK),
    distance,
    outside,
    section,
    digest: createHash("sha256")
      .update(JSON.stringify(ordered.map(({ coefficients }) => coefficients)))
      .digest("hex")
      .slice(0, 16),
    pieces,
  };
}

/** The largest error of a piece over a grid of `points`. */
export function largestError({ from, to, value, exact }: Piece, distance: Formula["distance"], points = GRID): number {
  let most = 0;
  for (let i = 0; i <= points; i++) {
    const x = from + ((to - from) * i) / points;
    const wanted = exact(x);
    most = Math.max(most, Math.abs(value(x) - wanted) / (distance === "relative" ? Math.abs(wanted) : 1));
  }
  return most;
}

function short(x: number): string {
  return String(Number(x.toPrecision(4)));
}

/** Two digits, never less than the number. */
function roundedUp(x: number): number {
  if (x === 0) {
    return 0;
  }
  const near = Number(x.toPrecision(2));
  const unit = Number(near.toExponential(1).replace(/^[0-9.]+/, "0.1"));
  return near >= x ? near : Number((near + unit).toPrecision(2));
}
