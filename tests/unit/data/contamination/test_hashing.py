"""Hashes of words and grams depend on the words alone, wherever they stand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from picochat.data.contamination import hashing
from picochat.data.contamination.hashing import GramHashes, hash_words
from picochat.data.contamination.words import FOLD

WORDS = st.lists(st.sampled_from([b"a", b"b", b"ab", b"ba", b"the", b"The", b"x" * 40, "\u00e9".encode()]), max_size=40)


@given(WORDS, st.sampled_from([b" ", b"\n\n", b" - "]))
def test_equal_words_have_equal_hashes_and_others_have_not(parts: list[bytes], gap: bytes):
    data = gap.join(parts)
    found = hash_words(data)
    assert [data[start:end] for start, end in zip(found.starts, found.ends, strict=True)] == parts
    folded = [part.translate(FOLD) for part in parts]
    assert len(set(found.hashes.tolist())) == len(set(folded))
    by_word = dict(zip(folded, found.hashes.tolist(), strict=True))
    assert [by_word[word] for word in folded] == found.hashes.tolist()


@given(WORDS, st.integers(1, 5))
def test_grams_are_equal_where_their_words_are(parts: list[bytes], n: int):
    found = hash_words(b" ".join(parts))
    grams = GramHashes(found.hashes).all(n)
    expected = [tuple(part.translate(FOLD) for part in parts[i : i + n]) for i in range(len(parts) - n + 1)]
    assert len(grams) == max(0, len(expected))
    assert len(set(zip(expected, grams.tolist(), strict=True))) == len(set(expected)) == len(set(grams.tolist()))


def test_a_gram_is_no_sum_of_its_letters():
    texts = (b"ab c", b"ac b", b"ba c", b"c ab", b"a bc", b"abc a")
    assert len({GramHashes(hash_words(text).hashes).all(2)[0] for text in texts}) == len(texts)


def test_places_of_grams_are_those_of_all_of_them():
    grams = GramHashes(hash_words(b" ".join(b"w%d" % i for i in range(50))).hashes)
    places = np.array([0, 7, 37], np.int64)
    assert grams.at(places, 13).tolist() == grams.all(13)[places].tolist()


def test_slices_do_not_show(monkeypatch):
    data = b" ".join(b"word%d" % (i % 97) for i in range(3000)) + b" " + b"y" * 5000 + b" end"
    whole = hash_words(data)
    grams = GramHashes(whole.hashes).all(13)
    monkeypatch.setattr(hashing, "_SLICE_BYTES", 64)
    monkeypatch.setattr(hashing, "_SLICE_WORDS", 7)
    cut = hash_words(data)
    for one, other in zip(whole, cut, strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(GramHashes(cut.hashes).all(13), grams)


def test_a_megabyte_without_a_gap_is_one_word():
    found = hash_words(b"x" * (1 << 20) + b" y")
    assert found.ends.tolist() == [1 << 20, (1 << 20) + 2]
    assert len(hash_words(b"").hashes) == len(hash_words(b"...").hashes) == 0
