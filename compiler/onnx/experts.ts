/**
 * Mixtures of experts as exporters write them today: the pairs of token and expert are sorted by expert, each expert
 * multiplies the run of rows that is its own, and the rows are sorted back. How long a run is depends on secrets, and a
 * plan has fixed shapes. So what lies between the two sorts is written anew: every expert works on every token, and
 * the router's weights, zero but for the chosen, add up the results. It is the same sum.
 *
 *     sort:    sorted, order = TopK(experts)                       of pairs i = (token i / k, choice i mod k)
 *     rows:    Gather(hidden, order / k)                        →  hidden, for every expert
 *     product: Concat(MatMul(Gather(rows, Range(e)), W[e]))     →  MatMul(hidden, W), experts in front
 *     bias:    Gather(bias, sorted)                             →  bias, experts in front
 *     weights: Gather(weights, order)                           →  Σ over choices of weight · (choice is e)
 *     back:    ReduceSum(Reshape(Gather(rows, inverse)))        →  ReduceSum over experts
 *
 * Whatever else uses a value of this region ends the attempt, and the nodes stay as they are.
 */
import type { AttributeProto, NodeProto } from "../../formats/onnx/schema.js";
import {
  type Around,
  floats,
  type Given,
  integer,
  integers,
  isColumnOf,
  type Kind,
  type Rows,
  RULES,
} from "./expert-rules.js";
import type { OnnxModel } from "./model.js";
import { integerOf, type Numbers, numbersAfter, Routes } from "./routes.js";
import { type Uses, usesOf } from "./structure.js";

/** Operators on axes as inputs, as they are written here, came with this operator set. */
const LEAST_OPSET = 13;
/** Tables of numbers are this long: more experts, or choices of a token, are not looked for. */
const LONGEST = 4096;

/** The model with every such region of its main graph written for fixed shapes. */
export function withDenseExperts(model: OnnxModel): OnnxModel {
  const sorts = model.graph.node.filter(isSort);
  if (sorts.length === 0 || (model.opsets.get("") ?? 0) < LEAST_OPSET) {
    return model;
  }
  const routes = new Routes(model);
  const uses = usesOf(model.graph);
  const rewrite = (nodes: readonly NodeProto[], sort: NodeProto) =>
    new Region(sort, routes, uses).rewritten(nodes) ?? nodes;
  return { ...model, graph: { ...model.graph, node: sorts.reduce(rewrite, model.graph.node) } };
}

/** The least first, in order, with where they were. */
function isSort({ opType, input, output, attribute }: NodeProto): boolean {
  const flag = (name: string) => attribute.find((each) => each.name === name)?.i ?? 1;
  const named = output.length === 2 && output.every((name) => name !== "");
  return opType === "TopK" && input.length === 2 && named && flag("largest") === 0 && flag("sorted") === 1;
}

/** One sort of pairs, and what is known of the values that follow from it. */
class Region implements Around {
  private readonly kinds = new Map<string, Kind>();
  private readonly made: NodeProto[] = [];
  /** Of a token, once a row was taken by them. */
  private choices = 0;
  /** Once they were counted. */
  experts = 0;

  constructor(
    private readonly sort: NodeProto,
    readonly routes: Routes,
    readonly uses: Uses,
  ) {
    this.begin();
  }

  private begin(): void {
    const table = Array.from({ length: LONGEST }, (_, i) => i);
    const [sorted, order] = this.sort.output;
    this.kinds.clear();
    this.kinds.set(sorted, { kind: "numbers", of: "key", table, real: false, column: false });
    this.kinds.set(order, { kind: "numbers", of: "place", table, real: false, column: false });
  }

  /** Counts the experts, which what stands before the count depends on too. */
  private countExperts(nodes: readonly NodeProto[]): void {
    for (const node of nodes) {
      if (!node.input.some((name) => this.kinds.has(name))) {
        continue;
      }
      const own = numbersAfter(node, (name) => this.numbers(name), this.routes);
      const given = own ?? (node.opType === "ScatterElements" ? RULES[node.opType](this, node) : undefined);
      if (given !== undefined && "kind" in given) {
        this.kinds.set(node.output[0], given);
      }
    }
    this.begin();
  }

  /** The graph's nodes with those of the region replaced; undefined where it is no mixture. */
  rewritten(nodes: readonly NodeProto[]): readonly NodeProto[] | undefined {
    this.countExperts(nodes);
    const kept: NodeProto[] = [];
    let ended = false;
    for (const node of nodes) {
      if (node === this.sort) {
        continue;
      }
      if (!node.input.some((name) => this.kinds.has(name))) {
        kept.push(node);
      } else if (node.opType === "Shape" && this.numbers(node.input[0])?.column === false) {
        kept.push({ ...node, input: [this.sort.input[0]] });
      } else if (this.finishes(node)) {
        kept.push(...this.made.splice(0));
        ended = true;
      } else if (!this.notes(node)) {
        return undefined;
      }
    }
    const names = [...this.kinds.keys()];
    const escapes = names.some((name) => this.uses.captured.has(name) || this.uses.outputs.has(name));
    return ended && !escapes ? kept : undefined;
  }

  /** Notes what a node of the region gives; false where that is nothing known. */
  private notes(node: NodeProto): boolean {
    const own = numbersAfter(node, (name) => this.numbers(name), this.routes);
    const given: Given = own ?? RULES[node.opType]?.(this, node);
    if (given === undefined) {
      return false;
    }
    node.output.forEach((name, i) => {
      this.kinds.set(name, "kind" in given ? given : given[i]);
    });
    return true;
  }

