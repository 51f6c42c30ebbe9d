"""A cross-check is judged by its rows, and only for the weights that ship."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.config import Config
from picochat.core.jsonio import jsonl_bytes, pretty_json
from picochat.evals.harness.compare import compare
from picochat.judgement.documents import load_document
from picochat.judgement.harness import load_harness
from picochat.judgement.rules.case import Case
from picochat.judgement.rules.harness import judge_harness

PATH = "harness/arc/report.json"


def write(root, theirs=-1.0, **changed: Any) -> RunStore:
    store = RunStore(root)
    store.write(layout.RUN, pretty_json({}))
    row = {"id": "a", "options": ["x", "y"], "answer": 0, "ours": [-1.0, -2.0], "theirs": [theirs, -2.0]}
    row |= {"our_tokens": [1, 1], "their_tokens": [1, 1], "their_acc": 1.0, "their_acc_bytes": 1.0}
    reported = {"acc": 1.0, "acc_bytes": 1.0}
    store.write("harness/arc/rows.jsonl", jsonl_bytes([row]))
    body = {
        "name": "arc",
        "kind": "choice",
        "rows": "harness/arc/rows.jsonl",
        "weights_digest": "w",
        "lm_eval": {"reported": reported},
        "own": {},
        "comparison": compare("choice", [row], reported, {}),
    }
    store.write_report(
        PATH, "harness_report", body | changed, StageRecord(store, "harness", 1, Config(), 0.0).manifest(1.0)
    )
    return store


def load(store: RunStore):
    return load_harness(store, "arc", load_document(store, PATH, "harness_report"))


def judge(*found, weights: str | None = "w"):
    manifest = SimpleNamespace(weights_digest=weights) if weights else None
    evidence = SimpleNamespace(harness=list(found), weights=SimpleNamespace(manifest=manifest, path="sft/checkpoint"))
    return judge_harness(cast(Case, SimpleNamespace(evidence=evidence)))


def test_agreement_passes_and_its_report_is_named(tmp_path):
    outcome = judge(load(write(tmp_path)))
    assert (outcome.verdict, outcome.measured) == ("pass", 0.0)
    assert outcome.artifacts == ((PATH, "/comparison"),)


def test_a_difference_blocks(tmp_path):
    outcome = judge(load(write(tmp_path, theirs=-1.01)))
    assert (outcome.verdict, outcome.measured) == ("block", 1.0)


def test_the_rows_decide_and_not_what_the_report_says(tmp_path):
    honest = load(write(tmp_path / "a", theirs=-1.01))
    claimed = honest.report.body["comparison"] | {"agree": True, "problems": []}
    found = load(write(tmp_path / "b", theirs=-1.01, comparison=claimed))
    assert found.differing == ["agree", "problems"] and judge(found).verdict == "block"


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "blimp"},
        {"rows": "harness/arc/none.jsonl"},
        {"rows": None},
        {"own": None, "kind": "text"},
        {"lm_eval": 3},
    ],
)
def test_a_report_that_cannot_be_compared_again_blocks(tmp_path, changed):
    found = load(write(tmp_path, **changed))
    assert found.problem and found.numbers is None
    assert judge(found).verdict == "block"


def test_other_weights_block(tmp_path):
    outcome = judge(load(write(tmp_path)), weights="other")
    assert outcome.verdict == "block" and outcome.artifacts == ((PATH, "/weights_digest"),)


def test_nothing_to_judge_is_not_run(tmp_path):
    assert judge().verdict == "not_run"
    assert judge(load(write(tmp_path)), weights=None).verdict == "not_run"
