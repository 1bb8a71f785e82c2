"""Int8 variants of a pack's image tower or detector: made, timed and compared with f32 on real frames.

    python3 models/calibrate_int8.py PACK DATA --out FOLDER [--role detector] [--only dynamic percentile ..]

PACK is a folder whose `files.cpu` of that role is f32. DATA holds clips and pictures; every other one calibrates, the rest
is what the variants are compared on. Each variant becomes a pack FOLDER/VARIANT, for `watchword bench --engines`:

- `weights`: weights alone, a scale a channel (quantize.py); engines unfold them and compute in f32;
- `dynamic`: DynamicQuantizeLinear and integer products, weights a scale a channel, ranges taken at run time;
- `minmax`, `percentile`, `entropy`: static QDQ, weights a scale a channel, ranges from the calibration. Of a transformer the
  inputs of linear layers only: patches, norms, softmax, attention's products, activation functions and residuals stay f32.
  Of a convolutional network everything from convolution to convolution, because else no engine computes in integers;
- `percentile-symmetric`: the same with i8 activations around 0, the form that TensorRT takes;
- `percentile-spared` (convolutional): with the first convolution, depthwise ones and what follows pooling in f32.

Milliseconds are onnxruntime's, medians of rounds in which all take turns. Shown beside f32: the cosine of embeddings, and
what the difference makes of probabilities over phrases, at the pack's own scale. A pack of random weights has random phrases;
it lacks the outliers that trained transformers have, so that its drift says nothing of trained ones.
"""

import argparse
import hashlib
import os
import shutil
import time
import tomllib
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_dynamic, quantize_static

from crops import crops, tensor
from evaluate_nano import ACTIONS, Detector, detector_recall
from image_tower import Sentences, unit
from quantize import weights_to_int8

METHODS = {"minmax": CalibrationMethod.MinMax, "percentile": CalibrationMethod.Percentile, "entropy": CalibrationMethod.Entropy}
STRIDE = 8  # pictures whose activations are in memory at once
LIKELY = 0.2  # the detector's scores from here on are compared


class Reader(CalibrationDataReader):
    """One picture at a time, a stretch of them after the other."""

    def __init__(self, name, pictures):
        self.name, self.pictures = name, pictures[: len(pictures) // STRIDE * STRIDE]
        self.set_range(0, len(self.pictures))

    def __len__(self):
        return len(self.pictures)

    def set_range(self, start_index, end_index):
        self.left = iter(self.pictures[start_index:end_index])

    def get_next(self):
        picture = next(self.left, None)
        return None if picture is None else {self.name: picture[None]}


def is_transformer(model):
    return not any(node.op_type == "GlobalAveragePool" for node in model.graph.node) and any(node.op_type == "Softmax" for node in model.graph.node)


def spared(model, convolutional):
    """Names of nodes that stay f32: the patches of a transformer; of a convolutional network what is named above."""
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    if not convolutional:
        return [node.name for node in convolutions]
    grouped = [node for node in convolutions if any(a.name == "group" and a.i > 1 for a in node.attribute)]
    return [node.name for node in convolutions[:1] + grouped] + [node.name for node in model.graph.node if node.op_type == "Gemm"]


def make(variant, source, target, reader):
    model = onnx.load(source)
    convolutional = not is_transformer(model)
    operators = ["MatMul", "Gemm", "Conv"]
    if variant == "weights":
        onnx.save(weights_to_int8(model), target)
    elif variant == "dynamic":
        quantize_dynamic(source, target, op_types_to_quantize=operators, per_channel=True, weight_type=QuantType.QInt8, reduce_range=True)
    else:
        method, _, how = variant.partition("-")
        options = {"MatMulConstBOnly": True, "CalibStridedMinMax": STRIDE, "ActivationSymmetric": how == "symmetric"}
        if not convolutional:
            options["OpTypesToExcludeOutputQuantization"] = operators
        left_out = spared(model, convolutional) if how == "spared" or not convolutional else []
        activations = QuantType.QInt8 if how == "symmetric" else QuantType.QUInt8
        reader.set_range(0, len(reader))
        quantize_static(
            source, target, reader, quant_format=QuantFormat.QDQ, op_types_to_quantize=None if convolutional else operators,
            per_channel=True, reduce_range=True, activation_type=activations, weight_type=QuantType.QInt8, nodes_to_exclude=left_out,
            calibrate_method=METHODS[method], extra_options=options,
        )  # fmt: skip


def write_pack(pack, role, file, variant, folder):
    """`folder` as `pack` with `file`, made there, in place of its network."""
    text = (pack / "pack.toml").read_text()
    manifest = tomllib.loads(text)
    old = manifest[role]["files"]["cpu"]
    text = text.replace(f'"{old}"', f'"{file}"').replace(manifest["sha256"][old], hashlib.sha256((folder / file).read_bytes()).hexdigest())
    text = text.replace(f'"{manifest["name"]}"', f'"{manifest["name"]}-{variant}"', 1)
    (folder / "pack.toml").write_text(text)
    for other in manifest["sha256"]:
        if other != old:
            (folder / other).unlink(missing_ok=True)
            try:
                os.link(pack / other, folder / other)
            except OSError:
                shutil.copy(pack / other, folder / other)


def session(file, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def run(network, pictures):
    """Every output of each picture, `[pictures, ..]`."""
    name = network.get_inputs()[0].name
    rows = [network.run(None, {name: picture[None]}) for picture in pictures]
    return [np.concatenate(output) for output in zip(*rows)]


def timed(networks, picture, rounds):
    """Median milliseconds for a picture, by network."""
    times = {name: [] for name in networks}
    for turn in range(rounds + 1):
        for name, network in networks.items():
            start = time.perf_counter()
            network.run(None, {network.get_inputs()[0].name: picture[None]})
            if turn:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(each)) for name, each in times.items()}


