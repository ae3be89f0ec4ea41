/**
 * What may be asked: OpenAI's requests, as far as a plan can answer them. A field that would change the answer and that
 * the plan cannot follow is refused in words; what changes nothing is taken and left alone.
 */
import {
  array,
  boolean,
  type GenericSchema,
  type InferOutput,
  integer,
  literal,
  looseObject,
  maxLength,
  maxValue,
  minLength,
  minValue,
  nullish,
  number,
  picklist,
  pipe,
  safeParse,
  string,
  transform,
  union,
} from "valibot";
import { HOTTEST, type Sampling } from "../client/sampling.js";
import type { Message } from "../formats/chat-template.js";
import { ApiError } from "./errors.js";

const STOPS = pipe(
  nullish(union([string(), pipe(array(string()), maxLength(4))]), []),
  transform((stops) => [stops].flat().filter((stop) => stop !== "")),
);
const COUNT = nullish(pipe(number(), integer(), minValue(1)));
const STREAM = {
  stream: nullish(boolean(), false),
  stream_options: nullish(looseObject({ include_usage: nullish(boolean()) })),
};
/** For whom a program asks: it changes no answer, only whose turn it is. */
const WHO = { user: nullish(string(), "") };
const WRITING = {
  model: string(),
  ...WHO,
  ...STREAM,
  stop: STOPS,
  n: nullish(pipe(number(), integer(), minValue(1), maxValue(8)), 1),
  max_tokens: COUNT,
  temperature: nullish(pipe(number(), minValue(0), maxValue(2))),
  top_p: nullish(pipe(number(), minValue(0), maxValue(1))),
  seed: nullish(pipe(number(), integer())),
};

const TEXT_PART = looseObject({ type: literal("text"), text: string() });
const CONTENT = pipe(
  union([string(), array(TEXT_PART)]),
  transform((content) => (typeof content === "string" ? content : content.map(({ text }) => text).join(""))),
);
const MESSAGE = looseObject({ role: picklist(["system", "developer", "user", "assistant"]), content: CONTENT });

const CHAT = looseObject({ ...WRITING, max_completion_tokens: COUNT, messages: pipe(array(MESSAGE), minLength(1)) });
const PROMPT = union([string(), pipe(array(string()), minLength(1), maxLength(1))]);
const COMPLETION = looseObject({ ...WRITING, prompt: PROMPT });
/** A picture of the plan's size: red, green and blue of each pixel, row by row, in base64. */
const PICTURE = looseObject({ image: string() });
export type PictureInput = InferOutput<typeof PICTURE>;
const TEXTS = union([string(), pipe(array(string()), minLength(1), maxLength(64))]);
const EMBEDDING = looseObject({
  model: string(),
  ...WHO,
  input: union([TEXTS, PICTURE]),
  encoding_format: nullish(picklist(["float", "base64"]), "float"),
});
const CLASSIFY = looseObject({ model: string(), ...WHO, input: union([TEXTS, PICTURE]) });

/** A text to go on with, in either form of the API. */
export interface WritingRequest {
  readonly model: string;
  readonly user: string;
  readonly prompt: string | readonly Message[];
  readonly stream: boolean;
  readonly usage: boolean;
  readonly stops: readonly string[];
  readonly n: number;
  readonly mostTokens: number | undefined;
  readonly sampling: Sampling;
}

/** What changes no answer: how it is accounted, where it is kept (nowhere). */
const INDIFFERENT = [
  ...["metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"],
  "parallel_tool_calls",
];

const GREEDY = "a plan reveals the next token, or a few scores to sample it from, and nothing else of them";
const SAMPLING =
  "this plan reveals the most probable token and nothing else of the scores, so that nothing can be sampled: " +
  "leave temperature and top_p out, or serve a plan that is compiled with --reveal draw or topk:K";
const AMONG_ALL =
  `the parties draw among all tokens, at a temperature of up to ${HOTTEST}: ` +
  "leave top_p out, or serve a plan that is compiled with --reveal topk:K";
const BEST = `${GREEDY}, so that no text is the best of several: leave best_of out`;
const LOGPROBS = `${GREEDY}: logprobs would reveal more of the weights; serve a plan that reveals logits for those`;
const NO_TOOLS = "tools are not offered: the model's own text is all that the plan gives";
const PENALTY = `${GREEDY}, so that scores cannot be changed`;

/** Fields that are refused unless they say what is done anyway. */
const REFUSED: Readonly<Record<string, { readonly unless: readonly unknown[]; readonly why: string }>> = {
  logprobs: { unless: [false], why: LOGPROBS },
  top_logprobs: { unless: [0], why: LOGPROBS },
  best_of: { unless: [1], why: BEST },
  frequency_penalty: { unless: [0], why: PENALTY },
  presence_penalty: { unless: [0], why: PENALTY },
  logit_bias: { unless: [], why: PENALTY },
  tools: { unless: [], why: NO_TOOLS },
  functions: { unless: [], why: NO_TOOLS },
  tool_choice: { unless: ["none", "auto"], why: NO_TOOLS },
  function_call: { unless: ["none", "auto"], why: NO_TOOLS },
  echo: { unless: [false], why: "the prompt is not repeated: ask without echo" },
  suffix: { unless: [""], why: "a text is written to its end only: ask without suffix" },
  modalities: { unless: [], why: "text is all that the plan gives" },
  audio: { unless: [], why: "text is all that the plan gives" },
  response_format: { unless: [], why: `${GREEDY}, so that it cannot be held to a format` },
  reasoning_effort: { unless: ["none"], why: "the plan has one way of writing" },
  dimensions: { unless: [], why: "the embedding has the size of the model's own" },
};

