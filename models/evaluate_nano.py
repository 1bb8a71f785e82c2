"""Measures the nano pack, as it lies in nano/, in onnxruntime.

    python3 evaluate_nano.py DATA_FOLDER        # captions/, videos/, images/, annotations/pets09/

Everything is computed on pictures that image_tower.py never saw: the 200 held-out captions, the clips, the stills.
"""

import argparse
import tomllib
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from image_tower import Sentences, captions, pixels, read, single_thread, split, unit

ACTIONS = {
    "catch": "a person catching a ball",
    "segway": "a person riding a segway",
    "wave": "a person waving a hand",
    "arm": "two people arm wrestling",
    "basketball": "a person playing basketball",
    "cars": "cars driving on a road",
    "talk": "a man talking in a car",
    "phone": "a person holding a phone",
    "sit": "a person sitting and laughing",
    "drink": "a person drinking water",
    "exercise": "people exercising",
    "cartwheel": "a person doing a cartwheel",
    "hug": "two people hugging",
    "stand": "a person standing in a room",
    "lift": "a person lifting weights",
    "soccer": "a person juggling a soccer ball",
    "walk": "people walking on a street",
    "fall": "a person lying on the floor",  # in no clip
    "bicycle": "a person riding a bicycle",  # in no clip
}
CLIPS = [  # video, first and last frame as shares of its length, action
    ("Goal_Keeping_Tips_catch_f_cm_np1_fr_med_2.avi", 0, 1, "catch"),
    ("R6llTwEh07w.mp4", 0, 0.5, "segway"),
    ("R6llTwEh07w.mp4", 0.5, 1, "segway"),
    ("RATRACE_wave_f_nm_np1_fr_goo_37.avi", 0, 1, "wave"),
    ("SchoolRulesHowTheyHelpUs_wave_f_nm_np1_ba_med_0.avi", 0, 1, "wave"),
    ("arm_wrestling.mp4", 0, 0.5, "arm"),
    ("arm_wrestling.mp4", 0.5, 1, "arm"),
    ("basketball.mp4", 0, 0.5, "basketball"),
    ("basketball.mp4", 0.5, 1, "basketball"),
    ("car-detection.mp4", 0.15, 0.4, "cars"),
    ("carphone_pristine.mp4", 0, 1, "talk"),
    ("charades.mp4", 0, 0.3, "phone"),
    ("charades.mp4", 0.4, 1, "sit"),
    ("drink_water.avi", 0, 1, "drink"),
    ("exercise.avi", 0, 0.5, "exercise"),
    ("exercise.avi", 0.5, 1, "exercise"),
    ("hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi", 0, 1, "cartwheel"),
    ("hugging.mp4", 0.4, 1, "hug"),
    ("one-by-one-person-detection.mp4", 0.05, 0.5, "stand"),
    ("one-by-one-person-detection.mp4", 0.5, 0.95, "stand"),
    ("v_GGSY1Qvo990.mp4", 0, 0.5, "lift"),
    ("v_GGSY1Qvo990.mp4", 0.5, 1, "lift"),
    ("v_SoccerJuggling_g23_c01.avi", 0, 1, "soccer"),
    ("vtest.avi", 0, 0.5, "walk"),
    ("vtest.avi", 0.5, 1, "walk"),
]
FRAMES = 6  # of each clip
SCORE, OVERLAP = 0.35, 0.6  # the detector's threshold, and of non-maximum suppression
MARGIN = 0.1  # of a person's box, added on every side of the crop
STRIDES = (8, 16, 32)


