/**
 * Plans as files. A file is the magic, a version, the SHA-256 of the rest, and a protobuf message whose bytes are
 * canonical: the same plan gives the same bytes, and their digest is the plan's name in handshakes and keys. Reading
 * checks all of it, and then that the plan is sound (check.ts): a plan file is input like any other.
 */
import { createHash } from "node:crypto";
import protobuf from "protobufjs";
import { fail } from "../diagnostics.js";
import type { AttributeKind, Attributes, AttributeValue } from "../graph.js";
import { parseShareType, printShareType, SHARE } from "../share/index.js";
import type { Pair } from "../share/types.js";
import { TENSOR } from "../tensor/index.js";
import type { DType, TensorValue } from "../tensor/value.js";
import { parse, print } from "../text.js";
import { checkPlan } from "./check.js";
import { Lists, runsOf } from "./runs.js";
import { PLAN_SCHEMA } from "./schema.js";
import {
  type Binding,
  type Choice,
  type Formula,
  type HeldPart,
  type HeldValue,
  type Origin,
  PLAN_VERSION,
  type Plan,
  type Published,
  type RangeSource,
  type Step,
} from "./types.js";

const MAGIC = "PUMACPLN";
const HEADER_BYTES = MAGIC.length + 4 + 32;
const LONGEST_NAME = 255;
const PAIRS: readonly Pair[] = ["01", "02", "12"];

interface TensorMessage {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}
interface AttributeMessage {
  readonly name: number;
  readonly numbers: readonly number[];
  readonly texts: readonly string[];
  readonly truth: boolean;
  readonly tensor: number;
  readonly runs: readonly number[];
}
interface StepMessage {
  readonly op: number;
  readonly args: readonly number[];
  readonly attributes: readonly AttributeMessage[];
  readonly type: number;
  readonly origin: number;
  readonly round: number;
  readonly draws: readonly { readonly pair: number; readonly block: number }[];
  readonly place0: number;
  readonly place12: number;
}
interface ShapeMessage {
  readonly name: string;
  readonly shape: readonly number[];
}
interface TableMessage {
  readonly bits: number;
  readonly data: Uint8Array;
}
interface PlanMessage {
  readonly version: number;
  readonly profile: string;
  readonly modelDigest: string;
  readonly shapes: readonly ShapeMessage[];
  readonly rounds: number;
  readonly words: readonly string[];
  readonly tensors: readonly TensorMessage[];
  readonly steps: readonly StepMessage[];
  readonly origins: readonly Origin[];
  /** A scale is its step plus one: 0 where there is none. */
  readonly values: readonly { readonly node: number; readonly parts: readonly Required<HeldPart>[] }[];
  readonly modelProgram: string;
  readonly dataProgram: string;
  readonly bindings: readonly (Omit<Binding, "range"> & { readonly range: readonly number[] })[];
  readonly reveals: readonly ShapeMessage[];
  readonly formulas: readonly Formula[];
  readonly choices: readonly Choice[];
  readonly published: readonly Published[];
  readonly disclosed: readonly Published[];
  readonly record: string;
  readonly ranges: { readonly method: string; readonly inputs: number; readonly margin: number } | null;
  readonly cosines: readonly TableMessage[];
  readonly exponentials: readonly TableMessage[];
  readonly arena0: number;
  readonly arena12: number;
  readonly parts: readonly PlanMessage[];
}

const MESSAGE = protobuf.parse(PLAN_SCHEMA).root.lookupType("pumac.Plan");

/** The plan's canonical bytes, without the file's header: what its digest is of. */
function bodyOf(plan: Plan): Uint8Array {
  return MESSAGE.encode(MESSAGE.fromObject(toMessage(plan))).finish();
}

/** Hexadecimal SHA-256 of the canonical bytes. */
export function planDigest(plan: Plan): string {
  return createHash("sha256").update(bodyOf(plan)).digest("hex");
}

/**
 * The plan's file: magic, version, SHA-256 of the rest; the rest is the model's name and the canonical bytes. The name
 * is a label for people. It is not in the plan's digest: the same model and options give the same plan whatever their
 * file is called.
 */
