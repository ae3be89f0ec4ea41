"""Exports a Hugging Face model by torch to ONNX with fixed shapes, the form that pumac reads best.

Run by hand; pumac itself needs no Python. See docs/exporting.md.

    python models/export_hugging_face.py MODEL OUT.onnx [--task classification|language|features|image]
        [--batch 1] [--sequence 128] [--opset 18] [--legacy]

MODEL is a name on the hub or a folder. Beside OUT.onnx a folder OUT.data gets input_0.npy … and output_0.npy: the
example inputs and torch's outputs, to compare with.
"""

import argparse
import pathlib

import numpy
import torch
import transformers

CLASSES = {
    "classification": "AutoModelForSequenceClassification",
    "language": "AutoModelForCausalLM",
    "features": "AutoModel",
    "image": "AutoModelForImageClassification",
}


class Wrapped(torch.nn.Module):
    """Takes the inputs by position and gives the first output only: no cache, no hidden states."""

    def __init__(self, model, names):
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *given):
        # A cache would add outputs whose shapes grow; the model is exported for whole sequences.
        extra = {} if "pixel_values" in self.names else {"return_dict": True}
        if "use_cache" in self.model.forward.__code__.co_varnames:
            extra["use_cache"] = False
        output = self.model(**dict(zip(self.names, given)), **extra)
        return output.logits if hasattr(output, "logits") else output.last_hidden_state


def example_inputs(config, task, batch, sequence):
    if task == "image":
        size = config.image_size
        return {"pixel_values": torch.randn(batch, config.num_channels, size, size)}
    inputs = {
        "input_ids": torch.randint(5, config.vocab_size, (batch, sequence)),
        "attention_mask": torch.ones(batch, sequence, dtype=torch.int64),
    }
    if getattr(config, "type_vocab_size", 0) > 1:
        # A tensor of its own: torch's exporter merges inputs that are the same object.
        inputs["token_type_ids"] = torch.zeros(batch, sequence, dtype=torch.int64)
    return inputs


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model")
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--task", choices=sorted(CLASSES), default="classification")
    arguments.add_argument("--batch", type=int, default=1)
    arguments.add_argument("--sequence", type=int, default=128)
    arguments.add_argument("--opset", type=int, default=18)
    arguments.add_argument("--legacy", action="store_true", help="the TorchScript exporter instead of dynamo")
    options = arguments.parse_args()

    torch.manual_seed(0)
    model_class = getattr(transformers, CLASSES[options.task])
    # Eager attention: the plain softmax form, without the NaN guards of the fused kernels.
    model = model_class.from_pretrained(options.model, attn_implementation="eager", torch_dtype=torch.float32).eval()
    inputs = example_inputs(model.config, options.task, options.batch, options.sequence)
    wrapped = Wrapped(model, list(inputs)).eval()
    values = tuple(inputs.values())
    with torch.no_grad():
        output = wrapped(*values)
        torch.onnx.export(
            wrapped,
            values,
            str(options.out),
            input_names=list(inputs),
            output_names=["logits" if options.task != "features" else "last_hidden_state"],
            opset_version=options.opset,
            dynamo=not options.legacy,
        )
    folder = options.out.with_suffix(".data")
    folder.mkdir(parents=True, exist_ok=True)
    for i, value in enumerate(values):
        numpy.save(folder / f"input_{i}.npy", value.numpy())
    numpy.save(folder / "output_0.npy", output.numpy())


if __name__ == "__main__":
    main()
