#!/usr/bin/env bash
# Resize with align_corners and a scale that makes no whole number of elements: onnx 1.23.2's reference and node tests
# compute something else than onnxruntime 1.32.0.
#
# Two rows of four by scales (0.6, 0.6): 2.4 columns, of which two are left. The second output column stands at
# x (length_original - 1) / (length_resized - 1). onnxruntime (like PyTorch's interpolate) takes for length_resized the
# two columns that there are, so corners are aligned and the output ends with the input's last element. ONNX's
# reference implementation takes 2.4: the output's corner lies at column 2.14, and the node test
# test_resize_downsample_scales_linear_align_corners holds that. A runtime cannot pass it and align corners.
#
# Output seen:
#   onnxruntime [1.0, 4.0]
#   reference [1.0, 3.142857]
#   node test [1.0, 3.142857]
#   as described
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys, warnings
warnings.filterwarnings("ignore")
import numpy, onnx, onnxruntime
from onnx import helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases
from onnx.reference import ReferenceEvaluator

x = numpy.arange(1, 9, dtype=numpy.float32).reshape(1, 1, 2, 4)
node = helper.make_node(
    "Resize", ["x", "", "s"], ["y"], mode="linear", coordinate_transformation_mode="align_corners"
)
graph = helper.make_graph(
    [node],
    "g",
    [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 1, 2, 4])],
    [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
    [numpy_helper.from_array(numpy.array([1, 1, 0.6, 0.6], numpy.float32), "s")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
case = next(
    each for each in collect_testcases("Resize") if each.name == "test_resize_downsample_scales_linear_align_corners"
)
found = {
    "onnxruntime": session.run(None, {"x": x})[0],
    "reference": ReferenceEvaluator(model).run(None, {"x": x})[0],
    "node test": numpy.asarray(case.data_sets[0][1][0]),
}
rows = {name: [round(float(v), 6) for v in value.ravel()] for name, value in found.items()}
for name, row in rows.items():
    print(name, row)
fits = rows["onnxruntime"] == [1.0, 4.0] and rows["reference"] == rows["node test"] == [1.0, 3.142857]
print("as described" if fits else "changed")
sys.exit(0 if fits else 1)
PYTHON
