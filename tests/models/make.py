"""Makes the small models beside it, quantised by onnxruntime itself, with what it computes of them.

    python3 tests/models/make.py        # numpy, onnx, onnxruntime

`dynamic.onnx`: DynamicQuantizeLinear, ConvInteger, MatMulInteger. `pairs.onnx`: QuantizeLinear/DequantizeLinear pairs.
Both: `x` [batch, 3, 8, 8] → `y` [batch, 5] and `best` [batch], the index of the greatest. `expected.json`: `x` of two
rows and the outputs of either model.
"""

import json
import pathlib
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

HERE = pathlib.Path(__file__).resolve().parent


def network(generator):
    def constant(name, *shape):
        value = generator.normal(size=shape).astype(np.float32) / np.sqrt(np.prod(shape[1:]))
        return numpy_helper.from_array(value.astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "k", "c"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
        helper.make_node("ArgMax", ["y"], ["best"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5]),
            helper.make_tensor_value_info("best", TensorProto.INT64, ["batch"]),
        ],
        [constant("k", 6, 3, 3, 3), constant("c", 6), constant("w", 96, 5)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Calibration(CalibrationDataReader):
    def __init__(self, generator):
        self.batches = iter([{"x": generator.normal(size=(16, 3, 8, 8)).astype(np.float32)}])

    def get_next(self):
        return next(self.batches, None)


def main():
    generator = np.random.default_rng(1)
    x = generator.normal(size=(2, 3, 8, 8)).astype(np.float32)
    expected = {"x": x.ravel().tolist()}
    with tempfile.TemporaryDirectory() as folder:
        plain = pathlib.Path(folder) / "plain.onnx"
        onnx.save(network(generator), plain)
        quantize_dynamic(plain, HERE / "dynamic.onnx", weight_type=QuantType.QUInt8)
        quantize_static(
            plain, HERE / "pairs.onnx", Calibration(generator), QuantFormat.QDQ, per_channel=True, reduce_range=True,
            weight_type=QuantType.QInt8,
        )  # fmt: skip
    for name in ("dynamic", "pairs"):
        session = onnxruntime.InferenceSession(HERE / f"{name}.onnx", providers=["CPUExecutionProvider"])
        y, best = session.run(["y", "best"], {"x": x})
        expected[name] = {"y": y.ravel().tolist(), "best": best.tolist()}
    (HERE / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
