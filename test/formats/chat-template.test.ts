/** Conversations as texts: a model's own template, where it is, and what is wrong with it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { chatTemplateBeside, type Message } from "../../formats/chat-template.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-chat-"));
afterAll(() => rmSync(folder, { recursive: true }));
const TOKENIZER = join(folder, "tokenizer.json");
const CHATML =
  "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] | trim + '<|im_end|>' + '\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
const said: readonly Message[] = [
  { role: "system", content: "Be brief. " },
  { role: "user", content: "Hi {{ 1 + 1 }}" },
];

function write(name: string, content: string | object): void {
  writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
}

it("is none where there is no template", () => {
  expect(chatTemplateBeside(TOKENIZER)).toBeUndefined();
  write("tokenizer_config.json", { bos_token: "<s>" });
  expect(chatTemplateBeside(TOKENIZER)).toBeUndefined();
});

it.each([
  ["a text", CHATML],
  [
    "the default of several",
    [
      { name: "tool_use", template: "{{ tools }}" },
      { name: "default", template: CHATML },
    ],
  ],
])("tokenizer_config.json holds %s; what is said is no template", (_, template) => {
  write("tokenizer_config.json", { chat_template: template });
  expect(chatTemplateBeside(TOKENIZER)!(said)).toBe(
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi {{ 1 + 1 }}<|im_end|>\n<|im_start|>assistant\n",
  );
});

it("has the tokenizer's tokens, also where they are objects, and goes before in a file of its own", () => {
  write("tokenizer_config.json", { bos_token: { content: "<s>" }, eos_token: "</s>", chat_template: "other" });
  write("chat_template.jinja", "{{ bos_token }}[INST] {{ messages[-1].content }} [/INST]{{ eos_token }}");
  expect(chatTemplateBeside(TOKENIZER)!([{ role: "user", content: "a" }])).toBe("<s>[INST] a [/INST]</s>");
});

it("says what it refuses, and that it cannot be read", () => {
  write("chat_template.jinja", "{{ raise_exception('roles must alternate') }}");
  expect(() => chatTemplateBeside(TOKENIZER)!(said)).toThrow(/E0202.*roles must alternate/s);
  write("chat_template.jinja", "{% for %}");
  expect(() => chatTemplateBeside(TOKENIZER)).toThrow(/E0301.*chat_template.jinja/s);
  write("tokenizer_config.json", "{");
  expect(() => chatTemplateBeside(TOKENIZER)).toThrow(/E0301.*tokenizer_config.json/s);
});
