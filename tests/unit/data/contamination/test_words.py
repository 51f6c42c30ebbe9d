"""The comparison text: one text for all ways of writing it, and a way back to the characters of the original."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.data.contamination import words
from picochat.data.contamination.words import FOLD, comparison_bytes, is_plain, word_spans, words_of

PIECES = st.sampled_from(
    [
        *"aeoAZT.,'-<>&;# \n\0",
        "\u0301",
        "\u0308",
        "\u00b4",
        "\u200b",
        "\u00ad",
        "\u4e2d",
        "\u0e01\u0e34",
        "\u2019",
        "\u00e9",
    ]
    + ["\u00df", "\u0130", "\ufb01", "\u00bd", "&amp;", "&quot;", "&eacute;", "&amp;lt;", "<b>", "</p>", "<br/>"]
)
TEXTS = st.lists(st.one_of(PIECES, st.characters()), max_size=30).map("".join)


def read(text: str) -> list[str]:
    return [word.decode() for word in words_of(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don\u2019t  STOP \u2014 \u201cnow\u201d!", ["don", "t", "stop", "now"]),
        ("Don't stop-now", ["don", "t", "stop", "now"]),
        ("caf&eacute; &amp;quot;A&amp;quot; &#66;&#x43;", ["caf\u00e9", "a", "bc"]),
        ("<p class='x'>Who</p><p>are <b>y</b>ou<br/>now</p><!-- no -->", ["who", "are", "you", "now"]),
        ("if a <b and c> d", ["if", "a", "d"]),
        ("x < y > z, vector<int>", ["x", "y", "z", "vector", "int"]),
        ("e\u0301t\u00e9 \u00b4quote\u00b4 T\u0308", ["\u00e9t\u00e9", "quote", "\u1e97"]),
        ("wo\u00adrd zero\u200bwidth \ufeffbom", ["word", "zerowidth", "bom"]),
        (
            "\ufb01ne \uff21\uff22\uff23 \u2460 \u00bd STRASSE stra\u00dfe",
            ["fine", "abc", "1", "1", "2", "strasse", "strasse"],
        ),
        ("\u4e2d\u6587abc\u3002\u306f\u304c", ["\u4e2d", "\u6587", "abc", "\u306f", "\u304c"]),
        (
            "\u202b\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd\u202c",
            ["\u05e9\u05dc\u05d5\u05dd", "\u05e2\u05d5\u05dc\u05dd"],
        ),
        ("\u0939\u093f\u0928\u094d\u0926\u0940 \u2764\ufe0f", ["\u0939\u093f\u0928\u094d\u0926\u0940"]),
        ("a\0b \ud800 c", ["a", "b", "c"]),
        ("1,000.5 under_score", ["1", "000", "5", "under", "score"]),
        ("", []),
        (" .,;\n", []),
    ],
)
def test_words(text: str, expected: list[str]):
    assert read(text) == expected


def test_a_tag_is_known_by_its_name_only():
    assert read("a <b> c <bold> d <tdx> e") == ["a", "c", "bold", "d", "tdx", "e"]


@given(TEXTS)
def test_the_two_ways_of_conversion_give_the_same_words(text: str):
    """Run by run for places, whole for speed; and words converted again stay themselves."""
    decoded = words._decoded(text)
    runs = words._RUN.sub(lambda match: words._convert_run(match.group()), decoded)
    whole = words._converted.__wrapped__(decoded)
    assert runs.encode().translate(FOLD).split() == whole.encode().translate(FOLD).split() == words_of(text)
    assert words_of(b" ".join(words_of(text)).decode()) == words_of(text)


@given(TEXTS)
def test_every_word_is_led_back_to_characters_in_order(text: str):
    spans = word_spans(text)
    assert len(spans.starts) == len(spans.ends) == len(words_of(text))
    assert all(0 <= start < end <= len(text) for start, end in zip(*spans, strict=True))
    assert list(spans.starts) == sorted(spans.starts) and list(spans.ends) == sorted(spans.ends)


@given(
    st.lists(
        st.sampled_from(
            ["word", "\u00e9t\u00e9", "caf&eacute;", "\ufb01ne", "e\u0301", "H<sub>2</sub>O", "Stra\u00dfe"]
        ),
        min_size=1,
    )
)
def test_a_passage_between_words_has_the_words_between(parts: list[str]):
    text = " \u2014 ".join(parts)
    spans = word_spans(text)
    assert [text[start:end] for start, end in zip(*spans, strict=True)] == parts


def test_places_inside_a_run_are_exact():
    text = "\u0441\u043b\u043e\u0432\u043e\u2014\u0434\u0435\u043b\u043e\u3002\u4e2d\u6587"
    spans = word_spans(text)
    expected = ["\u0441\u043b\u043e\u0432\u043e", "\u0434\u0435\u043b\u043e", "\u4e2d", "\u6587"]
    assert [text[start:end] for start, end in zip(*spans, strict=True)] == expected


@given(TEXTS)
def test_case_width_and_composition_do_not_matter(text: str):
    if any(char in text for char in "&<>"):
        return  # entities and tags are written in one way
    assert words_of(unicodedata.normalize("NFD", text)) == words_of(unicodedata.normalize("NFC", text))


def test_plain_bytes_are_left_alone():
    data = b"Plain ASCII, with 'quotes'."
    assert is_plain(data) and comparison_bytes(data) is data
    assert not is_plain("caf\u00e9".encode()) and not is_plain(b"a &amp; b") and not is_plain(b"a <b> c")
