import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.made_corpus import make_corpus

from picochat.data.contamination.words import words_of
from picochat.data.memorisation.copied import (
    SEED_WORDS,
    Copy,
    find_copies,
    holds_copy,
    index_samples,
    iter_pieces,
    merge_copies,
)

WORDS = st.sampled_from(["a", "b", "c", "Der", "dér", "über"])
TEXT = st.lists(WORDS, max_size=30).map(" ".join)


def naive_longest(sample: str, documents: list[str]) -> int:
    """Longest common run of words, by the table of the textbook."""
    best, left = 0, words_of(sample)
    for document in documents:
        right = words_of(document)
        table = np.zeros((len(left) + 1, len(right) + 1), int)
        for i, word in enumerate(left):
            for j, other in enumerate(right):
                if word == other:
                    table[i + 1, j + 1] = table[i, j] + 1
        best = max(best, int(table.max()))
    return best


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4), st.lists(TEXT, min_size=1, max_size=4), st.integers(1, 4))
def test_the_longest_copy_is_that_of_the_naive_table_however_the_text_is_cut(samples, documents, size):
    index = index_samples(samples)
    starts = range(0, len(documents), size)
    found = merge_copies(
        find_copies(
            index,
            [text.encode() for text in documents[first : first + size]],
            range(first, min(first + size, len(documents))),
        )
        for first in starts
    )
    for number, sample in enumerate(samples):
        wanted = naive_longest(sample, documents)
        assert found[number].words if number in found else wanted < SEED_WORDS
        if number in found:
            copy = found[number]
            assert copy.words == wanted >= SEED_WORDS
            assert holds_copy(sample, copy, documents[copy.document])


def test_a_run_stops_at_the_edge_of_a_document_and_of_a_sample():
    index = index_samples(["one two three four", "five six seven eight nine"])
    found = find_copies(index, [b"one two three four", b"five six seven eight", b"nine ten"], [7, 8, 9])
    assert found == {0: Copy(4, 0, 7), 1: Copy(4, 0, 8)}


def test_case_and_punctuation_do_not_hide_a_copy():
    (copy,) = find_copies(
        index_samples(["x, The QUICK brown fox -- jumps!"]), [b"the quick, brown fox jumps"], [3]
    ).values()
    assert copy == Copy(5, 1, 3)


def test_nothing_to_compare_is_nothing_found():
    assert find_copies(index_samples(["", "two words"]), [b"one two three four five"], [0]) == {}
    assert find_copies(index_samples([]), [b"text"], [0]) == {}
    assert find_copies(index_samples(["one two three four"]), [b"", b"..."], [0, 1]) == {}


def test_a_claim_that_is_not_there_is_not_believed():
    sample, text = "one two three four five", "zero one two three four"
    assert holds_copy(sample, Copy(4, 0, 0), text)
    for words, begin in ((5, 0), (4, 1), (4, 2), (9, 0)):
        assert not holds_copy(sample, Copy(words, begin, 0), text)
    assert not holds_copy("ne two three four", Copy(4, 0, 0), text)  # whole words only


def test_pieces_cover_every_document_once(tmp_path):
    reader = make_corpus(tmp_path, [f"document {number}" for number in range(20)]).reader
    for piece_bytes in (1, 30, 10_000):
        pieces = list(iter_pieces(reader, piece_bytes))
        assert [number for first, last in pieces for number in range(first, last)] == list(range(20))
