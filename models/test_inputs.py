"""Smaller inputs against PyTorch: what `watchword models derive-input` makes of CLIP's random towers.

    python3 models/test_inputs.py [--watchword target/release/watchword] [ARCH ..]

For each architecture: writes a random f32 pack, derives its tower for smaller and larger pictures, and compares it with
`transformers`' CLIPModel of the same weights at `interpolate_pos_encoding=True`. They must agree to 1e-3 of the largest
value; the int8 pack's are shown beside. Needs what models/requirements.txt pins: numpy, onnx, onnxruntime, torch,
transformers.
"""

import subprocess

import numpy as np
import torch

from test_architectures import ARCHITECTURES, compare, main, run, state_of, transformers_model

BATCH = 2


def check(architecture, watchword, folder):
    patch = ARCHITECTURES[architecture][0][3]
    for precision in ("f32", "int8"):
        command = [watchword, "models", "make-random", architecture, "--precision", precision]
        subprocess.run([*command, "--out", folder / precision, "--seed", "3"], check=True)
    model = transformers_model(architecture)
    state = state_of([folder / "f32" / f"{tower}.f32.onnx" for tower in ("image", "text")])
    state["logit_scale"] = model.logit_scale.detach()
    model.load_state_dict(state, strict=True)

    failures = 0
    for side in (224 - 2 * patch, 160, 128, 224 + patch):
        pixels = np.random.default_rng(side).normal(size=(BATCH, 3, side, side)).astype(np.float32)
        outputs = []
        for precision in ("f32", "int8"):
            file = folder / f"{side}.{precision}.onnx"
            command = [watchword, "models", "derive-input", folder / precision, str(side), "--out", file]
            subprocess.run(command, check=True)
            outputs.append(run(file, {"pixel_values": pixels}))
        exact, rounded = outputs
        with torch.no_grad():
            pooled = model.vision_model(torch.from_numpy(pixels), interpolate_pos_encoding=True).pooler_output
            expected = model.visual_projection(pooled).numpy()
        failures += compare(f"{architecture} at {side}", exact, expected, rounded)
    return failures


if __name__ == "__main__":
    main(check, __doc__)
