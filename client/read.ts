/** A run's outputs with what they mean, for people and as the document of --json. */
import { TOP_IDS } from "../formats/text.js";
import type { TensorValue } from "../ir/tensor/value.js";
import { type Answer, answersOf, describeAnswer, type Reading } from "./answers.js";

/** Outputs, and what they come to. */
export interface ReadOutputs {
  readonly outputs: ReadonlyMap<string, TensorValue>;
  readonly answers: readonly Answer[];
  /** The next tokens as text, where the plan reveals them and there is a tokenizer. */
  readonly text: readonly string[] | undefined;
}

/** Reads outputs by their names and shapes, the model's labels and its tokenizer. */
export async function readOutputs(
  outputs: ReadOutputs["outputs"],
  inputs: ReadOutputs["outputs"],
  reading: Reading,
): Promise<ReadOutputs> {
  const { encoder } = reading;
  const token = outputs.get("token") ?? outputs.get(TOP_IDS);
  const text = token && encoder && (await Promise.all([...token.data].map((id) => encoder.decode([id]))));
  return { outputs, answers: await answersOf(outputs, inputs, reading), text };
}

/** What the document of a run says of its outputs. */
export function documentOf({ outputs, answers, text }: ReadOutputs): object {
  const numbers = [...outputs].map(([name, { shape, data }]) => [name, { shape, data: [...data] }]);
  return { outputs: Object.fromEntries(numbers), ...(text !== undefined && { text }), answers };
}

/** The answers, then the first numbers of every output. */
export function describeOutputs({ outputs, answers, text }: ReadOutputs): readonly string[] {
  const lines = [...outputs].map(([name, value]) => {
    const isText = name === "token" || name === TOP_IDS;
    const words = isText && text !== undefined ? text.map((each) => ` ${JSON.stringify(each)}`).join("") : "";
    return `${name} [${value.shape}]: ${describeNumbers(value)}${words}`;
  });
  return [...answers.map(describeAnswer), ...lines];
}

const MOST_NUMBERS = 16;

/** The first numbers of an output. */
function describeNumbers({ data }: TensorValue): string {
  const shown = [...data.subarray(0, MOST_NUMBERS)].map((number) => number.toFixed(4));
  return data.length > MOST_NUMBERS ? `${shown.join(" ")} … (${data.length} numbers)` : shown.join(" ");
}
