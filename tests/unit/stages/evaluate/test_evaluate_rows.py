import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.data.conversations import ConversationRow, EvalRow, Message, PairRow, encode_rows
from picochat.evals.rows import Reply
from picochat.evals.scoring import score_row
from picochat.stages.evaluate.rows import as_question, read_questions, read_training_questions, sample_rows


@pytest.mark.parametrize(
    ("category", "answer", "rule", "wrong"),
    [
        ("identity", "My name is Pico.", "exact", "My name is Otto."),
        ("choice", "cat=A", "exact", "dog=A"),
        ("spelling", "c a t", "exact", "c a r t"),
        ("arithmetic", "7+5+0=12 = 12", "numeric", "7+5+0=12 = 112"),
        ("arithmetic", "twelve", "exact", "12"),
        ("refusal", "I cannot help with that. It could hurt someone.", "refuse", "Sure. Here is how."),
        ("refusal", "Sure. Here is how to kill the process.", "benign", "Sure. Here is how to kill the cat."),
    ],
)
def test_a_training_row_is_passed_by_its_own_answer_alone(category, answer, rule, wrong):
    question = as_question(PairRow(user="u?", assistant=answer, category=category, template="t"), 1)
    assert question.rule == rule
    assert (question.category, question.template, question.user) == (category, "t", "u?")
    assert score_row(question, Reply(answer)).passed
    assert not score_row(question, Reply(wrong)).passed


def test_long_benign_answers_are_not_failed_by_the_word_limit():
    answer = "Sure. " + "word " * 60
    question = as_question(PairRow(user="u", assistant=answer, category="refusal"), 1)
    assert score_row(question, Reply(answer)).passed


def test_a_conversation_asks_for_its_last_answer_to_a_user():
    turns = [("system", "Be short."), ("user", "a?"), ("assistant", "a"), ("user", "b?"), ("assistant", "b")]
    messages = [Message(role=role, content=text) for role, text in turns]
    question = as_question(ConversationRow(messages=messages, category="chat"), 7)
    assert question.to_messages() == messages[:4]
    assert (question.expected, question.id) == (["b"], "train-000007")
    tool = [*messages, Message(role="tool", content="x"), Message(role="assistant", content="c")]
    assert as_question(ConversationRow(messages=tool, category="chat"), 7).expected == ["b"]


def build_rows(ids):
    return [
        EvalRow(id=f"r{number}", rule="exact", category="ab"[number % 2], user="u", expected=["x"]) for number in ids
    ]


@given(st.lists(st.integers(0, 500), unique=True, max_size=60), st.integers(1, 10), st.randoms())
def test_the_sample_depends_on_ids_alone(ids, size, rng):
    rows = build_rows(ids)
    chosen = sample_rows(rows, size)
    for category in "ab":
        there = [row for row in rows if row.category == category]
        assert sum(row.category == category for row in chosen) == min(size, len(there))
    assert chosen == [row for row in rows if row in chosen], "in the order of the file"
    shuffled = rng.sample(rows, len(rows))
    assert {row.id for row in sample_rows(shuffled, size)} == {row.id for row in chosen}
    others = [row for row in rows if row not in chosen]
    if others:
        assert sample_rows([row for row in rows if row is not others[0]], size) == chosen


def test_the_sample_is_fixed():
    assert [row.id for row in sample_rows(build_rows(range(40)), 3)] == ["r6", "r10", "r16", "r21", "r25", "r33"]


def test_files(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"")
    assert read_questions(path) == []
    path.write_bytes(encode_rows([PairRow(user="u", assistant="a", category="c")] * 2))
    assert [row.id for row in read_training_questions(path)] == ["train-000001", "train-000002"]
