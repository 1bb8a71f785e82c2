"""Writes nano/pack.toml: what the towers want, and the hash of every file."""

import argparse
import hashlib
from pathlib import Path

MANIFEST = """\
name = "nano"
version = 1
license = "Apache-2.0"
source = "NanoDet-g, EfficientNet-Lite2 and all-MiniLM-L6-v2 from package registries, joined by the scripts under models/"

[embedding]
width = 384
space = "sentence-transformers/all-MiniLM-L6-v2"
logit_scale = {logit_scale}

[image]
size = [{size}, {size}]
mean = [0.49804, 0.49804, 0.49804]
std = [0.50196, 0.50196, 0.50196]
resize = "bilinear"
# One crop at a time is as fast as eight, and takes less memory.
batch = {{ cpu = 1 }}
files = {{ cpu = "image.int8.onnx" }}

[text]
tokenizer = "tokenizer.json"
context = 128
pooling = "mean"
template = "{template}"
files = {{ cpu = "text.int8.onnx" }}

# Class scores and box distributions at strides 8, 16 and 32; see README.md.
[detector]
kind = "nanodet"
size = [416, 416]
classes = "coco"
person = 0
channels = "bgr"
resize = "pad"
mean = [103.53, 116.28, 123.675]
std = [57.375, 57.12, 58.395]
files = {{ cpu = "detector.int8.onnx" }}

[sha256]
"""


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--size", type=int, required=True, help="pixels, each side of the image tower's input")
    arguments.add_argument("--logit-scale", type=float, required=True)
    arguments.add_argument("--template", default="{}")
    options = arguments.parse_args()
    text = MANIFEST.format(size=options.size, logit_scale=options.logit_scale, template=options.template)
    for name in ("image.int8.onnx", "text.int8.onnx", "tokenizer.json", "detector.int8.onnx"):
        text += f'"{name}" = "{hashlib.sha256((options.folder / name).read_bytes()).hexdigest()}"\n'
    (options.folder / "pack.toml").write_text(text)


if __name__ == "__main__":
    main()