class Detector:
    def __init__(self, folder, manifest):
        self.manifest = manifest["detector"]
        self.session = onnxruntime.InferenceSession(str(folder / self.manifest["files"]["cpu"]), single_thread())

    def __call__(self, frame):
        """BGR bytes -> persons as rows of x1, y1, x2, y2, score."""
        side = self.manifest["size"][0]
        x = (cv2.resize(frame, (side, side)).astype(np.float32) - self.manifest["mean"]) / self.manifest["std"]
        outputs = self.session.run(None, {"image": x.astype(np.float32).transpose(2, 0, 1)[None]})
        boxes, scores = [np.zeros((0, 4))], [np.zeros(0)]
        for stride, classes, distribution in zip(STRIDES, outputs[:3], outputs[3:]):
            score = classes[0, :, self.manifest["person"]]
            cells = np.flatnonzero(score > SCORE)
            weights = np.exp(distribution[0, cells].reshape(-1, 4, 11))
            left, top, right, bottom = ((weights / weights.sum(-1, keepdims=True)) @ np.arange(11) * stride).T
            x, y = (cells % (side // stride) + 0.5) * stride, (cells // (side // stride) + 0.5) * stride
            boxes.append(np.stack([x - left, y - top, x + right, y + bottom], 1))
            scores.append(score[cells])
        height, width = frame.shape[:2]
        boxes, scores = np.concatenate(boxes) * np.array([width, height, width, height]) / side, np.concatenate(scores)
        boxes = boxes.clip(0, [width, height, width, height])
        if not len(boxes):
            return np.zeros((0, 5))
        corner_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
        kept = np.array(cv2.dnn.NMSBoxes(corner_size.tolist(), scores.tolist(), SCORE, OVERLAP), int).reshape(-1)
        return np.concatenate([boxes, scores[:, None]], 1)[kept]


class Images:
    def __init__(self, folder, manifest):
        self.session = onnxruntime.InferenceSession(str(folder / manifest["image"]["files"]["cpu"]), single_thread())

    def __call__(self, picture):
        return unit(self.session.run(None, {"pixel_values": pixels(picture)})[0][0])


def crop(picture, box, mode="pad"):
    """A person, with a margin: `stretch`ed to the tower's square, `pad`ded with grey, or the `square` around them."""
    height, width = picture.shape[:2]
    margin = MARGIN * np.array([box[2] - box[0], box[3] - box[1]])
    x1, y1 = np.maximum(box[:2] - margin, 0).astype(int)
    x2, y2 = np.minimum(box[2:4] + margin, [width, height]).astype(int)
    side = max(x2 - x1, y2 - y1)
    if mode == "square":
        cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
        y1, y2, x1, x2 = (int(v) for v in (max(0, cy - side / 2), min(height, cy + side / 2), max(0, cx - side / 2), min(width, cx + side / 2)))
    cut = np.ascontiguousarray(picture[y1:y2, x1:x2])
    if mode != "pad":
        return cut
    padded = np.full((side, side, 3), 127, np.uint8)
    top, left = (side - cut.shape[0]) // 2, (side - cut.shape[1]) // 2
    padded[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return padded


def frames(video):
    capture = cv2.VideoCapture(str(video))
    while (got := capture.read())[0]:
        yield got[1]


def described(images, detector, frame, mode):
    """A frame as the runtime sees it for its largest person: mean of the person's and the whole frame's vectors."""
    picture = np.ascontiguousarray(frame[:, :, ::-1])
    context, persons = images(picture), detector(frame)
    if not len(persons):
        return context
    largest = persons[np.argmax((persons[:, 2] - persons[:, 0]) * (persons[:, 3] - persons[:, 1]))]
    return unit(context + images(crop(picture, largest, mode)))


def rank(scores, right):
    return (scores > scores[np.arange(len(scores)), right][:, None]).sum(1)


def likelihood(cosines, right, scale):
    """Mean negative log-likelihood of the right one; rows of cosines."""
    logits = scale * cosines
    logits = logits - logits.max(1, keepdims=True)
    return float(np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(logits)), right]))


def best_scale(cosines, right):
    scales = np.arange(2, 61)
    return int(scales[np.argmin([likelihood(cosines, right, s) for s in scales])])


