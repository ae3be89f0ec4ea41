/** What a gateway serves: plans, what each can answer, and what is known of its cost. */
import { type Answer, answersOf, type Reading } from "../client/answers.js";
import { contextOf } from "../client/generate.js";
import { dataInputs } from "../client/owners.js";
import type { ChatTemplate } from "../formats/chat-template.js";
import { type Normalisation, type Picture, pictureIn, USUAL_PIXELS } from "../formats/pixels.js";
import type { LoadedPlan } from "../formats/plan-file.js";
import { TOP_IDS, WRITTEN } from "../formats/text.js";
import { fail } from "../ir/diagnostics.js";
import { type Plan, revealsOf } from "../ir/plan/types.js";
import { sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";

/** What one question costs, as somebody who compiles has worked it out: bytes over all parties. */
export interface Predicted {
  readonly rounds: number;
  readonly bytes: number;
  /** Of a plan that keeps its cache, what its programs for prompts of up to so many tokens cost; shortest first. */
  readonly prompts: readonly { readonly length: number; readonly rounds: number; readonly bytes: number }[];
  readonly seconds: number;
  /** The network that the seconds are for. */
  readonly network: string;
  /** The parties' memory together. */
  readonly memory: number;
}

export interface GivenPlan {
  /** The model's name in the API. */
  readonly id: string;
  readonly loaded: LoadedPlan;
  readonly reading: Reading;
  readonly template: ChatTemplate | undefined;
  /** How a vision model's pixels are scaled, where something says so. */
  readonly normalisation?: Normalisation | undefined;
  readonly predicted: Predicted;
}

/** A token of a text, a class, or an embedding. */
export type Kind = "text" | "class" | "embedding";

/** A plan of one picture, and how its pixels are scaled. */
export interface Sight extends Picture {
  readonly normalisation: Normalisation;
}

export interface Served extends GivenPlan {
  readonly kind: Kind;
  readonly inputs: ReadonlyMap<string, TensorType>;
  /** Set where a question is a picture, not texts. */
  readonly picture: Sight | undefined;
  /** Texts in one question, and tokens of each. */
  readonly rows: number;
  readonly length: number;
  /** The most tokens of a prompt. */
  readonly longest: number;
  readonly created: number;
}

/** Sees what a plan can answer. E0201 where no endpoint gives it, or there is no tokenizer. */
export async function served(given: GivenPlan): Promise<Served> {
  const { loaded, reading, id } = given;
  const { plan } = loaded;
  const inputs = dataInputs(plan);
  const kind = await kindOf(plan, reading);
  const created = Math.floor(Date.now() / 1000);
  const seen = pictureIn(inputs);
  if (seen !== undefined && (kind === "class" || kind === "embedding")) {
    const picture = { ...seen, normalisation: given.normalisation ?? USUAL_PIXELS };
    return { ...given, kind, inputs, picture, rows: 1, length: 0, longest: 0, created };
  }
  if (reading.encoder === undefined) {
    const fix = "add --tokenizer FILE";
    throw fail({ code: "E0201", what: "texts need a tokenizer", where: id, fix });
  }
  const ids = [...inputs].find(
    ([name, { shape }]) => /ids|tokens|^input$/i.test(name) && [1, 2].includes(shape.length),
  );
  if (ids === undefined || kind === undefined) {
    const reveals = plan.reveals.map(({ name }) => name);
    const why = `it takes ${[...inputs.keys()].join(", ")} and reveals ${reveals.join(", ")}`;
    const fix = "serve a plan of texts that reveals a token (--reveal token), scores of classes, or an embedding";
    throw fail({ code: "E0201", what: "no endpoint gives what the plan answers", where: id, why, fix });
  }
  const { shape } = ids[1];
  const [rows, one] = shape.length === 1 ? [1, shape[0]] : shape;
  const length = kind === "text" ? contextOf(plan) : one;
  const longest = given.predicted.prompts.at(-1)?.length ?? length;
  return { ...given, kind, inputs, picture: undefined, rows, length, longest, created };
}

async function kindOf(plan: Plan, reading: Reading): Promise<Kind | undefined> {
  const reveals = revealsOf(plan);
  if (reveals.some(({ name }) => ["token", TOP_IDS, WRITTEN].includes(name))) {
    return "text";
  }
  const outputs = new Map(reveals.map(({ name, shape }) => [name, zeros(shape)]));
  const [answer] = await answersOf(outputs, new Map(), reading);
  const isClass = answer !== undefined && ["class", "classes", "number"].includes(answer.kind);
  return isClass ? "class" : embeddingIn(outputs) !== undefined ? "embedding" : undefined;
}

function zeros(shape: readonly number[]): TensorValue {
  return { dtype: "f32", shape, data: new Float64Array(sizeOf(shape)) };
}

/** The output that is an embedding, or is one for each token: a pooled one goes before. */
export function embeddingIn(outputs: ReadonlyMap<string, TensorValue>): TensorValue | undefined {
  const named = (pattern: RegExp, rank: number): TensorValue | undefined =>
    [...outputs].find(([name, { shape }]) => pattern.test(name) && shape.length === rank)?.[1];
  return named(/embed|pool|vector/i, 2) ?? named(/hidden|embed|state|vector|output/i, 3);
}

/** An embedding for each row: pooled already, or the mean of those of its tokens. */
export function embeddingsOf({ shape, data }: TensorValue, tokens: readonly number[]): readonly Float64Array[] {
  const width = shape[shape.length - 1];
  const places = shape.length === 2 ? 1 : shape[1];
  return tokens.map((count, row) => {
    // A picture has no tokens that fill: all of its places count.
    const used = count === 0 ? places : Math.min(count, places);
    const sum = new Float64Array(width);
    for (let at = 0; at < used; at++) {
      const from = (row * places + at) * width;
      sum.forEach((_, i) => {
        sum[i] += data[from + i] / used;
      });
    }
    return sum;
  });
}

/** A class with its score, as answers have them. */
export function classIn(answer: Answer): { readonly label: string; readonly score: number; readonly scores: object } {
  switch (answer.kind) {
    case "class":
    case "classes": {
      const [{ name, score }] = answer.best;
      const scores = Object.fromEntries(answer.best.map((each) => [each.name, each.score]));
      return { label: name, score, scores };
    }
    case "number":
      return { label: "score", score: answer.value, scores: { score: answer.value } };
    default:
      throw new Error(`${answer.kind} is no class`);
  }
}
