"""skills.disjoint: judged from the rows that lie there, and never better than what the build wrote down."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import GreenRun

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.fs import write_atomic
from picochat.core.jsonio import iter_jsonl, jsonl_bytes, pretty_json
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.profile import load_profile
from picochat.judgement.rules.case import Case, Outcome
from picochat.judgement.rules.skills import judge_disjoint


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    run = GreenRun(tmp_path / "run")
    run.store.root.mkdir()
    run.write_run()
    run.write_corpus(10)
    record(run.store, 0)
    return run.store


def record(store: RunStore, violations: int | None) -> None:
    """What the build says it found."""
    manifest = store.read(layout.CORPUS_MANIFEST)
    chat = {} if violations is None else {"disjoint_violations": violations}
    write_atomic(store.path(layout.CORPUS_MANIFEST), pretty_json(manifest | {"chat": chat}))


def change_train(store: RunStore, **values: Any) -> None:
    rows = list(iter_jsonl(store.path(layout.CHAT_TRAIN)))
    rows[0] |= values
    write_atomic(store.path(layout.CHAT_TRAIN), jsonl_bytes(rows))


def judge(store: RunStore) -> Outcome:
    loaded = load_profile("research")
    return judge_disjoint(Case(RunEvidence(store), loaded.profile.checks[0], loaded, []))


def test_sets_that_share_nothing_pass(store: RunStore):
    found = judge(store)
    assert (found.verdict, found.measured, found.threshold) == ("pass", 0.0, 0.0)
    assert found.n == 6 * 10 + 6 * 5


@pytest.mark.parametrize("name", [layout.CHAT_EVAL, layout.CHAT_HELDOUT])
@pytest.mark.parametrize("key", ["user", "template"])
def test_a_training_row_with_a_prompt_or_a_template_of_a_question_blocks(store: RunStore, name: str, key: str):
    question = next(iter_jsonl(store.path(name)))
    change_train(store, **{key: question[key]})
    found = judge(store)
    assert found.verdict == "block" and found.measured and found.artifacts == ((name, ""),)


def test_an_entity_blocks(store: RunStore):
    rows = list(iter_jsonl(store.path(layout.CHAT_EVAL)))
    rows[3]["entities"] = ["word:bark"]
    write_atomic(store.path(layout.CHAT_EVAL), jsonl_bytes(rows))
    assert judge(store).verdict == "pass"
    change_train(store, entities=["word:bark"])
    found = judge(store)
    assert (found.verdict, found.measured) == ("block", 1.0)


def test_what_the_build_found_in_the_text_counts_though_no_row_names_it(store: RunStore):
    record(store, 3)
    found = judge(store)
    assert (found.verdict, found.measured) == ("block", 3.0)
    assert found.artifacts == ((layout.CORPUS_MANIFEST, "/chat/disjoint_violations"),)


def test_without_evidence_it_did_not_run(store: RunStore):
    record(store, None)
    assert judge(store).verdict == "not_run"
    record(store, 0)
    train = store.path(layout.CHAT_TRAIN).read_bytes()
    for broken in (b"", b"{}\n"):
        write_atomic(store.path(layout.CHAT_TRAIN), broken)
        assert judge(store).verdict == "not_run"
    write_atomic(store.path(layout.CHAT_TRAIN), train)
    for name in (layout.CHAT_EVAL, layout.CHAT_HELDOUT):
        write_atomic(store.path(name), b"")
    assert judge(store).verdict == "not_run"
