/**
 * A conversation as the text that a model was trained to continue, by the model's own template: Hugging Face keeps it
 * beside the tokenizer, as Jinja, in `chat_template.jinja` or in `tokenizer_config.json`.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Template } from "@huggingface/jinja";
import { fail } from "../ir/diagnostics.js";

/** What one side says: "system", "user" or "assistant". */
export interface Message {
  readonly role: string;
  readonly content: string;
}

/** The text of a conversation, up to where the model is to answer. E0202 where the template refuses it. */
export type ChatTemplate = (messages: readonly Message[]) => string;

interface TokenizerConfig {
  readonly chat_template?: unknown;
  readonly [token: `${string}_token`]: unknown;
}

/** The template beside a tokenizer; undefined where there is none. E0301 where it cannot be understood. */
export function chatTemplateBeside(tokenizer: string): ChatTemplate | undefined {
  const [text, config] = ["chat_template.jinja", "tokenizer_config.json"].map((name) => join(dirname(tokenizer), name));
  const settings = existsSync(config) ? (read(config, JSON.parse) as TokenizerConfig) : {};
  const source = existsSync(text) ? readFileSync(text, "utf8") : defaultOf(settings.chat_template);
  if (source === undefined) {
    return undefined;
  }
  const template = parsed(source, existsSync(text) ? text : config);
  const tokens = Object.entries(settings).filter(([name]) => name.endsWith("_token"));
  const named = Object.fromEntries(tokens.map(([name, token]) => [name, contentOf(token)]));
  return (messages) => {
    try {
      return template.render({ ...named, messages, add_generation_prompt: true });
    } catch (error) {
      const why = error instanceof Error ? error.message.split("\n")[0] : String(error);
      throw fail({ code: "E0202", what: "the model's chat template does not take this conversation", why });
    }
  };
}

/** A model may have several, by name. */
function defaultOf(template: unknown): string | undefined {
  const named = Array.isArray(template) ? template.find(({ name }) => name === "default")?.template : template;
  return typeof named === "string" ? named : undefined;
}

/** A token in tokenizer_config.json: its text, or an object with it. */
function contentOf(token: unknown): string {
  const content = typeof token === "object" && token !== null && "content" in token ? token.content : token;
  return typeof content === "string" ? content : "";
}

function parsed(source: string, where: string): Template {
  return read(where, () => new Template(source));
}

function read<T>(where: string, parse: (text: string) => T): T {
  try {
    return parse(readFileSync(where, "utf8"));
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw fail({ code: "E0301", what: "the chat template cannot be read", where, why });
  }
}
