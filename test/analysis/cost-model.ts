/**
 * The made parts of docs/cost-model.md: what each share op costs, as formulas that are checked against the op table,
 * and a layer of the bundled BERT, counted by the same formulas with numbers in the place of their letters.
 */

import { runInNewContext } from "node:vm";
import { type CostedStep, costedSteps } from "../../analysis/cost.js";
import { nameInLayer } from "../../analysis/origins.js";
import { Builder, type Node } from "../../ir/graph.js";
import type { Plan, Step } from "../../ir/plan/types.js";
import { decayWords } from "../../ir/share/decays.js";
import { SHARE, type ShareOpName, type ShareType } from "../../ir/share/index.js";

type ShareNode = Node<ShareType>;

/** What the formulas are checked at: n elements in a ring of k bits. */
const N = 1200;
const K = 40;
const WIDE = 54;
const WIDTH = 5;
const HARMONICS = 3;

interface Formula {
  readonly text: string;
  readonly bits: number;
}

interface Row {
  readonly about: string;
  /** Makes the op in a builder, from inputs of N elements. */
  readonly make: (emit: (op: ShareOpName, args: readonly ShareNode[], attributes?: object) => ShareNode) => ShareNode;
  /** Bits from P0 to P2 for each element. */
  readonly offline: Formula;
  /** Bits from P1 to P2, and as many back, for each element. */
  readonly online: Formula;
}

const NOTHING: Formula = { text: "0", bits: 0 };

type Emit = Parameters<Row["make"]>[0];

const x = (emit: Emit, name = "x", shape: readonly number[] = [N]) =>
  emit("input", [], { owner: "data", name, ring: K, fraction: 6, shape });
const bitsOf = (emit: Emit, name = "x") => emit("remaskBits", [emit("topBit", [x(emit, name)], { offset: 0 })]);

const FRACTIONS = { publicFraction: 14, secretFraction: 14, ring: K };
const DROPS = [0, 2, 3];
const DROPPED = 5;
const SERIES = {
  ...{ angle: 14, frequencies: [1, 2, 3], cosines: [1, 1, 1], sines: [0, 0, 0], drops: DROPS, constant: 0 },
  ...{ coefficientFraction: 24, ...FRACTIONS },
};

/** Two terms, of digits of 4 and of 2 bits. */
const DECAYS = {
  ...{ bits: 12, buckets: [8, 10], rates: [2 ** 20, 2 ** 18], coefficients: [1, 1] },
  ...{ publicFraction: 12, secretFraction: 12, drop: 6, ring: WIDE },
};

