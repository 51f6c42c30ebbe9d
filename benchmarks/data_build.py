"""From rows to token shards: MB of text per second of a core, and the memory that it takes.

    import     picochat data import: JSON Lines frozen into parts
    text       the dataset stage: cleaned, duplicates removed, split, written, read back; then the search for eval rows
    shards     the shards stage: encoded, written, every document read back
    peer       the usual script with the library datasets: load_dataset("json"), map(tokenize), numpy memory map

    python benchmarks/data_build.py [--real-data FOLDER] [--mb 100] [--workers 2] [--peer] [--memory] [--json]

`--memory` builds --mb and twice --mb of text and compares the peaks: of memory that cannot be given back (anonymous
pages of all processes together), and, where a memory cgroup can be made, whether the build ends within --limit-mb of
memory with the page cache counted.

What is unfair about it: the peer neither cleans nor removes duplicates nor holds whole documents out nor proves what it
wrote; it does less of everything. Text is made from real text by replacing words, a tenth of it near copies.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from texts import iter_texts, read_passages

COLUMN = "text"
FILES = 4
VOCAB = 8192
LIMIT_MB = 1500
GROWTH = 1.10


def main() -> None:
    options = parse_options()
    if options.worker == "peer":
        run_peer(Path(options.folder))
        return
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        rows = measure_memory(Path(folder), options) if options.memory else measure_speed(Path(folder), options)
    if options.json:
        print(json.dumps(rows, indent=1))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-data", type=Path)
    parser.add_argument("--mb", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--limit-mb", type=int, default=LIMIT_MB)
    parser.add_argument("--scratch", type=Path, help="a folder on the disk that is to be measured")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", choices=("peer",))
    parser.add_argument("--folder")
    return parser.parse_args()


def write_rows(folder: Path, mb: int, real_data: Path | None) -> int:
    """JSON Lines in a few files; every tenth row is followed by a copy with a word replaced. Returns bytes of text."""
    folder.mkdir(parents=True)
    rng, size = random.Random(5), 0
    streams = [(folder / f"rows-{number}.jsonl").open("w", encoding="utf-8") for number in range(FILES)]
    for number, text in enumerate(iter_texts(read_passages(real_data), int(mb * 0.91e6))):
        copies = [text]
        if number % 10 == 0:
            words = text.split(" ")
            words[rng.randrange(len(words))] = "replaced"
            copies.append(" ".join(words))
        for copy in copies:
            size += len(copy.encode())
            streams[number % FILES].write(json.dumps({COLUMN: copy}, ensure_ascii=False) + "\n")
    for stream in streams:
        stream.close()
    return size


def picochat(*argv: object) -> list[str]:
    return [sys.executable, "-m", "picochat.cli", *map(str, argv)]


def build_settings(options: argparse.Namespace, mode: str = "sharded") -> list[object]:
    values = {
        "base.data_mode": mode,
        "machine.workers": options.workers,
        "data.generate_skills": "false",
        "tokenizer.vocab_size": VOCAB,
        "model.vocab_size": VOCAB,
    }
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


def write_pack(folder: Path) -> Path:
    source = {"id": "rows", "path": "rows", "format": "jsonl", "text": COLUMN, "licence": "mixed", "revision": "1"}
    path = folder / "pack.json"
    path.write_text(json.dumps({"schema": "pack/1", "name": "made", "sources": [source]}))
    return path


def measure_speed(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every stage once, by the clock and by processor seconds of all processes."""
    size = write_rows(folder / "rows", options.mb, options.real_data) / 1e6
    commands: dict[str, list[str]] = {
        "import": picochat(
            "data", "import", folder / "rows", "--out-dir", folder / "import", "--text", COLUMN, "--quiet",
            "--set", f"workers={options.workers}",
        ),
        "build": picochat(
            "data", "build", "--pack", write_pack(folder), "--out-dir", folder / "run", "--profile", "small", "--quiet",
            *build_settings(options),
        ),
    }  # fmt: skip
    if options.peer:
        commands["peer"] = [sys.executable, __file__, "--worker", "peer", "--folder", str(folder)]
    rows = []
    for name, command in commands.items():
        seconds, cpu = timed(command)
        rows.append({"stage": name, "mb": size, "seconds": seconds, "cpu_s": cpu})
        if name == "build":
            rows += [
                {"stage": f"  {s}", "mb": size, "seconds": t, "cpu_s": None} for s, t in stage_seconds(folder / "run")
            ]
    print(f"{size:,.0f} MB of text, {options.workers} processes\n")
    print("| stage | seconds | MB/s | MB/s a core |\n|---|---|---|---|")
    for row in rows:
        per_core = f"{row['mb'] / row['cpu_s']:.1f}" if row["cpu_s"] else ""
        print(f"| {row['stage']} | {row['seconds']:.1f} | {row['mb'] / row['seconds']:.1f} | {per_core} |")
    return rows


def timed(command: list[str]) -> tuple[float, float]:
    """(seconds by the clock, processor seconds of the command and all its processes)."""
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[2:5])} failed:\n{done.stderr}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, cpu


