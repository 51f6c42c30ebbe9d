from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.pages import CHECK, HOSTILE, content, hostile_documents, more, source

from picochat.views.card.markdown import code, fenced, text, yaml
from picochat.views.card.metadata import build_metadata, licence_of
from picochat.views.card.page import render_model_card


def parse_front(card: str) -> dict[str, Any]:
    """The metadata block as YAML reads it."""
    reader = pytest.importorskip("yaml", reason="NOT RUN: PyYAML is not installed")
    head, _, rest = card.removeprefix("---\n").partition("\n---\n")
    assert rest and card.startswith("---\n")
    return reader.safe_load(head)


def rates(rate: float) -> dict[str, Any]:
    numbers = {"k": 1, "n": 2, "rate": rate, "interval": [0.1, 0.9]}
    return {"choice": {"eval": numbers, "fit": numbers}}


def test_the_metadata_is_yaml_and_says_what_is_known() -> None:
    facts = {"rates": rates(0.5), "run": {"name": "mine", "profile": "tiny", "created_at": "now"}}
    data = {"sources": [source(licence="Apache-2.0", hub_dataset="a/b")], "languages": ["en", "not a language"]}
    found = parse_front(render_model_card(content(facts=facts, verdict="warn"), more(data=data)))
    assert found["license"] == "apache-2.0" and found["language"] == ["en"] and found["datasets"] == ["a/b"]
    assert found["library_name"] == "picochat" and "base_model" not in found
    assert {"gate-warn", "profile-research"} <= set(found["tags"])
    (entry,) = found["model-index"]
    assert entry["name"] == "mine" and len(entry["results"]) == 2
    for result in entry["results"]:
        assert result["task"]["type"] == "text-generation" and {"name", "type"} <= result["dataset"].keys()
        for metric in result["metrics"]:
            assert metric["value"] == 0.5 and metric["verified"] is False and metric["type"] == "accuracy"


def test_the_hub_reads_the_card() -> None:
    hub = pytest.importorskip("huggingface_hub", reason="NOT RUN: huggingface_hub is not installed")
    facts = {"rates": rates(0.5), "run": {"name": "mine", "profile": "tiny", "created_at": "now"}}
    card = hub.ModelCard(render_model_card(content(facts=facts), more()))
    assert card.data.license == "unknown" and card.data.library_name == "picochat"
    assert [result.metric_value for result in card.data.eval_results] == [0.5, 0.5]
    assert not any(result.verified for result in card.data.eval_results)


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        ([], {"license": "unknown"}),
        (["unknown"], {"license": "unknown"}),
        ([None, "MIT"], {"license": "unknown"}),
        (["MIT", "MIT"], {"license": "mit"}),
        (["PSF-2.0"], {"license": "other", "license_name": "PSF-2.0"}),
        (["MIT", "Apache-2.0"], {"license": "other", "license_name": "Apache-2.0 and MIT"}),
    ],
)
def test_one_unknown_licence_makes_the_whole_unknown(licences: list[str | None], expected: dict[str, str]) -> None:
    assert licence_of([source(licence=licence) for licence in licences]) == expected


def test_unknown_facts_are_said_to_be_unknown_and_nothing_is_claimed() -> None:
    card = render_model_card(content(), more())
    assert "license" in card and 'license: "unknown"' in card
    for words in (
        "Languages: unknown",
        "The sources are unknown",
        "Its answers were not measured",
        "Its shape is unknown",
        "Energy, carbon and money: unknown",
        "No check was judged",
        "Weights `unknown`",
    ):
        assert words in card
    assert "model-index" not in card and "language:" not in card and "datasets:" not in card
    assert "address: 0" not in card


def test_verdict_and_profile_stand_at_the_top() -> None:
    card = render_model_card(content(verdict="approved"), more())
    body = card.partition("\n---\n")[2]
    first = body.index("**Verdict: approved** under profile **research**")
    assert first < body.index("integrity of the numbers alone") < body.index("## ")
    assert "integrity of the numbers alone" not in render_model_card(content(profile="skill_release"), more())
    assert "It is not released" in render_model_card(content(verdict="warn"), more())


def test_not_run_stands_before_blocked_and_passed() -> None:
    checks = [CHECK | {"verdict": "block"}, CHECK | {"id": "gate.evidence", "verdict": "pass"}]
    card = render_model_card(content(not_run=["external.present"], checks=checks), more())
    places = [
        card.index(words) for words in ("Not run: `external.present`", "| sft.fit | block", "Passed: `gate.evidence`")
    ]
    assert places == sorted(places)


def test_hostile_text_marks_nothing_up_and_ends_no_block() -> None:
    shown, beside = hostile_documents()
    card = render_model_card(shown, beside)
    assert card.count("\n---\n") == 1 and parse_front(card)["license"] == "other"
    body = card.partition("\n---\n")[2]
    assert "<script" not in body and "\u202e" not in body and "\x1b" not in body
    assert not re.search(r"(?<!\\)\[a(?<!\\)\]\(", body)
    for line in body.splitlines():
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)\|", line)) - 1
            assert cells in (2, 4, 5, 6), line
    assert render_model_card(*hostile_documents()) == card


@given(st.text(st.characters(), max_size=40))
def test_any_text_stays_on_its_line(value: str) -> None:
    assert "\n" not in text(value) and "\n" not in code(value)
    assert "\n" not in code(value) and len(re.findall(r"(?<!\\)`", code(value))) in (0, 2)
    assert not re.search(r"(?<!\\)[<>|\[\]*_`]", text(value).replace("\\\\", ""))
    block = fenced(value).splitlines()
    assert block[-1].startswith("```") and block[0].startswith(block[-1])


@given(st.dictionaries(st.text(st.characters(), max_size=8), st.text(st.characters(), max_size=20), max_size=4))
def test_yaml_reads_back_what_was_written(values: dict[str, str]) -> None:
    reader = pytest.importorskip("yaml", reason="NOT RUN: PyYAML is not installed")
    from picochat.views.markup import seen

    shown = {seen(key): seen(value) for key, value in values.items()}
    assert reader.safe_load(yaml({"a": shown or None, "b": ["x", {"c": 1.5, "d": True}]})) == {
        "a": shown or None,
        "b": ["x", {"c": 1.5, "d": True}],
    }


def test_metadata_of_nothing_has_no_null() -> None:
    assert None not in build_metadata(content(), more()).values()
    assert HOSTILE not in yaml({"a": HOSTILE})
