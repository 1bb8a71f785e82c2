"""MiniLM's tokenizer without its padding to 128 tokens: the runtime pads to the longest of a batch."""

import json
import sys


def main(source, target):
    with open(source, encoding="utf-8") as file:
        tokenizer = json.load(file)
    tokenizer["padding"] = None
    with open(target, "w", encoding="utf-8") as file:
        json.dump(tokenizer, file, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main(*sys.argv[1:])