export function encodePlan(plan: Plan): Uint8Array {
  const name = Buffer.from(printable(plan.name)).subarray(0, LONGEST_NAME);
  const rest = Buffer.concat([Buffer.of(name.length), name, bodyOf(plan)]);
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(MAGIC, "latin1");
  header.writeUInt32LE(plan.version, MAGIC.length);
  createHash("sha256")
    .update(rest)
    .digest()
    .copy(header, MAGIC.length + 4);
  return Buffer.concat([header, rest]);
}

/** Where the canonical bytes begin in a plan file. */
function bodyAt(file: Uint8Array): number {
  return HEADER_BYTES + 1 + file[HEADER_BYTES];
}

/** The plan's digest, of a file that `encodePlan` made or `decodePlan` has read. */
export function digestIn(file: Uint8Array): string {
  return createHash("sha256")
    .update(file.subarray(bodyAt(file)))
    .digest("hex");
}

/** Reads and checks a plan. E0303 for anything that is not a sound plan of this version; `where` names the file. */
export function decodePlan(bytes: Uint8Array, where = "plan"): Plan {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const refuse = (why: string) =>
    fail({ code: "E0303", what: "the plan cannot be used", where, why, fix: "compile it again with this pumac" });
  if (file.length <= HEADER_BYTES || file.toString("latin1", 0, MAGIC.length) !== MAGIC) {
    throw refuse("it is not a plan file, or its beginning is missing");
  }
  const version = file.readUInt32LE(MAGIC.length);
  if (version !== PLAN_VERSION) {
    throw refuse(`it has version ${version}, this pumac reads version ${PLAN_VERSION}`);
  }
  const digest = createHash("sha256").update(file.subarray(HEADER_BYTES)).digest();
  if (!digest.equals(file.subarray(MAGIC.length + 4, HEADER_BYTES))) {
    throw refuse("its bytes are not those that were written: truncated, or changed since");
  }
  const [name, body] = [file.toString("utf8", HEADER_BYTES + 1, bodyAt(file)), file.subarray(bodyAt(file))];
  try {
    const plan = fromMessage(
      MESSAGE.toObject(MESSAGE.decode(body), { longs: Number, arrays: true, defaults: true }) as PlanMessage,
      printable(name),
    );
    checkPlan(plan);
    if (!body.equals(bodyOf(plan))) {
      throw new Error("its bytes are not the canonical ones");
    }
    return plan;
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error));
  }
}

/** Numbers words in the order in which they come. */
class Words {
  readonly list: string[] = [];
  private readonly known = new Map<string, number>();

  number(word: string): number {
    const known = this.known.get(word) ?? this.list.push(word) - 1;
    this.known.set(word, known);
    return known;
  }
}

/** Numbers tensors in the order in which they come, equal ones alike: every layer uses the same tables. */
class Tensors {
  readonly list: TensorMessage[] = [];
  private readonly known = new Map<string, number>();
  private readonly met = new Map<TensorValue, number>();

  number(tensor: TensorValue): number {
    const number = this.met.get(tensor) ?? this.find(tensorMessage(tensor));
    this.met.set(tensor, number);
    return number;
  }

  private find(message: TensorMessage): number {
    const key = `${message.dtype} ${message.shape.join()} ${Buffer.from(message.data).toString("latin1")}`;
    const known = this.known.get(key) ?? this.list.push(message) - 1;
    this.known.set(key, known);
    return known;
  }
}

/** What the steps refer to by number. */
interface Shared {
  readonly words: Words;
  readonly tensors: Tensors;
}

