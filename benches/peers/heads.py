"""The interaction heads in PyTorch eager on one core, as `cargo bench --bench heads` has them: median milliseconds.

The same shapes and the same arithmetic as the reference (tests/heads/iclip_heads.py), batched as a PyTorch user would:
one matrix product a layer, prompting over persons × labels at once.

    python3 heads.py        # needs numpy and torch
"""

import time

import torch
from torch.nn import functional as F

D, PERSONS, OBJECTS, SLOTS, LABELS = 512, 5, 3, 60, 20
torch.set_num_threads(1)
torch.manual_seed(0)
rand = lambda *n: torch.randn(*n) * 0.05


class Unit:
    def __init__(self, memory):
        self.q, self.k, self.v, self.o = ((rand(D, D), rand(D)) for _ in range(4))
        self.position = (rand(SLOTS, D), rand(SLOTS, D)) if memory else None

    def __call__(self, x, keys, slots=None):
        q, k, v = F.linear(x, *self.q), F.linear(keys, *self.k), F.linear(keys, *self.v)
        if slots is not None:
            k, v = k + self.position[0][slots], v + self.position[1][slots]
        attended = torch.softmax(q @ k.T / D**0.5, -1) @ v
        return x + F.linear(F.layer_norm(attended, (D,)).relu(), *self.o)


units = [(kind, Unit(kind == "memory")) for kind in ["person", "object", "context", "memory"] * 2]
layers = [dict(v=rand(D, D), o=(rand(D, D), rand(D)), n=(rand(D) + 1, rand(D)), up=(rand(4 * D, D), rand(4 * D)), down=(rand(D, 4 * D), rand(D))) for _ in range(2)]
norm, alpha = (rand(D) + 1, rand(D)), torch.full((D,), 0.1)
person, objects, context, memory, text = (torch.randn(*n) * 0.5 for n in ((PERSONS, D), (OBJECTS, D), (D,), (SLOTS, D), (LABELS, D)))


def pad(features, capacity):
    return F.pad(features, (0, 0, 0, capacity - len(features)))


def run():
    x = person
    for kind, unit in units:
        if kind == "person":
            x = unit(x, pad(x, 25))
        elif kind == "object":
            x = unit(x, pad(objects, 5))
        elif kind == "context":
            x = unit(x, pad(context[None], 25))
        else:
            keys = torch.zeros(SLOTS, 10, D)
            keys[:, 0] = memory
            x = unit(x, keys.reshape(-1, D), torch.arange(SLOTS).repeat_interleave(10))
    visual = x / 2 + context / 2
    v = F.layer_norm(visual, (D,), *norm)[:, None]
    c = text.expand(PERSONS, LABELS, D)
    for layer in layers:
        c = c + F.linear(F.linear(v, layer["v"]), *layer["o"])
        h = F.linear(F.layer_norm(c, (D,), *layer["n"]), *layer["up"])
        c = c + F.linear(h * torch.sigmoid(1.702 * h), *layer["down"])
    return text + alpha * c


with torch.inference_mode():
    for _ in range(5):
        run()
    times = []
    for _ in range(30):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
print(f"PyTorch {torch.__version__} eager, one core: {sorted(times)[len(times) // 2]:.2f} ms")
