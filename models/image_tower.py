"""Learns the projection of EfficientNet-Lite2 into MiniLM's sentence space and writes the image tower.

    python3 image_tower.py CHECKPOINT.pth CAPTIONS_FOLDER TEXT.onnx TOKENIZER.json IMAGE.f32.onnx [--cache FEATURES.npz]

Two vectors of length one are added:
- a ridge regression from pooled features (the head's and the last two blocks') to the captions of the training
  pictures, both sides centred, followed by a partial whitening of the sentence space, so that what all captions have
  in common ("a man in a ...") does not drown what tells them apart;
- ConSE (Norouzi et al., 2013): the classifier's softmax over ImageNet's classes, as a mean of the class names' sentence
  vectors. It knows things that 650 captions never mention.
Both are closed forms: the same input gives the same file, up to the last bits of the linear algebra library.
Of the 850 captioned pictures, 200 (numpy's default_rng(0)) are never looked at here; evaluate_nano.py uses them.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from tokenizers import Tokenizer
from torchvision.models._meta import _IMAGENET_CATEGORIES as CLASS_NAMES

from efficientnet_lite import Features, Graph

SIZE = 224  # pixels; the checkpoint's own 260 is no better on small crops and a third slower
MEAN, STD = 127.0, 128.0  # of values 0..=255
HELD_OUT = 200
VIEWS = 5  # the picture, mirrored, and three random crops
RIDGE = 5.0
WHITENING = 3.0  # added to the sentence space's variances, in means of them: larger whitens less
CLASS_SHARE = 0.6  # length of the ConSE vector beside the regression's
TEMPERATURE = 1.5


def single_thread():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return options


def unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


class Sentences:
    """Phrases as the runtime embeds them: mean over the tokens, length one."""

    def __init__(self, model, tokenizer):
        self.session = onnxruntime.InferenceSession(str(model), single_thread())
        self.tokenizer = Tokenizer.from_file(str(tokenizer))

    def __call__(self, phrases):
        vectors = []
        for phrase in phrases:
            ids = np.array([self.tokenizer.encode(phrase).ids], np.int64)
            hidden = self.session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]
            vectors.append(hidden[0].mean(0))
        return unit(np.array(vectors, np.float32))


def pixels(picture):
    """RGB bytes -> the tower's input, stretched to its size."""
    shrinks = picture.shape[0] > 1.5 * SIZE
    stretched = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return ((stretched.astype(np.float32) - MEAN) / STD).transpose(2, 0, 1)[None]


def read(path):
    return np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])


def captions(folder):
    rows = [line.split("\t") for line in (folder / "captions.tsv").read_text().splitlines()]
    cleaned = [text.replace(" .", "").replace(" ,", ",").strip() for _, text in rows]
    return [folder / "images" / name for name, _ in rows], cleaned


def split(count):
    order = np.random.default_rng(0).permutation(count)
    return order[HELD_OUT:], order[:HELD_OUT]  # training, held out


def views(picture, chance):
    yield picture
    yield picture[:, ::-1].copy()
    height, width = picture.shape[:2]
    for _ in range(VIEWS - 2):
        area = chance.uniform(0.5, 0.95)
        h, w = int(height * np.sqrt(area) * chance.uniform(0.85, 1)), int(width * np.sqrt(area) * chance.uniform(0.85, 1))
        y, x = chance.integers(0, height - h + 1), chance.integers(0, width - w + 1)
        crop = picture[y : y + h, x : x + w]
        yield (crop[:, ::-1] if chance.random() < 0.5 else crop).copy()


def backbone(checkpoint):
    """The graph up to its features [N, 1840], whose first 1280 are what the classifier reads."""
    graph = Graph()
    features = Features(graph, checkpoint)
    parts = [features("pixel_values", SIZE, "lite2")]
    last = max(int(n.name.split(".")[1]) for n in graph.nodes if n.name.startswith("_blocks."))
    names = {n.name for n in graph.nodes}
    for block in (last, last - 1):
        end = f"_blocks.{block}.add"
        end = end if end in names else f"_blocks.{block}._project_conv"
        parts.append(graph.emit("Flatten", [graph.emit("GlobalAveragePool", [end], end + ".pool")], end + ".features"))
    graph.emit("Concat", parts, "all_features", axis=1)
    return graph, parts[0], features.weights["_fc.weight"], features.weights["_fc.bias"]


