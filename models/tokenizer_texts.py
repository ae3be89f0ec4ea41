"""Makes test/fixtures/tokenizers: small tokenizers of every usual kind, and 600 varied texts with the ids that Python's
`tokenizers` gives them. Run by hand; the test holds our ids to these.

    python models/tokenizer_texts.py test/fixtures/tokenizers     (tokenizers 0.23.3)
"""

import json
import pathlib
import random
import sys

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = 600

# Words of many scripts, and what tokenizers differ on: final sigmas, dotted i, ideographs beyond U+FFFF, numbers that are no
# digits, accents in both normal forms, joined emoji, white space and controls of every kind, punctuation beyond ASCII.
PIECES = """the movie was not as good as I'd hoped don't we'll THEY'VE State-of-the-art e.g. U.S.A. 3.14 1,000,000 100% a_b C++
ΟΔΟΣ ΣΊΣΥΦΟΣ ΑΣ. Σ ΣΑΣ ΟΔΌΣ, İstanbul ISPARTA ıssız Ǆungla STRASSE straße ẞ ﬁne ﬂow Éclair éclair naïve Ångström Ångström
Příliš žluťoučký kůň Zażółć gęślą jaźń Việt_Nam ПРИВЕТ мир Ёлка ЙОГУРТ Київ שָׁלוֹם עולם السَّلام عليكم हिन्दी नमस्ते ภาษาไทย ที่นี่ မြန်မာ
한국어 안녕하세요 漢字 かな カタカナ ﾊﾝｶｸ 𠀀𠀁 𪚥 𫝀 𬺰 㐀㐁 龍 ½ ¼ ① ② Ⅷ ⅷ ² x³ ٣٤٥ १२३ ４５６ 𝟘𝟙 12½ 3① 2026-11-28 12:30 0x1F
😀 👍🏽 👨‍👩‍👧 🇩🇪 ❤️ ♥ ☃ “quoted” ‘single’ «guillemets» … – — ‐ · • ¿qué? ¡olé! €5 £3 ¥7 ±1 ×2 ÷ ≠ ∞ √2 ∑ ℝ ™ © № ℃
a​b zero‌width soft­hyphen no break thin space ideo　graphic tab	end ﷺ ㎏ ｆｕｌｌ ①② ⑴ Å 𝒜𝔹 \u0001 \u007f \u0085 �
[MASK] <s> </s> [CLS] <unk> ## ##ing ▁ Ġ <0x41> @user #tag http://a.b/c?d=e&f=g user@example.org {"k": [1, 2]} \\n \\t `code` ~ ^ |""".split(" ")

SPACES = [" ", " ", " ", " ", "  ", "\n", "\t", "", " ", "　", "\r\n", "\u2028"]


def texts(generator):
    words = [piece for line in PIECES for piece in line.split("\n")]
    found = []
    while len(found) < TEXTS:
        pieces = [generator.choice(words) for _ in range(generator.randint(1, 9))]
        text = "".join(piece + generator.choice(SPACES) for piece in pieces)
        text = text if generator.random() < 0.3 else text.strip()
        if text and text not in found:
            found.append(text)
    return found


def bert(lowercase, **options):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, **options)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    template = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", [("[CLS]", 2), ("[SEP]", 3)])
    return tokenizer, trainers.WordPieceTrainer(vocab_size=420, special_tokens=special, show_progress=False), template


def byte_level(first, closing):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = first
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<s>", "</s>", "<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    return tokenizer, trainer, closing


LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def llama2():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=560, special_tokens=special, limit_alphabet=200, show_progress=False)
    return tokenizer, trainer, processors.TemplateProcessing("<s> $A", "<s> $A $B", [("<s>", 1)])


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.StripAccents()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    return tokenizer, trainer, processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 2)])


def digits():
    tokenizer, trainer, template = bert(False)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("merged_with_next")]
    )
    return tokenizer, trainer, template


KINDS = {
    "bert-uncased": lambda: bert(True),
    "bert-cased": lambda: bert(False, strip_accents=False),
    "gpt2": lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), None),
    "llama3": lambda: byte_level(
        pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        ),
        processors.TemplateProcessing("<s> $A", "<s> $A $B", [("<s>", 0)]),
    ),
    "llama2": llama2,
    "unigram": unigram,
    "digits": digits,
}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    given = texts(random.Random(17))
    tokenizers = {}
    for name, make in KINDS.items():
        tokenizer, trainer, post = make()
        tokenizer.train_from_iterator(given, trainer)
        if post is not None:
            tokenizer.post_processor = post
        tokenizer.save(str(folder / f"{name}.json"), pretty=False)
        tokenizers[name] = tokenizer
    names = list(tokenizers)
    rows = []
    for at, text in enumerate(given):
        pair = [names[at % len(names)], names[(at + 3) % len(names)]]
        rows.append([text, {name: tokenizers[name].encode(text).ids for name in pair}])
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    (folder / "texts.json").write_text(f"[\n{lines}\n]\n")


main()
