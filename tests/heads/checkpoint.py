"""Writes authors/checkpoint.pth, as the paper's authors would save small random heads, and authors/case.safetensors
with the reference's answers. Both are kept here, so that the test needs no PyTorch.

    python3 checkpoint.py      # needs numpy, safetensors and torch
"""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from iclip_heads import TAU, Capacity, interaction, prompt, random_heads, scores

D, SLOTS = 8, 6
UNITS = ["person", "object", "context", "memory"] * 2
LETTERS = dict(person="P", object="O", context="H", memory="M")
MODULES = {"attention.query": "cross_attn.q_proj", "attention.key": "cross_attn.k_proj", "attention.value": "cross_attn.v_proj",
           "attention.out": "cross_attn.proj", "norm1": "norm1", "norm2": "norm3", "mlp.up": "mlp.0", "mlp.down": "mlp.3"}


def authors_name(name):
    parts = name.split(".")
    if parts[0] == "unit":
        index = int(parts[1])
        block = f"roi_heads.action.ia_structure.{LETTERS[UNITS[index]]}_block_{index // 4 + 1}"
        if parts[2] == "position":
            return f"{block}.temporal_position_{parts[3][0]}"
        return f"{block}.{parts[2]}.{parts[3]}"
    if parts[1] == "layer":
        return f"prompts_generator.decoder.{parts[2]}.{MODULES['.'.join(parts[3:-1])]}.{parts[-1]}"
    return f"prompts_generator.{'.'.join(parts[1:])}"


def authors_tensor(name, w):
    tensor = torch.from_numpy(w)
    if ".position." in name:
        tensor = tensor.reshape(SLOTS, 1, D, 1, 1, 1)
    elif name.startswith("unit") and w.ndim == 2:
        tensor = tensor.reshape(*w.shape, 1, 1, 1)
    return torch.nn.Parameter(tensor) if name.endswith("alpha") else tensor


rng = np.random.default_rng(0)
weights = random_heads(rng, UNITS, D, SLOTS)
model = OrderedDict((authors_name(name), authors_tensor(name, w)) for name, w in weights.items())
model["clip.visual.norm.weight"] = torch.ones(3)
model["clip.logit_scale"] = torch.tensor(4.6)
optimizer = {"state": {0: {"step": 7, "momentum_buffer": torch.zeros(2, dtype=torch.float64)}}, "param_groups": [{"lr": 2e-4, "nesterov": False}]}
folder = Path(__file__).parent / "authors"
folder.mkdir(exist_ok=True)
torch.save({"model": model, "optimizer": optimizer, "iteration": 70000}, folder / "checkpoint.pth")

feature = lambda *n: rng.normal(0, 0.5, (*n, D)).astype(np.float32)
slots = np.array([0, 2, 3])
case = dict(person=feature(3), object=feature(2), context=feature(), memory=feature(3), text=feature(4))
found = interaction(weights, UNITS, case["person"], case["object"], case["context"], case["memory"], slots, 3, 3, Capacity())
prompted = prompt(weights, case["text"], found)
case |= dict(interaction=found, text_prompted=prompted, probabilities=scores(found, prompted),
             probabilities_unprompted=scores(found, case["text"]), probabilities_baseline=scores(case["context"][None], case["text"]))
case = {k: np.ascontiguousarray(v, np.float32) for k, v in case.items()} | dict(slots=slots.astype(np.int64))
save_file(case, folder / "case.safetensors", metadata=dict(tau=str(TAU)))
