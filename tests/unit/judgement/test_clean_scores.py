"""Scores on all, clean and dirty items: computed from rows and the honesty report, shown, and computed again."""

import json
from pathlib import Path

import pytest
from tests.support.green_run import GreenRun, judge

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.artifacts.store import RunStore
from picochat.core.events import EventWriter
from picochat.core.jsonio import iter_jsonl, pretty_json
from picochat.judgement.clean_scores import NOT_SCANNED, OTHER_ROWS, build_contamination, split_rows
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.verify import verify_run
from picochat.stages.contract import StageContext
from picochat.stages.honesty.config import HonestyConfig
from picochat.stages.honesty.run import run

DIRTY = ["arithmetic-eval-0000", "choice-eval-0001"]
UNCHECKABLE = ["identity-eval-0002"]


def scan(root: Path) -> None:
    events = EventWriter(root / layout.EVENTS)
    try:
        run(StageContext(RunStore(root), events, seed=1), HonestyConfig())
    finally:
        events.close()


def mark(root: Path, name: str, dirty: list[str], uncheckable: list[str]) -> None:
    """Writes ids into the honesty report as if they had been found."""
    path = root / layout.HONESTY
    report = json.loads(path.read_bytes())
    report["contamination"]["sets"][name] |= {"dirty_ids": dirty, "uncheckable_ids": uncheckable}
    path.write_bytes(pretty_json(report | {"self_digest": self_digest(report)}))


@pytest.fixture
def root(tmp_path: Path, benchmark_file: Path) -> Path:
    root = GreenRun(tmp_path / "run", rates={"eval": 0.5}).build(n=20, benchmark=benchmark_file).root
    scan(root)
    return root


def test_rows_fall_into_three_parts_and_none_is_lost():
    rows = [{"id": name} for name in "abcd"]
    parts = split_rows(rows, ["a", "x"], ["b", "a"])
    assert {side: [row["id"] for row in part] for side, part in parts.items()} == {
        "all": ["a", "b", "c", "d"],
        "clean": ["c", "d"],
        "dirty": ["a"],
        "uncheckable": ["b"],
    }


def test_without_a_report_nothing_is_scanned(tmp_path: Path, benchmark_file: Path):
    root = GreenRun(tmp_path / "run").build(n=4, benchmark=benchmark_file).root
    (root / layout.HONESTY).unlink()
    assert build_contamination(RunEvidence(RunStore(root))) == {"scanned": False, "problem": "", "sets": {}}
    judge(root)
    assert "Not scanned" in (root / layout.SUMMARY_MD).read_text()


def test_rates_of_every_category_three_ways(root: Path):
    mark(root, "eval", DIRTY, UNCHECKABLE)
    entry = build_contamination(RunEvidence(RunStore(root)))["sets"]["eval"]
    assert entry["problem"] == ""
    rows = list(iter_jsonl(root / layout.EVAL / layout.ROWS))
    for category, sides in entry["scores"].items():
        mine = [row for row in rows if (row["rule"] == "benign") == (category == "benign")]
        mine = [row for row in mine if category in ("benign", row["category"])]
        assert sides["all"]["n"] == len(mine)
        assert sides["all"]["k"] == sum(row["verdict"] == "pass" for row in mine)
        parts = [sides[side] for side in ("clean", "dirty", "uncheckable") if sides[side]]
        assert sum(part["n"] for part in parts) == sides["all"]["n"]
        assert sum(part["k"] for part in parts) == sides["all"]["k"]
    assert entry["scores"]["arithmetic"]["dirty"]["n"] == 1
    assert entry["scores"]["identity"]["uncheckable"]["n"] == 1
    assert entry["scores"]["spelling"]["dirty"] is None
    low, high = entry["scores"]["arithmetic"]["clean"]["interval"]
    assert low < entry["scores"]["arithmetic"]["clean"]["rate"] <= high


def test_a_benchmark_is_scored_again_on_each_part(root: Path):
    rows = list(iter_jsonl(root / layout.benchmark_dir("blimp") / layout.ROWS))
    wrong = [row["id"] for row in rows if not row["passed"]]
    mark(root, "benchmarks/blimp", wrong, [])
    entry = build_contamination(RunEvidence(RunStore(root)))["sets"]["benchmarks/blimp"]
    score = entry["scores"]["score"]
    assert score["all"]["rate"] == pytest.approx(0.9)
    assert (score["clean"]["rate"], score["clean"]["n"]) == (1.0, len(rows) - len(wrong))
    assert (score["dirty"]["rate"], score["dirty"]["n"]) == (0.0, len(wrong))
    assert (score["uncheckable"]["rate"], score["uncheckable"]["n"]) == (None, 0)


def test_rows_that_were_not_scanned_have_no_clean_score(root: Path, benchmark_file: Path):
    GreenRun.reopen(root).write_benchmark(benchmark_file, per_paradigm=5)
    data = (root / layout.CHAT_EVAL).read_bytes()
    (root / layout.CHAT_EVAL).write_bytes(data + data.splitlines(keepends=True)[0].replace(b"0000", b"9999"))
    sets = build_contamination(RunEvidence(RunStore(root)))["sets"]
    assert (sets["eval"]["problem"], sets["eval"]["scores"]) == (OTHER_ROWS, {})
    assert (sets["benchmarks/blimp"]["problem"], sets["benchmarks/blimp"]["scores"]) == (OTHER_ROWS, {})


def test_a_benchmark_that_came_after_the_scan_is_not_scanned(tmp_path: Path, benchmark_file: Path):
    green = GreenRun(tmp_path / "run")
    root = green.build(n=4).root
    scan(root)
    green.write_benchmark(benchmark_file)
    assert build_contamination(RunEvidence(RunStore(root)))["sets"]["benchmarks/blimp"]["problem"] in (
        NOT_SCANNED,
        OTHER_ROWS,
    )


def test_the_summary_shows_them_and_verify_computes_them_again(root: Path):
    judge(root)
    text = (root / layout.SUMMARY_MD).read_text()
    assert "| eval: arithmetic |" in text and "No item is left out of the full score" in text
    judged = json.loads((root / layout.GATE).read_bytes())["manifest"]["inputs"]
    assert layout.HONESTY in {ref["path"] for ref in judged}
    assert [result.verdict for result in verify_run(RunStore(root))] == ["pass"]
    mark(root, "eval", DIRTY, UNCHECKABLE)
    named = {(result.id, place.artifact) for result in verify_run(RunStore(root)) for place in result.evidence}
    assert ("verify.summary", layout.SUMMARY) in named and ("verify.chain", layout.HONESTY) in named


def test_a_broken_report_is_no_scan(root: Path):
    (root / layout.HONESTY).write_bytes(b"{}")
    found = build_contamination(RunEvidence(RunStore(root)))
    assert not found["scanned"] and "schema" in found["problem"]
