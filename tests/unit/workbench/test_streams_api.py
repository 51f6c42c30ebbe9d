"""Events and logs as the workbench answers for them: bounded, plain, and never through a link."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.support.bench_client import ask, bench_client

from picochat.core.jsonio import canonical_json
from picochat.workbench.bench import Workbench

TOKEN = "hf_" + "A1b2" * 8
MOST_ANSWER_BYTES = 1_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "r"
    (root / "logs").mkdir(parents=True)
    (root / "run.json").write_bytes(b"{}")
    return root


def log(root: Path, data: bytes, rank: int = 0) -> None:
    (root / f"logs/rank{rank}.log").write_bytes(data)


def texts(found: dict) -> list[str]:
    return [line["text"] for line in found["lines"]]


def test_logs_are_listed_by_rank_and_other_names_are_not(root: Path):
    for rank in (10, 2, 0):
        log(root, b"x\n", rank)
    for name in ("rank1.log.gz", "rankA.log", "../rank3.log", "rank007.log"):
        (root / "logs" / name).write_bytes(b"")
    assert [entry["rank"] for entry in ask(root.parent, "r/logs")["logs"]] == [0, 2, 10]


def test_the_end_first_then_back_and_on(root: Path):
    log(root, b"".join(b"line %d\n" % number for number in range(5000)))
    found = ask(root.parent, "r/logs", rank=0)
    assert texts(found)[-1] == "line 4999" and found["end"] == found["size"] and len(found["lines"]) == 2000
    earlier = ask(root.parent, "r/logs", rank=0, before=found["begin"])
    assert texts(earlier)[-1] == "line 2999"
    with open(root / "logs/rank0.log", "ab") as stream:
        stream.write(b"new\npart")
    following = ask(root.parent, "r/logs", rank=0, offset=found["end"])
    assert texts(following) == ["new"] and following["partial"]["text"] == "part"


def test_a_gigabyte_opens_at_its_end_and_is_searched_in_pieces(root: Path):
    with open(root / "logs/rank0.log", "wb") as stream:
        stream.write(b"first ERROR here\n")
        stream.seek(1 << 30)
        stream.write(b"\nthe end\n")
    began = time.perf_counter()
    assert texts(ask(root.parent, "r/logs", rank=0))[-1] == "the end"
    assert time.perf_counter() - began < 5  # a hang, not a speed
    found = ask(root.parent, "r/logs", rank=0, failure="first")
    assert found["found"] == 0 and texts(found)[0] == "first ERROR here"
    found = ask(root.parent, "r/logs", rank=0, find="nowhere")
    assert found["found"] is None and 0 < found["searched_to"] < found["size"] and found["lines"] == []


def test_search_goes_both_ways_and_does_not_mind_case(root: Path):
    log(root, b"alpha\nBETA one\ngamma\nbeta two\n")
    assert texts(ask(root.parent, "r/logs", rank=0, find="beta"))[0] == "BETA one"
    assert texts(ask(root.parent, "r/logs", rank=0, find="beta", offset=7))[0] == "beta two"
    assert texts(ask(root.parent, "r/logs", rank=0, find="beta", before=20))[0] == "BETA one"
    assert ask(root.parent, "r/logs", rank=0, failure="first")["found"] is None


@pytest.mark.parametrize(
    "line", [b"\x00" * 1000, b"\xff" * 1000, "\u202e".encode() * 300, b'"\\' * 500, b"", b"\x1b[31m" * 200]
)
def test_an_answer_has_at_most_a_megabyte(root: Path, line: bytes):
    log(root, (line + b"\n") * (300_000 // (len(line) + 1)))
    answer = bench_client(Workbench(root.parent)).get("/api/runs/r/logs?rank=0")
    assert answer.status_code == 200 and len(answer.content) <= MOST_ANSWER_BYTES
    (root / "events.jsonl").write_bytes(canonical_json({"kind": "step", "text": line.decode("latin-1")}) + b"\n")
    assert len(bench_client(Workbench(root.parent)).get("/api/runs/r/events").content) <= MOST_ANSWER_BYTES


def test_links_pipes_and_missing_files_are_states(root: Path, tmp_path: Path):
    (tmp_path / "secret").write_bytes(b"secret\n")
    (root / "logs/rank0.log").symlink_to(tmp_path / "secret")
    os.mkfifo(root / "logs/rank1.log")
    (root / "events.jsonl").symlink_to(tmp_path / "secret")
    for rank in (0, 1):
        found = ask(root.parent, "r/logs", rank=rank)
        assert found["state"] == "unreadable" and found["lines"] == [] and found["size"] is None
    assert ask(root.parent, "r/logs", rank=9)["state"] == "missing"
    assert ask(root.parent, "r/events")["state"] == "unreadable"
    (root / "logs").rename(root / "elsewhere")
    (root / "logs").symlink_to(root / "elsewhere")
    assert ask(root.parent, "r/logs")["logs"] == [] and ask(root.parent, "r/logs", rank=0)["state"] == "unreadable"


@pytest.mark.parametrize(
    "query", ["rank=-1", "rank=0/../x", "rank=1e3", "offset=-1", "find=", "failure=last", "x=1", "rank=0&rank=1"]
)
def test_numbers_are_read_strictly(root: Path, query: str):
    client = bench_client(Workbench(root.parent))
    assert client.get(f"/api/runs/r/logs?{query}").status_code == 422


def test_secrets_are_masked_in_logs_and_events(root: Path):
    log(root, f"key {TOKEN}\n-----BEGIN PRIVATE KEY-----\n{'QUJD' * 16}\n-----END PRIVATE KEY-----\nafter\n".encode())
    (root / "events.jsonl").write_bytes(canonical_json({"kind": "warning", "text": TOKEN}) + b"\n")
    found = ask(root.parent, "r/logs", rank=0)
    assert texts(found) == ["key [redacted]", "[redacted]", "[redacted]", "[redacted]", "after"]
    assert ask(root.parent, "r/events")["rows"][0]["fields"]["text"] == "[redacted]"


def test_events_have_their_filters_and_the_words_to_choose_from(root: Path):
    rows = [{"seq": n, "kind": "failed" if n == 3 else "step", "stage": "base"} for n in range(1, 9)]
    (root / "events.jsonl").write_bytes(b"".join(canonical_json(row) + b"\n" for row in rows))
    found = ask(root.parent, "r/events", kind="failed", offset=0, limit=1)
    assert [row["seq"] for row in found["rows"]] == [3] and "failed" in found["kinds"] and "base" in found["stages"]
    found = ask(root.parent, "r/events", limit=2)
    assert [row["seq"] for row in ask(root.parent, "r/events", limit=2, before=found["begin"])["rows"]] == [5, 6]