const ROWS: Readonly<Partial<Record<ShareOpName, Row>>> = {
  multiply: {
    about: "element of the result",
    make: (emit) => emit("multiply", [x(emit), x(emit, "y")], { drop: 0 }),
    offline: { text: "k", bits: K },
    online: NOTHING,
  },
  matmul: {
    about: "element of the result, whatever the inner dimension",
    make: (emit) => emit("matmul", [x(emit, "x", [30, 77]), x(emit, "y", [77, 40])], { drop: 0, keep: [] }),
    offline: { text: "k", bits: K },
    online: NOTHING,
  },
  dot: {
    about: "element of the result, whatever the length of the sum",
    make: (emit) => emit("dot", [x(emit, "x", [N, 8]), x(emit, "y", [N, 8])], { drop: 0 }),
    offline: { text: "k", bits: K },
    online: NOTHING,
  },
  remask: {
    about: "element",
    make: (emit) => emit("remask", [emit("toAdditive", [x(emit)])]),
    offline: NOTHING,
    online: { text: "k", bits: K },
  },
  remaskBits: { about: "bit", make: (emit) => bitsOf(emit), offline: NOTHING, online: { text: "1", bits: 1 } },
  widen: {
    about: "element, to a ring of K bits",
    make: (emit) => emit("widen", [x(emit)], { ring: WIDE }),
    offline: { text: "2(K − k)", bits: 2 * (WIDE - K) },
    online: { text: "K − k", bits: WIDE - K },
  },
  series: {
    about: "element, with H frequencies, the smaller ones shorter by D bits in all",
    make: (emit) => emit("series", [x(emit)], SERIES),
    offline: { text: "2(H·k − D)", bits: 2 * (HARMONICS * K - DROPPED) },
    online: NOTHING,
  },
  seriesTimes: {
    about: "element, with H frequencies, shorter by D bits in all, times a second value",
    make: (emit) => emit("seriesTimes", [x(emit), x(emit, "y")], SERIES),
    offline: { text: "4(H·k − D)", bits: 4 * (HARMONICS * K - DROPPED) },
    online: NOTHING,
  },
  exponential: {
    about: "element, selected by J masked bits",
    make: (emit) => emit("exponential", [x(emit), bitsOf(emit, "y"), bitsOf(emit, "z")], { cut: 9, ...FRACTIONS }),
    offline: { text: "(1 + J)·k", bits: 3 * K },
    online: NOTHING,
  },
  decays: {
    about: "element, W dealt words of k + d bits",
    make: (emit) => emit("decays", [x(emit)], DECAYS),
    offline: { text: "W(k + d)", bits: (2 ** 4 + 2 ** 2) * (WIDE + 6) },
    online: NOTHING,
  },
  coarseCount: {
    about: "element of the rows, counters of c bits, digits of w bits",
    make: (emit) => emit("coarseCount", [x(emit)], { width: WIDTH, ring: 11, segments: [600, 600] }),
    offline: { text: "2^w·c", bits: 2 ** WIDTH * 11 },
    online: NOTHING,
  },
  digits: {
    about: "element, a digit of w bits",
    make: (emit) => emit("digits", [x(emit)], { at: 3, width: WIDTH }),
    offline: { text: "2^w", bits: 2 ** WIDTH },
    online: NOTHING,
  },
  topBit: {
    about: "element",
    make: (emit) => emit("topBit", [x(emit)], { offset: 0 }),
    offline: { text: "1", bits: 1 },
    online: NOTHING,
  },
  conjunction: {
    about: "result, of n masked bits",
    make: (emit) => emit("conjunction", [bitsOf(emit), bitsOf(emit, "y"), bitsOf(emit, "z")]),
    offline: { text: "2^n − 1 − n", bits: 4 },
    online: NOTHING,
  },
  timesBit: {
    about: "element, a bit for each",
    make: (emit) => emit("timesBit", [bitsOf(emit, "b"), x(emit)]),
    offline: { text: "2k", bits: 2 * K },
    online: NOTHING,
  },
  timesBits: {
    about: "element, n masked bits for each",
    make: (emit) => emit("timesBits", [bitsOf(emit, "b"), bitsOf(emit, "c"), x(emit)]),
    offline: { text: "2·(2^n − 1)·k", bits: 6 * K },
    online: NOTHING,
  },
  widenAdditive: {
    about: "element, to shares in a ring of K bits",
    make: (emit) => emit("widenAdditive", [x(emit)], { ring: WIDE }),
    offline: { text: "2(K − k)", bits: 2 * (WIDE - K) },
    online: NOTHING,
  },
  squares: {
    about: "sum of L squares, in a ring of K bits, of which s are dropped",
    make: (emit) => emit("squares", [x(emit, "x", [N, 8])], { ring: WIDE - 3, drop: 3 }),
    offline: { text: "3L(K − k − 1) + K − s", bits: 3 * 8 * (WIDE - K - 1) + WIDE - 3 },
    online: NOTHING,
  },
  toArithmetic: {
    about: "result, the AND of n masked bits",
    make: (emit) => emit("toArithmetic", [bitsOf(emit), bitsOf(emit, "y")], { ring: K, fraction: 0 }),
    offline: { text: "(2^n − 1)·k", bits: 3 * K },
    online: NOTHING,
  },
};

export interface CheckedRow {
  readonly op: ShareOpName;
  readonly row: Row;
  /** What the op table says for N elements. */
  readonly declared: { readonly offline: number; readonly online: number; readonly depth: number };
  readonly expected: { readonly offline: number; readonly online: number };
}

/** Every row with the op table's numbers beside its own. */
export function checkedRows(): readonly CheckedRow[] {
  return (Object.entries(ROWS) as [ShareOpName, Row][]).map(([op, row]) => {
    const builder = new Builder(SHARE);
    const node = row.make((name, args, attributes = {}) => builder.emit(name, args, { ...attributes }));
    const types = node.args.map((argument) => argument.type);
    const { offline, online, depth } = SHARE.ops[op].cost(types, node.attributes, node.type);
    const expected = { offline: (N * row.offline.bits) / 8, online: (N * row.online.bits) / 8 };
    return { op, row, declared: { offline, online, depth }, expected };
  });
}

/** The first part: a row for each op that sends anything, and the list of those that do not. */
export function opTable(): string {
  const rows = checkedRows().map(({ op, row, declared }) => {
    const cells = [`\`${op}\``, row.about, String(declared.depth), row.online.text, row.offline.text];
    return `| ${cells.join(" | ")} |`;
  });
  const free = Object.keys(SHARE.ops).filter((op) => !Object.hasOwn(ROWS, op) && !SHOWN.has(op));
  return [
    "| op | for each | rounds | online bits each way | offline bits P0→P2 |",
    "|---|---|---|---|---|",
    ...rows,
    "",
    `Local, without a byte: ${free.map((op) => `\`${op}\``).join(", ")}. (\`input\` is shared before the run and`,
    "counted under `input`; `reveal` sends k bits an element from each of P1 and P2 to the data owner, `verdict` one",
    "bit for each of its own, counted under `output`.)",
  ].join("\n");
}

/** What the data owner receives. */
const SHOWN: ReadonlySet<string> = new Set(["reveal", "verdict"]);

