"""Held-out rows against training rows as rows."""

from picochat.data.contamination.compare import RowHit, TrainRows
from picochat.data.conversations import ConversationRow, EvalRow, Message, PairRow


def train(*rows: PairRow | ConversationRow) -> TrainRows:
    found = TrainRows()
    for row in rows:
        found.add(row)
    return found


def held(user: str = "Another question?", expected: str = "no", **values) -> EvalRow:
    return EvalRow(id="h", rule="exact", category="c", user=user, expected=[expected], **values)


def pair(user: str, assistant: str = "yes", **values) -> PairRow:
    return PairRow(user=user, assistant=assistant, category="c", **values)


def test_equal_rows_and_equal_prompts_whatever_their_case_and_spaces():
    rows = train(pair("Other?"), pair("Who  made YOU?"), pair("who made you?", "Nota"))
    assert rows.compare([held("Who made you?", "nota")]) == [RowHit(0, "row", 2, "")]
    assert rows.compare([held("Who made you?", "Pico")]) == [RowHit(0, "prompt", 1, "")]
    assert rows.compare([held("Who made me?")]) == []


def test_a_system_message_and_earlier_turns_are_part_of_the_prompt():
    turns = [Message(role=role, content=text) for role, text in (("user", "Hi"), ("assistant", "Ho"), ("user", "Ha"))]
    rows = train(
        ConversationRow(messages=[*turns, Message(role="assistant", content="He")], category="c"),
        pair("Ha", system="Be kind"),
    )
    assert rows.compare([held("Ha")]) == []
    asked = EvalRow(id="h", rule="exact", category="c", messages=turns, expected=["he"])
    assert rows.compare([asked]) == [RowHit(0, "row", 0, "")]


def test_shared_templates_and_entities_are_named():
    rows = train(pair("a", template="t1", entities=["word:cat"]), pair("b", template="t2", entities=["word:dog"]))
    found = rows.compare([held(), held(template="t2", entities=["word:cat", "word:cow"])])
    assert found == [RowHit(1, "template", 1, "t2"), RowHit(1, "entity", 0, "word:cat")]


def test_operators_are_not_punctuation_here():
    assert train(pair("What is 12 + 3?")).compare([held("What is 12 - 3?")]) == []
