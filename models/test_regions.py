"""One-pass regions against PyTorch: what `watchword models derive-regions` makes of CLIP's random towers.

    python3 models/test_regions.py [--watchword target/release/watchword] [ARCH ..]

For each architecture: writes a random f32 pack, derives its tower for regions, loads the pack's weights into
`transformers`' CLIPModel, and computes the same with it: positions interpolated by `interpolate_pos_encoding`, the last
block's value path for each token, final norm and projection. Both outputs must agree to 1e-3 of their largest value;
the int8 pack's are shown beside. Needs what models/requirements.txt pins: numpy, onnx, onnxruntime, torch, transformers.
"""

import subprocess

import numpy as np
import onnxruntime
import torch

from test_architectures import ARCHITECTURES, compare, main, state_of, transformers_model


def run(file, pixels):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return session.run(["image_embeds", "region_embeds"], {"pixel_values": pixels})


def expected(model, pixels):
    vision = model.vision_model
    pixels = torch.from_numpy(pixels)
    with torch.no_grad():
        whole = model.visual_projection(vision(pixels, interpolate_pos_encoding=True).pooler_output)
        x = vision.embeddings(pixels, interpolate_pos_encoding=True)
        x = vision.pre_layrnorm(x)
        *before, last = vision.encoder.layers
        for layer in before:
            x = layer(x, attention_mask=None)
            x = x[0] if isinstance(x, tuple) else x
        attention = last.self_attn
        x = x + attention.out_proj(attention.v_proj(last.layer_norm1(x)))
        x = x + last.mlp(last.layer_norm2(x))
        cells = model.visual_projection(vision.post_layernorm(x[0, 1:]))
    return whole.numpy(), cells.numpy()


def check(architecture, watchword, folder):
    files = {}
    for precision in ("f32", "int8"):
        pack, files[precision] = folder / precision, folder / f"regions.{precision}.onnx"
        command = [watchword, "models", "make-random", architecture, "--precision", precision, "--out", pack]
        subprocess.run([*command, "--seed", "3"], check=True)
        subprocess.run([watchword, "models", "derive-regions", pack, "--out", files[precision]], check=True)
    model = transformers_model(architecture)
    state = state_of([folder / "f32" / f"{tower}.f32.onnx" for tower in ("image", "text")])
    state["logit_scale"] = model.logit_scale.detach()
    model.load_state_dict(state, strict=True)

    pixels = np.random.default_rng(0).normal(size=(1, 3, 448, 448)).astype(np.float32)
    exact, rounded, failures = run(files["f32"], pixels), run(files["int8"], pixels), 0
    for name, ours, int8, theirs in zip(("picture", "cells"), exact, rounded, expected(model, pixels)):
        failures += compare(f"{architecture} {name} {list(ours.shape)}", ours, theirs, int8)
    return failures


if __name__ == "__main__":
    main(check, __doc__)