def picture_input():
    return helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])


def extract(checkpoint, files):
    graph, *_ = backbone(checkpoint)
    model = graph.model("features", [picture_input()], [helper.make_tensor_value_info("all_features", TensorProto.FLOAT, None)])
    session = onnxruntime.InferenceSession(model.SerializeToString(), single_thread())
    chance, rows = np.random.default_rng(0), []
    for number, file in enumerate(files):
        rows.append([session.run(None, {"pixel_values": pixels(view)})[0][0] for view in views(read(file), chance)])
        if number % 50 == 0:
            print(f"features of {number} of {len(files)} pictures", file=sys.stderr)
    return np.array(rows)


def regression(features, sentences):
    """Features [pictures, views, F] and sentences [pictures, 384] -> (weights [F, 384], bias [384])."""
    samples = features.reshape(-1, features.shape[-1]).astype(np.float64)
    mean, deviation = samples.mean(0), samples.std(0) + 1e-3 * samples.std()
    x = (samples - mean) / deviation
    centred = (sentences - sentences.mean(0)).astype(np.float64)
    gram = x.T @ x / len(x)
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    weights = np.linalg.solve(gram, x.T @ np.repeat(centred, features.shape[1], 0) / len(x))
    # (W image) . (W sentence) with W the whitening: the runtime leaves sentences as they are, so the image takes both.
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    variances = singular**2 / len(centred)
    weights = weights @ (axes.T / (variances + WHITENING * variances.mean())) @ axes
    weights /= deviation[:, None] * np.abs(weights).max()  # the length is normalised away later
    return weights.astype(np.float32), (-mean @ weights).astype(np.float32)


def normalised(graph, x):
    length = graph.emit("ReduceL2", [x], x + ".length", axes=[1], keepdims=1)
    return graph.emit("Div", [x, length], x + ".unit")


def tower(checkpoint, weights, bias, class_vectors):
    graph, head, class_weights, class_bias = backbone(checkpoint)
    regressed = graph.emit("Gemm", ["all_features", graph.constant("regression.w", weights), graph.constant("regression.b", bias)], "regression")
    inputs = [head, graph.constant("classifier.w", class_weights.T / TEMPERATURE), graph.constant("classifier.b", class_bias / TEMPERATURE)]
    classes = graph.emit("Softmax", [graph.emit("Gemm", inputs, "classifier")], "classes", axis=1)
    none = graph.constant("names.b", np.zeros(class_vectors.shape[1], np.float32))
    named = graph.emit("Gemm", [classes, graph.constant("names.w", class_vectors), none], "names")
    share = graph.constant("share", np.float32(CLASS_SHARE))
    named = graph.emit("Mul", [normalised(graph, named), share], "names.shared")
    graph.emit("Add", [normalised(graph, regressed), named], "image_embeds")
    output = helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, ["N", class_vectors.shape[1]])
    return graph.model("nano_image", [picture_input()], [output])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkpoint", "captions", "text_model", "tokenizer", "target"):
        arguments.add_argument(name, type=Path)
    arguments.add_argument("--cache", type=Path, help="features of the pictures, kept between runs")
    options = arguments.parse_args()

    files, texts = captions(options.captions)
    if options.cache and options.cache.exists():
        features = np.load(options.cache)["features"]
    else:
        features = extract(options.checkpoint, files)
        if options.cache:
            np.savez(options.cache, features=features)
    training, _ = split(len(files))
    embed = Sentences(options.text_model, options.tokenizer)
    weights, bias = regression(features[training], embed([texts[i] for i in training]))
    names = embed([f"a photo of a {name}" for name in CLASS_NAMES])
    model = tower(options.checkpoint, weights, bias, names - names.mean(0))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, options.target)


if __name__ == "__main__":
    main()
