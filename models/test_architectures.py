"""The towers of `watchword models make-random` are CLIP's: names, shapes and outputs against `transformers`.

    python3 models/test_architectures.py [--watchword target/release/watchword] [ARCH ..]

For each architecture: writes the f32 and the int8 pack of one seed; loads every initializer of the f32 towers into
`CLIPModel` by its name (none may be missing, left over or of another shape); compares onnxruntime's outputs of the f32
towers with `transformers`', and of the int8 towers with the f32 ones'. Needs what models/requirements.txt pins: numpy,
onnx, onnxruntime, torch, transformers.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from transformers import CLIPConfig, CLIPModel

# width, layers, heads of the image tower, patch; of the text tower
ARCHITECTURES = {
    "clip-vit-b16": ((768, 12, 12, 16), (512, 12, 8)),
    "clip-vit-b32": ((768, 12, 12, 32), (512, 12, 8)),
    "tinyclip-vit-8m-16": ((256, 10, 4, 16), (256, 3, 4)),
}
# Ours alone: shapes, indices, constants of the graph.
OURS = {
    "flat_patches", "class_shape", "class_index", "heads_apart", "heads_together", "attention_scale", "quick_gelu",
    "zero", "one", "causal_mask",
}  # fmt: skip
START, END = 49406, 49407


def transformers_model(architecture):
    (width, layers, heads, patch), (text_width, text_layers, text_heads) = ARCHITECTURES[architecture]
    config = CLIPConfig(
        vision_config=dict(
            hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=heads,
            patch_size=patch, image_size=224,
        ),
        text_config=dict(
            hidden_size=text_width, intermediate_size=4 * text_width, num_hidden_layers=text_layers,
            num_attention_heads=text_heads, vocab_size=49408, max_position_embeddings=77, bos_token_id=START,
            eos_token_id=END,
        ),
        projection_dim=512,
    )  # fmt: skip
    assert config.vision_config.hidden_act == config.text_config.hidden_act == "quick_gelu"
    return CLIPModel(config).eval()


def state_of(files):
    """The initializers by the state dictionary's names; linear weights are stored transposed."""
    state = {}
    for file in files:
        for tensor in onnx.load(file).graph.initializer:
            if tensor.name in OURS:
                continue
            value = numpy_helper.to_array(tensor)
            table = tensor.name.endswith("embedding.weight")
            if value.ndim == 2 and not table:
                value = value.T
            state[tensor.name] = torch.from_numpy(value.copy())
    return state


def run(file, feed):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return session.run(None, feed)[0]


def phrases(generator):
    """Three phrases, the end at another place in each, padded with the end as CLIP's tokenizer does."""
    ids = np.full((3, 77), END, np.int64)
    for row, length in zip(ids, (3, 20, 75)):
        row[0] = START
        row[1 : 1 + length] = generator.integers(0, START, length)
    return ids


def cosines(a, b):
    a, b = (x.astype(np.float64) for x in (a, b))
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def compare(what, exact, expected, rounded):
    """Prints how far f32 outputs are from `expected`, and int8 ones from them; 1 if the former is too far, else 0."""
    assert exact.shape == expected.shape == rounded.shape, (exact.shape, expected.shape, rounded.shape)
    difference = np.abs(exact - expected).max() / np.abs(expected).max()
    good = difference <= 1e-3
    print(
        f"{what}: f32 differs by {difference:.1e} of the largest, int8 at cosine "
        f"{cosines(rounded, exact).min():.5f} or more{'' if good else '  FAILED'}"
    )
    return int(not good)


def check(architecture, watchword, folder):
    for precision in ("f32", "int8"):
        out = folder / precision
        command = [watchword, "models", "make-random", architecture, "--precision", precision, "--out", out]
        subprocess.run([*command, "--seed", "3"], check=True)
    model = transformers_model(architecture)
    state = state_of([folder / "f32" / f"{tower}.f32.onnx" for tower in ("image", "text")])
    state["logit_scale"] = model.logit_scale.detach()
    model.load_state_dict(state, strict=True)

    generator = np.random.default_rng(0)
    pixels = generator.normal(size=(3, 3, 224, 224)).astype(np.float32)
    ids = phrases(generator)
    failures = 0
    with torch.no_grad():
        pooled = model.vision_model(torch.from_numpy(pixels)).pooler_output
        image = model.visual_projection(pooled).numpy()
        pooled = model.text_model(torch.from_numpy(ids)).pooler_output
        text = model.text_projection(pooled).numpy()
    for tower, feed, expected in (("image", {"pixel_values": pixels}, image), ("text", {"input_ids": ids}, text)):
        exact = run(folder / "f32" / f"{tower}.f32.onnx", feed)
        rounded = run(folder / "int8" / f"{tower}.int8.onnx", feed)
        assert exact.shape == expected.shape == rounded.shape
        difference = np.abs(exact - expected).max()
        cosine = cosines(rounded, exact).min()
        # Shown, not judged: random towers say much the same of any picture (two differ by 7 % of their length), so of
        # what sets them apart rounding takes more. onnxruntime's own quantisation of clip-vit-b16 is at 0.976 as well.
        contrast = cosines(rounded[0] - rounded[1], exact[0] - exact[1])
        prefix = {"image": "vis", "text": "text"}[tower]
        parameters = sum(p.numel() for name, p in model.named_parameters() if name.startswith(prefix))
        good = difference <= 1e-4 and cosine >= 0.998
        failures += not good
        print(
            f"{architecture} {tower}: {parameters / 1e6:.2f} M parameters, embeddings of length "
            f"{np.linalg.norm(expected, axis=-1).mean():.2f}; f32 differs by {difference:.1e}, "
            f"int8 at cosine {cosine:.5f}, between rows {contrast:.5f}{'' if good else '  FAILED'}"
        )
    # A shorter sequence gives what the padded one gives: the mask is causal, the end is where it is.
    short = run(folder / "f32" / "text.f32.onnx", {"input_ids": ids[:1, :5]})
    difference = np.abs(short - text[:1]).max()
    failures += difference > 1e-4
    print(f"{architecture} text: a sequence of 5 differs from it padded to 77 by {difference:.1e}")
    return failures


def main(check, description):
    """Runs `check`, which counts failures, for each architecture that is asked for."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    root = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("--watchword", default=root / "target" / "release" / "watchword", type=pathlib.Path)
    parser.add_argument("architectures", nargs="*", default=list(ARCHITECTURES), metavar="ARCH")
    arguments = parser.parse_args()
    failures = 0
    for architecture in arguments.architectures:
        with tempfile.TemporaryDirectory() as folder:
            failures += check(architecture, arguments.watchword, pathlib.Path(folder))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main(check, __doc__)
