"""Contamination scan: recall of twelve planted forms, false positives, and speed against a naive join. Markdown.

    python benchmarks/contamination.py [--items 200] [--real-data FOLDER] [--mb 16] [--known 10000] [--rounds 5]

Items, forms and negative sets are those of `planted.py`, which states their mix. The clean corpus is the documentation
inside every Python; with FOLDER/sotu the speeches are a second one. A form counts items that it can show at all: a
question alone needs 8 words to be looked for, and so does an answer.

Speed: megabytes of text a second of processor time on one core, the contestants in turns, medians. Both look for
13-grams of the same `--known` items; the naive join keeps them in a set of strings and builds every 13-gram of the
text. What is unfair about it: ours also looks for halves of 5-grams, short items, answers and joints, and proves every
hit; the naive join does none of that, folds case only, and knows no item by its place.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from planted import FORMS, Chain, clean_items, false_positives, make_items, recall

from picochat.data.builtin import BUILTIN_PATHS, iter_builtin
from picochat.data.contamination.block import Block
from picochat.data.contamination.config import ContaminationConfig
from picochat.data.contamination.index import build_index
from picochat.data.contamination.items import Item, ItemSet
from picochat.data.contamination.scan import scan_block

FALSE_POSITIVES = 0.01
FASTER = 8.5
"""Megabytes a second on one core that a scan must reach."""
BLOCK_BYTES = 2 << 20
GRAM = 13


def main() -> None:
    options = parse_options()
    corpora = read_corpora(options.real_data)
    results: dict[str, Any] = {
        "items": options.items,
        "recall": {name: measure_recall(texts, options.items) for name, texts in corpora.items()},
        "false_positives": {kind: false_positives(kind, options.items) for kind in ("templates", "numbers")},
        "speed": {name: measure_speed(texts, options) for name, texts in corpora.items()},
    }
    if options.json:
        print(json.dumps(results))
    else:
        show(results)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--real-data", type=Path)
    parser.add_argument("--mb", type=float, default=16)
    parser.add_argument("--known", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def read_corpora(real_data: Path | None) -> dict[str, list[str]]:
    """Documents by corpus."""
    corpora = {"built-in": [text for path in BUILTIN_PATHS for _, text in iter_builtin(path)]}
    if real_data is not None:
        files = sorted((real_data / "sotu").glob("*.txt"))
        # Paragraphs: the speeches are too few and too long for 200 items in documents of their own.
        corpora["sotu"] = [part for file in files for part in file.read_text(encoding="utf-8").split("\n\n") if part]
    return corpora


def measure_recall(texts: Sequence[str], n_items: int) -> list[dict[str, Any]]:
    items = clean_items(Chain(texts), texts, n_items)
    rows = []
    for form in FORMS:
        found, planted = recall(items, texts, form)
        rows.append({"form": form.name, "found": found, "planted": planted, "required": form.required})
        print(f"{form.name}: {found} of {planted}", file=sys.stderr)
    return rows


def measure_speed(texts: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    """Medians of MB/s by contestant, and of the ratio round by round."""
    documents = repeat(texts, int(options.mb * 1e6))
    items = make_items(Chain(texts), options.known, random.Random(4))
    contestants = {"ours": build_ours(items), "naive join": build_naive(items)}
    size = sum(map(len, documents)) / 1e6
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(options.rounds + 1):
        for name, scan in contestants.items():
            started = time.process_time()
            scan(documents)
            if number:  # the first round fills tables and caches
                speeds[name].append(size / (time.process_time() - started))
                print(f"round {number} {name}: {speeds[name][-1]:.1f} MB/s", file=sys.stderr)
    ratio = statistics.median(a / b for a, b in zip(speeds["ours"], speeds["naive join"], strict=True))
    return {
        "mb": size,
        "mb_per_s": {name: statistics.median(values) for name, values in speeds.items()},
        "ratio": ratio,
    }


def repeat(texts: Sequence[str], wanted: int) -> list[bytes]:
    """The documents again and again, as bytes, until there are enough of them."""
    out: list[bytes] = []
    size = 0
    while size < wanted:
        for text in texts:
            out.append(text.encode())
            size += len(out[-1])
            if size >= wanted:
                break
    return out


def build_ours(items: Sequence[Item]) -> Callable[[Sequence[bytes]], int]:
    index = build_index([ItemSet("known", "eval", tuple(items))], ContaminationConfig())

    def scan(documents: Sequence[bytes]) -> int:
        found = first = size = 0
        for number, document in enumerate(documents, 1):
            size += len(document)
            if size >= BLOCK_BYTES or number == len(documents):
                block = Block(documents[first:number], range(first, number), joined=True)
                found += len(scan_block(index, block))
                first, size = number, 0
        return found

    return scan


def build_naive(items: Sequence[Item]) -> Callable[[Sequence[bytes]], int]:
    word = re.compile(r"\w+")

    def grams(text: str) -> list[str]:
        words = word.findall(text.lower())
        return [" ".join(words[i : i + GRAM]) for i in range(len(words) - GRAM + 1)]

    known = {gram for item in items for text in (item.question, *item.answers) for gram in grams(text)}

    def scan(documents: Sequence[bytes]) -> int:
        return sum(any(gram in known for gram in grams(document.decode())) for document in documents)

    return scan


def show(results: dict[str, Any]) -> None:
    for corpus, rows in results["recall"].items():
        print(f"\n### Recall in the {corpus} corpus, {results['items']} items\n")
        print("| form | found | planted | recall | required |\n|---|---|---|---|---|")
        for row in rows:
            share = row["found"] / row["planted"] if row["planted"] else 0.0
            word = "reported" if row["required"] is None else f"{row['required']:.0%}: {kept(share >= row['required'])}"
            print(f"| {row['form']} | {row['found']} | {row['planted']} | {share:.1%} | {word} |")
    print("\n### False positives\n\n| negative set | flagged | items | share | at most |\n|---|---|---|---|---|")
    for kind, (flagged, items) in results["false_positives"].items():
        word = kept(flagged <= FALSE_POSITIVES * items)
        print(f"| {kind} | {flagged} | {items} | {flagged / items:.1%} | {FALSE_POSITIVES:.0%}: {word} |")
    print(
        "\n### Speed, one core\n\n| corpus | ours, MB/s | naive join, MB/s | ratio | required |\n|---|---|---|---|---|"
    )
    for corpus, entry in results["speed"].items():
        ours, naive = entry["mb_per_s"]["ours"], entry["mb_per_s"]["naive join"]
        word = kept(ours >= FASTER)
        speeds = f"{ours:.1f} | {naive:.2f} | {entry['ratio']:.1f}"
        print(f"| {corpus}, {entry['mb']:.0f} MB | {speeds} | {FASTER} MB/s: {word} |")


def kept(holds: bool) -> str:
    return "kept" if holds else "MISSED"


if __name__ == "__main__":
    main()