  kind(name: string | undefined): Kind | undefined {
    return name === undefined ? undefined : this.kinds.get(name);
  }

  numbers(name: string): Numbers | undefined {
    const kind = this.kinds.get(name);
    return kind?.kind === "numbers" ? kind : undefined;
  }

  rows(name: string | undefined): Rows | undefined {
    const kind = this.kind(name);
    return kind?.kind === "rows" ? kind : undefined;
  }

  /** Adds a node of the new form; gives the name of its first output. */
  emit(opType: string, input: readonly string[], attributes: readonly AttributeProto[] = []): string {
    const name = `${this.sort.output[0]}/experts/${this.made.length}`;
    this.made.push({ ...this.sort, opType, input, output: [name], attribute: attributes, domain: "", overload: "" });
    return name;
  }

  integers(values: readonly number[]): string {
    return this.emit("Constant", [], [integers("value_ints", values)]);
  }

  /** A node of the region as it is, on the same for every expert. */
  again(node: NodeProto, input: readonly string[], attribute = node.attribute): readonly string[] {
    const names = node.output.map((_, i) => `${this.sort.output[0]}/experts/${this.made.length}/${i}`);
    this.made.push({ ...node, input, output: names, attribute });
    return names;
  }

  /** True where places are those of a token's choices, i / k for the k of the first such. */
  areTokens(table: readonly number[]): boolean {
    const choices = table.findIndex((value) => value !== 0);
    this.choices = this.choices === 0 ? choices : this.choices;
    return choices > 0 && choices === this.choices && table.every((value, i) => value === Math.floor(i / choices));
  }

  /** Numbers of a token's choices, put where the chosen experts are: [G, T] of [T · k], or how often, without them. */
  spread(flat?: string): string {
    const perToken = this.integers([-1, this.choices]);
    const ids = this.emit("Reshape", [this.sort.input[0], perToken]);
    const depth = this.integers([this.experts]);
    const values = this.emit("Constant", [], [floats("value_floats", [0, 1])]);
    const hot = this.emit("OneHot", [ids, depth, values]);
    const last = this.integers([-1]);
    const weights = flat === undefined ? undefined : this.emit("Reshape", [flat, perToken]);
    const weighted = weights === undefined ? hot : this.emit("Mul", [hot, this.emit("Unsqueeze", [weights, last])]);
    const added = this.emit("ReduceSum", [weighted, this.integers([1])], [integer("keepdims", 0)]);
    return this.emit("Transpose", [added], [integers("perm", [1, 0])]);
  }

  /** Whether a node adds up what a token's choices came to; if so, the new form of that is written. */
  private finishes(node: NodeProto): boolean {
    const rows = this.summed(node);
    if (rows === undefined || rows.rank !== 1 || this.experts === 0 || this.choices === 0) {
      return false;
    }
    const last = this.integers([-1]);
    const all = rows.weighted
      ? rows.dense
      : this.emit("Mul", [rows.dense, this.emit("Unsqueeze", [this.spread(), last])]);
    const sum = this.emit("ReduceSum", [all, this.integers([0])], [integer("keepdims", 0)]);
    const [base] = node.input;
    const adds = node.opType.startsWith("Scatter");
    const [name] = node.output;
    this.made.push({
      ...node,
      opType: adds ? "Add" : "Identity",
      input: adds ? [base, sum] : [sum],
      output: [name],
      attribute: [],
    });
    return true;
  }

  private summed(node: NodeProto): Rows | undefined {
    const [first, second, third] = node.input.map((name) => this.kinds.get(name));
    if (node.opType === "ReduceSum" && first?.kind === "choices") {
      const isOverChoices = this.routes.list(node.input[1])?.join() === "1" && integerOf(node, "keepdims", 1) === 0;
      return isOverChoices ? first.rows : undefined;
    }
    const isScatter = node.opType === "ScatterND" && first === undefined && third?.kind === "rows";
    const places = second?.kind === "numbers" && second.of === "place" && second.column ? second : undefined;
    const adds = node.attribute.some(({ name, s }) => name === "reduction" && new TextDecoder().decode(s) === "add");
    return isScatter && adds && places !== undefined && this.areTokens(places.table) ? third : undefined;
  }

  becomesColumn(name: string): boolean {
    const users = this.uses.users.get(name) ?? [];
    return users.length > 0 && users.every(({ node }) => isColumnOf(node, this.routes.list(node.input[1])));
  }

  /** Whether [T, k, …] is what the pairs are written as. */
  byChoices(shape: readonly number[] | undefined): boolean {
    if (shape?.length !== 3 || shape[1] !== this.choices) {
      return false;
    }
    const count = this.routes.list(this.sort.input[1])?.[0] ?? Number.NaN;
    const isFull = Number.isNaN(count)
      ? this.isLength(this.sort.input[1])
      : shape[0] < 0 || shape[0] * shape[1] === count;
    return isFull;
  }

  /** Whether a number is the length of what is sorted. */
  private isLength(name: string): boolean {
    let at = name;
    for (let step = 0; step < 8; step++) {
      const node = this.routes.producers.get(at);
      if (node?.opType === "Shape") {
        return node.input[0] === this.sort.input[0];
      }
      at = node?.input[0] ?? "";
    }
    return false;
  }
}
