"""The gate asks what preflight said, with which limits, of which settings, and when."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import GreenRun

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.artifacts.store import RunStore
from picochat.core.jsonio import pretty_json
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.gate import judge_one
from picochat.judgement.profile import load_profile


@pytest.fixture
def green(copy: Any, bare: Path) -> GreenRun:
    return GreenRun.reopen(copy(bare))


def verdict(run: GreenRun, profile: str = "skill_release") -> str:
    found = judge_one(RunEvidence(RunStore(run.store.root)), load_profile(profile), "preflight")
    assert found is not None
    return found.verdict


def rewrite(run: GreenRun, **changes: Any) -> None:
    """Made again in time: the training's own record says when it began."""
    run.write_preflight(**changes)
    body = run.store.read(layout.PREFLIGHT)
    began = run.store.read(layout.report_path(layout.BASE))["manifest"]["started_at"]
    body["manifest"]["finished_at"] = min(body["manifest"]["finished_at"], began)
    rewrite_body(run, body)


def rewrite_body(run: GreenRun, body: dict[str, Any]) -> None:
    run.store.path(layout.PREFLIGHT).write_bytes(pretty_json(body | {"self_digest": self_digest(body)}))


def test_a_preflight_in_time_passes(green: GreenRun):
    assert verdict(green) == "pass" == verdict(green, "research")


@pytest.mark.parametrize(("said", "word"), [("pass", "pass"), ("warn", "pass"), ("blocked", "block"), (None, "block")])
def test_what_it_said_counts(green: GreenRun, said: str, word: str):
    rewrite(green, verdict=said)
    assert verdict(green) == word


def test_limits_of_research_are_too_lax_for_a_release(green: GreenRun):
    rewrite(green, column="research")
    assert verdict(green) == "block" and verdict(green, "research") == "pass"


def test_other_settings_are_another_run(green: GreenRun):
    rewrite(green, config_digest="0" * 64)
    assert verdict(green) == "block" and verdict(green, "research") == "warn"


def test_a_judgement_after_the_fact_is_none(green: GreenRun):
    body = green.store.read(layout.PREFLIGHT)
    body["manifest"]["finished_at"] = "2099-01-01T00:00:00.000Z"
    rewrite_body(green, body)
    assert verdict(green) == "block"


def test_without_one_it_was_not_run(green: GreenRun):
    green.store.path(layout.PREFLIGHT).unlink()
    assert verdict(green) == "not_run"
