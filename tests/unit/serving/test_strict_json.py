"""The body of a request: one object, read in one way."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.serving.protocol.errors import ApiError
from picochat.serving.protocol.strict_json import MAX_DEPTH, dump, parse_body

REFUSED = {
    "empty": b"",
    "no json": b"{",
    "two documents": b"{} {}",
    "a list": b"[]",
    "a number": b"3",
    "null": b"null",
    "a doubled key": b'{"a": 1, "a": 2}',
    "a doubled key below": b'{"a": {"b": 1, "b": 2}}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "a number too large": b'{"a": [1e999]}',
    "an integer of 5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "half a surrogate pair": b'{"a": "\\ud800"}',
    "half a surrogate pair as a key": b'{"\\udfff": 1}',
    "NUL": b'{"a": ["x\\u0000"]}',
    "NUL as a key": b'{"\\u0000": 1}',
    "a raw control character": b'{"a": "\n"}',
    "no utf-8": b'{"a": "\xff"}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a comment": b'{"a": 1} // b',
    "half a million brackets": b"[" * 500_000,
    "half a million objects": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_is_no_plain_object_is_refused(body: bytes):
    with pytest.raises(ApiError) as caught:
        parse_body(body)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("inner", ["[", '{"a":'])
def test_the_depth_is_counted_with_the_outermost_object(inner: str):
    def nested(depth: int) -> bytes:
        return ('{"x":' + inner * (depth - 1) + "1" + {"[": "]", '{"a":': "}"}[inner] * (depth - 1) + "}").encode()

    assert parse_body(nested(MAX_DEPTH))
    with pytest.raises(ApiError, match="deeper than 16"):
        parse_body(nested(MAX_DEPTH + 1))


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Characters that are text: no NUL, and no half of a surrogate pair.
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc"), plain, max_size=4))
def test_what_is_written_is_read_again(document: dict):
    assert parse_body(dump(document)) == document
    assert parse_body(json.dumps(document).encode()) == document
