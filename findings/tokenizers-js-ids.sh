#!/usr/bin/env bash
# @huggingface/tokenizers 0.2.0 (JavaScript) gives other token ids than Python's tokenizers 0.23.3 for the same
# tokenizer.json and text: a model then reads another text than the one that it was trained to read.
#
# Each text goes through a vocabulary of characters, so that an id is a character. What differs, and why:
#   - BertNormalizer, "ΟΔΟΣ": JavaScript lowers a final sigma to ς, Rust (character by character) to σ;
#   - BertNormalizer, "𠀀𠀁": ideographs beyond U+FFFF are looked at by half, so no space is put around them, and the
#     two are one word;
#   - Digits, "12½3": \d is [0-9] where Rust's is_numeric takes ½ and ① for digits;
#   - Whitespace, "naïve": \w without the u flag is ASCII, so letters with accents split words.
#
# Output seen:
#   sigma: differs
#   ideographs: differs
#   digits: differs
#   whitespace: differs
#   plain: the same
#   as described
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
(cd "$folder" && npm init -y >/dev/null && npm install --silent --no-audit --no-fund @huggingface/tokenizers@0.2.0)
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import json, sys
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, decoders, processors

CASES = {
    "sigma": ("bert", "bert", "ΟΔΟΣ"),
    "ideographs": ("bert", "bert", "𠀀𠀁"),
    "digits": (None, "digits", "12½3"),
    "whitespace": (None, "whitespace", "naïve"),
    "plain": ("bert", "bert", "A plain text, with nothing odd."),
}
letters = sorted(set("".join(text + text.lower() for _, _, text in CASES.values())) | {"σ", "ς"} - {" "})
vocabulary = {"[UNK]": 0, **{letter: i + 1 for i, letter in enumerate(letters)}}
vocabulary.update({f"##{letter}": len(vocabulary) + i for i, letter in enumerate(letters)})
vocabulary["12½3"] = len(vocabulary)
vocabulary["12"], vocabulary["naïve"] = len(vocabulary), len(vocabulary) + 1
wanted = {}
for name, (normalizer, splitter, text) in CASES.items():
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    if normalizer == "bert":
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = {
        "bert": pre_tokenizers.BertPreTokenizer(),
        "digits": pre_tokenizers.Digits(individual_digits=False),
        "whitespace": pre_tokenizers.Whitespace(),
    }[splitter]
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.save(f"{sys.argv[1]}/{name}.json")
    wanted[name] = [text, tokenizer.encode(text).ids]
json.dump(wanted, open(f"{sys.argv[1]}/wanted.json", "w"))
PYTHON
cat >"$folder/compare.mjs" <<'JAVASCRIPT'
import { readFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";

const read = (name) => JSON.parse(readFileSync(new URL(`${name}.json`, import.meta.url)));
let fits = true;
for (const [name, [text, ids]] of Object.entries(read("wanted"))) {
  const same = new Tokenizer(read(name), {}).encode(text).ids.join() === ids.join();
  fits &&= same === (name === "plain");
  console.log(`${name}: ${same ? "the same" : "differs"}`);
}
console.log(fits ? "as described" : "changed");
process.exit(fits ? 0 : 1);
JAVASCRIPT
node "$folder/compare.mjs"
