"""Contamination planted in twelve forms, and two sets that only look like it."""

import pytest
from benchmarks.planted import FORMS, Chain, clean_items, false_positives, recall

from picochat.data.builtin import DOCSTRINGS, TOPICS, iter_builtin


@pytest.fixture(scope="module")
def full(pytestconfig) -> bool:
    return pytestconfig.getoption("--full")


@pytest.fixture(scope="module")
def planted(full):
    """Items of which none stands in the documents, and the documents; fewer of both in the short form.

    The documents are the documentation inside Python: reference topics, cut at their empty lines, and docstrings.
    """
    documents = [part for _, text in iter_builtin(TOPICS) for part in text.split("\n\n")]
    if full:
        documents += [text for _, text in iter_builtin(DOCSTRINGS)]
    return clean_items(Chain(documents), documents, 200 if full else 60), documents


@pytest.mark.bar("D1")
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_recall_of_planted_items(planted, full, form, measured):
    items, documents = planted
    found, hidden = recall(items, documents, form, most_long=None if full else 10)
    assert hidden > 0
    measured(f"{form.name} {found} of {hidden}")
    if form.required is not None:
        assert found >= form.required * hidden


@pytest.mark.bar("D1")
@pytest.mark.parametrize("kind", ["templates", "numbers"])
def test_false_positives_are_few(kind, measured):
    flagged, items = false_positives(kind, 200)
    measured(f"false positives on shared {kind} {flagged} of {items}")
    assert flagged <= 0.01 * items
