"""Trains and exports the two character models of models/characters: GPT-2's architecture, small, on text of our own.

Run by hand; pumac itself needs no Python. A minute on two cores, with torch and transformers installed:

    python models/train_characters.py models/characters

Reads text.txt there and writes tokenizer.json (a token is a character), model.onnx, and draft.onnx: a smaller model of
the same text and tokens, which guesses what the first one writes. Both take input_ids, attention_mask and position_ids
of any length up to 64, and have no cache: the compiler makes one.
"""

import argparse
import json
import pathlib

import torch
import transformers

CONTEXT = 64
SIZES = {
    "model": {"n_layer": 2, "n_embd": 64, "n_head": 4, "steps": 1500},
    "draft": {"n_layer": 1, "n_embd": 32, "n_head": 2, "steps": 1500},
}


class Exported(torch.nn.Module):
    """Takes the inputs by position and gives the logits only."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids):
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "position_ids": position_ids}
        return self.model(**given, use_cache=False, return_dict=True).logits


def train(ids, words, n_layer, n_embd, n_head, steps):
    torch.manual_seed(0)
    shape = {"vocab_size": words, "n_positions": CONTEXT, "n_layer": n_layer, "n_embd": n_embd, "n_head": n_head}
    rates = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    config = transformers.GPT2Config(**shape, **rates, attn_implementation="eager", bos_token_id=0, eos_token_id=0)
    model = transformers.GPT2LMHeadModel(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=steps)
    for step in range(steps):
        starts = torch.randint(0, len(ids) - CONTEXT - 1, (32,))
        batch = torch.stack([ids[start : start + CONTEXT + 1] for start in starts])
        logits = model(batch[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 250 == 0 or step == steps - 1:
            print(f"{n_layer} layers, step {step}: {loss.item():.3f}")
    return model.eval()


def export(model, path):
    ids = torch.zeros((1, 8), dtype=torch.int64)
    given = (ids, torch.ones_like(ids), torch.arange(8)[None])
    names = ["input_ids", "attention_mask", "position_ids"]
    torch.onnx.export(
        Exported(model),
        given,
        str(path),
        input_names=names,
        output_names=["logits"],
        opset_version=17,
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in [*names, "logits"]},
        dynamo=False,
    )


def tokenizer(characters):
    """A tokenizer.json in which every character is a token: pieces of one character that nothing merges."""
    vocabulary = {character: i for i, character in enumerate(characters)}
    model = {"type": "BPE", "vocab": vocabulary, "merges": [], "unk_token": None, "byte_fallback": False}
    rest = {"normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": {"type": "Fuse"}}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], **rest, "model": model}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    folder = arguments.parse_args().folder
    text = (folder / "text.txt").read_text()
    characters = sorted(set(text))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(characters), ensure_ascii=False) + "\n")
    ids = torch.tensor([characters.index(character) for character in text])
    for name, size in SIZES.items():
        export(train(ids, len(characters), **size), folder / f"{name}.onnx")


if __name__ == "__main__":
    main()
