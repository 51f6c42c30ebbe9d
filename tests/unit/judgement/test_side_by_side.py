from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import GreenRun

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.core.errors import PicochatError
from picochat.core.jsonio import pretty_json
from picochat.evals.paired import mean_interval
from picochat.judgement.side_by_side import put_side_by_side


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one name, so of one text and tokenizer, whose rates differ; and one of another text."""
    folder = tmp_path_factory.mktemp("runs")
    GreenRun(folder / "a", name="one", rates={"eval": 0.9}).build(n=40)
    GreenRun(folder / "b", name="one", rates={"eval": 0.5}, seed=2).build(n=40)
    GreenRun(folder / "other", name="two").build(n=40)
    return folder


def measure(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in found["measures"] if entry["name"] == name)


def rewrite(root: Path, path: str, change: Any) -> None:
    document = json.loads((root / path).read_text())
    change(document)
    document.pop("self_digest")
    (root / path).write_bytes(pretty_json(document | {"self_digest": self_digest(document)}))


def name_tokenizers(root: Path, digest: str) -> None:
    """The kinds that a training writes: the scripted run names all of its inputs alike."""
    for stage in (layout.BASE, layout.SFT):

        def change(report: dict[str, Any]) -> None:
            for ref in report["manifest"]["inputs"]:
                kinds = {layout.TOKENIZER: "tokenizer", layout.CORPUS: "corpus"}
                ref["kind"] = kinds.get(ref["path"], ref["kind"])
                ref["sha256"] = digest if ref["path"] == layout.TOKENIZER else ref["sha256"]

        rewrite(root, layout.report_path(stage), change)


@pytest.fixture
def two(runs: Path, tmp_path: Path) -> list[Path]:
    roots = [Path(shutil.copytree(runs / name, tmp_path / name)) for name in ("a", "b")]
    for root in roots:
        name_tokenizers(root, "f" * 64)
    return roots


def test_runs_on_the_same_rows_are_set_against_each_other_with_intervals(two: list[Path]) -> None:
    found = put_side_by_side(two, limit=3)
    assert found["warnings"] == []
    assert found["same"] == {"tokenizer": True, "held_out_text": True, "eval_rows": True, "heldout_rows": True}
    assert [run["label"] for run in found["runs"]] == ["A", "B"]
    rates = measure(found, "eval.mean_skill")
    delta = rates["deltas"][1]
    assert rates["deltas"][0] is None and delta["difference"] == pytest.approx(rates["values"][1] - rates["values"][0])
    assert delta["interval"][0] < delta["difference"] < delta["interval"][1] < 0
    bpb = measure(found, "base.last_bpb")
    assert bpb["deltas"][1] == {"difference": 0.0, "interval": pytest.approx([-0.0277, 0.0277], abs=1e-4)}
    pair = found["pairs"]["eval"]["against"][0]
    assert (pair["first"], pair["second"]) == ("A", "B")
    assert pair["discordant_rows"] == sum(skill["only_first"] + skill["only_second"] for skill in pair["skills"]) > 3
    assert len(pair["discordant"]) == 3
    assert [row["key"] for row in found["config"]["rows"]] == ["seed"]


def test_other_tokenizers_leave_bits_a_byte_alone_to_be_compared(two: list[Path]) -> None:
    name_tokenizers(two[1], "e" * 64)
    found = put_side_by_side(two)
    assert [warning["about"] for warning in found["warnings"]] == ["tokenizer"]
    assert "only bits a byte are compared" in found["warnings"][0]["text"]
    compared = {entry["name"] for entry in found["measures"] if entry["deltas"][1] is not None}
    assert compared == {"base.best_bpb", "base.last_bpb", "sft.best_bpb", "sft.last_bpb"}
    assert measure(found, "eval.mean_skill")["values"][1] is not None, "shown all the same"
    assert found["pairs"]["eval"]["against"] == []


def test_other_rows_and_another_text_are_said_and_not_compared(runs: Path) -> None:
    found = put_side_by_side([runs / "a", runs / "other"])
    assert {warning["about"] for warning in found["warnings"]} >= {"held_out_text"}
    assert measure(found, "base.last_bpb")["deltas"] == [None, None]


def test_a_run_that_is_still_young_is_shown_beside_a_finished_one(two: list[Path], tmp_path: Path) -> None:
    young = tmp_path / "young"
    young.mkdir()
    shutil.copy(two[0] / layout.RUN, young)
    (young / "eval").mkdir()
    (young / "eval" / "report.json").write_text('{"torn')
    found = put_side_by_side([two[0], young])
    assert all(entry["deltas"] == [None, None] for entry in found["measures"])
    assert [warning["about"] for warning in found["warnings"]] == ["tokenizer", "held_out_text", "eval", "heldout"]
    assert found["runs"][1]["state"] == "unreadable"
    assert found["config"]["rows"] == []


def test_rows_that_were_changed_are_named(two: list[Path]) -> None:
    rows = two[1] / "eval" / "rows.jsonl"
    rows.write_bytes(rows.read_bytes().replace(b'"pass"', b'"fail"', 1))
    found = put_side_by_side(two)
    assert "b: " in found["pairs"]["eval"]["problem"]
    assert str(two[1].parent) in found["pairs"]["eval"]["problem"]
    assert measure(found, "eval.mean_skill")["deltas"] == [None, None]


def test_three_runs_are_all_set_against_the_first(two: list[Path], tmp_path: Path) -> None:
    third = Path(shutil.copytree(two[1], tmp_path / "c"))
    found = put_side_by_side([*two, third])
    pairs = found["pairs"]["eval"]["against"]
    assert [(pair["first"], pair["second"]) for pair in pairs] == [("A", "B"), ("A", "C")]
    assert pairs[0]["skills"][0]["difference"] == pairs[1]["skills"][0]["difference"]
    assert {row["passed_by"] for row in pairs[1]["discordant"]} <= {"A", "C"}


@pytest.mark.parametrize("names", [["a"], ["a", "a"], ["a", "b", "./a"], ["a", *"bcdefghi"]])
def test_one_run_twice_or_too_many_are_refused(runs: Path, names: list[str]) -> None:
    with pytest.raises(PicochatError) as caught:
        put_side_by_side([runs / name for name in names])
    assert caught.value.code == "compare.runs"


def test_the_interval_of_a_mean_is_narrower_than_its_parts() -> None:
    low, high = mean_interval([0.2, 0.0], [(0.1, 0.3), (-0.1, 0.1)])
    assert (low, high) == pytest.approx((0.1 - 0.02**0.5 / 2, 0.1 + 0.02**0.5 / 2))
    assert mean_interval([0.5], [(0.4, 0.7)]) == pytest.approx((0.4, 0.7))
    assert mean_interval([1.0, 1.0], [(0.9, 1.0), (0.9, 1.0)])[1] == 1.0
