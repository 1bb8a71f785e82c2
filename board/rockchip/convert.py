#!/usr/bin/env python3
"""Converts the networks of a model pack for a Rockchip NPU, and says how far the result is from the original.

    python3 convert.py PACK --target rk3588 --out PACK-rk3588 [--pictures FOLDER]

OUT is PACK with a `.rknn` file for the image tower and the detector, named in its pack.toml. The text tower stays as it
is: it runs on the processor, when words change. Needs Python 3.11 (or another that rknn-toolkit2 is made for) and what
stands in requirements.txt.

The toolkit wants graphs in f32. Weights that are kept in int8 with a scale (as those of `nano` are) are unfolded; a graph
that quantises its activations itself (DynamicQuantizeLinear) is refused: give the f32 one with --image or --detector.

The comparison runs the converted network in the toolkit's simulator and the original in onnxruntime, on pictures of
--pictures as the daemon would show them to the network, or on noise; the lowest cosine of each output counts.
"""

import argparse
import hashlib
import pathlib
import shutil
import sys
import tempfile
import tomllib

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from rknn.api import RKNN

TARGETS = ("rk3588", "rk3576", "rk3568", "rk3566", "rk3562")
QUANTISES_ITSELF = {"DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv"}
# Pictures that activations' ranges are taken from, and pictures that are compared.
CALIBRATION, COMPARED = 64, 8


def in_floats(path):
    """The graph with its int8 weights unfolded, the batch fixed to 1."""
    model = onnx.load(path)
    graph = model.graph
    operators = {node.op_type for node in graph.node}
    if operators & QUANTISES_ITSELF:
        sys.exit(
            f"{path} quantises its activations itself ({', '.join(sorted(operators & QUANTISES_ITSELF))}); the toolkit "
            "refuses that. Give the same network in f32 with --image or --detector."
        )
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "DequantizeLinear"]:
        if not all(name in constants for name in node.input):
            sys.exit(f"{path}: {node.name or node.output[0]} dequantises an activation; give the network in f32")
        weight, scale, *zero = (numpy_helper.to_array(constants[name]).astype(np.float32) for name in node.input)
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        shape = [-1 if i == axis % weight.ndim else 1 for i in range(weight.ndim)] if scale.ndim else []
        weight = weight - (zero[0].reshape(shape) if zero else 0)
        graph.initializer.append(numpy_helper.from_array(weight * scale.reshape(shape), node.output[0]))
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    fed = [value for value in graph.input if value.name not in constants]
    if len(fed) != 1:
        sys.exit(f"{path} takes {len(fed)} inputs instead of one picture")
    return model, fed[0].name


def pictures(folder, section, count, seed):
    """[1, 3, H, W] arrays: pictures letterboxed and normalised as the daemon does by default, or noise."""
    width, height = section["size"]
    files = sorted(p for p in pathlib.Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png")) if folder else []
    generator = np.random.default_rng(seed)
    if not files:
        shape = (1, 3, height, width)
        reads_bytes = "kind" in section and section["std"] is None
        noise = (lambda: generator.uniform(0, 255, shape)) if reads_bytes else (lambda: generator.normal(size=shape))
        return [noise().astype(np.float32) for _ in range(count)]
    is_tower = "kind" not in section
    mean = np.array(section["mean"] or (0, 0, 0), np.float32) * (255 if is_tower else 1)
    std = np.array(section["std"] or (1, 1, 1), np.float32) * (255 if is_tower else 1)
    chosen = []
    for index in generator.permutation(len(files))[:count]:
        picture = cv2.imread(str(files[index]))
        scale = min(width / picture.shape[1], height / picture.shape[0])
        w, h = max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1)
        small = cv2.resize(picture, (w, h), interpolation=cv2.INTER_CUBIC if is_tower else cv2.INTER_LINEAR)
        fill = float(mean.mean()) if is_tower else 114.0
        canvas = np.full((height, width, 3), fill, np.float32)
        x, y = (0, 0) if section["resize"] == "pad-top-left" else ((width - w) // 2, (height - h) // 2)
        canvas[y : y + h, x : x + w] = small
        if section["channels"] == "rgb":
            canvas = canvas[:, :, ::-1]
        chosen.append(np.ascontiguousarray(((canvas - mean) / std).transpose(2, 0, 1)[None]))
    return chosen


def section_of(manifest, name):
    """What a manifest says of a network's picture, with what it leaves out as the kind is published."""
    section = dict(manifest[name])
    if name == "image":
        section["channels"] = "rgb"
    else:
        yolox = section["kind"] == "yolox"
        section.setdefault("channels", "bgr")
        section.setdefault("resize", "pad-top-left" if yolox else "pad")
        section.setdefault("mean", None if yolox else [103.53, 116.28, 123.675])
        section.setdefault("std", None if yolox else [57.375, 57.12, 58.395])
    return section


def cosine(a, b):
    a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30))


