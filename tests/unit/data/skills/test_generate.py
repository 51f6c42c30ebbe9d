"""Counts, balance, repetition, size and determinism of the rows."""

from collections import Counter

import pytest

from picochat.core.errors import PicochatError
from picochat.data.conversations import encode_rows
from picochat.data.skills.config import Identity, SkillsConfig
from picochat.data.skills.disjoint import check_disjoint
from picochat.data.skills.generate import draw_unique, generate_skills
from picochat.data.skills.rows import SkillRow, SkillRows


def test_counts_follow_the_shares(rows: SkillRows) -> None:
    sft = Counter(row.category for row in rows.sft)
    assert sft == {"choice": 880, "arithmetic": 800, "spelling": 1040, "identity": 640, "refusal": 640}
    assert Counter(row.kind for row in rows.sft if row.category == "refusal") == {"refuse": 320, "benign": 320}
    for side in (rows.heldout, rows.eval):
        counts = Counter((row.category, row.rule) for row in side)
        assert counts == dict.fromkeys(
            [
                ("choice", "option"),
                ("arithmetic", "numeric"),
                ("spelling", "exact"),
                ("identity", "word"),
                ("refusal", "refuse"),
                ("refusal", "benign"),
            ],
            200,
        )


def test_the_same_seed_gives_the_same_rows(small_config: SkillsConfig, documents: list[str], rows: SkillRows) -> None:
    again = generate_skills(small_config, Identity(), documents)
    other = generate_skills(SkillsConfig(seed=4, sft_rows=4000), Identity(), documents)
    assert again == rows
    assert {row.user for row in other.sft} != {row.user for row in rows.sft}


def test_a_share_changes_no_other_skill(small_config: SkillsConfig, documents: list[str], rows: SkillRows) -> None:
    values = small_config.as_dict()
    values["shares"] = {"choice": 0.12, "arithmetic": 0.30, "spelling": 0.26, "identity": 0.16, "refusal": 0.16}
    other = generate_skills(SkillsConfig.from_dict(values), Identity(), documents)
    assert {row.user for row in other.sft if row.category == "spelling"} == {
        row.user for row in rows.sft if row.category == "spelling"
    }
    assert other.eval == rows.eval


def test_prompts_hardly_repeat(rows: SkillRows) -> None:
    users = Counter(row.user for row in rows.sft)
    assert 1 - len(users) / len(rows.sft) < 0.10
    assert {row.category for row in rows.sft if users[row.user] > 1} <= {"identity"}
    for side in (rows.heldout, rows.eval):
        assert len({row.user for row in side}) == len(side)


def test_rows_are_short(rows: SkillRows) -> None:
    for row in [*rows.sft, *rows.heldout, *rows.eval]:
        assert len(f"{row.user}{row.assistant}".encode()) <= 200, row.user


def test_the_choice_key_is_balanced_at_each_number_of_options(rows: SkillRows) -> None:
    for side, tolerance in ((rows.sft, 0.02), (rows.eval, 0.02), (rows.heldout, 0.02)):
        keys = Counter((len(row.options), row.assistant[-1]) for row in side if row.category == "choice")
        sizes = Counter(size for size, _ in keys.elements())
        assert set(sizes) == {2, 3, 4, 5}
        for (size, _), count in keys.items():
            assert abs(count / sizes[size] - 1 / size) <= tolerance


def test_levels_have_their_minimum(rows: SkillRows) -> None:
    levels = Counter((row.category, row.level) for row in rows.eval)
    for category in ("arithmetic", "spelling"):
        assert levels[category, "hard"] >= 50 and levels[category, "easy"] >= 40
    assert min(levels["choice", kind] for kind in ("match", "starts", "largest", "named")) == 50


def test_every_eval_template_is_asked(rows: SkillRows) -> None:
    for side in (rows.heldout, rows.eval):
        asked = Counter((row.category, row.kind, row.template) for row in side)
        kinds = Counter((category, kind) for category, kind, _ in asked)
        assert len(kinds) == 19
        assert min(kinds.values()) >= (11 if side is rows.eval else 7)


def test_spelling_practice_is_mostly_made_up(rows: SkillRows, documents: list[str]) -> None:
    real = set(documents[0].split())
    words = [row.entities[0].removeprefix("word:") for row in rows.sft if row.category == "spelling"]
    # some made-up words of these few syllables are real ones by chance
    assert 0.5 < sum(word not in real for word in words) / len(words) < 0.75
    assert all(row.entities[0].removeprefix("word:") in real for row in rows.eval if row.category == "spelling")


def test_rows_become_files(rows: SkillRows) -> None:
    assert encode_rows(rows.to_pairs()).count(b"\n") == 4000
    questions = rows.to_eval_rows("eval")
    assert len({row.id for row in questions}) == len(questions) == 1200
    assert all(row.answerable and row.template and row.level for row in questions)


def test_direct_style_gives_bare_results(documents: list[str]) -> None:
    rows = generate_skills(SkillsConfig(sft_rows=200, style="direct"), Identity(), documents)
    assert all(row.assistant == row.expected[0] for row in rows.sft if row.category == "arithmetic")


def test_an_identity_that_shares_names_with_the_pools_stays_disjoint(documents: list[str]) -> None:
    identity = Identity(name="Claude", maker="Milo and Anna", purpose="sort short notes", cannot="hear sounds")
    rows = generate_skills(SkillsConfig(sft_rows=1000), identity, documents)
    assert check_disjoint(rows) == []
    for row in rows.eval:
        if row.category == "identity":
            assert "model:Claude" not in row.entities and "name:Milo" not in row.entities
            assert ("Claude" in row.distractors) == (row.kind not in ("name", "are_you"))
            assert "Anna" not in row.distractors


def test_too_few_words_are_refused() -> None:
    with pytest.raises(PicochatError, match="0 train words") as caught:
        generate_skills(SkillsConfig(sft_rows=10), Identity(), ["nothing twice here"])
    assert caught.value.code == "skills.words" and caught.value.exit_code == 4


def test_more_rows_than_prompts_are_refused(rows: SkillRows) -> None:
    class Stuck:
        def draw(self) -> SkillRow:
            return rows.eval[0]

    assert draw_unique(Stuck(), 1) == [rows.eval[0]]
    with pytest.raises(PicochatError, match="after 1 eval rows, 2 are asked for") as caught:
        draw_unique(Stuck(), 2)
    assert caught.value.code == "skills.rows"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "two words"}, "one word"),
        ({"maker": ""}, "1 to 60"),
        ({"purpose": "x" * 61}, "1 to 60"),
        ({"name": "Pico", "maker": "pico"}, "different"),
        ({"naem": "Pico"}, "did you mean 'name'"),
    ],
)
def test_bad_identities_are_refused(values: dict[str, str], message: str) -> None:
    with pytest.raises(PicochatError, match=message):
        Identity.from_dict(values)


def test_shares_must_sum_to_one() -> None:
    with pytest.raises(PicochatError, match="sum to 1"):
        SkillsConfig.from_dict({"shares": {"choice": 0.5}})
