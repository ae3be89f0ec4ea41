/**
 * The rings of a share program as an integer programme: every use of a value chooses whether it reads the wide copy;
 * rings, depth and bytes follow. The programme may do more than the planner, whose users read wide copies by a
 * threshold, and rounds no byte up, so its optimum is a lower bound on what any search finds.
 */
import { isOpening } from "../../ir/share/rounds.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { isWidenable } from "../../passes/plan-rings.js";
import type { LinkCost } from "../../passes/rings.js";
import { bytesOf, isWord, type Rings, WIDEN_SECTIONS, WORD } from "../../passes/rings.js";

/** What a node needs of an argument, by its own ring: the larger of a constant and ring + offset. */
interface Demand {
  readonly constant: number;
  /** Undefined where the node's ring does not matter. */
  readonly offset: number | undefined;
}

/** The programme in CPLEX's LP format. Its objective is what `secondsOf` says, in milliseconds. */
export function integerProgramme(rings: Rings, link: LinkCost): string {
  return new Programme(rings, link).text();
}

class Programme {
  private readonly demands: readonly (readonly Demand[])[];
  /** No ring is less, and none is worth more. */
  private readonly low: number[] = [];
  private readonly high: number[] = [];
  private readonly objective: string[] = [];
  private readonly rows: string[] = [];
  private readonly bounds: string[] = [];
  private readonly binaries: string[] = [];
  private readonly perByte: number;

  constructor(
    private readonly rings: Rings,
    link: LinkCost,
  ) {
    this.perByte = link.secondsPerByte * 1000;
    this.objective.push(`${link.secondsPerRound * 1000} D`);
    this.demands = rings.nodes.map((node, i) => node.args.map((_, position) => demandOf(rings, i, position)));
    for (let i = rings.nodes.length - 1; i >= 0; i--) {
      this.boundRing(i);
    }
    for (let i = 0; i < rings.nodes.length; i++) {
      this.addNode(i);
    }
  }

  text(): string {
    const list = (title: string, lines: readonly string[]) => `${title}\n ${lines.join("\n ")}\n`;
    const objective = list("Minimize", [`seconds: ${this.objective.join("\n + ")}`]);
    const rest = list("Subject To", this.rows) + list("Bounds", this.bounds);
    return `${objective}${rest}${this.binaries.length > 0 ? list("Binary", this.binaries) : ""}End\n`;
  }

  /** Between what cannot be read from a wide copy, and what would be needed if nothing were widened. */
  private boundRing(i: number): void {
    const { rings } = this;
    let [low, high] = [rings.leastOf(i), rings.leastOf(i)];
    for (const { user, position } of rings.usesOf(i)) {
      const { constant, offset } = this.demands[user][position];
      const atLeast = offset === undefined ? constant : Math.max(constant, this.low[user] + offset);
      low = this.mayReadWide(user, position) ? low : Math.max(low, atLeast);
      high = Math.max(high, this.largest(user, position));
    }
    this.low[i] = isWord(rings.nodes[i].type) ? low : 0;
    this.high[i] = isWord(rings.nodes[i].type) ? Math.min(WORD, Math.max(high, rings.rangeOf(i))) : 0;
  }

  private largest(user: number, position: number): number {
    const { constant, offset } = this.demands[user][position];
    return offset === undefined ? constant : Math.max(constant, this.high[user] + offset);
  }

  private mayReadWide(user: number, position: number): boolean {
    const value = this.rings.argumentOf(user, position);
    return isWidenable(this.rings, value) && this.largest(user, position) > this.rings.rangeOf(value);
  }

  private addNode(i: number): void {
    const { rings, low, high } = this;
    this.bounds.push(`${low[i]} <= r${i} <= ${high[i]}`);
    this.addBytes(i);
    for (let position = 0; position < rings.nodes[i].args.length; position++) {
      this.addUse(i, position);
    }
    const wide = rings.usesOf(i).filter(({ user, position }) => this.mayReadWide(user, position));
    if (wide.length > 0) {
      this.bounds.push(`0 <= w${i} <= ${WORD}`, `g${i} >= 0`);
      this.rows.push(`g${i} - w${i} + r${i} >= 0`);
      const bytes = (sizeOf(rings.nodes[i].type.shape) * WIDEN_SECTIONS) / 8;
      this.objective.push(`${bytes * this.perByte} g${i}`);
    }
    this.rows.push(`D - d${i} >= 0`);
  }

  /** What a node sends is a line in its own ring, but for bytes that are rounded up: here the line below. */
  private addBytes(i: number): void {
    const [low, high] = [this.low[i], this.high[i]];
    const bytesAt = (ring: number) => {
      const demands = this.rings.demandsFor(i, ring);
      return bytesOf(this.rings.nodes[i], (position) => demands[position], ring);
    };
    const slope = high > low ? (bytesAt(high) - bytesAt(low)) / (high - low) : 0;
    const least = Math.min(...Array.from({ length: high - low + 1 }, (_, k) => bytesAt(low + k) - slope * (low + k)));
    if (slope > 0) {
      this.objective.push(`${slope * this.perByte} r${i}`);
    }
    if (least !== 0) {
      this.bounds.push(`c${i} = 1`);
      this.objective.push(`${least * this.perByte} c${i}`);
    }
  }

  private addUse(user: number, position: number): void {
    const { rings, demands, low, high } = this;
    const value = rings.argumentOf(user, position);
    const { constant, offset } = demands[user][position];
    const opens = isOpening(rings.nodes[user]) ? 1 : 0;
    if (!this.mayReadWide(user, position)) {
      this.rows.push(`d${user} - d${value} >= ${opens}`, `r${value} >= ${constant}`);
      if (offset !== undefined) {
        this.rows.push(`r${value} - r${user} >= ${offset}`);
      }
      return;
    }
    const y = `y${user}_${position}`;
    this.binaries.push(y);
    this.rows.push(`d${user} - d${value} - ${y} >= ${opens}`);
    this.rows.push(`r${value} + ${Math.max(0, constant - low[value])} ${y} >= ${constant}`);
    this.rows.push(`w${value} - ${constant} ${y} >= 0`);
    // A value that is widened is first one of its own range.
    this.rows.push(`r${value} - ${Math.max(0, rings.rangeOf(value) - low[value])} ${y} >= ${low[value]}`);
    if (offset !== undefined) {
      const most = high[user] + offset;
      this.rows.push(`r${value} - r${user} + ${Math.max(0, most - low[value])} ${y} >= ${offset}`);
      this.rows.push(`w${value} - r${user} - ${most} ${y} >= ${offset - most}`);
    }
  }
}

function demandOf(rings: Rings, node: number, position: number): Demand {
  const at = (ring: number) => rings.demandsFor(node, ring)[position];
  if (!isWord(rings.nodes[node].type)) {
    return { constant: at(0), offset: undefined };
  }
  const constant = at(1);
  const offset = at(WORD) === constant ? undefined : at(WORD) - WORD;
  for (let ring = 1; ring <= WORD; ring++) {
    if (at(ring) !== Math.max(constant, offset === undefined ? 0 : ring + offset)) {
      throw new Error(`what ${rings.nodes[node].op} needs is no line in its ring`);
    }
  }
  return { constant, offset };
}
