"""What smaller inputs change of what a pack's image tower says: `scoring.input` and `scoring.small`, on footage of yours.

    python3 models/agreement.py PACK DATA SIDE .. [--watchword target/release/watchword] [--captions FOLDER]

DATA holds clips and pictures. For each SIDE the tower is derived as the product does it (`watchword models derive-input`),
and compared in onnxruntime with the pack's own on whole frames, on people whose box has no side longer than SIDE (whom
`scoring.small = SIDE` would show so), and on the others: the cosine of the embeddings, mean and least; that of what sets them
apart from the mean embedding; how far probabilities over phrases move, mean and most, at the pack's own scale; how often the
likeliest phrase stays the same. `--captions`: recall of the 200 captions that the pack was not made with.
"""

import argparse
import pathlib
import subprocess
import tempfile
import tomllib

import numpy as np

from calibrate_int8 import compare_embeddings, phrases, session
from crops import Crop, crops, tensor
from image_tower import Sentences, captions, read, split, unit

BATCH = 8


def embeddings(network, crops, image, side):
    rows = []
    for start in range(0, len(crops), BATCH):
        batch = np.stack([tensor(crop, image, side) for crop in crops[start : start + BATCH]])
        rows.append(network.run(["image_embeds"], {network.get_inputs()[0].name: batch})[0])
    return np.concatenate(rows)


def whole(file):
    picture = read(file)
    return Crop(file.name, picture, (0, 0, *picture.shape[1::-1]), False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("pack", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("sides", type=int, nargs="+")
    parser.add_argument("--watchword", default=root / "target" / "release" / "watchword", type=pathlib.Path)
    parser.add_argument("--captions", type=pathlib.Path)
    arguments = parser.parse_args()
    manifest = tomllib.loads((arguments.pack / "pack.toml").read_text())
    image, scale = manifest["image"], manifest["embedding"]["logit_scale"]
    words, found = phrases(arguments.pack, manifest), crops(arguments.data)
    person, length = np.array([crop.person for crop in found]), np.array([crop.longer_side for crop in found])
    pictures = []
    if arguments.captions:
        files, texts = captions(arguments.captions)
        _, held_out = split(len(files))
        pictures = [whole(files[index]) for index in held_out]
        text = manifest["text"]
        sentences = Sentences(arguments.pack / text["files"]["cpu"], arguments.pack / text["tokenizer"])([texts[index] for index in held_out])

    def recall(network, side):
        cosines = unit(embeddings(network, pictures, image, side)) @ sentences.T
        ranks = (cosines > np.diag(cosines)[:, None]).sum(1)
        return "recall@1/5/10 " + " / ".join(f"{100 * np.mean(ranks < k):.1f}" for k in (1, 5, 10))

    published = image["size"][0]
    network = session(arguments.pack / image["files"]["cpu"], 2)
    exact = embeddings(network, found, image, published)
    apart = (unit(exact[:-1]) * unit(exact[1:])).sum(1).mean()
    print(f"{manifest['name']} at {published}: {len(found)} crops; one and the next are at cosine {apart:.3f}", recall(network, published) if pictures else "")
    for side in arguments.sides:
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "tower.onnx"
            subprocess.run([arguments.watchword, "models", "derive-input", arguments.pack, str(side), "--out", file], check=True)
            network = session(file, 2)
        rounded = embeddings(network, found, image, side)
        print(f"at {side}:", recall(network, side) if pictures else "")
        for name, which in (("frames", ~person), ("people no larger", person & (length <= side)), ("people larger", person & (length > side))):
            if which.any():
                print(f"  {name:16} {which.sum():4}  {compare_embeddings(exact[which], rounded[which], words, scale, exact.mean(0))}", flush=True)


if __name__ == "__main__":
    main()
