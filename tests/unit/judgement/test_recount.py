"""Baselines counted again: equal on the whole text, bounded by a part of it, and absent without the text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.redteam.signing import edit, sign_again

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.store import RunStore
from picochat.judgement import recount
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.gate import judge_check
from picochat.judgement.profile import load_profile
from picochat.judgement.rates import check_rates
from picochat.judgement.rules.case import Case
from picochat.judgement.verify import verify_run

Copy = Callable[[Path], Path]
REPORTS = (layout.TOKENIZER_REPORT, layout.report_path(layout.BASE), layout.report_path(layout.SFT))


def raise_baselines(root: Path, factor: float) -> None:
    def change(body: dict) -> None:
        for scores in body["baselines"].values():
            scores["bpb"] *= factor

    for name in REPORTS:
        edit(root, name, change)
    sign_again(root)


def wrong(root: Path) -> list[CheckResult]:
    return [found for found in check_rates(RunEvidence(RunStore(root))) if "baselines" in found.evidence[0].pointer]


def judge_ngram(root: Path) -> CheckResult:
    loaded = load_profile("skill_release")
    row = next(row for row in loaded.profile.checks if row.id == "base.beats_ngram")
    return judge_check(Case(RunEvidence(RunStore(root)), row, loaded, []))


def test_a_small_corpus_gives_the_reported_numbers(bare: Path) -> None:
    evidence = RunEvidence(RunStore(bare))
    found = recount.recount_as_asked(evidence)
    assert found and found.whole and found.scores.keys() >= {"bigram", "trigram", "4-gram"}
    assert found is recount.recount_fairly(evidence), "one count where the settings are the package's"
    assert wrong(bare) == []


@pytest.mark.parametrize("factor", [1.001, 0.999])
def test_any_other_number_is_a_broken_link(factor: float, bare: Path, copy: Copy) -> None:
    root = copy(bare)
    raise_baselines(root, factor)
    assert len(wrong(root)) == 1


def test_the_lower_one_of_reported_and_counted_is_the_threshold(bare: Path, copy: Copy) -> None:
    honest = judge_ngram(bare).threshold
    root = copy(bare)
    raise_baselines(root, 2.0)
    assert judge_ngram(root).threshold == honest
    raise_baselines(root, 0.25)
    assert judge_ngram(root).threshold == pytest.approx(float(str(honest)) / 2)


def test_a_part_of_a_large_corpus_bounds_its_baselines(bare: Path, copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    root = copy(bare)
    monkeypatch.setattr(recount, "PART_BYTES", 9_000)
    found = recount.recount_as_asked(RunEvidence(RunStore(root)))
    assert found and not found.whole
    assert wrong(root) == []
    raise_baselines(root, 0.8)
    assert wrong(root) == [], "more text may make a baseline much better"
    raise_baselines(root, 2.0)
    assert {found.evidence[0].pointer for found in wrong(root)} > {"/baselines/trigram/bpb"}
    assert "verify.bounded" in {found.id for found in verify_run(RunStore(root)) if found.verdict == "not_run"}


def test_a_wish_for_less_text_is_seen_and_held_to_the_package(bare: Path, copy: Copy) -> None:
    root = copy(bare)
    edit(root, layout.RUN, lambda body: body["config"].update(tokenizer={"baseline_max_tokens": 2000}))
    evidence = RunEvidence(RunStore(root))
    asked, fair = recount.recount_as_asked(evidence), recount.recount_fairly(evidence)
    assert recount.counts_less(evidence) and not recount.counts_less(RunEvidence(RunStore(bare)))
    assert asked and fair and asked.scores["trigram"]["bpb"] > 1.05 * fair.scores["trigram"]["bpb"]


@pytest.mark.parametrize("name", [layout.CORPUS, layout.TOKENIZER])
def test_without_text_or_with_a_broken_file_nothing_is_counted(name: str, bare: Path, copy: Copy) -> None:
    root = copy(bare)
    (root / name).write_bytes(b"\xff\x00")
    found = recount.recount_as_asked(RunEvidence(RunStore(root)))
    assert found and not found.scores and len(wrong(root)) == 1, "what was counted once can be counted again"
    (root / name).unlink()
    assert recount.recount_as_asked(RunEvidence(RunStore(root))) is None
    assert judge_ngram(root).verdict == "pass", "the reports stand; the missing file is a broken link"
