"""Rule `numeric`: which replies hold exactly one final number, and which number it is."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.evals.numeric import read_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("14", 14),
        ("The answer is 14.", 14),
        ("7+5+0=12 4+8+1=13 = 132", 132),
        ("She has 3 and 4, so 7.\n#### 7", 7),
        ("= -5", -5),
        ("\u22125", -5),
        ("1,234,567", 1234567),
        ("1 234".replace(" ", "\u202f"), 1234),
        ("1_000", 1000),
        ("$4.50", Fraction(9, 2)),
        ("12kg", 12),
        ("90 km/h", 90),
        ("12 m²", 12),
        ("50%", 50),
        ("3/4", Fraction(3, 4)),
        ("½", Fraction(1, 2)),
        ("０７", 7),
        ("0.50", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("(8)", 8),
    ],
)
def test_one_number_is_read_exactly(text: str, value: int | Fraction) -> None:
    assert read_number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fourteen",
        "3 or 4",
        "3-4",
        "10:30",
        "2024-01-02",
        "12 =",
        "= 132 or 133",
        "B12",
        "3x4",
        "2³",
        "1½",
        "1①",
        "1,23",
        "1.234,56",
        "1/0",
        "1.5/2",
        "--5",
        "9" * 5000,
    ],
)
def test_none_two_or_a_malformed_number_is_no_answer(text: str) -> None:
    assert read_number(text) is None


@given(st.integers(), st.integers())
def test_two_numbers_without_a_marker_fail(first: int, second: int) -> None:
    assert read_number(f"{first} and {second}") is None
    assert read_number(f"{first} = {second}") == second


@given(st.integers(min_value=-(10**30), max_value=10**30))
def test_separators_do_not_change_the_value(value: int) -> None:
    assert read_number(f"{value:,}") == read_number(f"{value:_}") == read_number(str(value)) == value


@given(st.text(alphabet="0123456789.,/=+-%#'_²½①٣\u2044\u202fxm \n"))
def test_any_text_is_read_without_an_error(text: str) -> None:
    value = read_number(text)
    assert value is None or isinstance(value, Fraction)
