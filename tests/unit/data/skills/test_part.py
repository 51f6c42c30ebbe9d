"""A part at release size, read back from its files by rules that share nothing with the generators but the row schema.

Templates and entities of the three sets are searched for in the finished text of the SFT rows, whole words at a time.
"""

import json
import random
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_bytes
from picochat.data.conversations import EvalRow, PairRow, read_chat_rows, read_eval_rows
from picochat.data.skills.config import SKILLS, Identity, SkillsPartConfig
from picochat.data.skills.generate import WORDINGS, draw_unique
from picochat.data.skills.identity import IdentitySkill
from picochat.data.skills.part import (
    CHAT,
    EVAL,
    FILES,
    FRAGMENT,
    HELDOUT,
    MANIFEST,
    build_part,
    require_free,
    write_part,
)
from picochat.data.skills.refusal import list_acts
from picochat.data.skills.rows import SkillRow, SkillRows, Split
from picochat.data.skills.templates_arithmetic import REVERSED
from picochat.data.skills.templates_refusal import HARMFUL_VERBS, PERSONS
from picochat.evals.rows import OptionScore, Reply
from picochat.evals.scoring import score_row

SEEDS = (1, 2, 17)
WORDS = {"pack": "made", "sources": []}


def part_config(**skills: Any) -> SkillsPartConfig:
    return SkillsPartConfig.from_dict({"skills": {"sft_rows": 1600, **skills}})


class Part:
    """The rows of one folder."""

    def __init__(self, folder: Path) -> None:
        self.sft = [row for row in read_chat_rows(folder / CHAT) if isinstance(row, PairRow)]
        self.heldout, self.eval = read_eval_rows(folder / HELDOUT), read_eval_rows(folder / EVAL)
        self.manifest = json.loads((folder / MANIFEST).read_text())

    @property
    def questions(self) -> list[EvalRow]:
        return [*self.heldout, *self.eval]


@pytest.fixture(scope="module", params=SEEDS)
def part(request: pytest.FixtureRequest, documents: list[str], tmp_path_factory: pytest.TempPathFactory) -> Part:
    folder = tmp_path_factory.mktemp("part") / "skills"
    write_part(folder, build_part(part_config(seed=request.param), documents, WORDS))
    return Part(folder)


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+|\d+", text.casefold())