def overlap(a, b):
    inner = np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2])
    both = inner[0] * inner[1] if (inner > 0).all() else 0
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def detector_recall(data, detector):
    truth = np.loadtxt(data / "annotations/pets09/gt_excerpt.txt", delimiter=",")
    found = extra = 0
    for number, frame in enumerate(frames(data / "videos/vtest.avi"), 1):
        rows = truth[truth[:, 0] == number]
        if len(rows):
            persons, left = rows[:, 2:6] + np.concatenate([np.zeros((len(rows), 2)), rows[:, 2:4]], 1), list(detector(frame))
            for person in persons:
                match = max(left, key=lambda box: overlap(person, box), default=None)
                if match is not None and overlap(person, match) >= 0.5:
                    found, left = found + 1, [b for b in left if b is not match]
            extra += len(left)
        if number > truth[-1, 0]:
            break
    print(f"detector: {found} of {len(truth)} annotated persons at IoU 0.5, {extra} boxes without one")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--pack", type=Path, default=Path(__file__).parent / "nano")
    options = arguments.parse_args()
    manifest = tomllib.loads((options.pack / "pack.toml").read_text())
    images, detector = Images(options.pack, manifest), Detector(options.pack, manifest)
    embed = Sentences(options.pack / manifest["text"]["files"]["cpu"], options.pack / manifest["text"]["tokenizer"])
    scale = manifest["embedding"]["logit_scale"]
    detector_recall(options.data, detector)

    files, texts = captions(options.data / "captions")
    _, held_out = split(len(files))
    cosines = np.array([images(read(files[i])) for i in held_out]) @ embed([texts[i] for i in held_out]).T
    ranks = rank(cosines, np.arange(len(cosines)))
    print("captions: recall@1/5/10", *(f"{100 * np.mean(ranks < k):.1f} %" for k in (1, 5, 10)), f"of {len(cosines)}, median rank {np.median(ranks) + 1:.1f}")
    chance = np.random.default_rng(0)
    others = np.array([chance.permutation(np.delete(np.arange(len(cosines)), i))[:9] for i in range(len(cosines))])
    ten = np.concatenate([np.diag(cosines)[:, None], np.take_along_axis(cosines, others, 1)], 1)
    zero = np.zeros(len(ten), int)
    print(f"one caption among ten: right {100 * np.mean(ten.argmax(1) == 0):.1f} %, best scale {best_scale(ten, zero)}, NLL {likelihood(ten, zero, scale):.2f} at {scale}")

    keys = list(ACTIONS)
    phrases, right = embed(ACTIONS.values()), np.array([keys.index(action) for *_, action in CLIPS])
    for mode in ("pad", "stretch", "square"):
        clips = []
        for name, first, last, _ in CLIPS:
            all_frames = list(frames(options.data / "videos" / name))
            chosen = np.linspace(first * (len(all_frames) - 1), last * (len(all_frames) - 1), FRAMES).astype(int)
            clips.append(unit(np.mean([described(images, detector, all_frames[i], mode) for i in chosen], 0)))
        cosines = np.array(clips) @ phrases.T
        ranks = rank(cosines, right)
        print(f"clips, person {mode}: top-1 {np.sum(ranks == 0)}, top-3 {np.sum(ranks < 3)} of {len(CLIPS)} among {len(keys)}, mean rank {ranks.mean() + 1:.2f}, "
              f"best scale {best_scale(cosines, right)}, NLL {likelihood(cosines, right, scale):.2f} at {scale} (chance {np.log(len(keys)):.2f})")

    lying = embed(["a person lying on the floor"])[0] - embed(["a person standing"])[0]
    fallen, upright = (np.array([images(read(p)) for p in sorted((options.data / "images" / n).iterdir())]) @ lying for n in ("fall", "not_fall"))
    print(f"stills: lying rather than standing, area under the ROC curve {np.mean(fallen[:, None] > upright[None]):.2f} ({len(fallen)} fallen, {len(upright)} not)")


if __name__ == "__main__":
    main()
