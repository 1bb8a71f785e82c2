"""CLIP's byte-pair vocabulary (PyPI `open_clip_torch`, bpe_simple_vocab_16e6.txt.gz) -> `tokenizers` JSON.

    python3 clip_tokenizer.py bpe_simple_vocab_16e6.txt.gz clip/tokenizer.json.zst
    python3 clip_tokenizer.py --check bpe_simple_vocab_16e6.txt.gz clip/tokenizer.json.zst

--check compares the ids with those of transformers' CLIPTokenizerFast made from the same vocabulary.
"""

import argparse
import gzip
import json
import random
import tempfile
from pathlib import Path

import zstandard
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

VOCABULARY = 49408
START, END = "<|startoftext|>", "<|endoftext|>"
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def byte_letters():
    """The printable letter that stands for each byte, in the order the vocabulary lists them."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + n) for n in range(len(others))]


def vocabulary(path):
    lines = gzip.open(path, "rt", encoding="utf-8").read().split("\n")
    merges = [tuple(line.split()) for line in lines[1 : VOCABULARY - 256 * 2 - 2 + 1]]
    letters = byte_letters()
    words = letters + [letter + "</w>" for letter in letters] + ["".join(pair) for pair in merges] + [START, END]
    return {word: index for index, word in enumerate(words)}, merges


def build(path):
    vocab, merges = vocabulary(path)
    assert len(vocab) == VOCABULARY and vocab[END] == VOCABULARY - 1
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token=END, continuing_subword_prefix="", end_of_word_suffix="</w>", fuse_unk=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(WORDS), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing((END, vocab[END]), (START, vocab[START]), trim_offsets=False, add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(START, special=True, normalized=False), AddedToken(END, special=True, normalized=False)])
    return tokenizer


def strings():
    """Varied input, the same every time."""
    phrases = ["a person falling", "A Person LYING on the floor", "two people shaking hands.", "it's he'll they've I'd we're can't I'm", "",
               " ", "  many   spaces\tand\nlines ", "naïve café", "e\u0301 composed and é", "ÀÉÎÕÜ ß", "東京 の 人", "Привет, мир", "🙂🚲 on a road",
               "12345 3.14 1,000", "don't!!! stop???", "a-b_c/d\\e", "http://example.org/?q=1&r=2", "<|endoftext|>", "x" * 300, "µ ½ ²", "\u200bzero\u00a0width", "İstanbul", "ﬁ ligature", "'S 'T 'LL"]
    words = "person man woman riding bicycle climbing over the fence waving hand runs-away no.5 café 3rd Umbrella don't #tag @home 50% naïve 雨 é".split(" ")
    chance = random.Random(1)
    while len(phrases) < 200:
        phrases.append(" ".join(chance.choice(words) for _ in range(chance.randint(1, 14))))
    return phrases


def check(tokenizer, path):
    from transformers import CLIPTokenizerFast

    vocab, merges = vocabulary(path)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "vocab.json").write_text(json.dumps(vocab))
        (Path(folder) / "merges.txt").write_text("#version: 0.2\n" + "\n".join(map(" ".join, merges)) + "\n")
        try:  # transformers 5 takes the vocabulary itself, 4 the files
            reference = CLIPTokenizerFast(vocab=vocab, merges=merges)
        except (TypeError, ValueError):
            reference = CLIPTokenizerFast(folder + "/vocab.json", folder + "/merges.txt")
    different = [text for text in strings() if reference(text)["input_ids"] != tokenizer.encode(text).ids]
    print(f"{len(strings()) - len(different)} of {len(strings())} strings have the same ids; different: {different}")
    return not different


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("vocabulary", type=Path)
    arguments.add_argument("tokenizer", type=Path, help="written, or with --check read")
    arguments.add_argument("--check", action="store_true")
    options = arguments.parse_args()
    if options.check:
        stored = zstandard.ZstdDecompressor().decompress(options.tokenizer.read_bytes(), max_output_size=16 << 20)
        raise SystemExit(not check(Tokenizer.from_str(stored.decode()), options.vocabulary))
    options.tokenizer.parent.mkdir(exist_ok=True)
    options.tokenizer.write_bytes(zstandard.ZstdCompressor(level=19).compress(build(options.vocabulary).to_str().encode()))


if __name__ == "__main__":
    main()
