"""What a page shows beside the summary follows from hashed artifacts, and what is not there is not invented."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import STEPS, GreenRun
from tests.support.pages import Page, require_harmless

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.jsonio import jsonl_bytes, pretty_json
from picochat.judgement import curves
from picochat.judgement.curves import build_curves
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.gate import judge_run
from picochat.judgement.handover import build_handover
from picochat.judgement.summary import build_content
from picochat.views.pages import render_pages

Copy = Callable[[Path], Path]
LEDGER = f"{layout.BASE}/{layout.LEDGER}"


def write_ledger(root: Path, lines: list[dict[str, Any]]) -> None:
    (root / LEDGER).write_bytes(jsonl_bytes(lines))


def line(step: int, loss: float, verdict: str = "ok") -> dict[str, Any]:
    return {"step": step, "verdict": verdict, "loss": loss.hex(), "lr": (step / 10).hex(), "targets": 1}


def curves_of(root: Path, stage: str = layout.BASE) -> dict[str, Any]:
    return build_curves(RunEvidence(RunStore(root)), stage)


def test_points_are_those_of_the_ledger_and_bits_follow_by_bytes_a_token(judged: Path, copy: Copy) -> None:
    root = copy(judged)
    write_ledger(root, [line(1, 4.0), line(2, 3.0), line(3, math.inf, "skipped"), line(4, 2.0)])
    found = curves_of(root)
    assert found["loss"] == [[1, 4.0], [2, 3.0], [4, 2.0]]
    assert found["lr"] == [[1, 0.1], [2, 0.2], [4, 0.4]]
    assert (found["skipped"], found["steps_a_point"], found["problem"]) == (1, 1, "")
    assert found["bpb"][0] == [1, pytest.approx(4.0 / math.log(2) / 2.0, abs=1e-6)]  # 2.0 bytes a token
    assert curves_of(root, layout.SFT)["bpb"] == [], "an SFT loss is over answers, whose bytes nobody counted"


def test_a_long_ledger_is_averaged_and_the_last_line_of_a_step_counts(
    judged: Path, copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy(judged)
    monkeypatch.setattr(curves, "POINTS", 3)
    write_ledger(root, [line(1, 9.0), *(line(step, float(step)) for step in range(1, 8))])
    found = curves_of(root)
    assert found["loss"] == [[3, 2.0], [6, 5.0], [7, 7.0]] and found["steps_a_point"] == 3


@pytest.mark.parametrize(
    "lines",
    [
        [{"step": 1}],
        [line(1, 1.0) | {"loss": "far"}],
        [line(1, 1.0) | {"loss": 1}],
        [line(1, math.nan)],
        [line(1, 1.0) | {"step": "x"}],
        [line(1, 1.0) | {"lr": None}],
        [line(1, 1.0) | {"loss": "0x1p99999"}],
        ["text"],
    ],
)
def test_a_ledger_that_is_none_has_a_problem_and_no_curve(judged: Path, copy: Copy, lines: list[Any]) -> None:
    root = copy(judged)
    write_ledger(root, lines)
    found = curves_of(root)
    assert found["problem"] and found["loss"] == [] and found["skipped"] is None


def test_a_missing_ledger_and_an_older_one_without_rates(judged: Path, copy: Copy) -> None:
    assert curves_of(judged)["lr"] == [], "the made ledger holds no rates"
    root = copy(judged)
    (root / LEDGER).unlink()
    assert "does not exist" in curves_of(root)["problem"]


def render(root: Path) -> dict[str, str]:
    evidence = RunEvidence(RunStore(root))
    return render_pages(build_content(evidence, judge_run(RunStore(root), "research")), build_handover(evidence))


def test_lineage_names_every_file_with_writer_and_readers(judged: Path) -> None:
    found = build_handover(RunEvidence(RunStore(judged)))
    files = {entry["path"]: entry for entry in found["lineage"]}
    corpus = files[layout.CORPUS]
    readers = ["tokenizer", "base", "sft", "honesty", "memorisation"]
    assert corpus["written_by"] == "corpus_manifest" and corpus["read_by"] == readers
    assert all(len(entry["sha256"]) == 64 for entry in files.values())
    assert sum(entry["external"] for entry in files.values()) == 1
    assert found["run"]["digest"] == RunStore(judged).run_digest()
    assert found["trainings"]["base"]["samples"][0]["step"] == STEPS


def test_an_empty_folder_renders_and_claims_nothing(tmp_path: Path) -> None:
    pages = render(tmp_path)
    page = Page.of(pages[layout.REPORT_HTML])
    require_harmless(page)
    assert "blocked" in page.text and "Which documents" not in page.text
    assert 'license: "unknown"' in pages[layout.MODEL_CARD] and "gate-blocked" in pages[layout.MODEL_CARD]


@pytest.mark.parametrize("value", [None, 7, "text", [], [7, "x", None, {}], {"a": {"b": 1}}, True])
def test_reports_of_any_shape_render(judged: Path, copy: Copy, value: Any) -> None:
    """A forger may put anything anywhere; pages must come out, or verify could be stopped by a type."""
    root = copy(judged)
    keys = {
        layout.CORPUS_MANIFEST: ("sources", "dropped", "counts", "pack", "split", "warnings", "chat", "checks"),
        layout.report_path(layout.BASE): ("training", "validation", "recipe", "machine", "model", "documents"),
        layout.TOKENIZER_REPORT: ("bytes_per_token", "vocab_size"),
    }
    for name, parts in keys.items():
        document = json.loads((root / name).read_bytes())
        (root / name).write_bytes(pretty_json(document | dict.fromkeys(parts, value)))
    for samples in (b'{"step": "x", "text": "a"}\n', b'7\n["x"]\n', b"not json"):
        (root / layout.BASE / layout.SAMPLES).write_bytes(samples)
        require_harmless(Page.of(render(root)[layout.REPORT_HTML]))


def test_the_pages_of_a_run_do_not_depend_on_place_or_moment(judged: Path, copy: Copy) -> None:
    assert render(judged) == render(copy(judged))


def test_another_run_has_other_pages(judged: Path, other: Path) -> None:
    assert all(render(judged)[name] != render(other)[name] for name in layout.PAGES)


def test_a_blocked_verdict_is_on_every_page(tmp_path: Path) -> None:
    root = tmp_path / "run"
    run = GreenRun(root)
    run.build(n=10)
    (root / LEDGER).unlink()
    pages = render(root)
    assert "blocked" in pages[layout.MODEL_CARD] and "blocked" in pages[layout.SUMMARY_MD]
    assert "badge blocked" in pages[layout.REPORT_HTML]