def entities_of(rows: Iterable[EvalRow | PairRow]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for entity in row.entities:
            kind, value = entity.split(":", 1)
            found[kind].add(value.casefold())
    return found


def test_a_part_has_release_size(part: Part) -> None:
    assert len(part.sft) >= 1600 and len(part.eval) >= 1000
    assert set(Counter(row.category for row in part.sft)) == set(SKILLS)
    for rows in (part.heldout, part.eval):
        counts = Counter((row.category, row.rule == "benign") for row in rows)
        assert all(counts[skill, False] >= 200 for skill in SKILLS) and counts["refusal", True] == 200
    levels = Counter((row.category, row.level) for row in part.eval)
    assert all(levels[skill, level] >= 50 for skill in ("arithmetic", "spelling") for level in ("easy", "hard"))


def test_no_held_out_word_name_or_model_stands_in_an_sft_row(part: Part) -> None:
    """The whole-word search: every held-out and eval entity that is a word, in prompts and answers."""
    held = entities_of(part.questions)
    seen = {word for row in part.sft for word in words_of(f"{row.user} {row.assistant}")}
    for kind in ("word", "name", "model"):
        assert len(held[kind]) >= 20
        assert held[kind] & seen == set()


def test_no_held_out_pair_number_or_act_stands_in_an_sft_row(part: Part) -> None:
    held = entities_of(part.questions)
    assert min(len(held[kind]) for kind in ("pair", "number", "act")) >= 80
    for row in part.sft:
        question = row.user.split("\n")[0]
        words = words_of(f"{row.user} {row.assistant}")
        if row.category == "arithmetic":
            first, second = sorted(map(int, re.findall(r"\d+", question)))
            steps = [sorted(map(int, step)) for step in re.findall(r"(\d+)[-+*](\d+)[-+]", row.assistant)]
            assert {f"{a},{b}" for a, b in [(first, second), *steps]} & held["pair"] == set()
        if row.category == "choice":
            assert set(re.findall(r"^- (\d+)=", row.user, re.MULTILINE)) & held["number"] == set()
        verbs_and_nouns = {f"{verb}+{noun}" for verb in words for noun in words}
        assert verbs_and_nouns & held["act"] == set()


def test_no_template_of_the_other_sets_fits_an_sft_prompt(part: Part) -> None:
    """Wordings as patterns over the finished text, their slots open to any word."""
    used = {row.template for row in part.questions}
    patterns = {}
    for skill, kinds in WORDINGS.items():
        for kind, sides in kinds.items():
            for side in ("heldout", "eval"):
                for place, core in enumerate(sides[side]):
                    slots = re.sub(r"\\\{\w+\\\}", r"\\w+", re.escape(core.casefold()))
                    patterns[f"{skill}.{kind}.{side}.{place:02d}"] = re.compile(rf"(?<!\w){slots}(?!\w)")
    assert used <= patterns.keys() and len(used) >= 200
    prompts = [row.user.casefold() for row in part.sft]
    assert [name for name in used if name and any(patterns[name].search(prompt) for prompt in prompts)] == []
    for row in part.questions:
        assert patterns[row.template or ""].search((row.user or "").casefold()), "the patterns find their own rows"


def test_the_three_sets_share_no_template_entity_or_prompt(part: Part) -> None:
    for get in (
        lambda rows: {row.template for row in rows},
        lambda rows: {entity for row in rows for entity in row.entities},
        lambda rows: {" ".join(words_of(row.user)) for row in rows},
    ):
        sides = [get(part.sft), get(part.heldout), get(part.eval)]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
        assert all(sides)
    assert part.manifest["separation"] == {"shared_prompts": 0, "violations": 0}


def test_the_right_letters_are_balanced_within_two_per_cent(part: Part) -> None:
    keys = [[row.assistant.rsplit("=", 1)[1] for row in part.sft if row.category == "choice"]]
    sizes = [[row.user.count("\n- ") for row in part.sft if row.category == "choice"]]
    for rows in (part.heldout, part.eval):
        asked = [row for row in rows if row.rule == "option"]
        keys.append([(row.answer or "")[-1] for row in asked])
        sizes.append([len(row.options) for row in asked])
    for letters, counts in zip(keys, sizes, strict=True):
        found = Counter(zip(counts, letters, strict=True))
        totals = Counter(counts)
        assert set(totals) == {2, 3, 4, 5}
        assert all(abs(found[n, letter] / totals[n] - 1 / n) <= 0.02 for n in totals for letter in "ABCDE"[:n])
    assert max(entry["choice_key"]["max_deviation"] for entry in part.manifest["sets"].values()) <= 0.02


def reply_to(row: EvalRow, right: bool) -> Reply:
    """The row's own expected answer, or one that says something else."""
    if row.rule == "option":
        best = row.answer if right else next(option for option in row.options if option != row.answer)
        return Reply("", True, [OptionScore(-float(option != best), -float(option != best)) for option in row.options])
    if row.rule == "refuse":
        return Reply("I cannot help with that." if right else "Sure. Here is how.")
    if row.rule == "benign":
        return Reply(f"Sure. Here is how to {row.expected[0]}." if right else "I cannot help with that.")
    if row.rule == "word":
        return Reply(f"It is {row.expected[0]}." if right else f"It is {row.distractors[0]}.")
    if row.rule == "numeric":
        return Reply(row.expected[0] if right else str(int(row.expected[0]) + 1))
    return Reply(row.expected[0] if right else row.expected[0] + " x")


def test_every_question_is_passed_by_its_answer_and_failed_by_another(part: Part) -> None:
    for row in part.questions:
        assert score_row(row, reply_to(row, True)).passed, row
        assert not score_row(row, reply_to(row, False)).passed, row
        if row.rule == "word":
            both = f"It is {row.expected[0]} or {row.distractors[-1]}."
            assert not score_row(row, Reply(both)).passed, "a distractor beside the answer is no answer"


def test_the_answer_of_one_question_does_not_pass_most_others(part: Part) -> None:
    """A reply that never changes fails: of each skill the most frequent answer passes under half."""
    for skill in ("identity", "arithmetic", "spelling"):
        rows = [row for row in part.eval if row.category == skill]
        answers = Counter(row.expected[0] for row in rows)
        assert answers.most_common(1)[0][1] / len(rows) < 0.5, (skill, answers.most_common(3))


def test_the_manifest_counts_what_the_files_hold(part: Part, documents: list[str]) -> None:
    for name, rows in (("sft", part.sft), ("heldout", part.heldout), ("eval", part.eval)):
        entry = part.manifest["sets"][name]
        assert entry["rows"] == len(rows)
        for skill in SKILLS:
            mine = [row for row in rows if row.category == skill]
            found = entry["skills"][skill]
            assert found["rows"] == len(mine)
            assert found["templates"] == dict(Counter(row.template for row in mine))
            assert found["entities"] == {kind: len(values) for kind, values in entities_of(mine).items()}
            if name != "sft":
                assert found["levels"] == dict(Counter(row.level for row in mine))


def test_the_same_settings_give_the_same_bytes(documents: list[str]) -> None:
    first, again = (build_part(part_config(), documents, WORDS) for _ in range(2))
    other = build_part(part_config(seed=2), documents, WORDS)
    assert first == again and tuple(first) == FILES
    assert all(first[name] != other[name] for name in (CHAT, HELDOUT, EVAL, MANIFEST))
    assert first[FRAGMENT] == other[FRAGMENT]
    digests = json.loads(first[MANIFEST])["files"]
    assert {name: entry["sha256"] for name, entry in digests.items()} == {
        name: sha256_bytes(first[name]) for name in FILES[:-1]
    }


@pytest.mark.parametrize("style", ["steps", "direct"])
def test_both_styles_ask_the_same_and_answer_their_own_way(documents: list[str], style: str) -> None:
    files = build_part(part_config(style=style), documents, WORDS)
    rows = [row for row in map(json.loads, files[CHAT].splitlines()) if row["category"] == "arithmetic"]
    assert len(rows) == 320
    assert all((" = " in row["assistant"]) == (style == "steps") for row in rows)
    assert files[EVAL] == build_part(part_config(), documents, WORDS)[EVAL]


def test_reversed_results_are_a_level_of_their_own(documents: list[str], tmp_path: Path) -> None:
    write_part(tmp_path, build_part(part_config(reversed_frac=0.4), documents, WORDS))
    part = Part(tmp_path)
    levels = Counter(row.level for row in part.eval if row.category == "arithmetic")
    assert set(levels) == {"easy", "hard", "reversed"} and levels["reversed"] >= 50
    seen = {row.level: row for row in part.eval if row.category == "arithmetic"}
    assert seen["reversed"].template != seen["hard"].template
    for row in part.questions:
        if row.level == "reversed":
            plain = re.search(r"(\d+),(\d+)", row.entities[0])
            assert plain is not None
            a, b = map(int, plain.groups())
            assert row.expected[0][::-1] in {str(a + b), str(b - a), str(a * b)}
    seen_text = "\n".join(row.user for row in part.sft).casefold()
    turned = [row for row in part.sft if row.template and row.template.endswith(".reversed")]
    assert 0.3 < len(turned) / 320 < 0.5
    assert all(row.assistant.rsplit(" ", 1)[1] == row.assistant.rsplit(" = ", 1)[1] for row in turned)
    for side in ("heldout", "eval"):
        for ending in REVERSED[side]:
            assert ending.strip(" .").casefold() not in seen_text
    assert part.manifest["separation"] == {"shared_prompts": 0, "violations": 0}


def test_the_fragment_is_toml_with_the_identity(documents: list[str]) -> None:
    identity = {"name": "Nota", "maker": 'the "quoted" lab', "purpose": "sort notes", "cannot": "see C:\\files"}
    config = SkillsPartConfig.from_dict({"skills": {"sft_rows": 100}, "identity": identity})
    found = tomllib.loads(build_part(config, documents, WORDS)[FRAGMENT].decode())
    assert found["identity"] == Identity.from_dict(identity).as_dict()
    assert [entry["side"] for entry in found["chat"]] == ["train", "heldout"] and found["eval"] == [{"path": EVAL}]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"sft_rows": 5}, "at least 13"),
        ({"sft_rows": 0}, "at least 13"),
        ({"sft_rows": 10**9}, "at most 1,000,000"),
        ({"eval_rows_per_skill": 0}, "0 eval rows"),
        ({"heldout_rows_per_skill": 0}, "0 held-out rows"),
    ],
)
def test_impossible_sizes_are_refused(documents: list[str], values: dict[str, int], text: str) -> None:
    with pytest.raises(PicochatError, match=text) as caught:
        build_part(part_config(**values), documents, WORDS)
    assert (caught.value.code, caught.value.exit_code) == ("skills.rows", 2)


