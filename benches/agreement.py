"""How far the schedule is from encoding everything: two outputs of `watchword detect` on one clip, compared.

    python3 agreement.py EXACT SCHEDULED     # folders with tracks.jsonl and events.jsonl

Persons are matched frame by frame by their boxes (IoU >= 0.5), each pair's scores compared; occurrences are matched by
action and time, whoever's they are. Needs nothing but Python.
"""

import json
import math
import pathlib
import sys
from datetime import datetime


def lines(folder, name):
    return [json.loads(line) for line in open(pathlib.Path(folder) / name)]


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])
    return width * height / (area(a) + area(b) - width * height)


def score_differences(exact, scheduled):
    """Of every action of every person that both have in a frame; and the share of the exact one's persons that are."""
    others = {line["frame"]: line["tracks"] for line in scheduled}
    differences, found, persons = [], 0, 0
    for line in exact:
        free = list(others.get(line["frame"], []))
        for track in line["tracks"]:
            persons += 1
            best = max(free, key=lambda other: iou(track["box"], other["box"]), default=None)
            if best and iou(track["box"], best["box"]) >= 0.5:
                free.remove(best)
                found += 1
                differences += [abs(score - best["scores"][action]) for action, score in track["scores"].items()]
    return differences, found / max(persons, 1)


def smoothed(frames, constant=1.0):
    """The scores as events are decided by them: smoothed along each track, a young track's being the plain mean."""
    state = {}
    for line in frames:
        for track in line["tracks"]:
            row, weight, last = state.get(track["track"], ({}, 0.0, line["time"]))
            decay = math.exp(-(line["time"] - last) / constant)
            weight = min(1.0, (weight or 1 - decay) * decay + 1 - decay)
            share = (1 - decay) / weight if weight else 1.0
            row = {action: row.get(action, score) + share * (score - row.get(action, score)) for action, score in track["scores"].items()}
            state[track["track"]] = row, weight, line["time"]
            track["scores"] = row
    return frames


def occurrences(folder):
    """Action, time of its beginning in seconds, and box."""
    begun = [e for e in lines(folder, "events.jsonl") if e["type"] == "begin"]
    at = lambda e: datetime.fromisoformat(e["time"].replace("Z", "+00:00")).timestamp()
    return [(e["action"], at(e), e["box"]) for e in begun]


def between_starts(a, b):
    """A recording begins when it is played. Seconds between the two plays: what most of the beginnings agree on."""
    gaps = [y[1] - x[1] for x in a for y in b if x[0] == y[0]]
    return max(gaps, key=lambda gap: sum(abs(gap - other) < 0.15 for other in gaps), default=0)


def main():
    exact, scheduled = sys.argv[1:]
    raw = [lines(folder, "tracks.jsonl") for folder in (exact, scheduled)]
    mean = lambda differences: sum(differences) / max(len(differences), 1)
    single, share = score_differences(*raw)
    over_time, _ = score_differences(*map(smoothed, raw))
    print(f"mean |score difference|: {mean(single):.4f} in a frame, {mean(over_time):.4f} smoothed; persons in both {share:.1%}")
    a, b = occurrences(exact), occurrences(scheduled)
    gap, first = between_starts(a, b), min((time for _, time, _ in a), default=0)
    pairs = [(abs(y[1] - gap - x[1]) + 5 * (iou(x[2], y[2]) < 0.1), i, j) for i, x in enumerate(a) for j, y in enumerate(b) if x[0] == y[0]]
    left, right, shifts = set(range(len(a))), set(range(len(b))), []
    for distance, i, j in sorted(pairs):
        if distance <= 5 and i in left and j in right:
            left.remove(i), right.remove(j)
            shifts.append(b[j][1] - gap - a[i][1])
    late = [round(shift, 1) for shift in shifts if abs(shift) > 0.55]
    print(f"{len(a)} occurrences, {len(shifts)} of them in both, {len(shifts) - len(late)} begin within 0.5 s; others: {late}")
    names = lambda some, which, gap: [f"{some[i][0]} at {some[i][1] - gap - first:.1f} s" for i in sorted(which)]
    print(f"only exact: {names(a, left, 0)}; only scheduled: {names(b, right, gap)}")


main()
