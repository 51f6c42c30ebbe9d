from __future__ import annotations

import shlex
import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.cli.options import parse_settings
from picochat.core.config import flatten
from picochat.pipeline.against import profile_side
from picochat.pipeline.config import resolve, settings_layer
from picochat.pipeline.profiles import load_profile
from picochat.views.runs.config_difference import Side, difference, side_of_record, toml_document

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="."), min_size=1, max_size=8)
PLAIN = st.one_of(
    st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False), st.text()
)


def test_two_keys_of_a_whole_configuration_differ() -> None:
    given_settings = [("base.loop.lr", 0.004), ("data.pack", "/other")]
    found = resolve("tiny", load_profile("tiny").build(), [("--set", settings_layer(given_settings))])
    record = {"profile": "tiny", "config": found.config.as_dict(), "origins": found.origins}
    result = difference([profile_side(record), side_of_record("a", record)])
    assert (result["total"], result["differing"]) == (len(flatten(found.config.as_dict())), 2)
    assert result["rows"][0] == {
        "key": "base.loop.lr",
        "values": ["0.003", "0.004"],
        "origins": ["profile tiny", "--set"],
        "differs": True,
    }
    words = shlex.split(result["settings"])
    assert words == ["--set", "base.loop.lr=0.004", "--set", 'data.pack="/other"']
    assert parse_settings(tuple(words[1::2])) == given_settings
    assert flatten(tomllib.loads(result["toml"])) == dict(given_settings)
    every = difference([profile_side(record), side_of_record("a", record)], every=True)
    assert len(every["rows"]) == every["total"] > 100


def test_absent_none_and_texts_that_look_like_numbers_are_told_apart() -> None:
    left = Side("A", {"same": 1, "number": 1, "none": 2, "gone": 3, "nested": [1]}, {"none": "flag"})
    right = Side("B", {"same": 1, "number": "1", "none": None, "new": 4, "nested": [None]}, {"new": "--set"})
    found = difference([left, right])
    rows = {row["key"]: (row["values"], row["origins"]) for row in found["rows"]}
    assert rows == {
        "gone": (["3", None], [None, "absent"]),
        "nested": (["[1]", "[null]"], [None, None]),
        "new": ([None, "4"], ["absent", "--set"]),
        "none": (["2", "null"], ["flag", None]),
        "number": (["1", '"1"'], [None, None]),
    }
    assert found["unset"] == ["gone", "nested", "none"], "TOML has no null: these cannot be given"
    assert found["settings"] == "--set new=4 --set 'number=\"1\"'"


def test_a_record_without_a_configuration_is_an_empty_side() -> None:
    for record in ({}, {"config": [], "origins": 3}, {"config": {"a": 1}, "origins": {"a": 7}}):
        side = side_of_record("x", record)  # type: ignore[arg-type]
        assert side.origins == {}
    assert difference([Side("A", {}, {}), Side("B", {}, {})])["rows"] == []
    assert toml_document({}) == ""


@given(st.dictionaries(st.lists(WORDS, min_size=1, max_size=3).map(tuple), PLAIN, max_size=4))
@settings(max_examples=60)
def test_toml_reads_back_what_was_written(values: dict[tuple[str, ...], Any]) -> None:
    keys = [key for key in values if not any(key != other and key == other[: len(key)] for other in values)]
    flat = {".".join(key): values[key] for key in keys}
    assert flatten(tomllib.loads(toml_document(flat))) == flat
