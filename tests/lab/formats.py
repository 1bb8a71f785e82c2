"""Writes one case in every format that people have, into FOLDER. The labels stand in the order of the J-HMDB's list.

    python3 formats.py FOLDER      # needs numpy
"""

import csv
import json
import pickle
import sys
from pathlib import Path

import numpy as np

LABELS = ["brush_hair", "catch", "clap"]


class Python2(pickle._Pickler):
    """Texts and bytes as Python 2 wrote them, which did not tell them apart."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_str(self, text):
        data = text if isinstance(text, bytes) else text.encode("latin1")
        short = len(data) < 256
        self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) if short else pickle.BINSTRING + len(data).to_bytes(4, "little"))
        self.write(data)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_str


def dump(path, value, protocol):
    with open(path, "wb") as file:
        if protocol == "python2":
            Python2(file, 2).dump(value)
        else:
            pickle.dump(value, file, protocol)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    rng = np.random.default_rng(6)
    tubes, frames, found = [], [], []
    for n in range(9):
        label = LABELS[n % 3]
        video, first, length = f"{label}/clip_{n}", int(rng.integers(1, 5)), int(rng.integers(3, 8))
        corner, side = rng.integers(0, 60, 2), rng.integers(20, 60, 2)
        boxes = [[first + i, *map(float, corner + i), *map(float, corner + side + i)] for i in range(length)]
        tubes.append({"video": video, "label": label, "boxes": boxes})
        for row in boxes:
            moved = [float(v) for v in np.round(np.array(row[1:]) + rng.integers(-4, 5, 4))]
            frames.append({"video": video, "frame": row[0], "label": str(rng.choice(LABELS + [label] * 3)), "score": float(np.float32(rng.random())), "box": moved})
        found.append({"video": video, "label": label, "score": float(np.float32(rng.random())), "boxes": [[r[0], *np.round(np.array(r[1:]) + rng.integers(-6, 7, 4))] for r in boxes[: length - n % 2]]})
    (out / "truth.json").write_text(json.dumps({"labels": LABELS, "tubes": tubes}))
    (out / "detections.json").write_text(json.dumps({"frames": frames, "tubes": found}))
    (out / "classes.txt").write_text("\n".join(LABELS))

    videos = sorted({t["video"] for t in tubes})
    number = {name: i for i, name in enumerate(LABELS)}
    act = {
        "labels": LABELS,
        "gttubes": {v: {number[t["label"]]: [np.array(t["boxes"], np.float32)] for t in tubes if t["video"] == v} for v in videos},
        "nframes": {v: 9 for v in videos},
        "train_videos": [["brush_hair/other"], []],
        "test_videos": [videos, videos[:2]],
        "resolution": {v: (240, 320) for v in videos},
    }
    act["gttubes"]["brush_hair/other"] = {0: [np.array([[1, 0, 0, 9, 9]], np.float32)]}
    rows = np.array([[videos.index(f["video"]), f["frame"], number[f["label"]], f["score"], *f["box"]] for f in frames], np.float32)
    linked = {i: [(t["video"], t["score"], np.array(t["boxes"], np.float32)) for t in found if number[t["label"]] == i] for i in range(3)}
    ucf = {
        t["video"]: {
            "annotations": [{"label": number[t["label"]], "sf": t["boxes"][0][0] - 1, "ef": t["boxes"][-1][0],
                             "boxes": np.array([[r[1], r[2], r[3] - r[1], r[4] - r[2]] for r in t["boxes"]], np.uint8)}],
            "numf": np.uint8(20), "label": number[t["label"]],
        }
        for t in tubes
    }
    for protocol in [0, 1, 2, 3, 4, 5, "python2"]:
        dump(out / f"act-{protocol}.pkl", act, protocol)
        dump(out / f"frames-{protocol}.pkl", rows, protocol)
        dump(out / f"tubes-{protocol}.pkl", linked, protocol)
        dump(out / f"ucf-{protocol}.pkl", {"db": ucf, "classes": LABELS} if protocol == 4 else ucf, protocol)
    dump(out / "frames-fortran.pkl", np.asfortranarray(rows), 2)
    dump(out / "frames-big-endian.pkl", rows.astype(">f8"), 2)

    # Text files, one a frame, named as YOWO names them.
    for folder in ["yowo-truth", "yowo-detections"]:
        (out / folder).mkdir()
    for t in tubes:
        for row in t["boxes"]:
            name = f"{t['video'].replace('/', '_')}_{row[0]:05d}.txt"
            with open(out / "yowo-truth" / name, "a") as file:
                file.write(" ".join(map(str, [number[t["label"]] + 1, *map(int, row[1:])])) + "\n")
    for f in frames:
        name = f"{f['video'].replace('/', '_')}_{f['frame']:05d}.txt"
        with open(out / "yowo-detections" / name, "a") as file:
            file.write(" ".join(map(str, [number[f["label"]] + 1, f["score"], *map(int, f["box"])])) + "\n")

    # AVA's CSV; one row without a box, and a heading that some have.
    with open(out / "ava-truth.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["video_id", "timestamp", "x1", "y1", "x2", "y2", "action_id", "person_id"])
        writer.writerow([videos[0], "0099", "", "", "", "", "", ""])
        for n, t in enumerate(tubes):
            writer.writerows([t["video"], f"{r[0]:04d}", *r[1:], number[t["label"]] + 1, n] for r in t["boxes"])
    with open(out / "ava-detections.csv", "w", newline="") as file:
        csv.writer(file).writerows([f["video"], f["frame"], *f["box"], number[f["label"]] + 1, f["score"]] for f in frames)
    (out / "classes.pbtxt").write_text("".join(f'item {{\n  name: "{name}"\n  id: {i + 1}\n}}\n' for i, name in enumerate(LABELS)))

    # iCLIP's JSON: videos without their folder, numbered images.
    images, annotations = [], []
    for n, t in enumerate(tubes):
        for row in t["boxes"]:
            image = (n + 1) * 10000 + row[0]
            images.append({"id": image, "movie": t["video"].split("/")[1], "timestamp": f"{row[0]:05d}", "width": 320, "height": 240})
            annotations.append({"id": image * 1000, "image_id": image, "action_ids": [number[t["label"]] + 1], "person_id": 1, "bbox": row[1:]})
    (out / "jhmdb.json").write_text(json.dumps({"categories": [], "images": images, "annotations": annotations}))
    by_name = {(i["movie"], int(i["timestamp"])): i["id"] for i in images}
    persons = [{"image_id": by_name[f["video"].split("/")[1], f["frame"]], "category_id": 0, "bbox": f["box"], "score": str(f["score"])} for f in frames]
    objects = [{"image_id": images[0]["id"], "category_id": 41, "bbox": [0, 0, 9, 9], "score": 0.9}]
    (out / "persons.json").write_text(json.dumps(persons + objects))
    (out / "objects.json").write_text(json.dumps(objects))
