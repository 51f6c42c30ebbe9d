"""What a run is judged on, looked for again: found where it stands, bounded, and never a crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.redteam.signing import edit, sign_again
from tests.support.green_rows import question
from tests.support.green_run import GreenRun

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.data.contamination.items import text_of_row
from picochat.judgement import rescan
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.judged_sets import collect_sets
from picochat.judgement.profile import load_profile
from picochat.judgement.rates import check_rates
from picochat.judgement.rules.case import Case
from picochat.judgement.rules.honesty import judge_corpus
from picochat.judgement.verify import verify_run

N = 100
Copy = Callable[[Path], Path]
BLIMP = layout.benchmark_dir("blimp")


def leak(root: Path) -> str:
    """An eval row in the corpus, after the report was written; returns its id."""
    row = question("eval", "arithmetic", 4)
    GreenRun.reopen(root).write_corpus(
        N, text_of=lambda number, text: f"{text} {text_of_row(row)}" if number == 7 else text
    )
    sign_again(root)
    return row.id


def lacking(root: Path) -> list[str]:
    found = check_rates(RunEvidence(RunStore(root)))
    return [str(result.measured) for result in found if "dirty_ids" in result.evidence[0].pointer]


def test_an_honest_run_has_nothing_to_be_found(bare: Path) -> None:
    found = rescan.rescan_as_asked(RunEvidence(RunStore(bare)))
    assert found and set(found.sets) == {"eval", "heldout", BLIMP}
    assert all(not ids for ids in found.found.values()) and lacking(bare) == []


def test_what_stands_in_the_corpus_is_found_by_name(bare: Path, copy: Copy) -> None:
    root = copy(bare)
    leaked = leak(root)
    found = rescan.rescan_fairly(RunEvidence(RunStore(root)))
    assert found and found.found["eval", "corpus"] == found.in_any("eval") == {leaked}
    assert found.found["eval", "sft"] == set() == found.in_any("heldout")
    (text,) = lacking(root)
    assert leaked in text


def test_a_larger_text_is_not_searched_and_verify_says_so(
    bare: Path, copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy(bare)
    leak(root)
    monkeypatch.setattr(rescan, "MAX_BYTES", 1000)
    evidence = RunEvidence(RunStore(root))
    assert rescan.is_too_large(evidence) and rescan.rescan_fairly(evidence) is None
    bounded = [found for found in verify_run(RunStore(root)) if found.id == "verify.bounded"]
    assert [found.evidence[0].artifact for found in bounded] == [layout.HONESTY]


def test_rules_of_the_run_are_told_from_those_of_the_package(bare: Path, copy: Copy) -> None:
    root = copy(bare)
    leaked = leak(root)
    nothing = {"gram_bytes": 10_000, "small_gram_bytes": 10_000, "pair_words": 1_000}
    rules = {"honesty": {"contamination": nothing}}
    edit(root, layout.RUN, lambda body: body["config"].update(rules))
    sign_again(root)
    evidence = RunEvidence(RunStore(root))
    asked, fair = rescan.rescan_as_asked(evidence), rescan.rescan_fairly(evidence)
    assert rescan.has_own_rules(evidence) and not rescan.has_own_rules(RunEvidence(RunStore(bare)))
    assert asked and fair and (asked.in_any("eval"), fair.in_any("eval")) == (set(), {leaked})


@pytest.mark.parametrize("name", [layout.CHAT_TRAIN, layout.CHAT_EVAL, layout.CORPUS_DOCUMENTS, f"{BLIMP}/rows.jsonl"])
def test_a_broken_or_missing_file_is_no_crash(name: str, bare: Path, copy: Copy) -> None:
    root = copy(bare)
    (root / name).write_bytes(b'{"user": 7}\n')
    assert rescan.rescan_as_asked(RunEvidence(RunStore(root))) is None
    (root / name).unlink()
    assert rescan.rescan_as_asked(RunEvidence(RunStore(root))) is None


@pytest.mark.parametrize("listed", [None, 3, "eval", [1, None], [[]], {}])
def test_a_list_of_another_kind_is_no_crash(listed: Any, bare: Path, copy: Copy) -> None:
    root = copy(bare)
    leak(root)
    edit(root, layout.HONESTY, lambda body: body["contamination"]["sets"]["eval"].update(dirty_ids=listed))
    assert len(lacking(root)) == 1


def test_a_benchmark_whose_files_are_elsewhere_is_taken_from_its_rows(bare: Path, copy: Copy, tmp_path: Path) -> None:
    root = copy(bare)
    named = [{"name": "blimp", "path": str(tmp_path / "nowhere")}]

    def collect(**options: Any) -> tuple[list[str], list[tuple[str, str]]]:
        found = collect_sets(RunStore(root), named, lambda kind, file: None, **options)
        return [item_set.name for item_set in found.sets], found.not_scanned

    with pytest.raises(PicochatError, match="benchmark.missing"):
        collect()
    assert collect(lenient=True) == (["eval", "heldout", BLIMP], [])
    edit(root, f"{BLIMP}/report.json", lambda body: body.update(settings={"limit": 5}))
    names, not_scanned = collect(lenient=True)
    assert names == ["eval", "heldout"] and not_scanned == [(BLIMP, "its published files are not here")]


def test_the_rule_takes_the_largest_count(bare: Path, copy: Copy) -> None:
    root = copy(bare)
    loaded = load_profile("skill_release")
    row = next(row for row in loaded.profile.checks if row.id == "honesty.corpus")
    assert judge_corpus(Case(RunEvidence(RunStore(root)), row, loaded, [])).measured == 0.0
    leak(root)
    assert judge_corpus(Case(RunEvidence(RunStore(root)), row, loaded, [])).measured == 1.0
