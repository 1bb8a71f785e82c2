"""How long the daemon takes to its first event, and what it holds in memory then: medians of a few starts, as Markdown.

    python3 start.py [--program ../target/release/watchword] [--pack nano] [--rounds 5] [--settle 20]

`watchword run` plays the demo's clip over and over, with the demo's words, the embedded broker and the page on. An MQTT
client that tries to connect from the start on waits for the first event. Each round is two starts: one with an empty state
folder, which embeds the words, and one that finds them there. Once with the demo's own minimum_duration, once with none.
"""

import argparse
import json
import os
import pathlib
import re
import socket
import statistics
import struct
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEMO = ROOT / "src/cmd/demo"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configuration(pack, duration, broker, page):
    text = (DEMO / "demo.toml").read_text()
    text = text.replace('source = "clip.avi"', f'source = {json.dumps(str(DEMO / "clip.avi"))}\nloop = true')
    text = text.replace("port = 0 # any that is free", f"port = {broker}")
    if duration is not None:
        text = re.sub(r"(\[\[action\]\]\n)", rf'\1minimum_duration = "{duration}"\n', text)
    return text + f'\n[pack]\npath = {json.dumps(pack)}\n[web]\naddress = "127.0.0.1:{page}"\n'


class Listener:
    """As little of MQTT 3.1.1 as it takes to hear what is published at QoS 0."""

    def __init__(self, port, wait):
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port))
                break
            except ConnectionRefusedError:
                wait()
        self.socket.settimeout(60)
        self.send(0x10, self.text(b"MQTT") + bytes([4, 2, 0, 60]) + self.text(b"start.py"))
        self.packet()
        self.send(0x82, b"\0\1" + self.text(b"watchword/+/events") + b"\0")

    @staticmethod
    def text(word):
        return struct.pack(">H", len(word)) + word

    def send(self, kind, body):
        self.socket.sendall(bytes([kind, len(body)]) + body)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            data += self.socket.recv(count - len(data)) or exit("the broker closed the connection")
        return data

    def packet(self):
        kind, length, shift = self.exactly(1)[0], 0, 0
        while True:
            byte = self.exactly(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return kind, self.exactly(length)

    def first(self, kind):
        while True:
            head, body = self.packet()
            if head >> 4 == 3:
                event = json.loads(body[2 + struct.unpack(">H", body[:2])[0] :])
                if event["type"] == kind:
                    return event


def memory(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {key: int(re.search(rf"{key}:\s+(\d+)", text)[1]) * 1024 / 1e6 for key in ("VmRSS", "VmHWM", "RssFile")}


def start(options, folder, duration):
    broker, page = free_port(), free_port()
    file = folder / "watchword.toml"
    file.write_text(configuration(options.pack, duration, broker, page))
    state = folder / "state"
    state.mkdir(exist_ok=True)
    environment = os.environ | {"STATE_DIRECTORY": str(state), "RUST_LOG": "watchword=debug,warn,rumqttd=off"}
    log = open(folder / "log", "w+")
    began = time.monotonic()
    daemon = subprocess.Popen([options.program, "run", "--config", file], env=environment, stderr=log)
    try:
        Listener(broker, lambda: time.sleep(0.002) if daemon.poll() is None else exit((folder / "log").read_text())).first("begin")
        event = time.monotonic() - began
        time.sleep(options.settle)
        held = memory(daemon.pid)
    finally:
        daemon.terminate()
        daemon.wait()
    log.seek(0)
    said = ANSI.sub("", log.read())
    if options.verbose:
        print(said)
    value, unit = re.search(r"first frame analysed after=(?:Some\()?([\d.]+)(ms|s)", said).groups()
    return {"frame": float(value) / (1e3 if unit == "ms" else 1), "event": event} | held


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--program", type=pathlib.Path, default=ROOT / "target/release/watchword")
    arguments.add_argument("--pack", default="nano")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--settle", type=float, default=20, help="seconds after the first event to the look at memory")
    arguments.add_argument("--verbose", action="store_true", help="print the daemon's log")
    options = arguments.parse_args()

    print("| words | minimum_duration | first frame, s | first event, s | held, MB | of it the program's file | at most |")
    print("|---|---|---|---|---|---|---|")
    for duration in (None, "0s"):
        rows = {"embedded": [], "kept": []}
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                for words in rows:
                    rows[words].append(start(options, pathlib.Path(folder), duration))
        for words, starts in rows.items():
            median = {key: statistics.median(one[key] for one in starts) for key in starts[0]}
            print(f"| {words} | {duration or 'as in the demo'} | {median['frame']:.2f} | {median['event']:.2f} | "
                  f"{median['VmRSS']:.0f} | {median['RssFile']:.0f} | {median['VmHWM']:.0f} |")


if __name__ == "__main__":
    main()
