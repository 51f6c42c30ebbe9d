"""Near-duplicate search of this package, with both engines, against datasketch: speed, recall, false positives, memory.

Speed: the same documents, end to end, in seconds of processor time, one core each, the contestants in turns, each in a
process of its own; medians.

    numpy                this package: sketches, join, true similarity, removal, with its own values
    rensa                the same with the values of the package rensa
    datasketch           MinHash.generator (update_batch of 5-gram sets) and MinHashLSH(params=(32, 4)), query, insert
    datasketch-crc32     the same with the fastest hash of Python's library in place of sha1
    datasketch-verified  as datasketch, with the true similarity of each candidate pair, the sets kept in memory

    python benchmarks/near_duplicates.py [--real-data FOLDER] [--mb 20] [--rounds 5] [--parts speed ...]

Documents are passages of 400 words: of FOLDER/sotu where it is given, and of the documentation inside every Python.
To reach `--mb` they are repeated with 40 % of their words replaced, which makes them new documents; one in ten has a
copy with 3 % of its words replaced beside it.

What is unfair about it: datasketch gives candidate pairs, no clusters and no removal, so it is left less to do; it
keeps everything in memory, where this package writes files, here to a disk that is cached.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from picochat.data.builtin import BUILTIN_PATHS, iter_builtin
from picochat.data.duplicates.config import DuplicatesConfig, s_curve
from picochat.data.duplicates.forms import comparison_form
from picochat.data.duplicates.near import NearDuplicates, find_near_duplicates
from picochat.data.duplicates.shingles import iter_pieces, jaccard, shingle_one
from picochat.data.duplicates.sketch import Sketches, band_keys, build_sketcher, signatures
from picochat.data.duplicates.table import SketchTable

CONTESTANTS = ("numpy", "rensa", "datasketch", "datasketch-crc32", "datasketch-verified")
PEERS = ("datasketch", "datasketch-crc32")
THRESHOLDS = {"numpy": 5.0, "rensa": 10.0}
PARTS = ("speed", "profile", "recall", "false-positives", "memory")
PARAGRAPHS, PARAGRAPH_WORDS = 5, 80
BATCH = 512


def main() -> None:
    options = parse_options()
    if options.worker:
        print(json.dumps(run_contestant(options.worker, make_corpus(options))))
        return
    parts: dict[str, Callable[[argparse.Namespace], None]] = {
        "speed": show_speed,
        "profile": show_profile,
        "recall": show_recall,
        "false-positives": show_false_positives,
        "memory": show_memory,
    }
    for part in options.parts:
        parts[part](options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-data", type=Path, help="folder with sotu/")
    parser.add_argument("--mb", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=500, help="planted pairs a class")
    parser.add_argument("--documents", type=int, default=2_000_000, help="documents of the memory part")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--worker", choices=CONTESTANTS)
    return parser.parse_args()


# --- documents


def real_passages(folder: Path | None) -> list[list[str]]:
    """Passages as lists of paragraphs."""
    texts = [text for path in BUILTIN_PATHS for _, text in iter_builtin(path)]
    if folder:
        texts = [path.read_text(encoding="utf-8") for path in sorted((folder / "sotu").glob("*.txt"))] + texts
    passages = []
    words = [word for text in texts for word in text.split()]
    paragraphs = [" ".join(words[i : i + PARAGRAPH_WORDS]) for i in range(0, len(words), PARAGRAPH_WORDS)]
    for first in range(0, len(paragraphs) - PARAGRAPHS + 1, PARAGRAPHS):
        passages.append(paragraphs[first : first + PARAGRAPHS])
    return passages


def edit_words(rng: random.Random, text: str, share: float, vocabulary: list[str]) -> str:
    """The text with this share of its words replaced by others of the corpus."""
    words = text.split(" ")
    for place in rng.sample(range(len(words)), round(share * len(words))):
        words[place] = rng.choice(vocabulary)
    return " ".join(words)


def make_corpus(options: argparse.Namespace) -> list[str]:
    """Documents of about `--mb` in all, always the same."""
    rng = random.Random(0)
    passages = ["\n\n".join(paragraphs) for paragraphs in real_passages(options.real_data)]
    vocabulary = [word for text in passages[::7] for word in text.split()]
    documents: list[str] = []
    size = place = 0
    while size < options.mb * 1e6:
        text = passages[place % len(passages)]
        if place >= len(passages):
            text = edit_words(rng, text, 0.4, vocabulary)
        new = [text] if place % 10 else [text, edit_words(rng, text, 0.03, vocabulary)]
        documents += new
        size += sum(len(document.encode()) for document in new)
        place += 1
    rng.shuffle(documents)
    return documents


# --- contestants


def run_contestant(name: str, texts: list[str]) -> dict[str, Any]:
    """Processor seconds of one contestant on one core, from texts to pairs, after a warm-up on the first documents."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    search = run_datasketch if name.startswith("datasketch") else run_ours
    search(name, [comparison_form(text) for text in texts[:200]])
    started = time.process_time()
    forms = [comparison_form(text) for text in texts]
    middle = time.process_time()
    found = search(name, forms)
    ended = time.process_time()
    return {
        "mb": sum(len(text.encode()) for text in texts) / 1e6,
        "documents": len(texts),
        "forms_s": middle - started,
        "search_s": ended - middle,
        "found": found,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def run_ours(name: str, forms: list[str]) -> int:
    return int(search_forms(forms, DuplicatesConfig(engine=name))[0].stats["removed"])  # pyright: ignore[reportArgumentType]


def search_forms(forms: list[str], config: DuplicatesConfig) -> tuple[NearDuplicates, SketchTable]:
    """The whole search in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        table = sketch_forms(Path(folder) / "table", forms, config)
        candidates = np.ones(len(forms), bool)
        return find_near_duplicates(table, candidates, forms.__getitem__, config, Path(folder) / "work"), table


def sketch_forms(folder: Path, forms: list[str], config: DuplicatesConfig) -> SketchTable:
    sketcher = build_sketcher(config)
    table = SketchTable.create(folder, len(forms), config)
    for first in range(0, len(forms), BATCH):
        table.put(first, sketcher.sketch(forms[first : first + BATCH]))
    return table


def run_datasketch(name: str, forms: list[str]) -> int:
    from datasketch import MinHash, MinHashLSH

    kept: list[set[bytes]] = []

    def iter_sets() -> Iterable[set[bytes]]:
        for form in forms:
            words = form.split(" ")
            shingles = {" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)}
            if name == "datasketch-verified":
                kept.append(shingles)
            yield shingles

    index, pairs = MinHashLSH(num_perm=128, params=(32, 4)), 0
    options = {"hashfunc": zlib.crc32} if name == "datasketch-crc32" else {}
    for number, minhash in enumerate(MinHash.generator(iter_sets(), num_perm=128, **options)):
        candidates = index.query(minhash)
        if kept:
            own = kept[number]
            candidates = [c for c in candidates if len(own & kept[c]) >= 0.6 * len(own | kept[c])]  # pyright: ignore[reportArgumentType, reportCallIssue]
        pairs += len(candidates)
        index.insert(number, minhash)
    return pairs


# --- speed


def show_speed(options: argparse.Namespace) -> None:
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTESTANTS}
    for number in range(options.rounds):
        for name in CONTESTANTS:
            rounds[name].append(call_worker(name, options))
            print(f"round {number + 1} {name}: {rounds[name][-1]['search_s']:.2f} s", file=sys.stderr)
    one = rounds["numpy"][0]
    print(f"\n## Speed: {one['documents']:,} documents, {one['mb']:.1f} MB, {options.rounds} rounds, one core\n")
    peers = "".join(f" x {peer} |" for peer in PEERS)
    print(f"| contestant | MB/s from forms | MB/s from texts |{peers} removed or pairs | peak MB |")
    print("|---" * (5 + len(PEERS)) + "|")
    for name, rows in rounds.items():
        forms, texts = (statistics.median(speed(row, whole) for row in rows) for whole in (False, True))
        ratios = "".join(f" {median_ratio(rows, rounds[peer]):.1f} |" for peer in PEERS)
        peak = max(row["peak_mb"] for row in rows)
        print(f"| {name} | {forms:.1f} | {texts:.1f} |{ratios} {rows[0]['found']:,} | {peak:,.0f} |")
    print("\nThe ratios are from texts.")
    for name, threshold in THRESHOLDS.items():
        ratio = median_ratio(rounds[name], rounds["datasketch"])
        word = "reached" if ratio >= threshold else "MISSED"
        print(f"threshold {name} / datasketch >= {threshold:g}: {word} at {ratio:.1f}")


def speed(row: dict[str, Any], from_texts: bool) -> float:
    return row["mb"] / (row["search_s"] + (row["forms_s"] if from_texts else 0))


def median_ratio(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> float:
    """The median of the ratios round by round, from texts."""
    return statistics.median(speed(a, True) / speed(b, True) for a, b in zip(ours, theirs, strict=True))


def call_worker(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One contestant in a fresh process, so that no allocator or cache is shared."""
    argv = [sys.executable, __file__, "--worker", name, "--mb", str(options.mb)]
    if options.real_data:
        argv += ["--real-data", str(options.real_data)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def show_profile(options: argparse.Namespace) -> None:
    """Where the time of both engines goes, step by step, best of `--rounds`."""
    texts = make_corpus(options)
    mb = sum(len(text.encode()) for text in texts) / 1e6
    forms = [comparison_form(text) for text in texts]
    print(f"\n## Profile, ms a MB, {len(texts):,} documents\n\n| step | numpy | rensa |\n|---|---|---|")
    columns = [
        profile_engine(DuplicatesConfig(engine=name), texts, forms, options.rounds) for name in ("numpy", "rensa")
    ]
    for step in columns[0]:
        print(f"| {step} | " + " | ".join(f"{column[step] / mb * 1000:.2f}" for column in columns) + " |")


def profile_engine(config: DuplicatesConfig, texts: list[str], forms: list[str], rounds: int) -> dict[str, float]:
    sketcher = build_sketcher(config)
    pieces = list(iter_pieces(forms, config))
    digest = sketcher._digest
    values = np.concatenate([digest(piece.hashes, piece.offsets) for piece in pieces])
    sketches = sketcher.sketch(forms)
    everyone = np.ones(len(forms), bool)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = sketch_forms(folder / "table", forms, config)
        steps: dict[str, Callable[[], Any]] = {
            "comparison form": lambda: [comparison_form(text) for text in texts],
            "shingle hashes": lambda: [None for _ in iter_pieces(forms, config)],
            "MinHash values": lambda: [digest(piece.hashes, piece.offsets) for piece in pieces],
            "band keys and signatures": lambda: (band_keys(values, config), signatures(values)),
            "storing": lambda: SketchTable.create(folder / "other", len(forms), config).put(0, sketches),
            "join, verification, removal": lambda: find_near_duplicates(
                table, everyone, forms.__getitem__, config, folder / "w"
            ),
        }
        return {step: min(seconds(call) for _ in range(rounds)) for step, call in steps.items()}


def seconds(call: Callable[[], Any]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


# --- recall


def planted_classes(passages: list[list[str]], n: int) -> dict[str, list[tuple[str, str]]]:
    """{class: pairs of texts}, n of each."""
    rng = random.Random(1)
    chosen = rng.sample(passages, 2 * n)
    pool, others = chosen[:n], chosen[n:]
    vocabulary = [word for paragraphs in others for word in " ".join(paragraphs).split()]

    def edited(share: float) -> Callable[[list[str], list[str]], str]:
        return lambda text, _: edit_words(rng, "\n\n".join(text), share, vocabulary)

    variants: dict[str, Callable[[list[str], list[str]], str]] = {
        "exact": lambda text, _: "\n\n".join(text),
        "case": lambda text, _: "\n\n".join(text).upper(),
        "white space": lambda text, _: "\t\n".join(text).replace(" ", "  "),
        "NFKC: ligatures, full width": lambda text, _: "\n\n".join(text).replace("fi", "\ufb01").replace("a", "\uff41"),
        "curly quotes and dashes": lambda text, _: "\n\n".join(text).translate({39: 0x2019, 34: 0x201D, 45: 0x2013}),
        "1 % of words edited": edited(0.01),
        "2 % of words edited": edited(0.02),
        "5 % of words edited": edited(0.05),
        "10 % of words edited": edited(0.10),
        "one paragraph of five removed": lambda text, _: "\n\n".join(drop_one(rng, text)),
        "half of the document": lambda text, _: " ".join(text)[: len(" ".join(text)) // 2],
        "two documents joined": lambda text, other: "\n\n".join(text + other),
        "paragraphs shuffled": lambda text, _: "\n\n".join(rng.sample(text, len(text))),
    }
    return {
        name: [("\n\n".join(text), change(text, other)) for text, other in zip(pool, others, strict=True)]
        for name, change in variants.items()
    }


def drop_one(rng: random.Random, paragraphs: list[str]) -> list[str]:
    place = rng.randrange(len(paragraphs))
    return paragraphs[:place] + paragraphs[place + 1 :]


def show_recall(options: argparse.Namespace) -> None:
    configs = {
        "numpy 32x4": DuplicatesConfig(engine="numpy"),
        "rensa 32x4": DuplicatesConfig(engine="rensa"),
        "numpy 16x8": DuplicatesConfig(engine="numpy", bands=16, rows=8),
    }
    plain = next(iter(configs.values()))
    print(f"\n## Recall, {options.pairs} planted pairs a class\n")
    print("Counted are pairs whose true similarity is at least .60, but for `all found`. What banding should find:\n")
    for bands, rows in ((32, 4), (16, 8)):
        print(f"- {bands}x{rows}: " + ", ".join(f"{s} {found}" for s, found in s_curve(bands, rows).items()))
    print("\n| class | mean true Jaccard | at least .60 | all found, numpy 32x4 | " + " | ".join(configs) + " |")
    print("|---" * (4 + len(configs)) + "|")
    for name, pairs in planted_classes(real_passages(options.real_data), options.pairs).items():
        forms = [[comparison_form(text) for text in side] for side in zip(*pairs, strict=True)]
        true = np.array([jaccard(shingle_one(a, plain), shingle_one(b, plain)) for a, b in zip(*forms, strict=True)])
        together = [is_together(forms, config) for config in configs.values()]
        due = true >= plain.threshold
        cells = [f"{int((found & due).sum())} of {int(due.sum())}" if due.any() else "-" for found in together]
        print(
            f"| {name} | {true.mean():.3f} | {int(due.sum())} | {int(together[0].sum())} | " + " | ".join(cells) + " |"
        )


def is_together(forms: list[list[str]], config: DuplicatesConfig) -> np.ndarray:
    """For each planted pair, whether the search puts it into one cluster."""
    root = search_forms(forms[0] + forms[1], config)[0].root
    n = len(forms[0])
    return np.asarray(root[:n] == root[n:])


# --- false positives


def independent_sets(passages: list[list[str]], n: int) -> dict[str, list[str]]:
    """{kind: documents that nobody would call copies}."""
    rng = random.Random(2)
    chosen = [" ".join(text) for text in rng.sample(passages, n)]
    words = " ".join(chosen).split()
    fixed, header = words[:120], " ".join(words[200:300])

    def fill(every: int) -> str:
        return " ".join(str(rng.randrange(10**6)) if i % every == every // 2 else w for i, w in enumerate(fixed))

    return {
        "independent passages": chosen,
        "one template, a number every 8 words": [fill(8) for _ in range(n)],
        "one template, a number every 15 words": [fill(15) for _ in range(n)],
        "one template, a number every 30 words": [fill(30) for _ in range(n)],
        "a header of 100 words before 400 of their own": [f"{header} {text}" for text in chosen],
        "a header of 100 words before 60 of their own": [f"{header} {' '.join(t.split()[:60])}" for t in chosen],
    }


def show_false_positives(options: argparse.Namespace) -> None:
    print(f"\n## False positives, {2 * options.pairs} documents a kind\n")
    print("| documents | engine | removed | true Jaccard to the twin: least, mean | below .60 | verified | seconds |")
    print("|---|---|---|---|---|---|---|")
    for kind, texts in independent_sets(real_passages(options.real_data), 2 * options.pairs).items():
        forms = [comparison_form(text) for text in texts]
        for engine in ("numpy", "rensa"):
            config = DuplicatesConfig(engine=engine)
            started = time.process_time()
            found, _ = search_forms(forms, config)
            took = time.process_time() - started
            removed = np.flatnonzero(found.twin >= 0).tolist()
            true = [jaccard(shingle_one(forms[i], config), shingle_one(forms[found.twin[i]], config)) for i in removed]
            spread = f"{min(true):.3f}, {statistics.mean(true):.3f}" if true else "-"
            print(
                f"| {kind} | {engine} | {len(removed) / len(forms):.1%} | {spread} | {sum(t < 0.6 for t in true)} |"
                f" {found.stats['verified']:,} | {took:.1f} |"
            )


# --- memory


def show_memory(options: argparse.Namespace) -> None:
    """A join of many made sketches, one in ten a copy of the one before it: time, and memory beyond memory maps."""
    print("\n## Memory of the join on made sketches\n")
    print("| documents | seconds | removed | memory of its own, MB | largest bucket |\n|---|---|---|---|---|")
    before = own_memory_mb()
    for n in (options.documents // 4, options.documents):
        with tempfile.TemporaryDirectory() as name:
            folder, config = Path(name), DuplicatesConfig(engine="numpy")
            table = plant_sketches(folder / "table", n, config)
            peak, stop = [0.0], threading.Event()
            watcher = threading.Thread(target=watch_memory, args=(peak, stop))
            watcher.start()
            started = time.perf_counter()
            found = find_near_duplicates(table, np.ones(n, bool), planted_form, config, folder / "work")
            took = time.perf_counter() - started
            stop.set()
            watcher.join()
        stats = found.stats
        print(f"| {n:,} | {took:.1f} | {stats['removed']:,} | {peak[0] - before:.0f} | {stats['largest_bucket']} |")


def plant_sketches(folder: Path, n: int, config: DuplicatesConfig) -> SketchTable:
    rng, size = np.random.default_rng(0), 1 << 16
    table = SketchTable.create(folder, n, config)
    for first in range(0, n, size):
        count = min(n - first, size)
        bands = rng.integers(0, 2**64, (count, config.bands), dtype=np.uint64)
        signature = rng.integers(0, 256, (count, 128), dtype=np.uint8)
        copies = np.arange(2, count, 10)
        shared = rng.random((len(copies), config.bands)) < 0.4
        bands[copies] = np.where(shared, bands[copies - 1], bands[copies])
        signature[copies] = signature[copies - 1]
        table.put(first, Sketches(bands, signature, np.ones(count, bool)))
    return table


def planted_form(number: int) -> str:
    """50 words of its own; the same for a copy and the document before it."""
    place = number % (1 << 16)
    return " ".join(f"w{i}-{number - (place % 10 == 2)}" for i in range(50))


def own_memory_mb() -> float:
    """Resident memory that is no memory map."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def watch_memory(peak: list[float], stop: threading.Event) -> None:
    while not stop.wait(0.02):
        peak[0] = max(peak[0], own_memory_mb())


if __name__ == "__main__":
    main()