def stage_seconds(run: Path) -> list[tuple[str, float]]:
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [(event["stage"], event["duration_s"]) for event in events if event["kind"] == "stage_finished"]


def run_peer(folder: Path) -> None:
    """What a tutorial does: load, tokenize with map, write one memory map of each side."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_OFFLINE"] = "1"
    import numpy as np
    from datasets import load_dataset
    from tokenizers import Tokenizer

    tok = Tokenizer.from_file(str(folder / "run" / "tokenizer.json"))
    files = [str(path) for path in sorted((folder / "rows").glob("*.jsonl"))]
    rows = load_dataset("json", data_files=files, split="train", cache_dir=str(folder / "cache"))
    sides = rows.train_test_split(test_size=0.02, seed=1)

    def encode(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
        ids = [row.ids for row in tok.encode_batch(batch[COLUMN], add_special_tokens=False)]
        return {"ids": ids, "len": [len(row) for row in ids]}

    tokenized = sides.map(encode, batched=True, remove_columns=[COLUMN])
    for side, found in tokenized.items():
        out = np.memmap(folder / f"{side}.bin", np.uint16, "w+", shape=(int(np.sum(found["len"], dtype=np.int64)),))
        at = 0
        for batch in found.with_format("numpy").iter(batch_size=1000):
            block = np.concatenate(batch["ids"])
            out[at : at + len(block)] = block
            at += len(block)
        out.flush()


def measure_memory(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Peaks of a build, and of one of twice the text, each within the limit where a cgroup can be made."""
    rows = []
    for mb in (options.mb, 2 * options.mb):
        part = folder / str(mb)
        size = write_rows(part / "rows", mb, options.real_data)
        command = picochat(
            "data", "build", "--pack", write_pack(part), "--out-dir", part / "run", "--profile", "small", "--quiet",
            *build_settings(options),
        )  # fmt: skip
        with limited(options.limit_mb) as enter:
            peak, code = watch(command, enter)
        rows.append({"mb": size / 1e6, "peak_mb": peak / 1e6, "limited": enter is not None, "exit": code})
        shutil.rmtree(part)
    print(f"{options.workers} processes, limit {options.limit_mb:,} MB with page cache\n")
    print("| text MB | peak of anonymous memory MB | ended within the limit |\n|---|---|---|")
    for row in rows:
        ended = ("yes" if row["exit"] == 0 else f"NO, exit {row['exit']}") if row["limited"] else "not run: no cgroup"
        print(f"| {row['mb']:,.0f} | {row['peak_mb']:,.0f} | {ended} |")
    growth = rows[1]["peak_mb"] / rows[0]["peak_mb"]
    under = max(row["peak_mb"] for row in rows) < options.limit_mb
    print(f"\npeak under {options.limit_mb:,} MB: {'reached' if under else 'MISSED'}")
    verdict = "reached" if growth <= GROWTH else "MISSED"
    print(f"twice the text takes {growth:.2f} x the memory, at most {GROWTH}: {verdict}")
    return rows


@contextlib.contextmanager
def limited(limit_mb: int) -> Iterator[Callable[[], None] | None]:
    """What a child calls to enter a memory cgroup of that size (version 1 or 2); None where none can be made."""
    group = make_group(limit_mb)
    if group is None:
        yield None
        return
    try:
        yield lambda: (group / "cgroup.procs").write_text(str(os.getpid())) and None
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def make_group(limit_mb: int) -> Path | None:
    """A new cgroup below the own one."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, own = line.split(":", 2)
        if "memory" in controllers.split(","):
            parent, name = Path("/sys/fs/cgroup/memory") / own.lstrip("/"), "memory.limit_in_bytes"
        elif not controllers:
            parent, name = Path("/sys/fs/cgroup") / own.lstrip("/"), "memory.max"
        else:
            continue
        group = parent / f"picochat-{os.getpid()}"
        try:
            group.mkdir()
            (group / name).write_text(str(limit_mb * 1_000_000))
            return group
        except OSError:
            with contextlib.suppress(OSError):
                group.rmdir()
    return None


def watch(command: list[str], enter: Callable[[], None] | None) -> tuple[int, int]:
    """(peak of anonymous bytes over the process tree, exit code)."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=enter)
    peak, ended = 0, threading.Event()

    def sample() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            peak = max(peak, sum(anonymous(pid) for pid in tree(child.pid)))

    sampler = threading.Thread(target=sample)
    sampler.start()
    _, errors = child.communicate()
    ended.set()
    sampler.join()
    if child.returncode:
        print(errors.decode()[-2000:], file=sys.stderr)
    return peak, child.returncode


def tree(pid: int) -> list[int]:
    """A process and everything it has started."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(found for child in children for found in tree(int(child)))]
    return []


def anonymous(pid: int) -> int:
    """Memory of a process that no file stands behind."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        fields = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith(("RssAnon", "RssShmem"))}
        return 1024 * sum(map(int, fields.values()))
    return 0


if __name__ == "__main__":
    main()