def phrases(pack, manifest):
    width = manifest["embedding"]["width"]
    if manifest["embedding"]["space"].startswith("random/"):
        return unit(np.random.default_rng(0).normal(size=(len(ACTIONS), width)))
    text = manifest["text"]
    assert text["pooling"] == "mean", "of the text towers that pool otherwise none was at hand when this was written"
    template = text["template"]
    return Sentences(pack / text["files"]["cpu"], pack / text["tokenizer"])([template.replace("{}", action) for action in ACTIONS.values()])


def probabilities(embeddings, phrases, scale):
    logits = scale * unit(embeddings) @ phrases.T
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def compare_embeddings(exact, rounded, words, scale, mean):
    """`mean` is that of all embeddings: what they have in common says nothing."""
    cosine = (unit(exact) * unit(rounded)).sum(1)
    apart = (unit(exact - mean) * unit(rounded - mean)).sum(1)
    before, after = (probabilities(rows, words, scale) for rows in (exact, rounded))
    drift, same = np.abs(before - after), before.argmax(1) == after.argmax(1)
    return f"{cosine.mean():.4f} {cosine.min():.4f}  {apart.mean():.4f}  {drift.mean():.4f} {drift.max():.3f}  {100 * same.mean():.0f} %"


def compare_scores(exact, rounded, person):
    """Of the detector: every class's scores, and the person's."""
    cosine = min((unit(a.reshape(len(a), -1)) * unit(b.reshape(len(b), -1))).sum(1).min() for a, b in zip(exact, rounded))
    pairs = [(a[..., person], b[..., person]) for a, b in zip(exact[:3], rounded[:3])]
    drift = np.concatenate([np.abs(a - b)[np.maximum(a, b) > LIKELY] for a, b in pairs])
    return f"{cosine:.4f} at least; persons' scores from {LIKELY}: {drift.mean():.4f} {drift.max():.3f}"


def seen(manifest, role, crops):
    """What the network is fed: crops and frames, or frames alone."""
    if role == "image":
        return [tensor(crop, manifest["image"], manifest["image"]["size"][0]) for crop in crops]
    detector = manifest["detector"]
    side, pictures = detector["size"][0], []
    for crop in (crop for crop in crops if not crop.person):
        resized = cv2.resize(crop.picture[:, :, ::-1], (side, side)).astype(np.float32)
        pictures.append(((resized - detector["mean"]) / detector["std"]).astype(np.float32).transpose(2, 0, 1))
    return pictures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--role", choices=["image", "detector"], default="image")
    parser.add_argument("--only", nargs="+", help="these variants alone")
    parser.add_argument("--pictures", type=int, default=64, help="so many calibrate, and twice as many are compared at most")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pets", type=Path, help="a folder as evaluate_nano.py wants it: count the detector's persons")
    arguments = parser.parse_args()
    manifest = tomllib.loads((arguments.pack / "pack.toml").read_text())
    source = arguments.pack / manifest[arguments.role]["files"]["cpu"]
    model = onnx.load(source)
    variants = ["weights", "dynamic", "minmax", "percentile", "entropy", "percentile-symmetric"] + ([] if is_transformer(model) else ["percentile-spared"])

    found = crops(arguments.data)
    names = sorted({crop.source for crop in found})
    chance = np.random.default_rng(0)
    parts = []
    for first, most in ((0, arguments.pictures), (1, 2 * arguments.pictures)):
        part = [crop for crop in found if names.index(crop.source) % 2 == first]
        chance.shuffle(part)
        parts.append(seen(manifest, arguments.role, part)[:most])
    calibration, compared = parts
    print(f"{manifest['name']}, {arguments.role}: {len(calibration)} pictures calibrate, {len(compared)} of other clips are compared")

    networks, files = {"f32": session(source, arguments.threads)}, {"f32": source}
    reader = Reader(networks["f32"].get_inputs()[0].name, calibration)
    for variant in arguments.only or variants:
        folder = arguments.out / variant
        folder.mkdir(parents=True, exist_ok=True)
        file = f"{arguments.role}.{variant}.onnx"
        try:
            make(variant, source, folder / file, reader)
            networks[variant], files[variant] = session(folder / file, arguments.threads), folder / file
        except Exception as error:
            print(f"{variant}: onnxruntime cannot: {str(error).splitlines()[0]}")
            continue
        write_pack(arguments.pack, arguments.role, file, variant, folder)
    times = timed(networks, compared[0], arguments.rounds)
    exact = run(networks["f32"], compared)
    if arguments.role == "image":
        words = phrases(arguments.pack, manifest)
        which = [output.name for output in networks["f32"].get_outputs()].index("image_embeds")
        print("variant                 MB       ms  times f32  cosine mean, min  of differences  |dp| mean, max  same best")
    else:
        print("variant                 MB       ms  times f32  cosine and scores, mean and max")
    for name, network in networks.items():
        rounded = run(network, compared)
        if arguments.role == "image":
            said = compare_embeddings(exact[which], rounded[which], words, manifest["embedding"]["logit_scale"], exact[which].mean(0))
        else:
            said = compare_scores(exact, rounded, manifest["detector"]["person"])
        print(f"{name:20} {files[name].stat().st_size / 1e6:6.1f} {times[name]:8.1f} {times['f32'] / times[name]:10.2f}  {said}")
        if arguments.role == "detector" and arguments.pets:
            detector = Detector(arguments.pack, manifest)
            detector.session = network
            detector_recall(arguments.pets, detector)


if __name__ == "__main__":
    main()
