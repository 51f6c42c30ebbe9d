import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.data.cleaning import (
    CleaningConfig,
    alnum_frac,
    clean,
    normal_form,
    repeated_grams_frac,
    repeated_lines_frac,
)

CONFIG = CleaningConfig()
GOOD = "The quick brown fox jumps over the lazy dog, twice every day of the week."


@settings(max_examples=200)
@given(st.text())
def test_normal_form_is_idempotent_and_keeps_its_promises(text):
    normal = normal_form(text)
    assert normal_form(normal) == normal
    assert unicodedata.is_normalized("NFC", normal)
    assert not normal.startswith("\ufeff")
    assert all(char in "\t\n" or unicodedata.category(char) != "Cc" for char in normal)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "Z"], exclude_characters="\ufeff")))
def test_normal_form_changes_nothing_but_composition_in_clean_text(text):
    assert normal_form(text) == unicodedata.normalize("NFC", text)


def test_normal_form_mends_line_ends_bom_and_composition():
    assert normal_form("\ufeffa\r\nb\rc\x00d\x85\te\u0301") == "a\nb\ncd\t\u00e9"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD, None),
        ("   \n\n ", "empty"),
        ("x" * 39, "too_short"),
        ("x" * 40, None),
        ("ab" * 2_500_001, "too_long"),
        (GOOD + "\ufffd", "replacement_characters"),
        ("{}()[];;--==++**//" * 3 + "word word", "few_letters"),
        ("same line here\n" * 10 + GOOD, "repeated_lines"),
        ("\n".join(f"{i} " + "one two three four five six seven eight nine ten" for i in range(5)), "repeated_grams"),
        ("broken \ud800 " + GOOD, "not_utf8"),
    ],
)
def test_each_filter_gives_its_reason(text, reason):
    assert clean(text, CONFIG).reason == reason


def test_a_line_can_be_too_long():
    assert clean(GOOD + "\n" + "word " * 10, CleaningConfig(max_line_chars=60)).reason == "long_line"


def test_filters_can_be_switched_off():
    off = CleaningConfig(
        max_replacement_frac=None, min_chars=None, max_chars=None, max_repeated_lines_frac=None,
        max_repeated_grams_frac=None, min_alnum_frac=None, max_line_chars=None,
    )  # fmt: skip
    for text in ("x", "\ufffd\ufffd", "---", "same\nsame\nsame", "a b c d e f g h i j " * 4):
        assert clean(text, off).text == text
    assert clean(" \n ", off).reason == "empty"


@pytest.mark.parametrize(
    "text",
    [
        "\u06a9\u062a\u0627\u0628 \u062e\u0648\u0627\u0646\u062f\u0646 \u062e\u0648\u0628 \u0627\u0633\u062a " * 3,
        "\u6211\u4eec\u6bcf\u5929\u90fd\u8981\u8bfb\u4e66\u5b66\u4e60\u8ba4\u771f\u601d\u8003\u3002" * 4,
        "\u0928\u093f\u0930\u094d\u0926\u0947\u0936\u093f\u0915\u093e \u092e\u0947\u0902 \u0932\u093f " * 4,
    ],
)
def test_no_script_is_a_fault(text):
    assert clean(text, CleaningConfig(max_repeated_grams_frac=None)).reason is None


def test_combining_marks_count_as_letters():
    word = "\u0915\u094d\u0937\u093f"
    assert alnum_frac(word) == 1.0


def test_repeated_lines_ignores_empty_lines():
    assert repeated_lines_frac(["a", "", "b", "", ""]) == 0.0
    assert repeated_lines_frac(["a", " a ", "b", "a"]) == 0.5


def brute_repeated_grams(words):
    seen, covered = set(), set()
    for i in range(len(words) - 9):
        gram = tuple(words[i : i + 10])
        if gram in seen:
            covered.update(range(i, i + 10))
        seen.add(gram)
    return len(covered) / len(words) if words else 0.0


@settings(max_examples=150)
@given(st.lists(st.sampled_from("ab"), max_size=60))
def test_repeated_grams_agrees_with_counting_by_hand(words):
    assert repeated_grams_frac(" ".join(words)) == pytest.approx(brute_repeated_grams(words))


def test_secrets_are_flagged_or_dropped():
    text = GOOD + " token hf_" + "a1B2" * 8
    assert clean(text, CONFIG).has_secret and clean(text, CONFIG).reason is None
    assert clean(text, CleaningConfig(secrets="drop")).reason == "secret"
    assert not clean(GOOD, CONFIG).has_secret


def test_a_misspelt_filter_is_refused_with_the_nearest_name():
    with pytest.raises(PicochatError, match="min_chars") as caught:
        CleaningConfig.from_dict({"min_char": 3})
    assert caught.value.exit_code == 2
