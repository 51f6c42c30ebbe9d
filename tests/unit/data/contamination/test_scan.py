"""What is found and what is not: by every rule, over joints, in hostile texts, and when hashes collide."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.data.contamination import hashing
from picochat.data.contamination.block import Block
from picochat.data.contamination.items import Item
from picochat.data.contamination.long_fields import match_small_grams
from picochat.data.contamination.passages import PassageCutter
from picochat.data.contamination.scan import find_items, scan_block

FILLER = "some text that has nothing to do with it goes on and on for a while"


def sentence(n: int, name: str = "word", first: int = 0) -> str:
    return " ".join(f"{name}{i}" for i in range(first, first + n))


def test_a_verbatim_question_is_found_with_its_answer(find):
    item = Item("1", sentence(20), (sentence(3, "answer"),))
    text = f"{FILLER} {item.question}. {item.answers[0]}! {FILLER}"
    assert find.rules(item, text) == [("both", "gram"), ("question", "gram")]
    assert find.rules(item, f"{FILLER} {item.question} {FILLER}") == [("question", "gram")]
    assert find.rules(item, FILLER) == []


def test_the_match_says_which_words(find):
    item = Item("1", sentence(20))
    (match,) = find.matches([item], [FILLER, f"{FILLER} {sentence(15, first=3)} {FILLER}"])
    begin = 2 * len(FILLER.split())
    assert (match.document, match.begin, match.end) == (1, begin, begin + 15)
    assert (match.field_begin, match.field_end, match.n_equal) == (3, 18, 15)


@given(st.integers(14, 60), st.data())
def test_every_one_word_edit_of_14_words_and_more_is_found(find, length: int, data):
    words = sentence(length).split()
    words[data.draw(st.integers(0, length - 1))] = "edited"
    assert ("question", "gram") in (found := find.rules(Item("1", sentence(length)), " ".join(words))) or found == [
        ("question", "small_grams")
    ]


@given(st.integers(14, 40), st.integers(0, 40), st.data())
def test_a_word_put_in_or_left_out_is_found(find, length: int, at: int, data):
    words = sentence(length).split()
    at = min(at, length - 1)
    if data.draw(st.booleans()):
        words.insert(at, "added")
    else:
        del words[at]
    if length > 14 or len(words) > 14 or at in (0, 13):
        assert find.rules(Item("1", sentence(length)), " ".join(words))


def test_half_of_the_small_grams_must_lie_close_together(find):
    item = Item("1", sentence(40))
    half = [sentence(12, first=0), sentence(12, first=14), sentence(12, first=28)]
    close, far = f" {sentence(8, 'gap')} ".join(half), f" {sentence(90, 'gap')} ".join(half)
    assert find.rules(item, close) == [("question", "small_grams")]
    assert find.rules(item, far) == []
    assert find.rules(item, half[0]) == []


FEW = st.sampled_from(["alpha", "alpha", "alpha", "alpha", "beta", "gamma", "delta"])


@given(st.lists(FEW, min_size=14, max_size=20), st.lists(FEW, max_size=120))
def test_small_grams_are_found_as_by_a_plain_search(find, item: list[str], text: list[str]):
    """Of all windows of twice the item's length the one with the most different grams of 5."""
    index = find.index(Item("1", " ".join(item)))
    grams = {tuple(item[i : i + 5]) for i in range(len(item) - 4)}
    here = [tuple(text[i : i + 5]) for i in range(len(text) - 4)]
    starts = 2 * len(item) - 4
    best = max((len(grams & set(here[i : i + starts])) for i in range(len(here))), default=0)
    needed = max(5, (len(grams) + 1) // 2)
    found = list(match_small_grams(index, Block([" ".join(text).encode()], [0]), set()))
    assert [match.n_equal for match in found] == ([best] if len(grams) >= 5 and best >= needed else [])


def test_the_window_is_no_wider_than_its_grams(find):
    index = find.index(Item("1", sentence(14)))
    text = f"{sentence(5)} and so on {sentence(13)} {sentence(6)} and so on"
    (match,) = match_small_grams(index, Block([text.encode()], [0]), set())
    assert (match.begin, match.end, match.n_equal) == (8, 21, 9)


def test_short_items_are_found_as_a_whole_only(find):
    item = Item("1", sentence(9))
    assert find.rules(item, f"{FILLER} {sentence(9)} {FILLER}") == [("question", "whole")]
    assert find.rules(item, sentence(8)) == []
    assert find.rules(Item("1", sentence(12)), sentence(12).replace("word5", "other")) == []


@pytest.mark.parametrize(("gap", "found"), [(0, True), (48, True), (49, False), (500, False)])
def test_a_very_short_question_counts_with_its_answer_within_50_words(find, gap: int, found: bool):
    item = Item("1", "who made the thing", ("Nota Maker",))
    for text in (f"who made the thing {sentence(gap)} nota maker", f"nota maker {sentence(gap)} Who made the thing?"):
        assert find.rules(item, text) == ([("both", "pair")] if found else [])
    assert find.rules(item, "who made the thing") == find.rules(item, "nota maker") == []


def test_an_answer_inside_its_question_does_not_stand_beside_it(find):
    item = Item("1", "which one of them is it: cat=A or dog=B", ("cat=A",))
    assert find.rules(item, item.question) == [("question", "whole")]
    assert find.rules(item, f"{item.question} cat=A") == [("both", "whole"), ("question", "whole")]


def test_any_of_several_answers_counts_and_long_answers_count_alone(find):
    item = Item("1", "who made the thing", ("Nota Maker", "the maker of it", sentence(20, "long")))
    assert find.rules(item, "who made the thing? The maker of it") == [("both", "pair")]
    assert find.rules(item, sentence(20, "long")) == [("answer", "gram")]


def test_a_document_gives_one_match_a_field_the_longest(find):
    item = Item("1", sentence(30))
    text = f"{sentence(13)} {FILLER} {sentence(25, first=2)} {FILLER} {sentence(14)}"
    (match,) = find.matches([item], [text])
    assert match.n_equal == 25


@given(st.integers(1, 29), st.sampled_from([20, 30, 10, 5]))
def test_an_item_split_over_two_documents_is_found_and_names_both(find, cut: int, length: int):
    item = Item("1", sentence(length), (sentence(3, "answer"),))
    words = f"{item.question} {item.answers[0]}".split()
    cut = min(cut, len(words) - 1)
    texts = ["before", f"{FILLER} {' '.join(words[:cut])}", f"{' '.join(words[cut:])} {FILLER}", "after"]
    found = find.matches([item], texts, joined=True)
    assert found
    assert {(match.document, match.last_document) for match in found if match.split} <= {(1, 2)}
    assert any(match.split for match in found) or cut in range(13, 33)


def test_documents_that_were_never_one_text_are_not_joined(find):
    words = sentence(20).split()
    texts = [" ".join(words[:10]), " ".join(words[10:])]
    assert find.rules(Item("1", sentence(20)), *texts, joined=True) == [("question", "gram")]
    assert find.rules(Item("1", sentence(20)), *texts) == []


def test_only_the_core_of_a_block_is_searched(find):
    index = find.index(Item("1", sentence(20)))
    texts = [sentence(20).encode()] * 4
    found = scan_block(index, Block(texts, range(4), joined=True, core=(1, 3)))
    assert [match.document for match in found] == [1, 2]


def test_passages_are_the_characters_of_the_original(find):
    text = f"{FILLER} Word0 <b>word1</b> &quot;word2&quot; w\u00f6rd3 {sentence(16, first=4)}. {FILLER}"
    item = Item("1", "word0 word1 word2 w\u00f6rd3 " + sentence(16, first=4))
    block = Block([b"first", text.encode()], [70, 71])
    (match,) = scan_block(find.index(item), block)
    found = PassageCutter(block, 1000).found(match, stored=True)
    assert (found.first_document, found.last_document, found.split) == (71, 71, False)
    ((number, passage),) = found.passages
    assert number == 71 and text[passage.start : passage.end] == passage.text
    assert passage.text.startswith("Word0 <b>word1</b> &quot;word2") and passage.text.endswith("word19")
    short = PassageCutter(block, 10).found(match, stored=True).passages[0][1]
    assert (short.start, short.end, short.text) == (passage.start, passage.end, passage.text[:10])
    assert PassageCutter(block, 10).found(match, stored=False).passages == ()


def test_items_of_texts_for_a_builder_of_corpora(find):
    items = [Item("a", sentence(20)), Item("b", sentence(9, "other")), Item("c", "one")]
    texts = [
        FILLER,
        f"{sentence(20)} {sentence(9, 'other')}",
        "",
        sentence(20).upper(),
        "\ud800 " + sentence(9, "other"),
    ]
    assert find_items(find.index(*items), texts) == [[], [0, 1], [], [0], [1]]
    assert find_items(find.index(), texts) == [[]] * 5
    assert find_items(find.index(*items), []) == []


def test_an_item_of_5000_words(find):
    item = Item("1", sentence(5000))
    words = item.question.split()
    random.Random(1).shuffle(words)
    assert find.rules(item, f"{FILLER} {sentence(5000)} {FILLER}") == [("question", "gram")]
    assert find.rules(item, " ".join(words)) == []
    edited = [word if i % 12 else "x" for i, word in enumerate(sentence(5000).split())]
    assert find.rules(item, " ".join(edited)) == [("question", "small_grams")]


def test_one_word_5000_times_in_an_item_and_everywhere(find):
    same = Item("1", "again " * 5000)
    periodic = Item("2", "one two three four five six seven " * 700)
    text = "again " * 50_000 + "one two three four five six seven " * 8_000
    found = find.matches([same, periodic], [text])
    assert [(match.field, match.rule) for match in found] == [(0, "gram"), (1, "gram")]


def test_items_that_are_all_equal_are_all_found(find):
    items = [Item(str(i), sentence(20), ("yes",)) for i in range(50)]
    found = find.matches(items, [f"{sentence(20)} yes"])
    assert len([match for match in found if match.column == "question"]) == 50
    assert len([match for match in found if match.column == "both"]) == 50


@pytest.mark.parametrize(
    "question",
    [
        "\u5929\u5730\u7384\u9ec4\u5b87\u5b99\u6d2a\u8352\u65e5\u6708\u76c8\u6603\u8fb0\u5bbf\u5217\u5f20",
        "\u05d1\u05e8\u05d0\u05e9\u05d9\u05ea " * 3 + " ".join(chr(0x5D0 + i) * 3 for i in range(15)),
        " ".join(f"e\u0301t\u00e9{i}" for i in range(15)),
        " ".join(f"\u0939\u093f\u0928\u094d\u0926\u0940{i}" for i in range(15)),
        "\u0e01\u0e34\u0e19\u0e02\u0e49\u0e32\u0e27\u0e41\u0e25\u0e49\u0e27\u0e2b\u0e23\u0e37\u0e2d\u0e22\u0e31\u0e07",
    ],
    ids=["han", "hebrew", "marks", "hindi", "thai"],
)
def test_scripts_of_all_kinds(find, question: str):
    item = Item("1", question)
    for text in (question, f"\u202b{question}\u202c", f"a\0{question}\0b", f"\u300c{question}\u300d" + FILLER):
        assert find.rules(item, text) == [("question", "gram")], text
    assert find.rules(item, question[::-1]) == []


def test_five_megabytes_in_one_line(find):
    item = Item("1", sentence(20))
    half = "lorem ipsum dolor sit amet, " * 90_000
    (match,) = find.matches([item], [half + item.question + " " + half])
    assert match.begin == 450_000
    assert find.rules(item, "x" * 5_000_000 + " " + item.question) == [("question", "gram")]


@pytest.mark.parametrize("kept_bits", [0, 1, 2])
def test_when_hashes_collide_the_words_decide(find, monkeypatch, kept_bits: int):
    mask = np.uint64((1 << kept_bits) - 1)
    monkeypatch.setattr(hashing, "mix", lambda hashes: hashes & mask)
    items = [Item("long", sentence(20)), Item("whole", sentence(9, "other")), Item("pair", "who made it", ("one two",))]
    texts = [sentence(200, "none"), "who made one two it " * 5, "x " * 40]
    assert find.matches(items, texts) == []
    (match,) = find.matches(items[:1], [sentence(20)])
    assert match.n_equal == 20
