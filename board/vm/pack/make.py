"""Makes the pack beside it, for tests where every frame must be cheap and what is seen must be plain.

    python3 board/vm/pack/make.py        # numpy, onnx

A person stands in each quarter of the picture that is bright on average: brighter than 0.4 of white. The image tower
gives the mean colour, the text tower some vector that depends on the words.
"""

import hashlib
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
WIDTH = 8
WORDS = ["[UNK]", "a", "person", "walking", "standing"]


def constant(name, value, kind=np.float32):
    return numpy_helper.from_array(np.asarray(value, kind), name)


def save(name, nodes, inputs, outputs, constants):
    def values(ports):
        return [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in ports]

    graph = helper.make_graph(nodes, name, values(inputs), values(outputs), constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, HERE / f"{name}.onnx")


def detector():
    """YOLOX's output of 64 x 64 pixels: 8 x 8, 4 x 4 and 2 x 2 cells. Only the coarsest ever hold anybody."""
    finer = np.zeros((1, 64 + 16, 85))
    box = np.tile([0.5, 0.5, 0.0, 0.0], (1, 4, 1))  # the cell itself
    classes = np.tile(np.eye(80)[0], (1, 4, 1))  # a person
    nodes = [
        # As a convolution the mean is cheapest: an emulated machine has tens of frames a second to analyse.
        helper.make_node("Conv", ["image", "mean"], ["quarters"], kernel_shape=[32, 32], strides=[32, 32]),
        helper.make_node("Reshape", ["quarters", "column"], ["bright"]),
        helper.make_node("Sub", ["bright", "threshold"], ["above"]),
        helper.make_node("Mul", ["above", "steepness"], ["steep"]),
        helper.make_node("Clip", ["steep", "zero", "one"], ["objectness"]),
        helper.make_node("Concat", ["box", "objectness", "classes"], ["coarse"], axis=2),
        helper.make_node("Concat", ["finer", "coarse"], ["output"], axis=1),
    ]
    constants = [
        constant("mean", np.full((1, 3, 32, 32), 1 / (3 * 32 * 32))),
        constant("column", [1, 4, 1], np.int64),
        constant("threshold", 0.4),
        constant("steepness", 100.0),
        constant("zero", 0.0),
        constant("one", 1.0),
        constant("box", box),
        constant("classes", classes),
        constant("finer", finer),
    ]
    image, output = [1, 3, 64, 64], [1, 84, 85]
    save("detector", nodes, [("image", TensorProto.FLOAT, image)], [("output", TensorProto.FLOAT, output)], constants)


def image():
    mixed = np.random.default_rng(1).normal(size=(3, WIDTH))
    nodes = [
        helper.make_node("ReduceMean", ["pixel_values"], ["colour"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["colour", "mix"], ["image_embeds"]),
    ]
    pixels, embeds = ["batch", 3, 32, 32], ["batch", WIDTH]
    inputs, outputs = [("pixel_values", TensorProto.FLOAT, pixels)], [("image_embeds", TensorProto.FLOAT, embeds)]
    save("image", nodes, inputs, outputs, [constant("mix", mixed)])


def text():
    table = np.random.default_rng(2).normal(size=(len(WORDS), WIDTH))
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"], axis=0)]
    ids, hidden = ["batch", "sequence"], ["batch", "sequence", WIDTH]
    inputs, outputs = [("input_ids", TensorProto.INT64, ids)], [("last_hidden_state", TensorProto.FLOAT, hidden)]
    save("text", nodes, inputs, outputs, [constant("table", table)])
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {word: index for index, word in enumerate(WORDS)},
            "unk_token": "[UNK]",
        },
    }
    (HERE / "tokenizer.json").write_text(json.dumps(tokenizer, indent=1) + "\n")


MANIFEST = f"""\
name = "bright-quarters"
version = 1
license = "MIT OR Apache-2.0"
source = "board/vm/pack/make.py"

[embedding]
width = {WIDTH}
space = "bright-quarters"
logit_scale = 10.0

[image]
size = [32, 32]
mean = [0.0, 0.0, 0.0]
std = [1.0, 1.0, 1.0]
resize = "bilinear"
files = {{ cpu = "image.onnx" }}

[text]
tokenizer = "tokenizer.json"
context = 16
pooling = "mean"
template = "{{}}"
files = {{ cpu = "text.onnx" }}

[detector]
kind = "yolox"
size = [64, 64]
classes = "coco"
person = 0
mean = [0.0, 0.0, 0.0]
std = [255.0, 255.0, 255.0]
resize = "stretch"
files = {{ cpu = "detector.onnx" }}

[sha256]
"""


def main():
    detector()
    image()
    text()
    files = ["detector.onnx", "image.onnx", "text.onnx", "tokenizer.json"]
    hashes = (f'"{name}" = "{hashlib.sha256((HERE / name).read_bytes()).hexdigest()}"\n' for name in files)
    (HERE / "pack.toml").write_text(MANIFEST + "".join(hashes))


if __name__ == "__main__":
    main()
