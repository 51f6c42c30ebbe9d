"""Laws of the text of an answer: the same however its bytes are divided into tokens."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.engines import build_codec

from picochat.inference.engine.text import TextAssembler, find_stop, held_length

ALPHABET = "ab\u00e9\u65e5\U0001f600"


class ByteCodec:
    """An id is an index into a list of pieces; the last id is special, and one more lies beyond the vocabulary."""

    def __init__(self, pieces):
        self.pieces = [*pieces, b"<|x|>"]
        self.vocab_size = len(self.pieces)
        self.special_ids = frozenset({len(pieces)})
        self.end_ids, self.bos = frozenset(), None

    def piece(self, token):
        return self.pieces[token]

    def encode(self, text):
        raise NotImplementedError

    def render_chat(self, messages):
        raise NotImplementedError


def assemble(parts, stop=()):
    """(shown pieces, whether a stop string was found)."""
    assembler = TextAssembler(ByteCodec(parts), stop)
    shown = []
    for token in range(len(parts)):
        shown.append(assembler.push(token))
        if assembler.stopped:
            break
    return [*shown, assembler.finish()], assembler.stopped


def divide(data, cuts):
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in zip(places, places[1:], strict=False)]


def cut_by_characters(text, stop):
    """The rule, said plainly: read on until a stop string is complete, and cut the longest such."""
    for end in range(len(text) + 1):
        ready = [word for word in stop if text[:end].endswith(word)]
        if ready:
            return text[: end - max(map(len, ready))], True
    return text, False


texts = st.text(ALPHABET, max_size=20)
stops = st.lists(st.text(ALPHABET, min_size=1, max_size=4), max_size=4)
cuts = st.lists(st.integers(0, 100), max_size=12)


@settings(max_examples=300, deadline=None)
@given(texts, stops, cuts)
def test_stops_depend_on_the_text_and_not_on_its_tokens(text, stop, places):
    shown, stopped = assemble(divide(text.encode(), places), stop)
    assert ("".join(shown), stopped) == cut_by_characters(text, stop)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=24), cuts)
def test_joined_pieces_equal_the_whole_text(data, places):
    shown, _ = assemble(divide(data, places))
    assert "".join(shown) == data.decode("utf-8", "replace")


@settings(max_examples=200, deadline=None)
@given(texts, stops, cuts)
def test_what_is_shown_is_never_taken_back(text, stop, places):
    shown, _ = assemble(divide(text.encode(), places), stop)
    wanted, _ = cut_by_characters(text, stop)
    so_far = ""
    for piece in shown:
        so_far += piece
        assert wanted.startswith(so_far)
        assert not any(word in so_far for word in stop)


def test_a_possible_stop_waits_and_is_let_go_when_it_was_none():
    assembler = TextAssembler(ByteCodec([b"to be", b" EN", b"ough"]), ["END", "to be or"])
    assert [assembler.push(token) for token in range(3)] == ["", "to be ", "ENough"]


def test_half_a_character_waits_and_a_broken_tail_is_marked():
    parts = divide("\u65e5\u672c".encode(), [1, 2, 4])
    assert assemble(parts)[0] == ["", "", "\u65e5", "\u672c", ""]
    assert assemble(parts[:3])[0] == ["", "", "\u65e5", "\ufffd"]


def test_a_stop_string_may_end_in_the_middle_of_a_token_and_of_a_character():
    euro = "\u20ac".encode()
    shown, stopped = assemble([b"5 " + euro[:1], euro[1:2], euro[2:] + b" more"], ["\u20ac"])
    assert (shown, stopped) == (["5 ", "", "", ""], True)


def test_special_tokens_and_ids_beyond_the_tokenizer_are_no_text():
    codec = ByteCodec([b"\xc3", b"\xa9"])
    assembler = TextAssembler(codec)
    assert [assembler.push(token) for token in (0, 2, 7, 1)] == ["", "", "", "\u00e9"]
    real = build_codec()
    assembler = TextAssembler(real)
    assert "".join(map(assembler.push, [*real.encode("the cat"), *real.end_ids, *real.encode(" sat")])) == "the cat sat"


def test_the_first_complete_stop_wins_and_of_two_the_longer():
    assert find_stop("abcd", ["abcd", "c"]) == 2
    assert find_stop("xbc", ["c", "bc"]) == 1
    assert find_stop("abc", ["d"]) is None
    assert held_length("aab", ["abc", "b!"]) == 2
    assert held_length("abc", ["abc"]) == 0
