"""Weight-only int8: every large weight is stored as int8 with one scale per output channel and a DequantizeLinear.

An engine folds the DequantizeLinear away when it loads the model and then computes in f32, so the file is a quarter
of the size and the arithmetic is as fast and nearly as exact as before.
"""

import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

SMALLEST = 1024  # weights with fewer values stay f32


def channel_scales(weight, axis):
    """The scale per channel, of a few candidates that clip the largest weights, with the least squared error."""
    rest = tuple(a for a in range(weight.ndim) if a != axis)
    peak = np.maximum(np.abs(weight).max(rest, keepdims=True), 1e-12) / 127
    best, least = peak, None
    for shrink in np.linspace(0.7, 1, 13):
        scale = peak * np.float32(shrink)
        error = ((np.clip(np.rint(weight / scale), -127, 127) * scale - weight) ** 2).sum(rest, keepdims=True)
        if least is None:
            best, least = np.broadcast_to(scale, error.shape).copy(), error
        else:
            best, least = np.where(error < least, scale, best), np.minimum(error, least)
    return best.astype(np.float32)


def weights_to_int8(model):
    """Replaces the weights of Conv, Gemm and MatMul, in place."""
    graph = model.graph
    initializers = {i.name: i for i in graph.initializer}
    dequantize = []
    for node in list(graph.node):
        if node.op_type not in ("Conv", "Gemm", "MatMul") or node.input[1] not in initializers:
            continue
        tensor = initializers[node.input[1]]
        weight = numpy_helper.to_array(tensor)
        if weight.size < SMALLEST:
            continue
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        axis = 0 if node.op_type == "Conv" or transposed else weight.ndim - 1
        scale = channel_scales(weight, axis)
        quantized = np.clip(np.rint(weight / scale), -127, 127).astype(np.int8)
        name = tensor.name
        graph.initializer.remove(tensor)
        graph.initializer.extend([
            numpy_helper.from_array(quantized, name + ".int8"),
            numpy_helper.from_array(scale.reshape(-1), name + ".scale"),
            numpy_helper.from_array(np.zeros(scale.size, np.int8), name + ".zero"),
        ])
        dequantize.append(helper.make_node("DequantizeLinear", [name + ".int8", name + ".scale", name + ".zero"], [name], name + ".f32", axis=axis))
    for node in reversed(dequantize):
        graph.node.insert(0, node)
    return model


def main(source, target):
    model = weights_to_int8(onnx.load(source))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
