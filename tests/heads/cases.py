"""Writes cases for the heads, with the reference's answers, over many shapes: FOLDER/n/{heads,int8,case}.safetensors.

    python3 cases.py FOLDER COUNT      # needs numpy and safetensors
"""

import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from iclip_heads import TAU, Capacity, interaction, prompt, random_heads, scores

KINDS = ["person", "object", "context", "memory"]


def int8(weights):
    """Matrices in int8 with a scale for each row."""
    out = {}
    for name, w in weights.items():
        if w.ndim == 2 and name.endswith(".weight"):
            scale = np.maximum(np.abs(w).max(1), 1e-9) / 127
            out[name] = np.clip(np.round(w / scale[:, None]), -127, 127).astype(np.int8)
            out[name + ".scale"] = scale.astype(np.float32)
        else:
            out[name] = w
    return out


def case(folder, seed):
    rng = np.random.default_rng(seed)
    feature = lambda d, *n: rng.normal(0, 0.5, (*n, d)).astype(np.float32)
    d = 512 if seed % 8 == 0 else 64
    units = KINDS * 2 if seed % 8 == 0 else [KINDS[i] for i in rng.integers(0, 4, rng.integers(1, 9))]
    before, after = (int(n) for n in rng.integers((1, 0), (31, 31)))
    weights = random_heads(rng, units, d, before + after, layers=int(rng.integers(1, 4)))
    n, o, labels = (int(v) for v in rng.integers((1, 0, 1), (9, 6, 12)))
    slots = np.flatnonzero(rng.random(before + after) < rng.choice([0, 0.1, 0.6, 1]))
    masked = seed % 2
    capacity = Capacity(None, None, None, None) if masked else Capacity()
    person, object_, context, memory, text = (feature(d, *s) for s in ((n,), (o,), (), (len(slots),), (labels,)))

    answer = dict(person=person, object=object_, context=context, memory=memory, text=text)
    answer["slots"] = slots.astype(np.int64)
    found = interaction(weights, units, person, object_, context, memory, slots, before, after, capacity)
    prompted = prompt(weights, text, found)
    answer["interaction"], answer["text_prompted"] = found, prompted
    answer["probabilities"] = scores(found, prompted)
    answer["probabilities_unprompted"] = scores(found, text)
    answer["probabilities_baseline"] = scores(context[None], text)

    pads = dict(zip(KINDS, [0] * 4 if masked else [25, 5, 25, 10]))
    meta = {f"pad_{kind}": str(count) for kind, count in pads.items()}
    meta |= {"units": ",".join(units), "memory_before": str(before), "memory_after": str(after), "tau": str(TAU)}
    folder.mkdir(parents=True)
    save_file(weights, folder / "heads.safetensors", metadata=meta)
    save_file(int8(weights), folder / "int8.safetensors", metadata=meta)
    save_file({k: np.ascontiguousarray(v, v.dtype if v.dtype == np.int64 else np.float32) for k, v in answer.items()}, folder / "case.safetensors")


if __name__ == "__main__":
    for seed in range(int(sys.argv[2])):
        case(Path(sys.argv[1]) / str(seed), seed)
