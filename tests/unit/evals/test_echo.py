"""Prompt echo and repetition: the three forms of echo, and the half of 4-grams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.evals.echo import is_echo, is_repetitive, repetition_frac

LONG = "Tell me in a few short words why the old red barn on the far hill was painted blue in the winter of last year"


def test_eight_words_in_a_row_are_an_echo_and_seven_are_not() -> None:
    assert is_echo([LONG], "Well: why the old RED barn on the far, I think.")
    assert not is_echo([LONG], "Well: why the old red barn on the, I think.")


def test_a_reply_that_begins_with_the_prompt_is_an_echo() -> None:
    assert is_echo(['Spell "cat".'], 'Spell "cat".')
    assert is_echo(['Spell "cat".'], "SPELL “cat”. c a t")
    assert is_echo(["What is 5+7?"], "What is 5+7? It is 12.")
    assert not is_echo(["What is 5+7?"], "What is 5+72?")
    assert not is_echo(["Hi"], "Hi there.")
    glued = "x" * 79 + "y" + "z" * 20
    assert is_echo([glued], glued[:80] + " other")
    assert not is_echo([glued], glued[:79] + " other")


@pytest.mark.parametrize("reply", ["user: hello", "Yes.\nAssistant: no", "  System : x", "<|user|> hm", "### User: x"])
def test_a_role_marker_at_a_line_start_is_an_echo(reply: str) -> None:
    assert is_echo(["Is it so?"], reply)


@pytest.mark.parametrize("reply", ["The user: a person.", "Users: many", "superuser: root", "c a t", ""])
def test_other_replies_are_none(reply: str) -> None:
    assert not is_echo(["Is it so?"], reply)


@given(st.lists(st.sampled_from(["red", "barn", "hill", "blue", "old"]), min_size=8, max_size=40))
def test_the_prompt_itself_is_always_an_echo(words: list[str]) -> None:
    prompt = " ".join(words)
    assert is_echo([prompt], prompt)
    assert is_echo(["other text", prompt], f"so, {prompt}")


def test_repetition_is_over_half() -> None:
    assert repetition_frac("a b c") == 0
    assert repetition_frac("a b c d e f g h") == 0
    assert repetition_frac("a a a a a a") == pytest.approx(2 / 3)
    assert not is_repetitive("a a a a a")
    assert is_repetitive("a a a a a a")
    assert is_repetitive("the cat sat down " * 5)
