"""Which rule an item is compared by, what is boilerplate, and what cannot be checked."""

import numpy as np
import pytest

from picochat.core.errors import PicochatError
from picochat.data.contamination.config import ContaminationConfig
from picochat.data.contamination.index import LONG, NO_RULE, PAIR, WHOLE, build_index
from picochat.data.contamination.items import Item, ItemSet, build_row_set, item_of_row, name_items, text_of_row
from picochat.data.conversations import ConversationRow, EvalRow, Message, PairRow

CONFIG = ContaminationConfig()


def sentence(n: int, name: str = "word") -> str:
    return " ".join(f"{name}{i}" for i in range(n))


def index_of(*items: Item):
    return build_index([ItemSet("x", "eval", items)], CONFIG)


@pytest.mark.parametrize(
    ("question", "answers", "rules"),
    [
        (sentence(13), (), [LONG]),
        (sentence(12), (), [WHOLE]),
        (sentence(8), ("yes",), [WHOLE, NO_RULE]),
        (sentence(7), ("two words",), [PAIR, NO_RULE]),
        (sentence(3), ("two words",), [PAIR, NO_RULE]),
        (sentence(3), ("one",), [NO_RULE, NO_RULE]),
        (sentence(2), ("now three words",), [NO_RULE, NO_RULE]),
        (sentence(7), (), [NO_RULE]),
        ("one", (), [NO_RULE]),
        ("", (), [NO_RULE]),
        (sentence(4), (sentence(9, "answer"),), [PAIR, WHOLE]),
        (sentence(4), (sentence(14, "answer"), "no"), [PAIR, LONG, NO_RULE]),
        ("spell the word again", ("o p e r a t o r",), [PAIR, NO_RULE]),
        ("spell it", (" ".join("congratulations"),), [NO_RULE, NO_RULE]),
    ],
)
def test_rules_by_length(question: str, answers: tuple[str, ...], rules: list[int]):
    index = index_of(Item("1", question, answers))
    assert index.rules.tolist() == rules
    assert index.checkable.tolist() == [any(rules)]


def test_nothing_to_look_for_is_an_index_too():
    for sets in ([], [ItemSet("x", "eval", ())]):
        index = build_index(sets, CONFIG)
        assert (index.n_items, index.reach, len(index.grams), len(index.short)) == (0, 0, 0, 0)


def test_what_many_items_share_is_boilerplate_and_listed():
    opening = "please read the following question with care and then give the right letter"
    items = [Item(str(i), f"{opening} {sentence(20, f'item{i}x')}") for i in range(40)]
    index = index_of(*items)
    found = index.boilerplate[0]
    assert found.at_least_items == 3
    assert [(phrase.text, phrase.items) for phrase in found.phrases] == [(opening, 40)]
    assert found.grams == len(opening.split()) - 4
    places = index.small_grams.places.tolist()
    assert min(places) == len(opening.split()) - 4, "the last small gram of the opening alone begins one earlier"
    fresh = 13 - index.config.fresh_words
    assert min(index.grams.places.tolist()) == len(opening.split()) - fresh


def test_a_common_share_of_few_items_is_no_boilerplate():
    items = [Item(str(i), f"{sentence(10, 'both')} {sentence(20, f'item{i}x')}") for i in range(2)]
    assert index_of(*items).boilerplate[0].grams == 0


def test_equal_items_are_one_item_and_stay_checkable():
    index = index_of(*(Item(str(i), sentence(20)) for i in range(30)))
    assert index.boilerplate[0].grams == 0
    assert index.checkable.all()
    assert np.unique(index.grams.fields).tolist() == list(range(30))


def test_a_question_that_many_items_ask_is_no_evidence():
    asked = [Item(str(i), "which of these words is the odd one out", (f"answer{i}",)) for i in range(10)]
    index = index_of(*asked, Item("own", sentence(9)))
    assert index.checkable.tolist() == [False] * 10 + [True]
    assert index.boilerplate[0].phrases[0].text == asked[0].question


def test_boilerplate_is_judged_within_a_set():
    opening = sentence(20, "opening")
    shared = [Item(str(i), f"{opening} {sentence(20, f'item{i}x')}") for i in range(40)]
    alone = Item("alone", opening)
    index = build_index([ItemSet("a", "eval", tuple(shared)), ItemSet("b", "heldout", (alone,))], CONFIG)
    assert index.boilerplate[1].grams == 0 and index.checkable.tolist()[-1]


def test_half_of_the_small_grams_or_more_where_wording_prevails():
    index = index_of(Item("1", sentence(14)), Item("2", sentence(30, "other")))
    assert index.needed.tolist() == [5, 13]
    wording = (
        "choose the best ending for the following passage and explain your choice in simple words when the {} left"
    )
    index = index_of(*(Item(str(i), wording.format(f"person{i}")) for i in range(10)))
    assert set(index.needed.tolist()) == {0}, "one word of its own makes too few grams"
    two = wording + " with the {} before the others had come back from their long journey home"
    index = index_of(*(Item(str(i), two.format(f"person{i}", f"thing{i}")) for i in range(10)))
    assert set(index.needed.tolist()) == {9}, "all grams that hold one of the two words"


def test_items_are_numbered_through_all_sets():
    sets = [ItemSet("a", "eval", (Item("1", "x"), Item("2", "y"))), ItemSet("b", "benchmark", (Item("1", "z"),))]
    assert name_items(sets) == [("a", "1"), ("a", "2"), ("b", "1")]
    assert build_index(sets, CONFIG).n_items == 3


def test_rows_become_items():
    row = EvalRow(id="a", rule="exact", category="c", user="Who?", expected=["Nota", " "])
    assert item_of_row(row) == Item("a", "Who?", ("Nota",))
    messages = [Message(role="system", content="Be kind."), Message(role="user", content="Hi")]
    row = EvalRow(id="b", rule="option", category="c", messages=messages, options=["x", "y"], answer="y")
    assert build_row_set("s", "heldout", [row]).items == (Item("b", "Hi", ("y",)),)
    assert text_of_row(PairRow(user="u", assistant="a", system="s", category="c")) == "s\nu\na"
    turns = [Message(role=role, content=role) for role in ("user", "assistant")]
    assert text_of_row(ConversationRow(messages=turns, category="c")) == "user\nassistant"


@pytest.mark.parametrize("values", [{"whole_words": 14}, {"small_gram_words": 14}, {"fresh_words": 14}])
def test_lengths_out_of_order_are_refused(values: dict[str, int]):
    with pytest.raises(PicochatError) as err:
        ContaminationConfig.from_dict(values)
    assert err.value.code == "config.value"


def test_a_gram_that_a_field_repeats_has_one_posting():
    index = index_of(Item("1", f"{sentence(6)} {'again ' * 5000} {sentence(6)}"))
    assert len(index.grams.fields) == len(index.grams)
    assert index.small_grams.places.tolist().count(0) == 1 and len(index.small_grams.fields) == len(index.small_grams)
