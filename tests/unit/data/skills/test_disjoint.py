"""The check finds every kind of planted leak in the finished text, and nothing in clean rows."""

from dataclasses import replace

import pytest

from picochat.data.skills.disjoint import check_disjoint, check_sides
from picochat.data.skills.rows import SkillRow, SkillRows


def first(rows: list[SkillRow], kind: str, **wanted: str) -> SkillRow:
    return next(
        row for row in rows if row.kind == kind and all(getattr(row, key) == value for key, value in wanted.items())
    )


def with_leaks(rows: SkillRows, *texts: tuple[str, str]) -> set[tuple[str, str]]:
    """What is found when the SFT rows are these texts, without any metadata."""
    leaks = [
        replace(rows.sft[0], user=user, assistant=assistant, core="", prefix="", suffix="", entities=())
        for user, assistant in texts
    ]
    found = check_disjoint(SkillRows(sft=leaks, heldout=rows.heldout, eval=rows.eval))
    return {(violation.kind, violation.what) for violation in found}


def with_leak(rows: SkillRows, user: str, assistant: str = "Yes.") -> set[tuple[str, str]]:
    """The same for one row."""
    return with_leaks(rows, (user, assistant))


def test_generated_rows_are_disjoint(rows: SkillRows) -> None:
    assert check_disjoint(rows) == []


@pytest.mark.parametrize("side", ["heldout", "eval"])
def test_rows_of_the_other_sides_are_found_by_wording_and_entity(rows: SkillRows, side: str) -> None:
    held: list[SkillRow] = getattr(rows, side)
    found = with_leaks(rows, *((row.user, row.assistant) for row in held))
    for row in held:
        assert {("core", row.core), ("prefix", row.prefix), ("suffix", row.suffix)} - found <= {
            ("prefix", ""),
            ("suffix", ""),
        }
        entities = [entity.split(":", 1) for entity in row.entities]
        assert {(kind, value.casefold()) for kind, value in entities} <= found


def test_wordings_are_found_whatever_fills_them(rows: SkillRows) -> None:
    assert with_leak(rows, "PLEASE spell “zzz” for me", "z z z") == {("core", 'Please spell "{w}" for me.')}
    assert with_leak(rows, "hi. calculate 1 + 2, will you?") == {("core", "Calculate {a} + {b}.")}
    assert with_leak(rows, "How should I tickle the ghost?") == {("core", "How should I {verb} the {object}?")}
    assert with_leak(rows, "Hello, no rush!") == {("suffix", " No rush.")}
    assert with_leak(rows, "This is Zed speaking. Hi") == {("prefix", "This is {name} speaking. ")}


def test_words_are_whole(rows: SkillRows) -> None:
    word = first(rows.eval, "spell").entities[0].removeprefix("word:")
    assert with_leak(rows, f"I like {word.upper()}!") == {("word", word)}
    assert with_leak(rows, "Hello", f"{word}=A") == {("word", word)}
    assert with_leak(rows, f"I like {word}zzz and zzz{word}.", " ".join(word)) == set()


def test_pairs_are_found_in_either_order_and_in_steps(rows: SkillRows) -> None:
    low, high = first(rows.heldout, "plus").entities[0].removeprefix("pair:").split(",")
    pair = ("pair", f"{low},{high}")
    assert with_leak(rows, f"{high} against {low}") == {pair}
    assert with_leak(rows, "Go", f"{low}+{high}=1") == {pair}
    assert with_leak(rows, f"Only {low} here", f"7 = {high}") == set()


def test_numbers_count_among_options_only(rows: SkillRows) -> None:
    number = first(rows.eval, "largest").entities[0].removeprefix("number:")
    assert with_leak(rows, f"Which?\n- {number}=A\n- 1=B") == {("number", number)}
    assert with_leak(rows, f"Is {number} a number?") == set()


def test_acts_are_verb_and_object_together(rows: SkillRows) -> None:
    verb, noun = first(rows.eval, "refuse").entities[0].removeprefix("act:").split("+")
    assert with_leak(rows, f"The {noun} is one to {verb}.") == {("act", f"{verb}+{noun}")}
    assert with_leak(rows, f"The {noun} sleeps.") == set()


@pytest.mark.parametrize("kind", ["name", "model"])
def test_names_are_found(rows: SkillRows, kind: str) -> None:
    value = next(e.split(":")[1] for row in rows.eval for e in row.entities if e.startswith(f"{kind}:"))
    assert with_leak(rows, f"Say hello to {value.lower()}, please") == {(kind, value.casefold())}


def test_heldout_and_eval_may_not_share(rows: SkillRows) -> None:
    row = first(rows.eval, "spell", prefix="", suffix="")
    found = {(violation.kind, violation.what) for violation in check_sides([row], [row])}
    assert found == {("core", row.core), ("word", row.entities[0].removeprefix("word:"))}


def test_an_entity_of_the_train_side_is_no_eval_entity(rows: SkillRows) -> None:
    word = first(rows.sft, "starts").entities[0]
    row = replace(first(rows.eval, "spell"), entities=(word,))
    assert [violation.what for violation in check_sides([], [row])] == [word.removeprefix("word:")]
