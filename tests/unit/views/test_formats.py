"""Numbers for people, by the vectors that the browser is held by as well."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from picochat.core import units
from picochat.views.checks import format_value
from picochat.views.formats import FORMATS, UNKNOWN, format_age, format_money

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "formats.json").read_text(encoding="utf-8"))


def test_every_vector_holds():
    assert [(name, args, FORMATS[name](*args)) for name, args, _ in GOLDEN] == [tuple(row) for row in GOLDEN]


def test_every_format_has_vectors_and_one_for_the_unknown():
    assert {name for name, _, _ in GOLDEN} == set(FORMATS)
    assert {name for name, args, text in GOLDEN if args[0] is None and text == UNKNOWN} == set(FORMATS)


@pytest.mark.parametrize("name", ["bpb", "percent", "count", "integer", "duration", "bytes", "money", "number", "age"])
def test_what_is_not_finite_is_unknown(name: str):
    assert {FORMATS[name](value) for value in (math.nan, math.inf, -math.inf, True)} == {UNKNOWN}


def test_the_command_line_says_the_same():
    for name, args, text in GOLDEN:
        form = {"count": units.format_count, "bytes": units.format_bytes, "duration": units.format_duration}.get(name)
        if form is not None and args[0] is not None and args[0] not in (-0.01, -0.049):
            assert form(args[0]) == text
    assert format_value(0.123456) == FORMATS["number"](0.123456)


def test_an_age_is_counted_from_a_moment():
    now = datetime(2026, 11, 30, 0, 30, tzinfo=UTC)
    assert format_age("2026-11-30T00:23:10Z", now) == "6 m ago"
    assert format_age("2026-11-30T00:23:10", now) == UNKNOWN


def test_a_sum_as_text_is_shown_to_its_last_digit():
    assert format_money("123456789012345678901234.005") == "$123,456,789,012,345,678,901,234.005"
