"""The table of resume conditions: what may differ, under which key, and what is still claimed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.checkpoint.fingerprint import (
    ACCEPTABLE,
    ELASTIC,
    SAFE,
    Difference,
    claims_exact,
    compare_fingerprints,
    require_fingerprint,
)
from picochat.core.errors import PicochatError

STRICT = ["corpus_digest", "tokenizer_digest", "model", "optimizer", "schedule", "seed", "precision", "tokens_per_step"]


def verdict(field: str, accept=(), elastic: bool = False) -> str:
    [difference] = compare_fingerprints({field: 1}, {field: 2}, accept, elastic)
    return difference.verdict


@pytest.mark.parametrize("field", sorted(SAFE))
def test_safe_fields_are_listed_and_allowed(field):
    assert require_fingerprint({field: 1}, {field: 2}, [], False) == [Difference(field, 1, 2, "safe")]


@pytest.mark.parametrize("field", sorted(ELASTIC - ACCEPTABLE))
def test_elastic_fields_need_the_elastic_key(field):
    assert [verdict(field), verdict(field, [field]), verdict(field, elastic=True)] == ["refused", "refused", "elastic"]
    assert verdict(f"batch.{field}", elastic=True) == "elastic"


def test_threads_follow_the_number_of_ranks():
    assert [verdict("threads", elastic=True), verdict("threads", ["threads"])] == ["elastic", "accepted"]


@pytest.mark.parametrize("field", sorted(ACCEPTABLE - ELASTIC))
def test_acceptable_fields_need_their_own_name(field):
    assert [verdict(field), verdict(field, elastic=True), verdict(field, [field])] == ["refused", "refused", "accepted"]


@pytest.mark.bar("A4")
@pytest.mark.parametrize("field", STRICT)
def test_everything_else_is_refused_whatever_is_accepted(field):
    assert verdict(field, [field], True) == "refused"


def test_the_refusal_names_field_saved_and_now():
    saved = {"optimizer": {"lr": 0.1}, "seed": 1, "threads": 2}
    with pytest.raises(PicochatError) as caught:
        require_fingerprint(saved, {"optimizer": {"lr": 0.2}, "seed": 1, "threads": 2}, [], False)
    assert (caught.value.code, caught.value.exit_code) == ("resume.fingerprint", 4)
    assert "(optimizer.lr, saved 0.1, now 0.2)" in caught.value.detail


@pytest.mark.parametrize(
    ("field", "cure"), [("world_size", "resume.elastic"), ("threads", "resume.accept"), ("seed", "--out-dir")]
)
def test_the_fix_fits_the_difference(field, cure):
    with pytest.raises(PicochatError) as caught:
        require_fingerprint({field: 1}, {field: 2}, [], False)
    assert cure in caught.value.fix


def test_a_field_of_one_side_only_and_another_type_are_differences():
    found = compare_fingerprints({"seed": 1, "old": None}, {"seed": True, "new": 0}, [], False)
    assert [(d.field, d.saved, d.now) for d in found] == [
        ("new", "<absent>", 0),
        ("old", None, "<absent>"),
        ("seed", 1, True),
    ]


def test_exactness_is_only_claimed_for_safe_differences():
    assert claims_exact([Difference("host", "a", "b", "safe")])
    assert not claims_exact([Difference("threads", 1, 2, "accepted")])
    assert not claims_exact([Difference("world_size", 1, 2, "elastic")])


leaves = st.integers() | st.text("pq", max_size=3)
values = st.dictionaries(st.sampled_from("abc"), leaves | st.dictionaries(st.sampled_from("xy"), leaves), max_size=3)


@given(values, values)
@settings(max_examples=60, deadline=None)
def test_no_difference_exactly_when_equal(one, two):
    assert compare_fingerprints(one, one, [], False) == []
    assert (compare_fingerprints(one, two, [], False) == []) == (one == two)