/** The ops that the table calls free. */
export function freeOps(): readonly ShareOpName[] {
  return (Object.keys(SHARE.ops) as ShareOpName[]).filter((op) => !Object.hasOwn(ROWS, op) && !SHOWN.has(op));
}

interface Line {
  readonly node: string;
  readonly op: ShareOpName;
  /** The factors that make the number of elements of one step: its shape. */
  readonly elements: string;
  /** The op's formulas in the first part, with its letters' numbers. */
  readonly online: string;
  readonly offline: string;
  steps: number;
  rounds: number;
  onlineBytes: number;
  offlineBytes: number;
}

/** The second part: every step of a layer that sends anything; steps of a node that are alike share a row. */
export function layerTable(plan: Plan, layer: string): string {
  const lines = new Map<string, Line>();
  for (const costed of costedSteps(plan).filter((each) => each.layer === layer)) {
    addTo(lines, costed, plan);
  }
  const rows = [...lines.values()].map((line) => `| ${cellsOf(line).join(" | ")} |`);
  const sum = (pick: (line: Line) => number) => [...lines.values()].reduce((total, line) => total + pick(line), 0);
  const bytes = [sum((line) => line.onlineBytes), sum((line) => line.offlineBytes)];
  const total = ["**in all**", "", sum((line) => line.steps), "", "", "", sum((line) => line.rounds), ...bytes];
  return [
    "| node | op | steps | elements | bits each way | bits dealt | rounds | online bytes | offline bytes |",
    "|---|---|---|---|---|---|---|---|---|",
    ...rows,
    `| ${total.join(" | ")} |`,
  ].join("\n");
}

function addTo(lines: Map<string, Line>, { step, cost, name, critical }: CostedStep, plan: Plan): void {
  if (cost.online + cost.offline === 0) {
    return;
  }
  const op = step.op as ShareOpName;
  const row = ROWS[op];
  if (row === undefined) {
    throw new Error(`${op} sends something, but has no formula`);
  }
  const counted = op === "coarseCount" ? plan.steps[step.args[0]].type : step.type;
  const node = nameInLayer(name);
  const elements = counted.shape.filter((size) => size !== 1).join("·") || "1";
  const [online, offline] = [row.online, row.offline].map(({ text }) => withNumbers(text, lettersOf(step, plan)));
  const key = [node, op, elements, online, offline].join("\n");
  const nothing = { steps: 0, rounds: 0, onlineBytes: 0, offlineBytes: 0 };
  const line = lines.get(key) ?? { node, op, elements, online, offline, ...nothing };
  line.steps++;
  line.rounds += critical;
  line.onlineBytes += 2 * cost.online;
  line.offlineBytes += cost.offline;
  lines.set(key, line);
}

/** Ops whose k is their argument's ring. */
const OF_ARGUMENT: ReadonlySet<string> = new Set(["widen", "widenAdditive", "squares"]);

type Letters = Readonly<Record<string, number>>;

/** What the letters of the first part are at a step. */
function lettersOf({ op, args, attributes, type }: Step, plan: Plan): Letters {
  const first = plan.steps[args[0]].type;
  const ringOf = (each: ShareType) => ("ring" in each ? each.ring : 0);
  return {
    k: OF_ARGUMENT.has(op) ? ringOf(first) : ringOf(type),
    K: ringOf(type) + (op === "squares" ? Number(attributes.drop) : 0),
    H: Array.isArray(attributes.cosines) ? attributes.cosines.length : 0,
    D: Array.isArray(attributes.drops) ? attributes.drops.reduce((sum: number, each) => sum + Number(each), 0) : 0,
    J: args.length - 1,
    n: args.length - (op === "timesBits" ? 1 : 0),
    L: first.shape.at(-1) ?? 1,
    s: Number(attributes.drop ?? 0),
    W: op === "decays" ? decayWords(attributes) : 0,
    d: op === "decays" ? Number(attributes.drop) : 0,
    w: Number(attributes.width ?? 0),
    c: Number(attributes.ring ?? 0),
  };
}

/** A formula with its letters replaced, and with every product written out. */
function withNumbers(text: string, letters: Letters): string {
  const products = text.replace(/\d(?=[A-Za-z(])|[A-Za-z](?=\()/g, "$&·");
  return products.replace(/[A-Za-z]/g, (letter) => String(letters[letter]));
}

/** What an expression of the page is: numbers, sums, differences, products, powers and parentheses. */
export function numberOf(expression: string): number {
  const script = expression.replaceAll("·", "*").replaceAll("−", "-").replaceAll("^", "**");
  return Number(runInNewContext(script));
}

function cellsOf({ node, op, steps, elements, online, offline, rounds, onlineBytes, offlineBytes }: Line): string[] {
  return [node, `\`${op}\``, steps, elements, online, offline, rounds, onlineBytes, offlineBytes].map(String);
}