function toMessage(plan: Plan): PlanMessage {
  const shared: Shared = { words: new Words(), tensors: new Tensors() };
  return {
    version: plan.version,
    profile: plan.profile,
    modelDigest: plan.modelDigest,
    shapes: Object.entries(plan.shapes).map(([name, shape]) => ({ name, shape })),
    rounds: plan.rounds,
    steps: plan.steps.map((step) => stepMessage(step, shared)),
    words: shared.words.list,
    tensors: shared.tensors.list,
    origins: plan.origins,
    values: plan.values.map(heldMessage),
    modelProgram: print(plan.owners.model, TENSOR),
    dataProgram: print(plan.owners.data, TENSOR),
    bindings: plan.bindings.map((binding) => ({ ...binding, range: binding.range ?? [] })),
    reveals: plan.reveals.map(({ name, shape }) => ({ name, shape })),
    formulas: plan.formulas,
    choices: plan.choices,
    published: plan.published,
    disclosed: plan.disclosed,
    record: plan.record,
    ranges: plan.ranges,
    cosines: [...plan.tables.cosines].map(tableMessage),
    exponentials: [...plan.tables.exponentials].map(tableMessage),
    arena0: plan.arena.P0,
    arena12: plan.arena.P12,
    parts: plan.parts.map(toMessage),
  };
}

function heldMessage({ node, parts }: HeldValue): PlanMessage["values"][number] {
  return { node, parts: parts.map(({ step, scale = -1, heads = [] }) => ({ step, scale: scale + 1, heads })) };
}

function heldOf({ node, parts }: PlanMessage["values"][number]): HeldValue {
  return {
    node,
    parts: parts.map(({ step, scale, heads }) => ({
      step,
      ...(scale === 0 ? {} : { scale: scale - 1 }),
      ...(heads.length === 0 ? {} : { heads }),
    })),
  };
}

function stepMessage(step: Step, { words, tensors }: Shared): StepMessage {
  const signature = SHARE.ops[step.op].attributes;
  return {
    op: words.number(step.op),
    args: step.args,
    attributes: Object.keys(signature).map((name) => ({
      name: words.number(name),
      ...attributeMessage(step.attributes[name], signature[name], tensors),
    })),
    type: words.number(printShareType(step.type)),
    origin: step.origin,
    round: step.round,
    draws: step.draws.map(({ pair, block }) => ({ pair: PAIRS.indexOf(pair), block })),
    place0: step.offsets.P0,
    place12: step.offsets.P12,
  };
}

function attributeMessage(
  value: AttributeValue,
  kind: AttributeKind,
  tensors: Tensors,
): Omit<AttributeMessage, "name"> {
  const empty = { numbers: [], texts: [], truth: false, tensor: 0, runs: [] };
  switch (kind) {
    case "integer":
    case "number":
      return { ...empty, numbers: [value as number] };
    case "integers": {
      const list = value as readonly number[];
      const runs = runsOf(list);
      return runs === undefined ? { ...empty, numbers: list } : { ...empty, runs };
    }
    case "numbers":
      return { ...empty, numbers: value as readonly number[] };
    case "string":
      return { ...empty, texts: [value as string] };
    case "strings":
      return { ...empty, texts: value as readonly string[] };
    case "boolean":
      return { ...empty, truth: value as boolean };
    case "tensor":
      return { ...empty, tensor: tensors.number(value as TensorValue) };
  }
}

function tensorMessage({ dtype, shape, data }: TensorValue): TensorMessage {
  const bytes = Buffer.alloc(data.length * 8);
  data.forEach((x, i) => {
    bytes.writeDoubleLE(x, i * 8);
  });
  return { dtype, shape, data: bytes };
}

function tableMessage([bits, table]: readonly [number, Int32Array]): TableMessage {
  const data = Buffer.alloc(table.length * 4);
  table.forEach((x, i) => {
    data.writeInt32LE(x, i * 4);
  });
  return { bits, data };
}

/** A name that nobody vouches for, as it may be shown. */
function printable(name: string): string {
  return name.replace(/[\p{Cc}\p{Cf}\uFFFD]/gu, "");
}

