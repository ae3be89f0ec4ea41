"""
Writes test/onnx/checkpoints.json: what Hugging Face's own models answer, for small ones of every architecture and head
that a folder may hold. By hand, with transformers, torch and safetensors installed: python models/checkpoints.py

Weights follow from their names and places (`weight`), so that the test makes the same files without carrying them.
"""

import json
import os
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file

ENCODER = dict(vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
               max_position_embeddings=12, num_labels=3)
DISTIL = dict(vocab_size=20, dim=8, n_layers=2, n_heads=2, hidden_dim=12, max_position_embeddings=12, num_labels=3)
GPT2 = dict(vocab_size=20, n_embd=8, n_layer=2, n_head=2, n_positions=12, num_labels=3, bos_token_id=1, eos_token_id=2)
LLAMA = dict(vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             intermediate_size=12, max_position_embeddings=64, num_labels=3, head_dim=4)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)
HEADS = ["Model", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"]

CASES = [
    *[("Bert" + head, ENCODER) for head in [*HEADS, "ForMaskedLM"]],
    *[("Roberta" + head, {**ENCODER, "pad_token_id": 1}) for head in [*HEADS, "ForMaskedLM"]],
    *[("DistilBert" + head, DISTIL) for head in [*HEADS, "ForMaskedLM"]],
    *[("GPT2" + head, {**GPT2, "pad_token_id": 0}) for head in [*HEADS, "LMHeadModel"]],
    *[("Llama" + head, {**LLAMA, "pad_token_id": 0}) for head in [*HEADS, "ForCausalLM"]],
    ("LlamaForCausalLM", {**LLAMA, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True}),
    ("LlamaModel", {**LLAMA, "rope_parameters": LLAMA3}),
    ("LlamaModel", {**LLAMA, "rope_parameters": dict(rope_type="linear", rope_theta=500.0, factor=2.0)}),
    *[("Mistral" + head, {**LLAMA, "pad_token_id": 0, "sliding_window": 3}) for head in [*HEADS, "ForCausalLM"]],
    ("MistralModel", {**LLAMA, "sliding_window": None}),
    *[("Qwen2" + head, {**LLAMA, "pad_token_id": 0}) for head in [*HEADS, "ForCausalLM"]],
    ("Qwen2Model", {**LLAMA, "use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}),
    *[("Qwen3" + head, {**LLAMA, "pad_token_id": 0}) for head in [*HEADS, "ForCausalLM"]],
    ("BertModel", {**ENCODER, "hidden_act": "relu"}),
    ("BertForSequenceClassification", {**ENCODER, "hidden_act": "gelu_new", "num_labels": 1}),
    ("XLMRobertaForSequenceClassification", {**ENCODER, "pad_token_id": 1, "num_labels": 2}),
    ("CamembertForMaskedLM", {**ENCODER, "pad_token_id": 1}),
]

IDS = [[3, 5, 19, 7, 2, 11], [4, 8, 2, 17, 0, 0]]


def weight(name, shape):
    """Numbers between -0.4 and 0.4, those of norms around 1; whole-number arithmetic, so that all languages agree."""
    size = 1
    for n in shape:
        size *= n
    seed = sum((i + 1) * ord(c) for i, c in enumerate(name))
    centre = 1.0 if "norm" in name.lower() or ".ln_" in name else 0.0
    if not name.endswith(".weight"):
        centre = 0.0
    values = [centre + ((i * 7919 + seed * 104729 + i * i * 31) % 1009) / 1009 * 0.8 - 0.4 for i in range(size)]
    return torch.tensor(values, dtype=torch.float64).to(torch.float32).reshape(shape)


def case(name, options):
    kind = getattr(transformers, name)
    if name.endswith("ForQuestionAnswering"):
        options = {**options, "num_labels": 2}
    model = kind(kind.config_class(**options)).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(weight(key, parameter.shape))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.load(open(os.path.join(folder, "config.json")))
        stored = load_file(os.path.join(folder, "model.safetensors"))
        # What is saved is read by its names there; a base model's differ from those inside a model with a head.
        for key, value in stored.items():
            value.copy_(weight(key, value.shape))
        missing = model.load_state_dict(stored, strict=False)
        model.tie_weights()
    pad = config.get("pad_token_id")
    ids = torch.tensor(IDS)
    padded = ids == 0
    if pad is not None:
        ids = torch.where(padded, pad, ids)
    inputs = {"input_ids": ids, "attention_mask": (~padded).long()}
    if name.startswith("Bert"):
        inputs["token_type_ids"] = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0]])
    if pad is None and "Classification" in name:
        inputs = {key: value[:1] for key, value in inputs.items()}
    with torch.no_grad():
        out = model(**inputs)
    kept = {k: v for k, v in out.items() if isinstance(v, torch.Tensor)}
    return {
        "config": {k: v for k, v in config.items() if k not in ("transformers_version", "dtype")},
        "weights": {key: list(value.shape) for key, value in stored.items()},
        "missing": missing.missing_keys,
        "inputs": {key: value.tolist() for key, value in inputs.items()},
        "outputs": {key: [round(x, 5) for x in value.flatten().tolist()] for key, value in kept.items()},
    }


if __name__ == "__main__":
    cases = [case(name, options) for name, options in CASES]
    target = os.path.join(os.path.dirname(__file__), "..", "test", "onnx", "checkpoints.json")
    with open(sys.argv[1] if len(sys.argv) > 1 else target, "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(each) for each in cases) + "\n]\n")