def convert(model, name, section, arguments, int8, target_file, work):
    source = work / "f32.onnx"
    onnx.save(model, source)
    width, height = section["size"]
    rknn = RKNN(verbose=arguments.verbose)
    rknn.config(target_platform=arguments.target)
    if rknn.load_onnx(model=str(source), inputs=[name], input_size_list=[[1, 3, height, width]]):
        sys.exit(f"{target_file.name}: the toolkit cannot read the graph; see what it says above")
    dataset = None
    if int8:
        paths = []
        for index, picture in enumerate(pictures(arguments.pictures, section, CALIBRATION, 1)):
            paths.append(work / f"{index}.npy")
            np.save(paths[-1], picture)
        dataset = work / "dataset.txt"
        dataset.write_text("".join(f"{path}\n" for path in paths))
    if rknn.build(do_quantization=int8, dataset=dataset and str(dataset)):
        sys.exit(f"{target_file.name}: the toolkit cannot build it; see what it says above")
    if rknn.init_runtime():
        sys.exit(f"{target_file.name}: cannot be simulated; see what the toolkit says above")
    session = onnxruntime.InferenceSession(str(source), providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    compared = pictures(arguments.pictures, section, COMPARED, 2)
    simulated = [rknn.inference(inputs=[picture], data_format="nchw") for picture in compared]
    exact = [session.run(outputs, {name: picture}) for picture in compared]
    lowest = {}
    for index, output in enumerate(outputs):
        pairs = [(a[index], b[index]) for a, b in zip(simulated, exact)]
        # What sets a picture apart from the next: embeddings have much in common that any network gets right.
        apart = [(a - c, b - d) for (a, b), (c, d) in zip(pairs, pairs[1:])]
        lowest[output] = min(cosine(*pair) for pair in pairs), min(cosine(*pair) for pair in apart)
    if arguments.analyse:
        np.save(work / "analysed.npy", compared[0])
        rknn.accuracy_analysis(inputs=[str(work / "analysed.npy")], output_dir=str(arguments.analyse))
    # Last: the analysis clears away what the toolkit has written.
    if rknn.export_rknn(str(target_file)):
        sys.exit(f"{target_file.name}: cannot be written; see what the toolkit says above")
    rknn.release()
    return lowest


def add_files(text, files, key):
    """pack.toml with `key` in each section's files and the files' hashes, everything else untouched."""
    lines = text.splitlines()

    def line(begins, after=0):
        return next((i for i, line in enumerate(lines) if i >= after and line.replace(" ", "").startswith(begins)), None)

    for section, path in files.items():
        entry = f'{key} = "{path.name}"'
        table = line(f"[{section}.files]")
        if table is not None:
            lines.insert(table + 1, entry)
        else:
            inline = line("files={", line(f"[{section}]"))
            lines[inline] = lines[inline].replace("{", "{ " + entry + ",", 1)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.insert(line("[sha256]") + 1, f'"{path.name}" = "{digest}"')
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=pathlib.Path, help="a pack's folder")
    parser.add_argument("--target", required=True, choices=TARGETS)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder to make; must not exist")
    parser.add_argument("--pictures", help="folder of pictures like those that will be watched")
    parser.add_argument("--int8", nargs="*", default=[], choices=["image", "detector"], help="quantise these; needs --pictures")
    parser.add_argument("--only", choices=["image", "detector"])
    parser.add_argument("--image", type=pathlib.Path, help="the image tower in f32, in place of the pack's")
    parser.add_argument("--detector", type=pathlib.Path, help="the detector in f32, in place of the pack's")
    parser.add_argument("--least", type=float, default=0.99, help="lowest cosine that is accepted (%(default)s)")
    parser.add_argument("--analyse", type=pathlib.Path, help="write the error of every layer to this folder")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    if arguments.int8 and not arguments.pictures:
        parser.error("--int8 needs --pictures: activations' ranges cannot be taken from noise")
    if arguments.out.exists():
        parser.error(f"{arguments.out} exists; remove it first or choose another folder")
    text = (arguments.pack / "pack.toml").read_text()
    manifest = tomllib.loads(text)
    # rk3566 is rk3568 to the daemon as it is to the toolkit.
    key = "rk3568" if arguments.target == "rk3566" else arguments.target
    made, bad = {}, []
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for section in ("image", "detector"):
            if arguments.only not in (None, section):
                continue
            source = getattr(arguments, section) or arguments.pack / manifest[section]["files"]["cpu"]
            int8 = section in arguments.int8
            path = work / f"{section}.{'int8' if int8 else 'fp16'}.{key}.rknn"
            lowest = convert(*in_floats(source), section_of(manifest, section), arguments, int8, path, work)
            made[section] = path
            for output, (value, apart) in lowest.items():
                print(f"{path.name}: {output}: cosine {value:.5f}, between pictures {apart:.5f}", flush=True)
                if value < arguments.least:
                    bad.append(f"{path.name} {output} {value:.5f}")
        if bad:
            sys.exit(f"below {arguments.least}: {', '.join(bad)}; nothing was written. Take fp16 (leave --int8 out).")
        shutil.copytree(arguments.pack, arguments.out)
        for path in made.values():
            shutil.copyfile(path, arguments.out / path.name)
        (arguments.out / "pack.toml").write_text(add_files(text, made, key))
    print(f"{arguments.out} is {arguments.pack} with files for {key}")


if __name__ == "__main__":
    main()
