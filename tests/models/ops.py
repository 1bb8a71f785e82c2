"""Makes `ops/`: graphs of one or two operators each, as detectors and towers use them, with what onnxruntime makes of them.

    python3 tests/models/ops.py        # numpy, onnx, onnxruntime

Each `NAME.onnx` takes `x` and gives `y`; `ops/expected.json` says for each name the shape and values of both.
"""

import json
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent / "ops"
generator = np.random.default_rng(3)


def constant(name, *shape, scale=1.0):
    return numpy_helper.from_array((scale * generator.normal(size=shape)).astype(np.float32), name)


def integers(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def node(operator, inputs, output="y", **attributes):
    return helper.make_node(operator, inputs.split(), [output], **attributes)


# name: shape of x, nodes, constants
CASES = {
    "conv": ([2, 3, 9, 9], [node("Conv", "x w b", kernel_shape=[3, 3], pads=[1, 1, 1, 1])], [constant("w", 4, 3, 3, 3), constant("b", 4)]),
    "conv-strided": ([2, 3, 9, 9], [node("Conv", "x w", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])], [constant("w", 4, 3, 3, 3)]),
    "conv-depthwise": ([2, 4, 9, 9], [node("Conv", "x w", kernel_shape=[5, 5], pads=[2, 2, 2, 2], group=4)], [constant("w", 4, 1, 5, 5)]),
    "conv-grouped": ([2, 4, 9, 9], [node("Conv", "x w", kernel_shape=[3, 3], group=2)], [constant("w", 6, 2, 3, 3)]),
    "conv-patches": ([2, 3, 16, 16], [node("Conv", "x w", kernel_shape=[8, 8], strides=[8, 8])], [constant("w", 12, 3, 8, 8, scale=0.1)]),
    "matmul": ([2, 5, 7], [node("MatMul", "x w")], [constant("w", 7, 6)]),
    "attention": (
        [2, 3, 6, 4],
        [
            node("Transpose", "x", "k", perm=[0, 1, 3, 2]),
            node("MatMul", "x k", "scores"),
            node("Softmax", "scores", "weights", axis=-1),
            node("MatMul", "weights x"),
        ],
        [],
    ),
    "gemm": ([3, 7], [node("Gemm", "x w b", transB=1, alpha=0.5)], [constant("w", 5, 7), constant("b", 5)]),
    "layer-norm": ([2, 5, 8], [node("LayerNormalization", "x g b", epsilon=1e-5)], [constant("g", 8), constant("b", 8)]),
    "batch-norm": (
        [2, 4, 5, 5],
        [node("BatchNormalization", "x g b m v")],
        [constant("g", 4), constant("b", 4), constant("m", 4), numpy_helper.from_array(np.array([0.5, 1, 2, 3], np.float32), "v")],
    ),
    "quick-gelu": ([2, 9], [node("Mul", "x c", "scaled"), node("Sigmoid", "scaled", "gate"), node("Mul", "x gate")], [numpy_helper.from_array(np.float32(1.702), "c")]),
    "gelu": (
        [2, 9],
        [node("Mul", "x r", "s"), node("Erf", "s", "e"), node("Add", "e one", "f"), node("Mul", "x f", "g"), node("Mul", "g half")],
        [numpy_helper.from_array(np.float32(v), n) for n, v in (("r", 0.5**0.5), ("one", 1), ("half", 0.5))],
    ),
    "hard-swish": ([2, 9], [node("HardSigmoid", "x", "h", alpha=1 / 6, beta=0.5), node("Mul", "x h")], []),
    "relu6": ([2, 9], [node("Clip", "x lo hi")], [numpy_helper.from_array(np.float32(v), n) for n, v in (("lo", 0), ("hi", 6))]),
    "leaky": ([2, 9], [node("LeakyRelu", "x", alpha=0.1)], []),
    "max-pool": ([2, 3, 9, 9], [node("MaxPool", "x", kernel_shape=[5, 5], strides=[1, 1], pads=[2, 2, 2, 2])], []),
    "average-pool": ([2, 3, 8, 8], [node("GlobalAveragePool", "x")], []),
    "upsample": (
        [2, 3, 4, 4],
        [helper.make_node("Resize", ["x", "", "s"], ["y"], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
        [numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "s")],
    ),
    "upsample-linear": (
        [2, 3, 4, 4],
        [helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear", coordinate_transformation_mode="half_pixel")],
        [numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "s")],
    ),
    "focus": (
        [2, 3, 6, 6],
        [node("Slice", "x s0 e a t", "p"), node("Slice", "x s1 e a t", "q"), node("Concat", "p q", axis=1)],
        [integers("s0", 0, 0), integers("s1", 1, 0), integers("e", 6, 6), integers("a", 2, 3), integers("t", 2, 2)],
    ),
    "shuffle": (
        [2, 6, 3, 3],
        [node("Reshape", "x to", "g"), node("Transpose", "g", "t", perm=[0, 2, 1, 3, 4]), node("Reshape", "t back")],
        [integers("to", 0, 2, 3, 3, 3), integers("back", 0, 6, 3, 3)],
    ),
    "flatten-cells": (
        [2, 4, 3, 5],
        [node("Reshape", "x to", "f"), node("Transpose", "f", "t", perm=[0, 2, 1]), node("Sigmoid", "t")],
        [integers("to", 0, 4, -1)],
    ),
    "reduce": ([2, 5, 8], [node("ReduceMean", "x", "m", axes=[1], keepdims=1), node("Sub", "x m")], []),
    "normalise": ([2, 8], [node("ReduceL2", "x", "n", axes=[1], keepdims=1), node("Div", "x n")], []),
    "gather": ([2, 5, 8], [node("Gather", "x i", axis=1)], [numpy_helper.from_array(np.int64(0), "i")]),
}  # fmt: skip


def main():
    HERE.mkdir(exist_ok=True)
    expected = {}
    for name, (shape, nodes, constants) in CASES.items():
        x = generator.normal(size=shape).astype(np.float32)
        graph = helper.make_graph(
            nodes,
            name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape[1:]])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, HERE / f"{name}.onnx")
        session = onnxruntime.InferenceSession(HERE / f"{name}.onnx", providers=["CPUExecutionProvider"])
        (y,) = session.run(["y"], {"x": x})
        tensor = lambda a: {"shape": list(a.shape), "data": [float(f"{v:.6g}") for v in a.ravel()]}  # noqa: E731
        expected[name] = {"x": tensor(x), "y": tensor(y)}
    lines = [f"{json.dumps(name)}: {json.dumps(case)}" for name, case in expected.items()]
    (HERE / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
