#!/usr/bin/env bash
# onnxruntime 1.32.0 (CPU, default session options): a weight that is stored in 8 bits behind a DequantizeLinear rounds
# the activations too.
#
# DequantizeLinear(int8 weight, scale of the tensor, zero point) -> MatMul is weight-only quantisation: by ONNX's
# definition x stays in float32, and the product is exact to float32 rounding. With graph optimisation up to
# ORT_ENABLE_BASIC it is. From ORT_ENABLE_EXTENDED on (the default is ORT_ENABLE_ALL) the two nodes become one
# com.microsoft::MatMulNBits with accuracy_level 4, which quantises x to int8 in blocks: errors of a percent of the
# largest output, 50,000 times those of the unfused graph. Nothing is logged. A scale for each row (axis 0) is not fused.
#
# Output seen:
#   largest output 15.4
#   ORT_DISABLE_ALL: DequantizeLinear MatMul, error below 1e-4
#   ORT_ENABLE_BASIC: DequantizeLinear MatMul, error below 1e-4
#   ORT_ENABLE_EXTENDED: MatMulNBits, error above 1e-2
#   ORT_ENABLE_ALL: MatMulNBits, error above 1e-2
#   as described
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
import numpy, onnx, onnxruntime
from onnx import helper, numpy_helper

folder = sys.argv[1]
random = numpy.random.default_rng(0)
x = random.standard_normal((2, 16)).astype(numpy.float32)
weight = random.integers(-128, 127, (16, 8)).astype(numpy.int8)
scale, zero = numpy.float32(0.02), numpy.int8(3)
nodes = [
    helper.make_node("DequantizeLinear", ["w", "s", "z"], ["W"]),
    helper.make_node("MatMul", ["x", "W"], ["y"]),
]
graph = helper.make_graph(
    nodes,
    "g",
    [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 16])],
    [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 8])],
    [numpy_helper.from_array(numpy.asarray(v), n) for n, v in (("w", weight), ("s", scale), ("z", zero))],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
onnx.checker.check_model(model)
exact = x.astype(float) @ ((weight.astype(float) - 3) * float(scale))
print(f"largest output {abs(exact).max():.1f}")
fits = True
for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath = f"{folder}/{level}.onnx"
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    error = abs(session.run(None, {"x": x})[0] - exact).max()
    kinds = " ".join(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)
    fused = level in ("ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")
    said = "above 1e-2" if error > 1e-2 else "below 1e-4" if error < 1e-4 else f"{error:.1e}"
    fits = fits and said == ("above 1e-2" if fused else "below 1e-4") and ("MatMulNBits" in kinds) == fused
    print(f"{level}: {kinds}, error {said}")
print("as described" if fits else "changed")
sys.exit(0 if fits else 1)
PYTHON
