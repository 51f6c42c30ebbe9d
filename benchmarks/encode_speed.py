"""Encoding a corpus: this package's encoder against the library `tokenizers`, one core each, in turns, medians.

    ours              Tokenizer.encode_array: tiktoken over the same merges, proven equal when the tokenizer is built
    tokenizers        Tokenizer.encode_batch of the library, with one thread
    tokenizers-fast   encode_batch_fast of the library, which leaves the offsets out

    python benchmarks/encode_speed.py [--real-data FOLDER] [--rounds 5] [--vocab 8192 16384] [--json]

All three read one `tokenizer.json`, trained on the same text, and their ids are compared. Times are processor seconds.
Texts are the documentation inside Python and, with --real-data, speeches, each measured by itself.
What is unfair about it: the library could use several threads on a batch; the figure is that of a core.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # before the library is imported

import numpy as np
import tokenizers
from texts import read_passages

from picochat.tokenizer.bpe import train_bpe
from picochat.tokenizer.config import TokenizerConfig
from picochat.tokenizer.tokenizer import Tokenizer

THRESHOLD = 3.5
Encode = Callable[[list[str]], list[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-data", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--vocab", type=int, nargs="+", default=[8192, 16384])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    kinds = {"documentation": read_passages(None)}
    if options.real_data:
        kinds["speeches"] = read_passages(options.real_data)[len(kinds["documentation"]) :]
    everything = [text for texts in kinds.values() for text in texts]
    rows = []
    for size in options.vocab:
        data = train_bpe(everything, TokenizerConfig(vocab_size=size))
        for kind, texts in kinds.items():
            rows += [{"vocab": size, "text": kind, **row} for row in measure(data, texts, options.rounds)]
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print("| vocabulary | text | encoder | MB/s a core | to tokenizers | asked for |\n|---|---|---|---|---|---|")
    for row in rows:
        verdict = "reached" if row["ratio"] >= THRESHOLD else "MISSED"
        asked = f"{THRESHOLD} x: {verdict}" if row["name"] == "ours" else ""
        figures = f"{row['mb_per_s']:.2f} | {row['ratio']:.2f} x"
        print(f"| {row['vocab']:,} | {row['text']} | {row['name']} | {figures} | {asked} |")


def measure(data: bytes, texts: list[str], rounds: int) -> list[dict[str, Any]]:
    """The contestants in turns over the same documents."""
    ours, peer = Tokenizer(data), tokenizers.Tokenizer.from_str(data.decode())
    peer.encode_special_tokens = True
    contestants: dict[str, Encode] = {
        "ours": lambda batch: [ours.encode_array(text) for text in batch],
        "tokenizers": lambda batch: [row.ids for row in peer.encode_batch(batch, add_special_tokens=False)],
        "tokenizers-fast": lambda batch: [row.ids for row in peer.encode_batch_fast(batch, add_special_tokens=False)],
    }
    for text in texts[:: max(1, len(texts) // 500)]:
        ids = [np.asarray(encode([text])[0]).tolist() for encode in contestants.values()]
        assert ids[0] == ids[1] == ids[2], "the encoders disagree"
    size = sum(len(text.encode()) for text in texts) / 1e6
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, encode in contestants.items():
            started = time.process_time()
            for first in range(0, len(texts), 256):
                encode(texts[first : first + 256])
            seconds[name].append(time.process_time() - started)
            print(f"{ours.vocab_size:,} {name}: {size / seconds[name][-1]:.2f} MB/s", file=sys.stderr)
    base = statistics.median(seconds["tokenizers"])
    return [
        {
            "name": name,
            "mb_per_s": size / statistics.median(times),
            "ratio": base / statistics.median(times),
        }
        for name, times in seconds.items()
    ]


if __name__ == "__main__":
    main()
