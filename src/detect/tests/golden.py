"""Writes golden.txt: what the decoders must make of synthetic outputs, by numpy in double precision.

Input 64x32, three classes (0 is the person), thresholds 0.9 and 0.97 (nanodet) or 0.5 and 0.6 (yolox), NMS at 0.3.
A line: kind class score x1 y1 x2 y2.
"""

import numpy as np

WIDTH, HEIGHT, CLASSES, BINS = 64, 32, 3, 11


def grids():
    for stride in (8, 16, 32):
        columns, rows = WIDTH // stride, HEIGHT // stride
        yield stride, [(i % columns, i // columns) for i in range(columns * rows)]


def clamped(x1, y1, x2, y2):
    return max(x1, 0), max(y1, 0), min(x2, WIDTH), min(y2, HEIGHT)


def nanodet():
    for stride, cells in grids():
        for i, (x, y) in enumerate(cells):
            scores = np.float32(0.5 + 0.5 * np.sin(0.37 * (i * CLASSES + np.arange(CLASSES)) + stride))
            j = np.arange(4 * BINS)
            logits = np.float32(3 * np.cos(0.11 * (i * 4 * BINS + j) + stride) - j % BINS).astype(np.float64)
            p = np.exp(logits.reshape(4, BINS))
            left, top, right, bottom = (p / p.sum(1, keepdims=True) * np.arange(BINS)).sum(1) * stride
            x, y = (x + 0.5) * stride, (y + 0.5) * stride
            yield scores, clamped(x - left, y - top, x + right, y + bottom)


def yolox():
    k = 0
    for stride, cells in grids():
        for x, y in cells:
            a = np.float32(0.5 + 0.5 * np.sin(0.37 * (k * 8 + np.arange(8)))).astype(np.float64)
            k += 1
            x, y, w, h = (x + a[0]) * stride, (y + a[1]) * stride, np.exp(a[2]) * stride, np.exp(a[3]) * stride
            yield a[5:] * a[4], clamped(x - w / 2, y - h / 2, x + w / 2, y + h / 2)


def iou(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def kept(cells, person, thing):
    found = []
    for scores, rect in cells:
        best = 1 + int(np.argmax(scores[1:]))
        found += [(scores[c], c, rect) for c, least in ((0, person), (best, thing)) if scores[c] >= least]
    out = []
    for score, c, rect in sorted(found, key=lambda f: -f[0]):
        if all(c != other or iou(rect, r) <= 0.3 for _, other, r in out):
            out.append((score, c, rect))
    return out


with open("golden.txt", "w") as file:
    for kind, cells, person, thing in (("nanodet", nanodet(), 0.9, 0.97), ("yolox", yolox(), 0.5, 0.6)):
        for score, c, rect in kept(cells, person, thing):
            print(kind, c, f"{score:.6f}", *(f"{v:.4f}" for v in rect), file=file)
