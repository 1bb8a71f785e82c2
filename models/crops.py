"""What the image tower is shown of clips and pictures: people as nano's detector finds them, and whole frames.

Cut out, letterboxed and resized as `src/frame/convert.rs` does it, so that what is calibrated or compared with these is
what the product sees.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from evaluate_nano import Detector, frames

NANO = Path(__file__).parent / "nano"
PICTURES = {".jpg", ".jpeg", ".png"}
PERSONS = 4  # of a frame, the surest first


@dataclass
class Crop:
    source: str  # name of the clip or picture
    picture: np.ndarray  # RGB bytes
    box: tuple  # x1, y1, x2, y2 in pixels
    person: bool

    @property
    def longer_side(self):
        x1, y1, x2, y2 = self.box
        return max(x2 - x1, y2 - y1)


def crops(folder, frames_each=8):
    """Of every clip `frames_each` frames spread over its length, of every picture the picture: whole, and its people."""
    manifest = tomllib.loads((NANO / "pack.toml").read_text())
    detector, found = Detector(NANO, manifest), []
    for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        if path.suffix in PICTURES:
            chosen = [cv2.imread(str(path))]
        else:
            every = list(frames(path))
            at = np.linspace(0, len(every) - 1, min(frames_each, len(every))).astype(int)
            chosen = [every[index] for index in at]
        for frame in (frame for frame in chosen if frame is not None):
            picture = np.ascontiguousarray(frame[:, :, ::-1])
            height, width = picture.shape[:2]
            persons = detector(frame)
            found.append(Crop(path.name, picture, (0, 0, width, height), False))
            found += [Crop(path.name, picture, tuple(person[:4]), True) for person in persons[np.argsort(-persons[:, 4])][:PERSONS]]
    return found


def weights(start, end, size, count, cubic):
    """The matrix [count, size] that resamples `start`..`end` of `size` samples, as Pillow does."""
    scale = (end - start) / count
    widened = max(scale, 1.0)
    centres = start + (np.arange(count) + 0.5) * scale
    x = np.abs((np.arange(size) + 0.5 - centres[:, None]) / widened)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    matrix = np.where(x < 1, near, np.where(x < 2, far, 0)) if cubic else np.maximum(1 - x, 0)
    return (matrix / matrix.sum(1, keepdims=True)).astype(np.float32)


def tensor(crop, image, side):
    """`crop` as a tower of the manifest's `[image]` reads it, `[3, side, side]`: whole, letterboxed."""
    x1, y1, x2, y2 = crop.box
    height, width = crop.picture.shape[:2]
    scale = side / max(x2 - x1, y2 - y1)
    across, down = (max(1, round((b - a) * scale)) for a, b in ((x1, x2), (y1, y2)))
    rows = weights(y1, y2, height, down, image["resize"] == "bicubic")
    columns = weights(x1, x2, width, across, image["resize"] == "bicubic")
    inside = np.einsum("yh,hwc,xw->cyx", rows, crop.picture.astype(np.float32), columns, optimize=True)
    mean, std = (255 * np.array(image[key], np.float32)[:, None, None] for key in ("mean", "std"))
    whole = np.full((3, side, side), mean.mean(), np.float32)
    top, left = (side - down) // 2, (side - across) // 2
    whole[:, top : top + down, left : left + across] = inside.clip(0, 255)
    return (whole - mean) / std