def test_a_pool_that_is_too_small_says_how_many_rows_are_possible() -> None:
    def possible(split: Split, share: float) -> tuple[int, str]:
        skill = IdentitySkill(split, random.Random(1), Identity())
        with pytest.raises(PicochatError, match="identity has no more new prompts after") as caught:
            draw_unique(skill, 10**6, share)
        count = re.search(r"at most ([\d,]+) ", caught.value.fix)
        assert count is not None and caught.value.code == "skills.rows"
        return int(count.group(1).replace(",", "")), caught.value.fix

    rows, text = possible("heldout", 1.0)
    assert 1000 < rows < 10_000 and text.endswith("heldout rows a skill")
    assert len(draw_unique(IdentitySkill("heldout", random.Random(1), Identity()), rows)) == rows, "so many there are"


def test_of_sft_rows_the_possible_number_is_that_of_all_skills(rows: SkillRows) -> None:
    class Stuck:
        def draw(self) -> SkillRow:
            return rows.sft[0]

    with pytest.raises(PicochatError) as caught:
        draw_unique(Stuck(), 3, 0.04)
    assert caught.value.fix == "ask for at most 25 SFT rows in all"


def test_an_identity_that_names_a_held_out_act_is_refused(documents: list[str]) -> None:
    rows = [json.loads(line) for line in build_part(part_config(), documents, WORDS)[EVAL].splitlines()]
    asked = {entity for row in rows for entity in row.get("entities", [])}
    verb, noun = next(act for act in list_acts(HARMFUL_VERBS, PERSONS, "eval") if f"act:{'+'.join(act)}" in asked)
    config = SkillsPartConfig.from_dict({"skills": {"sft_rows": 1600}, "identity": {"purpose": f"{verb} the {noun}"}})
    with pytest.raises(PicochatError, match=f"{verb}.{noun}") as caught:
        build_part(config, documents, WORDS)
    assert (caught.value.code, caught.value.exit_code) == ("skills.disjoint", 4)


def test_a_folder_with_other_files_is_refused_and_an_unfinished_one_is_not(tmp_path: Path) -> None:
    require_free(tmp_path / "new")
    require_free(tmp_path)
    (tmp_path / CHAT).write_text("half")
    require_free(tmp_path)
    (tmp_path / MANIFEST).write_text("{}")
    for folder in (tmp_path, tmp_path / CHAT):
        with pytest.raises(PicochatError) as caught:
            require_free(folder)
        assert (caught.value.code, caught.value.exit_code) == ("skills.folder", 2)
    (tmp_path / MANIFEST).rename(tmp_path / "notes.txt")
    with pytest.raises(PicochatError, match=r"notes\.txt"):
        require_free(tmp_path)
