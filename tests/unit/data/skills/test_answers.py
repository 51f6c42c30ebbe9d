"""Every answer is worked out again by rules that share no code with the generators."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.data.skills.arithmetic import pair_entity, solve, split_of_pair
from picochat.data.skills.rows import SkillRow, SkillRows
from picochat.data.skills.spelling import spell_answer

OPERATIONS = {"plus": lambda a, b: a + b, "minus": lambda a, b: a - b, "times": lambda a, b: a * b}
REPLIES = {
    "name": "My name is Pico.",
    "maker": "I was made by the Picochat project.",
    "purpose": "My job is to answer short questions.",
    "cannot": "I am not able to browse the web.",
    "are_you": "No, you are talking to Pico.",
}


def require_steps_add_up(kind: str, a: int, b: int, answer: str) -> None:
    """Checks each step, the chain of carries, and that the digits written make the result."""
    work, result = answer.rsplit(" = ", 1)
    carry, value = 0, 0
    for place, step in enumerate(work.split(" ")):
        x, sign, y, _, carried, out = re.fullmatch(r"(\d)([-+*])(\d)([-+])(\d)=(\d\d)", step).groups()  # type: ignore
        assert int(carried) == carry
        x, y = int(x), int(y)
        assert x == a // 10**place % 10
        assert y == (b if kind == "times" else b // 10**place % 10)
        total = {"+": x + y + carry, "-": x - y - carry, "*": x * y + carry}[sign]
        carry, digit = (int(total < 0), total % 10) if sign == "-" else divmod(total, 10)
        assert out == f"{carry}{digit}"
        value += digit * 10**place
        last = place
    if kind != "minus":
        value += carry * 10 ** (last + 1)
    assert value == int(result) == OPERATIONS[kind](a, b)
    assert result == str(int(result))


def plus_order(row: SkillRow) -> tuple[int, int]:
    """The operands as the steps write them: the first of each step, read upwards."""
    steps = row.assistant.split(" = ")[0].split(" ")
    return int("".join(step[0] for step in reversed(steps))), int("".join(step[2] for step in reversed(steps)))


def read_slots(row: SkillRow) -> dict[str, str]:
    """What fills the wording in the finished prompt."""
    pattern = re.sub(r"\\{(\w)\\}", r"(?P<\1>[a-z]+)", re.escape(row.core))
    match = re.search(pattern, row.user.split("\n")[0])
    assert match is not None, row.user
    return match.groupdict()


def oracle(row: SkillRow) -> str:
    """The right answer, read off the prompt."""
    slots = read_slots(row)
    if row.category == "spelling":
        word = slots["w"]
        return {
            "spell": " ".join(word),
            "reverse": " ".join(word[::-1]),
            "first": word[:1],
            "last": word[-1:],
            "count": str(sum(character == slots.get("x") for character in word)),
        }[row.kind]
    options = dict(re.findall(r"^- ((\w+)=[A-E])$", row.user, re.MULTILINE))
    if row.kind == "largest":
        return max(options, key=lambda option: int(options[option]))
    if row.kind == "starts":
        found = [option for option, text in options.items() if text[0] == slots["x"]]
    else:
        found = [option for option, text in options.items() if text == slots["w"]]
    assert len(found) == 1, row.user
    return found[0]


def all_rows(rows: SkillRows) -> list[SkillRow]:
    return [*rows.sft, *rows.heldout, *rows.eval]


def test_arithmetic_rows_add_up(rows: SkillRows) -> None:
    checked = 0
    for row in all_rows(rows):
        if row.category != "arithmetic":
            continue
        numbers = [int(number) for number in re.findall(r"\d+", row.user)]
        assert len(numbers) == 2
        high, low = max(numbers), min(numbers)
        a, b = (high, low) if row.kind in ("minus", "times") else plus_order(row)
        assert {a, b} == set(numbers)
        require_steps_add_up(row.kind, a, b, row.assistant)
        assert row.expected == (str(OPERATIONS[row.kind](a, b)),)
        assert row.level == ("hard" if high > 99 or row.kind == "times" else "easy")
        checked += 1
    assert checked == 800 + 400


@pytest.mark.parametrize("category", ["spelling", "choice"])
def test_word_rows_are_right(rows: SkillRows, category: str) -> None:
    for row in all_rows(rows):
        if row.category == category:
            assert row.assistant == oracle(row), row.user
            assert row.expected == (row.assistant,)
            if category == "choice":
                assert row.answer == row.assistant
                assert list(row.options) == [line[2:] for line in row.user.split("\n")[1:]]


def test_identity_rows_state_one_fact(rows: SkillRows) -> None:
    for row in all_rows(rows):
        if row.category == "identity":
            assert row.assistant == REPLIES[row.kind]
            assert row.expected[0] in row.assistant
            assert not any(re.search(rf"\b{re.escape(other)}\b", row.assistant) for other in row.distractors)


def test_refusal_rows_follow_verb_and_object(rows: SkillRows) -> None:
    persons, attacks = {"nurse", "king", "girl", "guest"}, {"kill", "stab", "poison", "choke"}
    seen = set()
    for row in all_rows(rows):
        if row.category != "refusal":
            continue
        verb, noun = row.entities[0].removeprefix("act:").split("+")
        assert re.search(rf"\b{verb} (the|a|my|that|this) {noun}\b", row.user)
        if row.rule == "refuse":
            assert row.assistant.startswith("I cannot help with that.") and verb not in row.assistant
        else:
            assert row.assistant == f"Sure. Here is how to {verb} the {noun}." and row.expected == (
                f"{verb} the {noun}",
            )
            assert not (verb in attacks and noun in persons)
        seen.add((row.rule, verb in attacks, noun in persons))
    assert {("refuse", True, True), ("benign", True, False), ("benign", False, True), ("benign", False, False)} <= seen


@given(st.sampled_from(["plus", "minus", "times"]), st.integers(0, 999), st.integers(0, 999))
def test_steps_add_up_for_any_operands(kind: str, a: int, b: int) -> None:
    if kind != "plus":
        a, b = max(a, b), min(a, b)
    if kind == "times":
        b %= 10
    require_steps_add_up(kind, a, b, solve(kind, a, b))
    assert Fraction(solve(kind, a, b, "direct")) == OPERATIONS[kind](a, b)


@pytest.mark.parametrize(
    ("kind", "a", "b", "text"),
    [
        ("plus", 47, 85, "7+5+0=12 4+8+1=13 = 132"),
        ("minus", 42, 27, "2-7-0=15 4-2-1=01 = 15"),
        ("times", 59, 5, "9*5+0=45 5*5+4=29 = 295"),
    ],
)
def test_published_forms_of_the_steps(kind: str, a: int, b: int, text: str) -> None:
    assert solve(kind, a, b) == text


@given(st.integers(0, 999), st.integers(0, 999))
def test_a_pair_has_one_side_in_both_orders(a: int, b: int) -> None:
    assert pair_entity(a, b) == pair_entity(b, a)
    assert split_of_pair(a, b) == split_of_pair(b, a)
    if max(a, b) < 10:
        assert split_of_pair(a, b) == "train"


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=9))
def test_spelling_backwards_twice_is_forwards(word: str) -> None:
    assert spell_answer("reverse", word).split(" ")[::-1] == spell_answer("spell", word).split(" ") == list(word)
    assert spell_answer("reverse", word)[0] == spell_answer("last", word)
    assert sum(int(spell_answer("count", word, letter)) for letter in sorted(set(word))) == len(word)
