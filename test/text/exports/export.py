"""The parts of a tiny LLaMA for generation, as transformers' export_for_generation gives them (5.24). Run by hand:

    python test/text/exports/export.py test/text/exports

static.onnx: the decode part over a static cache; many.onnx: the decode part for several tokens at once, of any length.
"""
import pathlib, sys
import onnx_ir, torch, transformers
from transformers.exporters.configs import OnnxConfig
from transformers.exporters.exporter_onnx import OnnxExporter

SHAPE = {"vocab_size": 24, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "max_position_embeddings": 32}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "bos_token_id": 0, "eos_token_id": 23}


def part(name, dynamic, **more):
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE, **HEADS)).eval()
    for weight in model.parameters():
        weight.data *= 12 if weight.dim() > 1 else 1
    ids = torch.randint(1, 22, (1, 9))
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    parts = OnnxExporter().export_for_generation(model, given, OnnxConfig(dynamic=dynamic), **more)
    exported = dict(parts.items() if hasattr(parts, "items") else parts.components.items())["decode"]
    exported = next(getattr(exported, each) for each in ("program", "exported", "artifact") if hasattr(exported, each))
    for value in [exported.graph, *exported.graph, *exported.graph.inputs, *exported.graph.outputs, *exported.graph.initializers.values()]:
        value.metadata_props.clear()
    for node in exported.graph:
        for value in node.outputs:
            value.metadata_props.clear()
    onnx_ir.save(exported, str(pathlib.Path(sys.argv[1]) / f"{name}.onnx"))


static = transformers.GenerationConfig(cache_implementation="static", max_length=12)
part("static", False, generation_config=static)
part("many", True, multi_token_decode=True)
