"""A plain pipeline of the same work, as a first prototype has it: detect, crop every person of every frame, encode them and
the whole frame, compare.

Same clip, same detector and, with --runtime onnxruntime, the same towers as Watchword with `heads = "none"`; with --runtime
torch the tower is CLIP's in PyTorch eager, f32, with random weights of its own (time does not depend on them). Nothing is
tracked, remembered or published, which is to the advantage of this side. Prints milliseconds a frame, decoding included.

    python3 pipeline.py --runtime onnxruntime --pack packs/clip-vit-b32 --detector ../../models/nano/detector.int8.onnx \
        --clip clip.avi --step 2 --threads 2      # needs numpy, opencv-python-headless, onnxruntime; torch, transformers
"""

import argparse
import json
import pathlib
import time

import cv2
import numpy as np
import onnxruntime

MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
DETECTOR_MEAN = np.array([103.53, 116.28, 123.675], np.float32)
DETECTOR_DEVIATION = np.array([57.375, 57.12, 58.395], np.float32)
SIZE, BINS, PERSON = 416, 11, 0


def onnx_session(path, threads, spinning=True):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class Detector:
    """NanoDet's persons: x1, y1, x2, y2 in pixels of the picture."""

    def __init__(self, path, threads, spinning, threshold, most):
        self.session = onnx_session(path, threads, spinning)
        self.input = self.session.get_inputs()[0].name
        self.threshold, self.most = threshold, most

    def __call__(self, picture):
        height, width = picture.shape[:2]
        scale = min(SIZE / width, SIZE / height)
        w, h = round(width * scale), round(height * scale)
        x, y = (SIZE - w) // 2, (SIZE - h) // 2
        pixels = np.zeros((SIZE, SIZE, 3), np.float32)
        pixels[y : y + h, x : x + w] = (cv2.resize(picture, (w, h)) - DETECTOR_MEAN) / DETECTOR_DEVIATION
        outputs = self.session.run(None, {self.input: pixels.transpose(2, 0, 1)[None]})
        outputs = [output.reshape(output.shape[-2], -1) for output in outputs]
        boxes, scores = [], []
        for stride in (8, 16, 32):
            cells = -(-SIZE // stride)
            score, sides = (next(o for o in outputs if o.shape == (cells * cells, n)) for n in (80, 4 * BINS))
            chosen = np.flatnonzero((score.argmax(1) == PERSON) & (score[:, PERSON] >= self.threshold))
            weights = np.exp(sides[chosen].reshape(-1, 4, BINS))
            left, top, right, bottom = (weights @ np.arange(BINS) / weights.sum(-1) * stride).T
            cx, cy = (chosen % cells + 0.5) * stride, (chosen // cells + 0.5) * stride
            boxes.append(np.stack([cx - left, cy - top, cx + right, cy + bottom], 1))
            scores.append(score[chosen, PERSON])
        boxes, scores = np.concatenate(boxes), np.concatenate(scores)
        sized = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
        kept = cv2.dnn.NMSBoxes(sized.tolist(), scores.tolist(), self.threshold, 0.5)
        kept = np.asarray(kept, int).reshape(-1)[: self.most]
        return (boxes[kept] - [x, y, x, y]) / scale


def crop(picture, box):
    """The box with bars to a square, at the tower's size."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = np.clip(np.round(box), 0, [width, height, width, height]).astype(int)
    part = picture[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1), ::-1]
    scale = 224 / max(part.shape[:2])
    part = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)[:224, :224]
    square = np.zeros((224, 224, 3), np.float32)
    y, x = (224 - part.shape[0]) // 2, (224 - part.shape[1]) // 2
    square[y : y + part.shape[0], x : x + part.shape[1]] = part
    return ((square / 255 - MEAN) / DEVIATION).transpose(2, 0, 1)


def onnx_tower(pack, threads, spinning):
    session = onnx_session(next(pathlib.Path(pack).glob("image.*onnx")), threads, spinning)
    name = session.get_inputs()[0].name
    return lambda crops: session.run(None, {name: crops})[0]


def torch_tower(patch, threads):
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.set_num_threads(threads)
    config = CLIPVisionConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, patch_size=patch,
        image_size=224, projection_dim=512,
    )  # fmt: skip
    model = CLIPVisionModelWithProjection(config).eval()

    def run(crops):
        with torch.inference_mode():
            return model(pixel_values=torch.from_numpy(crops)).image_embeds.numpy()

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runtime", choices=["onnxruntime", "torch"], required=True)
    parser.add_argument("--pack", required=True, help="folder with image.int8.onnx or the like")
    parser.add_argument("--patch", type=int, default=32, help="of the tower, for torch")
    parser.add_argument("--detector", required=True)
    parser.add_argument("--clip", required=True)
    parser.add_argument("--step", type=int, default=1, help="every so many frames is analysed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-spinning", action="store_true", help="ONNX Runtime's threads sleep while there is nothing to do")
    parser.add_argument("--threshold", type=float, default=0.45)
    parser.add_argument("--most", type=int, default=25)
    args = parser.parse_args()

    cv2.setNumThreads(args.threads)
    spinning = not args.no_spinning
    detector = Detector(args.detector, args.threads, spinning, args.threshold, args.most)
    tower = torch_tower(args.patch, args.threads) if args.runtime == "torch" else onnx_tower(args.pack, args.threads, spinning)
    text = np.random.default_rng(0).standard_normal((20, 512)).astype(np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    tower(np.zeros((4, 3, 224, 224), np.float32))  # what is set up at the first run is not a frame's

    clip = cv2.VideoCapture(args.clip)
    frames = persons = crops = index = 0
    start = time.perf_counter()
    while True:
        read, picture = clip.read()
        if not read:
            break
        index += 1
        if (index - 1) % args.step:
            continue
        boxes = detector(picture)
        frames, persons = frames + 1, persons + len(boxes)
        if len(boxes):
            whole = [0, 0, picture.shape[1], picture.shape[0]]
            crops += len(boxes) + 1
            features = tower(np.stack([crop(picture, box) for box in [*boxes, whole]]))
            features = features / np.linalg.norm(features, axis=1, keepdims=True)
            features = features[:-1] + features[-1]  # what a person does shows in the person and around
            logits = 100 * features / np.linalg.norm(features, axis=1, keepdims=True) @ text.T
            scores = np.exp(logits - logits.max(1, keepdims=True))
            scores /= scores.sum(1, keepdims=True)
    elapsed = time.perf_counter() - start
    print(json.dumps({"frames": frames, "persons": persons, "crops": crops, "frame_ms": elapsed / frames * 1e3}))


main()