function fromMessage(message: PlanMessage, name: string): Plan {
  if (message.version !== PLAN_VERSION) {
    throw new Error(`its header and its content have different versions`);
  }
  if (message.profile !== "fourier" && message.profile !== "puma") {
    throw new Error(`there is no profile '${message.profile}'`);
  }
  const known = { words: message.words, lists: new Lists(), tensors: message.tensors.map(tensorOf) };
  return {
    version: message.version,
    name,
    profile: message.profile,
    modelDigest: message.modelDigest,
    shapes: Object.fromEntries(message.shapes.map(({ name, shape }) => [name, shape])),
    rounds: message.rounds,
    steps: message.steps.map((step) => stepOf(step, known)),
    origins: message.origins.map((each) => ({ ...each })),
    values: message.values.map(heldOf),
    owners: { model: parse(message.modelProgram, TENSOR), data: parse(message.dataProgram, TENSOR) },
    bindings: message.bindings.map(({ input, owner, output, range: [low, high] }) => ({
      ...{ input, owner, output },
      ...(low === undefined || high === undefined ? {} : { range: [low, high] as const }),
    })),
    reveals: message.reveals.map(({ name, shape }) => ({ name, shape, to: "data owner" })),
    formulas: message.formulas.map((formula) => ({ ...formula })),
    choices: message.choices.map(({ node, what, forms }) => ({
      node,
      what,
      forms: forms.map((each) => ({ ...each })),
    })),
    published: message.published.map((each) => ({ ...each })),
    disclosed: message.disclosed.map((each) => ({ ...each })),
    record: message.record,
    ranges: rangesOf(message),
    tables: { cosines: tablesOf(message.cosines), exponentials: tablesOf(message.exponentials) },
    arena: { P0: message.arena0, P12: message.arena12 },
    parts: message.parts.map((part) => fromMessage(part, name)),
  };
}

/** What steps refer to by number, as read from a file. */
interface Known {
  readonly words: readonly string[];
  readonly tensors: readonly TensorValue[];
  readonly lists: Lists;
}

const METHODS: readonly RangeSource["method"][] = [
  ...(["given inputs", "synthetic inputs", "structure", "structure by choice"] as const),
];

function rangesOf({ ranges }: PlanMessage): RangeSource {
  const method = METHODS.find((each) => each === ranges?.method);
  if (method === undefined || ranges === null) {
    throw new Error("it does not say where its ranges are from");
  }
  return { method, inputs: ranges.inputs, margin: ranges.margin };
}

function stepOf(step: StepMessage, known: Known): Step {
  const { words } = known;
  const word = (i: number) => {
    if (i >= words.length) {
      throw new Error(`word ${i} of ${words.length}`);
    }
    return words[i];
  };
  const op = word(step.op);
  if (!Object.hasOwn(SHARE.ops, op)) {
    throw new Error(`there is no share op '${op}'`);
  }
  const signature = SHARE.ops[op].attributes;
  const attributes: Record<string, AttributeValue> = {};
  for (const each of step.attributes) {
    const name = word(each.name);
    if (!Object.hasOwn(signature, name)) {
      throw new Error(`'${op}' has no attribute '${name}'`);
    }
    attributes[name] = attributeOf(each, signature[name], known);
  }
  return {
    op,
    args: step.args,
    attributes: attributes as Attributes,
    type: parseShareType(word(step.type)),
    origin: step.origin,
    round: step.round,
    draws: step.draws.map(({ pair, block }) => ({ pair: PAIRS[pair], block })),
    offsets: { P0: step.place0, P12: step.place12 },
  };
}

function attributeOf(message: AttributeMessage, kind: AttributeKind, { lists, tensors }: Known): AttributeValue {
  switch (kind) {
    case "integer":
    case "number":
      return message.numbers[0];
    case "integers":
      return message.runs.length === 0 ? message.numbers : lists.from(message.runs);
    case "numbers":
      return message.numbers;
    case "string":
      return message.texts[0];
    case "strings":
      return message.texts;
    case "boolean":
      return message.truth;
    case "tensor":
      if (message.tensor >= tensors.length) {
        throw new Error(`tensor ${message.tensor} of ${tensors.length}`);
      }
      return tensors[message.tensor];
  }
}

function tensorOf(message: TensorMessage): TensorValue {
  const bytes = Buffer.from(message.data);
  const data = Float64Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(i * 8));
  return { dtype: message.dtype as DType, shape: message.shape, data };
}

function tablesOf(tables: readonly TableMessage[]): ReadonlyMap<number, Int32Array> {
  return new Map(
    tables.map(({ bits, data }) => {
      const bytes = Buffer.from(data);
      return [bits, Int32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readInt32LE(i * 4))] as const;
    }),
  );
}
