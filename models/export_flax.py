"""Exports a JAX function or a Flax module to what pumac reads: StableHLO text with names, and its weights.

Run by hand; pumac itself needs no Python. See docs/exporting.md.

    python models/export_flax.py FILE.py OUT_DIR [--keep-unused] [--hlo] [--bake]

FILE.py defines `model()`, which returns a tuple (function, parameters, inputs):
    function    takes (parameters, *inputs), or (parameters, **inputs) where inputs is a dictionary
    parameters  a tree of arrays (Flax: `variables` or `variables["params"]`; plain JAX: any tree)
    inputs      a tuple, or a dictionary by name, of example arrays: their shapes become the plan's

OUT_DIR gets
    model.mlir            StableHLO text; the arguments carry their tree paths
    weights.safetensors   the parameters by tree path (not with --bake)
    inputs.safetensors    the example inputs and what the function gives for them, to compare with
    model.hlo.pb          with --hlo: the same as an HloModuleProto
"""

import argparse
import importlib.util
import pathlib

import jax
import numpy
from safetensors.numpy import save_file


def load(path):
    spec = importlib.util.spec_from_file_location("exported_model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.model()


def flat(tree, root):
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {root + jax.tree_util.keystr(path): numpy.asarray(leaf) for path, leaf in leaves}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file")
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--keep-unused", action="store_true", help="keep inputs that the function does not use")
    arguments.add_argument("--hlo", action="store_true", help="write the HLO proto, too")
    arguments.add_argument("--bake", action="store_true", help="close over the parameters: they become constants")
    options = arguments.parse_args()
    # Locations name source files: without their folders, so that the export does not tell where it was made.
    jax.config.update("jax_hlo_source_file_canonicalization_regex", ".*/")

    function, parameters, inputs = load(options.file)
    names = list(inputs) if isinstance(inputs, dict) else [f"input{i}" for i in range(len(inputs))]
    values = [numpy.asarray(value) for value in (inputs.values() if isinstance(inputs, dict) else inputs)]

    def apply(params, *given):
        return function(params, **dict(zip(names, given))) if isinstance(inputs, dict) else function(params, *given)

    # The parameters' names in the text come from the names of the arguments: these must say what they are.
    signature = ", ".join(names)
    scope = {"apply": apply, "parameters": parameters}
    if options.bake:
        exec(f"def forward({signature}):\n    return apply(parameters, {signature})", scope)
        call = values
    else:
        exec(f"def forward(params, {signature}):\n    return apply(params, {signature})", scope)
        call = [parameters, *values]
    lowered = jax.jit(scope["forward"], keep_unused=options.keep_unused).lower(*call)

    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "model.mlir").write_text(lowered.as_text(debug_info=True))
    if options.hlo:
        proto = lowered.compiler_ir("hlo").as_serialized_hlo_module_proto()
        (options.out / "model.hlo.pb").write_bytes(proto)
    if not options.bake:
        weights = flat(parameters, "params")
        save_file({name: numpy.array(value, order="C") for name, value in weights.items()}, options.out / "weights.safetensors")
    results = flat(jax.jit(scope["forward"])(*call), "output")
    examples = {name: numpy.array(value, order="C") for name, value in zip(names, values)}
    save_file({**examples, **results}, options.out / "inputs.safetensors")


if __name__ == "__main__":
    main()
