"""Writes cases for `lab map` with the reference's answers: FOLDER/n/{truth,detections,expected}.json.

    python3 cases.py FOLDER COUNT      # needs numpy
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

from detection_map import mean_ap

IOUS = [0.1, 0.3, 0.5, 0.75, 1.0]


def box(rng, least=0):
    """Small whole numbers, so that overlaps and thresholds coincide; some without area."""
    corner, side = rng.integers(0, 12, 2), rng.integers(least, 8, 2)
    return [*map(float, corner), *map(float, corner + side)]


def near(rng, b):
    """A box beside another, often the same."""
    if rng.random() < 0.4:
        return list(b)
    moved = np.array(b) + (rng.integers(-1, 2, 4) if rng.random() < 0.5 else rng.normal(0, 1, 4))
    return [*np.minimum(moved[:2], moved[2:]), *np.maximum(moved[:2], moved[2:])]


def tube(rng, first, length):
    # The reference has no answer (0 by 0) for tubes that in one frame are both without area.
    b = box(rng, least=4)
    return [[first + i, *near(rng, b)] for i in range(length)]


def score(rng):
    """Ties are common."""
    return float(rng.integers(0, 5) / 4 if rng.random() < 0.5 else rng.random())


def case(rng):
    labels = ["sit", "brush_hair", "run", "nobody does this"][: rng.integers(1, 5)]
    named = labels[:3] + ["not listed"]
    videos = ["a/one", "a/two", "three"]
    truth = [
        {"video": str(rng.choice(videos[:2])), "label": str(rng.choice(named)), "boxes": tube(rng, int(rng.integers(1, 6)), int(rng.integers(1, 6)))}
        for _ in range(rng.integers(1, 12))
    ]
    truth.append({"video": "a/one", "label": labels[0], "boxes": tube(rng, 1, 3)})
    frames, tubes = [], []
    for _ in range(rng.integers(0, 60)):
        t = truth[rng.integers(len(truth))]
        row = t["boxes"][rng.integers(len(t["boxes"]))]
        right = rng.random() < 0.7
        frames.append({
            "video": t["video"] if right else str(rng.choice(videos)),
            "frame": int(row[0]) if right else int(rng.integers(0, 9)),
            "label": t["label"] if right else str(rng.choice(named)),
            "score": score(rng),
            "box": near(rng, row[1:]) if right else box(rng),
        })
    for _ in range(rng.integers(0, 25)):
        t = truth[rng.integers(len(truth))]
        if rng.random() < 0.7:
            rows = t["boxes"][: rng.integers(1, len(t["boxes"]) + 1)]
            tubes.append({"video": t["video"], "label": t["label"], "score": score(rng), "boxes": [[r[0], *near(rng, r[1:])] for r in rows]})
        else:
            tubes.append({"video": str(rng.choice(videos)), "label": str(rng.choice(named)), "score": score(rng), "boxes": tube(rng, int(rng.integers(0, 6)), int(rng.integers(1, 8)))})
    return {"labels": labels, "tubes": truth}, {"frames": frames, "tubes": tubes}


if __name__ == "__main__":
    # Two boxes without area have an IoU of 0 by 0, which the reference takes for no hit.
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    for seed in range(count):
        truth, detections = case(np.random.default_rng(seed))
        out = folder / str(seed)
        out.mkdir(parents=True)
        (out / "truth.json").write_text(json.dumps(truth))
        (out / "detections.json").write_text(json.dumps(detections))
        expected = [{"iou": iou, **mean_ap(truth, detections, iou)} for iou in IOUS]
        (out / "expected.json").write_text(json.dumps(expected))
