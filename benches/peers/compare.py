"""Watchword and its peers on one clip, in turn, several rounds: median milliseconds a frame and ratios, as Markdown.

    python3 compare.py --watchword ../../target/release/watchword --packs DIR --clip CLIP [--seconds 8] [--rounds 3]

DIR holds what `watchword models make-random` writes: clip-vit-b32 and clip-vit-b16 with int8 towers. Needs ffmpeg, and what
pipeline.py needs. ORT_DYLIB_PATH is set to the library of the onnxruntime that Python has, so that both sides run the same.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import onnxruntime

HERE = pathlib.Path(__file__).parent
DETECTOR = HERE / "../../models/nano/detector.int8.onnx"


def configuration(pack, engine, exact, threads):
    return f"""
[node]
name = "peers"
[pack]
path = {json.dumps(str(pack))}
engine = "{engine}"
threads = {threads}
[refresh]
exact = {json.dumps(exact)}
[[camera]]
name = "clip"
source = "clip"
analysis_fps = 5
""" + "".join(
        f'[[action]]\nname = "action_{i}"\nphrases = ["a person doing thing number {i}"]\n' for i in range(20)
    )


def ours(args, pack, engine, exact, clip, folder):
    file = folder / "watchword.toml"
    file.write_text(configuration(pack, engine, exact, args.threads))
    command = [args.watchword, "detect", "--config", file, "--source", clip, "--out", folder / "out", "--no-video"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    frames, seconds = re.search(r"(\d+) of \d+ frames analysed in ([\d.]+) s", said).groups()
    searched, crops = re.search(r"(\d+) of them searched for people, (\d+) crops", said).groups()
    return float(seconds) * 1e3 / int(frames), int(searched) / int(frames), int(crops) / int(frames)


def peer(args, pack, runtime, clip, *more):
    command = [sys.executable, HERE / "pipeline.py", "--runtime", runtime, "--pack", pack, "--detector", DETECTOR]
    command += ["--clip", clip, "--step", "2", "--threads", str(args.threads), "--patch", "16" if "b16" in pack.name else "32", *more]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return said["frame_ms"], 1.0, said["crops"] / said["frames"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--watchword", required=True)
    parser.add_argument("--packs", type=pathlib.Path, required=True)
    parser.add_argument("--clip", required=True)
    parser.add_argument("--seconds", default="8")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    library = next(pathlib.Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))
    os.environ["ORT_DYLIB_PATH"] = str(library)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        clip = folder / "clip.avi"
        # Ten frames a second of JPEGs, which both sides decode by themselves.
        cut = ["ffmpeg", "-v", "error", "-i", args.clip, "-t", args.seconds, "-r", "10", "-c:v", "mjpeg", "-q:v", "3", clip]
        subprocess.run(cut, check=True)
        for name in ("clip-vit-b32", "clip-vit-b16"):
            pack = args.packs / name
            ways = {
                "PyTorch, every crop (f32)": lambda: peer(args, pack, "torch", clip),
                "ONNX Runtime in Python, every crop": lambda: peer(args, pack, "onnxruntime", clip),
                "the same, without spinning threads": lambda: peer(args, pack, "onnxruntime", clip, "--no-spinning"),
                "Watchword exact, `cpu`": lambda: ours(args, pack, "cpu", True, clip, folder),
                "Watchword exact, `onnxruntime`": lambda: ours(args, pack, "onnxruntime", True, clip, folder),
                "Watchword, `cpu`": lambda: ours(args, pack, "cpu", False, clip, folder),
                "Watchword, `onnxruntime`": lambda: ours(args, pack, "onnxruntime", False, clip, folder),
            }
            results = {way: [] for way in ways}
            for _ in range(args.rounds):
                for way, run in ways.items():
                    results[way].append(run())
            median = {way: statistics.median(ms for ms, *_ in rounds) for way, rounds in results.items()}
            torch, onnx = list(median.values())[:2]
            print(f"\n{name} int8, {pathlib.Path(args.clip).name}, {args.threads} threads\n")
            print("| | ms a frame | detector | crops a frame | times PyTorch | times ONNX Runtime |\n|---|---|---|---|---|---|")
            for way, ms in median.items():
                _, searched, crops = results[way][0]
                print(f"| {way} | {ms:.0f} | {searched:.0%} | {crops:.1f} | {torch / ms:.2f} | {onnx / ms:.2f} |", flush=True)


main()
