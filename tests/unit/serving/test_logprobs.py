"""How tokens are written beside their log-probabilities: no two ids share a key, offsets count characters."""

import math

import pytest
from tests.support.chat_run import VOCAB_SIZE

from picochat.inference.engine.request import ScoredToken
from picochat.serving.answers.logprobs import LOWEST, CompletionLogprobs, Spelling, chat_logprobs, join_logprobs
from picochat.tokenizer.codec import PicochatCodec


@pytest.fixture(scope="module")
def spelling(codec: PicochatCodec) -> Spelling:
    return Spelling(codec)


def scored(ids: list[int], logprob: float = -1.0) -> list[ScoredToken]:
    return [ScoredToken(token, logprob) for token in ids]


def test_no_two_ids_of_the_vocabulary_are_written_alike(spelling):
    assert len({spelling.spell(token) for token in range(VOCAB_SIZE)}) == VOCAB_SIZE


def test_a_token_that_is_no_whole_character_is_written_by_its_bytes(codec, spelling):
    first, *rest = codec.encode("好")
    assert len(rest) == 2
    assert spelling.spell(first) == "bytes:\\xe5"
    assert spelling.text_bytes(first) == b"\xe5"
    assert spelling.text([first, *rest]) == "好"


def test_a_special_token_shows_by_name_and_stands_for_no_text(codec, spelling):
    end = next(token for token in codec.end_ids if codec.piece(token) == b"<|end|>")
    assert (spelling.spell(end), spelling.text_bytes(end)) == ("<|end|>", b"")
    content = chat_logprobs(spelling, 0, scored([end]))["content"]
    assert content == [{"token": "<|end|>", "logprob": -1.0, "bytes": [], "top_logprobs": []}]


class Odd:
    """A vocabulary whose texts look like the names of other tokens."""

    vocab_size, bos, end_ids, special_ids = 5, None, frozenset({4}), frozenset({4})
    pieces = (b"bytes:\\xe6", b"\xe6", b"<|end|>", b" \xe6", b"<|end|>")

    def piece(self, token: int) -> bytes:
        return self.pieces[token]


def test_a_text_that_looks_like_a_name_is_written_by_its_bytes():
    names = [Spelling(Odd()).spell(token) for token in range(5)]
    assert len(set(names)) == 5
    assert names[1] == "bytes:\\xe6" and names[4] == "<|end|>" and names[3] == "bytes:\\x20\\xe6"


def test_offsets_count_characters_that_were_whole(codec, spelling):
    ids = codec.encode("a好b")
    part = CompletionLogprobs(spelling, 0).part(scored(ids))
    assert part["text_offset"] == [0, 1, 1, 1, 2]
    assert part["tokens"][0] == "a" and part["tokens"][-1] == "b"


def test_a_prompt_that_ends_within_a_character_does_not_swallow_the_answer(codec, spelling):
    counter = CompletionLogprobs(spelling, 0)
    half = codec.encode("好")[:2]
    prompt = counter.prompt([ScoredToken(half[0], None), *scored(half[1:])])
    answer = counter.part(scored(codec.encode("ab")))
    assert prompt["token_logprobs"] == [None, -1.0] and prompt["top_logprobs"][0] is None
    assert answer["text_offset"] == [1, 2], "the broken character is one U+FFFD in the text"
    whole = join_logprobs([prompt, answer])
    assert whole["text_offset"] == [0, 0, 1, 2]


def test_the_map_holds_k_entries_and_the_chosen_one_beyond_them(codec, spelling):
    a, b, c = codec.encode("abc")
    token = ScoredToken(c, -3.0, ((a, -0.5), (b, -1.0)))
    part = CompletionLogprobs(spelling, 1).part([token])
    assert part["top_logprobs"] == [{"a": -0.5, "c": -3.0}]
    assert CompletionLogprobs(spelling, 0).part([token])["top_logprobs"] == [{"c": -3.0}]
    [entry] = chat_logprobs(spelling, 1, [token])["content"]
    assert [row["token"] for row in entry["top_logprobs"]] == ["a"]


def test_the_chosen_value_is_the_very_float_of_the_map(codec, spelling):
    value = -0.1234567890123456789
    [a] = codec.encode("a")
    part = CompletionLogprobs(spelling, 1).part([ScoredToken(a, value, ((a, value),))])
    assert part["token_logprobs"][0] == max(part["top_logprobs"][0].values()) == value


def test_a_logarithm_of_zero_is_a_number_that_json_has(codec, spelling):
    [a] = codec.encode("a")
    part = CompletionLogprobs(spelling, 0).part([ScoredToken(a, -math.inf)])
    assert part["token_logprobs"] == [LOWEST]