type Fields = Readonly<Record<string, unknown>>;

function isNothing(value: unknown): boolean {
  const isEmpty = typeof value === "object" && value !== null && Object.keys(value).length === 0;
  return value === undefined || value === null || isEmpty;
}

/** Says as "text" what is done anyway: `{ type: "text" }`, `["text"]`. */
function saysText(value: unknown): boolean {
  return /^(\{"type":"text"\}|\["text"\])$/.test(JSON.stringify(value));
}

function refuse(fields: Fields, known: readonly string[]): void {
  for (const [name, value] of Object.entries(fields)) {
    const rule = REFUSED[name];
    if (rule === undefined && !known.includes(name) && !INDIFFERENT.includes(name)) {
      throw new ApiError(400, `unknown field ${JSON.stringify(name.slice(0, 40))}`, { code: "unknown_parameter" });
    }
    if (rule !== undefined && !isNothing(value) && !rule.unless.includes(value) && !saysText(value)) {
      throw new ApiError(400, `${name} is not supported: ${rule.why}`, { param: name, code: "unsupported_parameter" });
    }
  }
}

/**
 * 400 where a plan reveals the most probable token alone, and a request wants another one: by a temperature above 0, or
 * a top_p below 1 where nothing says that it is 0; and where its parties draw among all tokens, for what they cannot.
 */
export function checkSampling({ temperature, topP }: Sampling, choices: number): void {
  const isGreedy = temperature === undefined || temperature === 0;
  const narrows = topP !== undefined && topP < 1 && temperature !== 0;
  const param = !isGreedy ? "temperature" : narrows ? "top_p" : undefined;
  if (param !== undefined && choices === 1) {
    throw new ApiError(400, `${param} is not supported: ${SAMPLING}`, { param, code: "unsupported_parameter" });
  }
  if (choices === Number.POSITIVE_INFINITY && (narrows || (temperature ?? 0) > HOTTEST)) {
    const param = narrows ? "top_p" : "temperature";
    throw new ApiError(400, `${param} is not supported: ${AMONG_ALL}`, { param, code: "unsupported_parameter" });
  }
}

function parsed<T>(schema: GenericSchema<unknown, T>, body: unknown): T {
  const result = safeParse(schema, body);
  if (!result.success) {
    const [issue] = result.issues;
    const path = issue.path?.map(({ key }) => String(key)).join(".") ?? "the body";
    // What was expected, and not what was given: that may be a prompt.
    throw new ApiError(400, `${path} is not understood: expected ${issue.expected ?? "another value"}`, {
      param: path,
    });
  }
  return result.output;
}

function writing(
  body: InferOutput<typeof CHAT> | InferOutput<typeof COMPLETION>,
): Omit<WritingRequest, "prompt" | "mostTokens"> {
  const { model, user, stream, stop: stops, n, stream_options: options, temperature, top_p: topP, seed } = body;
  const sampling = {
    temperature: temperature ?? undefined,
    // No candidate makes up nothing: the first is taken all the same.
    ...(topP === 0 ? { topP: Number.MIN_VALUE } : { topP: topP ?? undefined }),
    seed: seed ?? undefined,
  };
  const usage = options?.include_usage === true;
  return { model, user: user ?? "", stream: stream === true, usage, stops, n, sampling };
}

export function chatRequest(body: unknown): WritingRequest {
  const fields = parsed(CHAT, body);
  refuse(fields, Object.keys(CHAT.entries));
  const { messages, max_tokens: older, max_completion_tokens: mostTokens = older } = fields;
  // A developer's message is what a system's was called before.
  const prompt = messages.map(({ role, content }) => ({ role: role === "developer" ? "system" : role, content }));
  return { ...writing(fields), prompt, mostTokens: mostTokens ?? undefined };
}

/** As OpenAI has it: without a number, so many tokens. */
const USUAL_TOKENS = 16;

export function completionRequest(body: unknown): WritingRequest {
  const fields = parsed(COMPLETION, body);
  refuse(fields, Object.keys(COMPLETION.entries));
  return { ...writing(fields), prompt: [fields.prompt].flat()[0], mostTokens: fields.max_tokens ?? USUAL_TOKENS };
}

export interface AnswersRequest {
  readonly model: string;
  readonly user: string;
  readonly input: readonly string[] | PictureInput;
}

function answersIn({ model, user, input }: InferOutput<typeof CLASSIFY>): AnswersRequest {
  return { model, user: user ?? "", input: typeof input === "string" ? [input] : input };
}

export function embeddingRequest(body: unknown): AnswersRequest & { readonly base64: boolean } {
  const fields = parsed(EMBEDDING, body);
  refuse(fields, Object.keys(EMBEDDING.entries));
  return { ...answersIn(fields), base64: fields.encoding_format === "base64" };
}

export function classifyRequest(body: unknown): AnswersRequest {
  const fields = parsed(CLASSIFY, body);
  refuse(fields, Object.keys(CLASSIFY.entries));
  return answersIn(fields);
}
