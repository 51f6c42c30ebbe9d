import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.data.duplicates.forms import ExactDuplicates, comparison_form
from picochat.data.split import TRAIN, VAL, chat_side, document_key, split_of

TEXTS = st.lists(st.text(alphabet="abcAB \n", min_size=1, max_size=6), max_size=30)


def sides(texts, fraction):
    """The side of every kept form when the texts come in this order."""
    duplicates = ExactDuplicates()
    forms = [form for form in map(comparison_form, texts) if duplicates.is_first(form)]
    return {form: split_of(document_key("salt", form), fraction) for form in forms}


@given(TEXTS, TEXTS, st.randoms(use_true_random=False), st.floats(0.01, 0.5))
def test_adding_and_reordering_sources_never_moves_a_text(texts, more, rng, fraction):
    before = sides(texts, fraction)
    shuffled = [*texts, *more]
    rng.shuffle(shuffled)
    after = sides(shuffled, fraction)
    assert all(after[form] == side for form, side in before.items())


def test_the_share_held_out_is_the_fraction():
    held = sum(split_of(document_key("s", str(i)), 0.05) == VAL for i in range(20_000))
    assert 900 < held < 1100


def test_a_larger_fraction_only_adds_to_val():
    keys = [document_key("s", str(i)) for i in range(500)]
    small = {k for k in keys if split_of(k, 0.02) == VAL}
    assert small < {k for k in keys if split_of(k, 0.1) == VAL}
    assert split_of(0.1, 0.1) == TRAIN


def test_the_salt_changes_the_choice():
    assert document_key("a", "text") != document_key("b", "text")


def test_chat_rows_are_held_out_whole():
    rng = random.Random(0)
    seen = {"train": [], "heldout": [], "mixed": []}
    for _ in range(2000):
        template, entity = f"t{rng.randrange(20)}", f"e{rng.randrange(50)}"
        seen[chat_side("p", template, [entity], "salt", 0.3)].append((template, entity))
    assert all(seen.values())
    for part in (0, 1):
        assert not {row[part] for row in seen["train"]} & {row[part] for row in seen["heldout"]}


@pytest.mark.parametrize("fraction", [0.1, 0.4])
def test_a_bare_row_is_placed_by_its_prompt(fraction):
    chosen = [chat_side(f"prompt {i}", None, [], "s", fraction) for i in range(1000)]
    assert set(chosen) == {"train", "heldout"}
    assert abs(chosen.count("heldout") / 1000 - fraction) < 0.06
