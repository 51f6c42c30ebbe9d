"""D3 and bad input: what is wrong with a source is said by name, nothing is lost, and the same command goes on.

Everything through the program, as a user starts it.
"""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.tiny_run import environment, picochat, start

from picochat.artifacts import layout
from picochat.core.jsonio import iter_jsonl, read_json

SETTINGS = {"data.generate_skills": "false", "data.val_fraction": "0.2", "machine.workers": "1"}


def build(pack: Path, root: Path, *more: object, failpoint: str = "", **settings: str):
    flags = [word for key, value in (SETTINGS | settings).items() for word in ("--set", f"{key}={value}")]
    argv = ["data", "build", "--pack", pack, "--out-dir", root, "--quiet", *flags, *more]
    return picochat(*argv, failpoint=failpoint)


def rows(count: int, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return [f"row {n} " + " ".join(f"word{rng.randrange(5000)}" for _ in range(40)) for n in range(count)]


def pack_of(folder: Path, **source: object) -> Path:
    path = folder / "pack.json"
    sources = [{"id": "s", "licence": "CC0-1.0", "revision": "1", **source}]
    path.write_text(json.dumps({"schema": "pack/1", "name": "p", "sources": sources}))
    return path


def assert_refused(done, code: int, *words: str) -> None:
    assert done.returncode == code, (done.returncode, done.stderr)
    lines = done.stderr.splitlines()
    assert any(line.startswith("error: ") for line in lines) and any(line.startswith("fix: ") for line in lines)
    for word in words:
        assert word in done.stderr, (word, done.stderr)


def assert_nothing_half(root: Path) -> None:
    outputs = {layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.CORPUS_MANIFEST, layout.CORPUS_DROPPED, layout.CHAT_TRAIN}
    assert not [name for name in outputs if (root / name).exists()]
    assert not list(root.rglob(".tmp-*"))


def write_parquet(path: Path, values: list[str] | None = None, column: str = "text") -> Path:
    pq.write_table(pa.table({column: values or rows(400)}), path, row_group_size=50)
    return path


def empty_folder(folder: Path) -> Path:
    (folder / "texts").mkdir()
    return pack_of(folder, path="texts")


def only_other_files(folder: Path) -> Path:
    """The format is named, and no file of it is there: the others are not taken in its place."""
    (folder / "texts").mkdir()
    (folder / "texts" / "a.txt").write_text("\n".join(rows(50)))
    return pack_of(folder, path="texts", format="parquet", text="text")


def column_not_named(folder: Path) -> Path:
    (folder / "texts").mkdir()
    (folder / "texts" / "a.jsonl").write_text("\n".join(json.dumps({"text": row}) for row in rows(50)))
    return pack_of(folder, path="texts")


def column_missing(folder: Path) -> Path:
    (folder / "a.csv").write_text("title,body\n" + "\n".join(f"t,{row}" for row in rows(50)))
    return pack_of(folder, path="a.csv", format="csv", text="text")


def parquet_column_missing(folder: Path) -> Path:
    write_parquet(folder / "a.parquet", column="body")
    return pack_of(folder, path="a.parquet", format="parquet", text="text")


def rows_without_column(folder: Path) -> Path:
    (folder / "a.jsonl").write_text("\n".join(json.dumps({"body": row}) for row in rows(50)))
    return pack_of(folder, path="a.jsonl", format="jsonl", text="text")


def truncated_parquet(folder: Path) -> Path:
    path = write_parquet(folder / "a.parquet")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return pack_of(folder, path="a.parquet", format="parquet", text="text")


def text_in_the_clothes_of_parquet(folder: Path) -> Path:
    (folder / "a.parquet").write_text("\n".join(rows(50)))
    return pack_of(folder, path="a.parquet", format="parquet", text="text")


def truncated_gzip(folder: Path) -> Path:
    import gzip

    data = gzip.compress("\n".join(json.dumps({"text": row}) for row in rows(400)).encode())
    (folder / "a.jsonl.gz").write_bytes(data[: len(data) // 2])
    return pack_of(folder, path="a.jsonl.gz", format="jsonl", text="text")


def symlink_loop(folder: Path) -> Path:
    (folder / "texts").mkdir()
    (folder / "texts" / "a.txt").write_text(rows(1)[0])
    (folder / "texts" / "again").symlink_to(folder / "texts", target_is_directory=True)
    return pack_of(folder, path="texts")


def not_imported(folder: Path) -> Path:
    return pack_of(folder, **{"import": "climbmix", "shards": "0"}, revision="unknown")


def missing_path(folder: Path) -> Path:
    return pack_of(folder, path="nowhere")


@pytest.mark.bar("D3")
@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (empty_folder, 4, ["kept 0 of 0 documents"]),
        (only_other_files, 4, ["kept 0 of 0 documents"]),
        (column_not_named, 4, ["column_not_named"]),
        (column_missing, 4, ["no column 'text'", "'body'"]),
        (parquet_column_missing, 4, ["no column 'text'", "'body'"]),
        (rows_without_column, 4, ["50 row_without_column"]),
        (truncated_parquet, 4, ["a.parquet"]),
        (text_in_the_clothes_of_parquet, 4, ["a.parquet"]),
        (truncated_gzip, 4, ["a.jsonl.gz", "ends in the middle"]),
        (symlink_loop, 4, ["symbolic link"]),
        (not_imported, 4, ["picochat data import"]),
        (missing_path, 2, ["does not exist"]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_source_is_never_replaced_by_something_else(
    tmp_path: Path, make: Callable[[Path], Path], code: int, words: list[str], measured: Callable
):
    done = build(make(tmp_path), tmp_path / "run")
    assert_refused(done, code, *words)
    assert_nothing_half(tmp_path / "run")
    measured(make.__name__.replace("_", " "))


def test_errors_of_different_kinds_have_different_words(tmp_path: Path):
    """A truncated file, a file of another kind and a missing column are three things, and each says its own cure."""
    said = set()
    for number, make in enumerate((truncated_parquet, text_in_the_clothes_of_parquet, parquet_column_missing)):
        folder = tmp_path / str(number)
        folder.mkdir()
        fix = [line for line in build(make(folder), folder / "run").stderr.splitlines() if line.startswith("fix:")]
        said.add(fix[0])
    assert len(said) == 3


def test_rows_without_the_column_are_dropped_one_by_one(tmp_path: Path):
    lines = [json.dumps({"text": row}) for row in rows(60)]
    lines[7], lines[20] = json.dumps({"body": "no text here"}), "{broken"
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    done = build(pack_of(tmp_path, path="a.jsonl", format="jsonl", text="text"), tmp_path / "run")
    assert done.returncode == 0, done.stderr
    dropped = list(iter_jsonl(tmp_path / "run" / layout.CORPUS_DROPPED))
    assert [(row["name"], row["reason"]) for row in dropped] == [
        ("a.jsonl:8", "row_without_column"),
        ("a.jsonl:21", "row_not_json"),
    ]


def peak_rss_mb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


@pytest.mark.parametrize("format", ["jsonl", "guessed"])
def test_a_very_long_line_is_one_dropped_row_and_takes_no_memory(tmp_path: Path, format: str, size: Callable):
    """1 GB in the full form, 100 MB in the short one: both are over the 64 MiB that a row may have."""
    megabytes = size(short=100, full=1000)
    path = tmp_path / ("a.jsonl" if format == "jsonl" else "a.txt")
    good = [json.dumps({"text": row}) if format == "jsonl" else row + "\n" for row in rows(60)]
    with path.open("w") as out:
        out.write("\n".join(good[:30]) + "\n")
        out.write('{"text": "' if format == "jsonl" else "")
        for _ in range(megabytes):
            out.write("x" * 1_000_000)
        out.write('"}\n' if format == "jsonl" else "\n\n")
        out.write("\n".join(good[30:]) + "\n")
    source = {"text": "text"} if format == "jsonl" else {}
    flags = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    pack = pack_of(tmp_path, path=path.name, format=format, **source)
    process = start("data", "build", "--pack", pack, "--out-dir", tmp_path / "run", "--quiet", *flags)
    peak = 0
    while process.poll() is None:
        peak = max(peak, peak_rss_mb(process.pid))
        time.sleep(0.05)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    (dropped,) = iter_jsonl(tmp_path / "run" / layout.CORPUS_DROPPED)
    assert dropped["reason"] in ("row_too_long", "block_too_long")
    assert read_json(tmp_path / "run" / layout.CORPUS_MANIFEST)["counts"]["documents"] == 60
    assert peak < 600, f"{peak} MB"


def folder_of_rows(folder: Path) -> Path:
    (folder / "rows").mkdir()
    for number in range(4):
        lines = [json.dumps({"text": row}) for row in rows(50, seed=number)]
        (folder / "rows" / f"{number}.jsonl").write_text("\n".join(lines))
    return pack_of(folder, path="rows", format="jsonl", text="text")


def digests(root: Path) -> dict[str, bytes]:
    return {
        name: (root / name).read_bytes() for name in (layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.CORPUS_DROPPED)
    }


@pytest.mark.parametrize(
    ("failpoint", "code"),
    [
        ("data.after_piece:sigkill@1", -signal.SIGKILL),
        ("file.before_publish:enospc@9", 5),
        ("file.before_publish:enospc@12", 5),
        ("file.before_publish:sigkill@11", -signal.SIGKILL),
    ],
)
def test_a_build_that_died_goes_on_to_the_same_bytes(tmp_path: Path, failpoint: str, code: int):
    pack = folder_of_rows(tmp_path)
    assert build(pack, tmp_path / "whole").returncode == 0
    died = build(pack, tmp_path / "run", failpoint=failpoint)
    assert died.returncode == code, died.stderr
    if code == 5:
        assert_refused(died, 5, "no space left", "bytes are free")
    assert_nothing_half(tmp_path / "run") if code == 5 else None
    again = build(pack, tmp_path / "run", "--resume")
    assert again.returncode == 0, again.stderr
    assert digests(tmp_path / "run") == digests(tmp_path / "whole")
    assert not (tmp_path / "run" / layout.DATASET_WORK).exists() and not list((tmp_path / "run").rglob(".tmp-*"))


def test_two_builds_in_one_folder_do_not_disturb_each_other(tmp_path: Path):
    pack = folder_of_rows(tmp_path)
    flags = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    argv = ["data", "build", "--pack", pack, "--out-dir", tmp_path / "run", "--quiet", *flags]
    first = start(*argv, failpoint="data.after_piece:sigstop@1")
    _, status = os.waitpid(first.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    second = picochat(*argv, "--resume")
    assert_refused(second, 5, "another process")
    first.send_signal(signal.SIGCONT)
    assert first.wait(timeout=60) == 0
    first.communicate()


def test_workers_see_no_more_of_the_environment_than_their_parent(tmp_path: Path):
    """The environment of a child process is that of the tests, so nothing of it may reach an artifact."""
    canary = "canary-9b1d7c0e-secret-value"
    pack = folder_of_rows(tmp_path)
    flags = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    done = picochat("data", "build", "--pack", pack, "--out-dir", tmp_path / "run", *flags, HF_TOKEN=canary)
    assert done.returncode == 0 and canary not in done.stdout + done.stderr and "HF_TOKEN" not in environment()
    found = [path for path in (tmp_path / "run").rglob("*") if path.is_file() and canary.encode() in path.read_bytes()]
    assert found == []
