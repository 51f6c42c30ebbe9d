"""What a run's data is: the numbers of the artifacts, and None for everything that nobody wrote down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import GreenRun

from picochat.stages.dataset import build
from picochat.views.data.dataset_facts import read_dataset
from picochat.views.data.drop_reasons import REASONS, explain_reason
from picochat.views.data.token_facts import read_contamination, read_packing, read_tokenizer


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs") / "green"
    GreenRun(root).build(n=10)
    return root


def zeros(value: Any) -> list[Any]:
    """Every number of a document."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in zeros(item)]
    if isinstance(value, list):
        return [number for item in value for number in zeros(item)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_the_numbers_are_those_of_the_manifest(green: Path):
    found, stored = read_dataset(green), json.loads((green / "corpus_manifest.json").read_bytes())
    assert found["state"] == "present" and found["counts"] == stored["counts"]
    (source,) = found["sources"]
    assert (source["read"], source["kept"], source["dropped"], source["licence"]) == (181, 180, 1, "CC0-1.0")
    assert source["unknown"] == [] and source["weight"] is None
    assert found["dropped"]["total"] == 1 and found["dropped"]["reasons"][0]["reason"] == "binary"
    assert found["duplicates"]["near"] is None and found["duplicates"]["exact_removed"] is None


def test_tokenizer_packing_and_contamination_are_read_too(green: Path):
    tokenizer = read_tokenizer(green)
    assert (tokenizer["vocab_size"], tokenizer["bytes_per_token"], tokenizer["fast_path"]["equal"]) == (288, 2.0, True)
    packing = read_packing(green)
    assert packing["shards"]["state"] == "missing" and packing["conversations"]["conversations"] == 600
    assert packing["exposure"][0] == {
        "stage": "base", "source": "notes", "unique_tokens": 5000, "epoch_tokens": 5000, "passes": 2.0, "weight": None,
    }  # fmt: skip
    matrix = read_contamination(green)["matrix"]
    stored = json.loads((green / "honesty.json").read_bytes())["contamination"]["matrix"]
    assert [(row["set"], row["against"], row["dirty"]) for row in matrix] == [
        (row["set"], row["against"], row["dirty"]) for row in stored
    ]


def test_nothing_is_ever_zero_because_it_is_unknown(tmp_path: Path):
    for read in (read_dataset, read_tokenizer, read_packing, read_contamination):
        assert zeros(read(tmp_path)) == []
    assert read_dataset(tmp_path)["state"] == "missing" and read_dataset(tmp_path)["dropped"]["total"] is None


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"counts": 3, "sources": {"a": 1}, "dropped": [], "chat": null}'])
def test_broken_and_strange_documents_are_states(tmp_path: Path, body: bytes):
    for name in ("corpus_manifest.json", "tokenizer_report.json", "honesty.json", "run.json"):
        (tmp_path / name).write_bytes(body)
    found = read_dataset(tmp_path)
    assert found["state"] == ("present" if body.startswith(b'{"') else "unreadable")
    assert bool(found["why"]) == (found["state"] == "unreadable") and zeros(found) == []
    read_tokenizer(tmp_path), read_contamination(tmp_path)


def test_strange_parts_inside_a_manifest_are_unknown(tmp_path: Path):
    body = {
        "sources": [None, {"id": 3, "read": True, "dropped": {"x": "many"}, "licence": "unknown"}],
        "duplicates": {"near": "not_run", "exact_removed": 2, "near_removed": 0},
        "dropped": {"by_reason": {"too_short": "a", "binary": 2}},
        "chat": {"rows_by_category": {"a": 1}, "eval_rows_by_category": {"b": 2}},
    }
    (tmp_path / "corpus_manifest.json").write_text(json.dumps(body))
    found = read_dataset(tmp_path)
    assert found["sources"][1]["id"] is None and found["sources"][1]["read"] is None
    assert found["sources"][1]["unknown"] == ["licence", "revision"]
    assert found["duplicates"]["near"] == "not_run" and found["duplicates"]["near_removed"] is None
    assert [row["reason"] for row in found["dropped"]["reasons"]] == ["binary", "too_short"]
    assert found["chat"]["categories"][1] == {"category": "b", "train": None, "heldout": None, "eval": 2}


def test_every_reason_of_the_build_is_explained():
    names = (build.EXACT_DUPLICATE, build.NEAR_DUPLICATE, build.CONTAMINATED, build.DUPLICATE_OF_DROPPED)
    assert all(name in REASONS for name in names)
    assert explain_reason("row_too_long", {}) == {"says": REASONS["row_too_long"].says, "setting": None, "limit": None}
    assert explain_reason("never_heard: of", {}) == {"says": "never heard", "setting": None, "limit": None}
