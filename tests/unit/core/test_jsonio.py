import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import canonical_json, finite, iter_jsonl, jsonl_bytes, parse_json, pretty_json, read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b'{"x": {"b": 1, "c": 2, "b": 1}}', "'b' stands twice"),
        (b"NaN", "NaN is not JSON"),
        (b'{"a": Infinity}', "Infinity is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"{} {}", "Extra data"),
        (b"{}x", "Extra data"),
        (b'{"a": 1,}', "json"),
        (b"", "Expecting value"),
        (b'"\xff"', "utf-8"),
        (b"[" * 100_000, "json"),
    ],
)
def test_anything_but_strict_json_is_refused_by_name(data, shown):
    with pytest.raises(PicochatError) as caught:
        parse_json(data, "that file")
    assert caught.value.code == "json.invalid"
    assert caught.value.exit_code == 4
    assert caught.value.detail.startswith("that file is not strict JSON")
    assert shown.lower() in caught.value.detail.lower()


def test_a_huge_document_is_not_parsed():
    with pytest.raises(PicochatError, match="10 bytes, more than the 9"):
        parse_json(b'"12345678"', "x", max_bytes=9)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("write", [canonical_json, pretty_json])
def test_nan_is_never_written(write, value):
    with pytest.raises(ValueError, match="JSON compliant"):
        write({"a": [value]})


@given(VALUES)
def test_both_forms_are_read_again_and_written_again_unchanged(value):
    for write in (canonical_json, pretty_json):
        data = write(value)
        assert parse_json(data, "x") == value
        assert write(parse_json(data, "x")) == data


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=2, max_size=5))
def test_the_canonical_form_does_not_depend_on_the_order_of_keys(value):
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_the_canonical_form():
    assert canonical_json({"b": [1, 2.5], "a": "é"}) == '{"a":"é","b":[1,2.5]}'.encode()
    assert pretty_json({"b": 1, "a": 2}) == b'{\n "a": 2,\n "b": 1\n}\n'


def test_files(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(pretty_json({"a": 1}))
    assert read_json(path) == {"a": 1}
    for missing in (tmp_path / "b.json", tmp_path, path / "under"):
        with pytest.raises(PicochatError) as caught:
            read_json(missing)
        assert caught.value.code == "artifact.missing"


def test_json_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [{"a": 1}, {"b": "é"}]
    path.write_bytes(jsonl_bytes(rows) + b"\n")
    assert list(iter_jsonl(path)) == rows
    path.write_bytes(jsonl_bytes(rows) + b'{"torn')
    assert list(iter_jsonl(path, torn_tail=True)) == rows
    with pytest.raises(PicochatError, match="line 3 is not strict JSON"):
        list(iter_jsonl(path))
    path.write_bytes(b"{]\n" + jsonl_bytes(rows))
    with pytest.raises(PicochatError, match="line 1 is not strict JSON"):
        list(iter_jsonl(path, torn_tail=True))
    with pytest.raises(PicochatError, match="does not exist"):
        list(iter_jsonl(tmp_path / "no"))


def test_a_last_line_without_its_newline_is_torn_even_when_it_parses(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n2")
    assert json.loads("2") == 2
    assert list(iter_jsonl(path, torn_tail=True)) == [1]


def test_half_a_surrogate_pair_is_written_as_its_escape_and_read_again():
    value = {"name\udcff": ["\ud800 a"]}
    for write in (canonical_json, pretty_json):
        assert parse_json(write(value), "x") == value
    assert canonical_json("\udcff") == rb'"\udcff"'


@given(st.recursive(st.floats() | st.integers(), lambda t: st.lists(t) | st.dictionaries(st.text(), t), max_leaves=5))
def test_what_is_made_finite_can_be_written(value):
    assert finite(finite(value)) == finite(value)
    assert canonical_json(finite(value))


def test_only_numbers_that_are_not_finite_become_null():
    assert finite({"a": (math.nan, 1.5, True, "nan"), "b": math.inf}) == {"a": [None, 1.5, True, "nan"], "b": None}


def test_a_pipe_is_no_file_and_keeps_nobody_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for read in (read_json, sha256_file, lambda path: list(iter_jsonl(path)), lambda path: read_json(path.parent)):
        with pytest.raises(PicochatError) as err:
            read(tmp_path / "pipe")
        assert err.value.code == "artifact.missing"
