import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.eval_surface import HOSTILE, eval_row

from picochat.core.errors import refuse
from picochat.views.evals.eval_rows import facets_of, show_row, text_of
from picochat.views.evals.shown import LIST_CHARS, shown

CHOICE = {
    "id": "q1",
    "group": "piqa",
    "kind": "choice",
    "prompt": "Question: which?\nAnswer:",
    "options": ["left", "right"],
    "answer": 1,
    "scores": [{"raw": -9.0, "per_byte": -2.2, "tokens": 2}, {"raw": -3.0, "per_byte": -0.6, "tokens": 2}],
    "passed": True,
    "shots": 0,
}
PAIR = {
    "id": "p/1",
    "paradigm": "passive_1",
    "good": "It is.",
    "bad": "It are.",
    "good_logprob": -9.0,
    "bad_logprob": -2.0,
    "passed": False,
}
PASSAGE = {"kind": "passage", "model": "sft", "side": "train", "document": 7, "wanted": [1, 2], "reply": [1, 2]}


def test_an_eval_row_shows_what_was_asked_and_answered():
    row = show_row(eval_row(3, "fail", repetition=True), 12)
    assert row["prompt"] == [{"role": "user", "text": "Spell word 3."}]
    assert (row["place"], row["expected"], row["reply"], row["reason"]) == (12, ["w 3"], "no idea", "differs")
    assert (row["verdict"], row["rule"], row["flags"], row["level"]) == ("fail", "exact", ["repetition"], "easy")
    assert ["template", "spelling.1"] in row["facts"] and ["entities", "word:w"] in row["facts"]


def test_a_conversation_keeps_its_roles_and_no_other_word_is_one():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "evil", "content": "x"}, "junk"]
    row = show_row(eval_row(0, user=None, messages=messages), 0)
    assert row["prompt"] == [{"role": "system", "text": "Be brief."}, {"role": "", "text": "x"}]


def test_options_say_which_is_right_and_which_was_likeliest():
    row = show_row(CHOICE, 0)
    assert [(o["text"], o["right"], o["chosen"], o["raw"]) for o in row["options"]] == [
        ("left", False, False, -9.0),
        ("right", True, True, -3.0),
    ]
    assert row["reply"] is None and row["verdict"] == "pass" and row["category"] == "piqa"
    pair = show_row(PAIR, 0)
    assert [(o["right"], o["chosen"]) for o in pair["options"]] == [(True, False), (False, True)]
    assert pair["rule"] == "pair" and pair["verdict"] == "fail"
    eval_option = eval_row(
        0, rule="option", options=["a=A", "b=B"], answer="b=B", reply="", option_scores=CHOICE["scores"]
    )
    assert [o["right"] for o in show_row(eval_option, 0)["options"]] == [False, True]
    unscored = show_row(CHOICE | {"scores": None, "fits": False}, 0)
    assert [o["chosen"] for o in unscored["options"]] == [None, None] and "did not fit" in unscored["reason"]


def test_a_passage_that_is_known_by_heart_fails_and_is_read_as_text():
    row = show_row(PASSAGE, 0, decode=lambda ids: "".join(chr(96 + number) for number in ids))
    assert (row["verdict"], row["expected"], row["reply"]) == ("fail", ["ab"], "ab") and "by heart" in row["reason"]
    assert facets_of(PASSAGE).category == "sft: passage" and facets_of(PASSAGE).id == "sft/passage/train/7"
    assert show_row(PASSAGE | {"reply": [1, 3]}, 0)["verdict"] == "pass"
    assert show_row(PASSAGE, 0)["reply"] == "tokens 1 2", "without a tokenizer the ids are shown"

    def unknown(ids):
        refuse("tokenizer.id", "id 2 is outside")

    assert show_row(PASSAGE, 0, decode=unknown)["reply"] == "tokens 1 2"


def test_hostile_text_is_text_and_what_nobody_sees_is_shown():
    row = show_row(eval_row(0, user=HOSTILE, reply=HOSTILE, category=HOSTILE), 0)
    for text in (row["prompt"][0]["text"], row["reply"], row["category"]):
        assert "\x1b" not in text and "\u202e" not in text
        assert r"\x1b[31m" in text and r"\u202e" in text and "<script>" in text


def test_long_text_is_cut_in_a_list_and_whole_alone():
    row = eval_row(0, reply="x" * 5000)
    listed, whole = show_row(row, 0), show_row(row, 0, whole=True)
    assert listed["cut"] and listed["reply"] == "x" * LIST_CHARS + "… (5,000 characters in all)"
    assert whole["reply"] == "x" * 5000 and not whole["cut"]
    assert shown(None) == "" and shown(3) == "3"


def test_a_search_sees_question_expected_and_reply_but_no_keys():
    text = text_of(eval_row(3, "fail", messages=[{"role": "user", "content": "ÜBER"}]))
    assert "spell word 3." in text and "w 3" in text and "no idea" in text and "über" in text
    assert "template" not in text


ANY = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=4), lambda x: st.lists(x, max_size=3))
KEYS = ["id", "user", "messages", "options", "scores", "option_scores", "answer", "expected", "reply", "kind", "wanted"]
KEYS += [
    "predicted",
    "verdict",
    "passed",
    "category",
    "good",
    "bad",
    "level",
    "rule",
    "entities",
    "item",
    "set",
    "reason",
]


@pytest.mark.parametrize("kind", [None, "passage", "cloze", "choice", "sample"])
@given(row=st.dictionaries(st.sampled_from(KEYS), ANY))
def test_no_row_breaks_the_view(kind, row):
    row = row if kind is None else row | {"kind": kind}
    found = show_row(row, 0)
    assert found["verdict"] in ("pass", "fail", None) and isinstance(found["prompt"], list)
    text_of(row)
