"""Context and continuation are encoded together, and what is too long is cut from the left in a fixed order."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.evals.tasks.encoding import encode_item
from picochat.evals.tasks.items import Option, TaskItem


class Pairs:
    """An encoder that joins "ab" into one id, so that ids can cross the edge between context and continuation."""

    bos = 999

    def __init__(self, context_tokens: int = 1000) -> None:
        self.context_tokens = context_tokens

    def encode(self, text: str) -> list[int]:
        return [ord(c) for c in text.replace("ab", "\u0100")]


def item(*options: tuple[str, str], **fields) -> TaskItem:
    made = tuple(Option(context, rest, rest) for context, rest in options)
    return replace(TaskItem("i", "g", "choice", "q", (), made), **fields)


def ids(text: str) -> list[int]:
    return Pairs().encode(text)


def test_the_continuation_begins_where_the_ids_first_differ():
    found = encode_item(item(("xa", "by"), ("xa", "cy")), Pairs())
    assert found.pairs == (([999, ord("x")], ids("aby")), ([999, ord("x"), ord("a")], ids("cy")))
    assert (found.dropped, found.cut) == (0, 0)


def test_options_are_scored_from_where_they_differ_from_each_other():
    found = encode_item(item(("q", "one x"), ("q", "one yz"), span="options"), Pairs())
    assert found.pairs == (([999, *ids("qone ")], ids("x")), ([999, *ids("qone ")], ids("yz")))
    within = encode_item(item(("q", "one"), ("q", "one more"), span="options"), Pairs())
    assert [rest for _, rest in within.pairs] == [ids("e"), ids("e more")], "an option never has nothing to score"


def test_a_schema_is_scored_over_the_end_that_all_share():
    found = encode_item(item(("cat", " is big"), ("dogs", " is big"), span="suffix"), Pairs())
    assert found.pairs == (([999, *ids("cat")], ids(" is big")), ([999, *ids("dogs")], ids(" is big")))


def test_examples_go_first_and_the_rest_of_the_cut_is_context():
    long = item(("context", "!"), ("context", "?"), head="H", examples=("one;", "two;", "three;"))
    texts = {}
    for room in (22, 17, 14, 12, 8, 5, 2, 1):
        found = encode_item(long, Pairs(room))
        texts[room] = ("".join(map(chr, found.pairs[0][0][1:])), found.dropped, found.cut)
    assert texts[22] == ("Htwo;three;context", 1, 0) and texts[17] == ("Hthree;context", 2, 0)
    assert texts[12] == ("Hcontext", 3, 0) and texts[8] == ("context", 3, 1)
    assert texts[5] == ("text", 3, 4) and texts[2] == ("t", 3, 7) and texts[1] == ("", 3, 8)


def test_a_continuation_that_alone_is_too_long_is_not_asked():
    assert encode_item(item(("c", "four"), ("c", "x")), Pairs(3)).pairs == ()


def test_a_reply_keeps_room():
    found = encode_item(item(("a long context", ""), kind="generate"), Pairs(10), reserve=4)
    assert len(found.pairs[0][0]) - 1 == 6 and found.cut == 8


@given(
    st.text("abc ", max_size=30),
    st.lists(st.text("abc ", min_size=1, max_size=12), min_size=1, max_size=4),
    st.lists(st.text("abc;", min_size=1, max_size=9), max_size=4),
    st.integers(1, 60),
    st.sampled_from(["context", "options", "suffix"]),
)
def test_what_is_asked_fits_and_is_the_end_of_the_whole(context, rests, examples, room, span):
    encoder = Pairs(room)
    made = item(*((context, rest) for rest in rests), examples=tuple(examples), span=span)
    found = encode_item(made, encoder)
    for option, (prompt, rest) in zip(made.options, found.pairs, strict=False):
        whole = encoder.encode("".join(examples[found.dropped :]) + option.context + option.continuation)
        assert prompt[0] == 999 and len(prompt) + len(rest) - 1 <= room
        assert whole[len(whole) - len(prompt) - len(rest) + 1 :] == prompt[1:] + rest
        if not found.cut:
            assert whole == prompt[1:] + rest
    assert not found.cut or found.dropped == len(examples), "no context is cut while an example stands"
    assert found.pairs or room < max(len(encoder.encode(context + rest)) for rest in rests)


def test_the_fewest_examples_are_dropped():
    made = item(("c", "x"), examples=tuple(f"{k}" * 5 for k in range(6)))
    for room in range(2, 40):
        found = encode_item(made, Pairs(room))
        assert found.dropped == max(0, min(6, -(-(32 - room) // 5)))
        assert len(found.pairs[0][0]) + 1 - 1 <= room


@pytest.mark.parametrize("room", [6, 30])
def test_all_options_lose_the_same(room: int):
    found = encode_item(item(("context", "x"), ("context", "longer")), Pairs(room))
    assert found.pairs[0][0] == found.pairs[1][0]
