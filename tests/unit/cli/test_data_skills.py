"""picochat data skills: what it writes, what it prints, and what it refuses."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from picochat.cli.app import cli
from picochat.core.errors import PicochatError


def skills(*argv: object):
    return CliRunner().invoke(cli, ["data", "skills", *map(str, argv)], catch_exceptions=False, standalone_mode=False)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text file with enough words for every side."""
    heads = [a + b for a in "bcdfghklmnprst" for b in "aeo"]
    tails = ("b", "nd", "rk", "st", "mle", "nter", "rgo", "lish", "vent", "t", "cken", "pal")
    text = " ".join([head + tail for head in heads for tail in tails] + [a + b + "n" for a in heads for b in heads])
    path = tmp_path_factory.mktemp("words") / "words.txt"
    path.write_text(f"{text}\n\n\nOnce more. {text}\n")
    return path


def small(words: Path) -> list[object]:
    return ["--rows", 60, "--eval-per-skill", 5, "--set", "skills.heldout_rows_per_skill=4", "--set", f"words={words}"]


def test_a_part_is_written_shown_and_the_same_twice(tmp_path: Path, words: Path):
    shown = skills("--out-dir", tmp_path / "a", *small(words)).output
    assert "learn from" in shown and "spelling" in shown and "part.toml" in shown
    document = json.loads(skills("--out-dir", tmp_path / "b", *small(words), "--json").output)
    assert document["sets"]["eval"]["skills"]["refusal"]["rules"] == {"benign": 5, "refuse": 5}
    assert document["words"] == {
        "pack": "words",
        "sources": [{"id": "words", "revision": "unknown", "licence": "unknown"}],
    }
    assert skills("--out-dir", tmp_path / "c", *small(words), "--quiet", "--seed", 9).output == ""
    a, b, c = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "abc")
    assert a == b and a["chat.jsonl"] != c["chat.jsonl"]


def test_the_identity_comes_from_a_file_and_set_comes_last(tmp_path: Path, words: Path):
    facts = 'name = "Nota"\nmaker = "a small lab"\npurpose = "sort notes"\ncannot = "hear sounds"\n'
    (tmp_path / "facts.toml").write_text(facts)
    (tmp_path / "pack.toml").write_text(f'schema = "pack/1"\nname = "p"\n[identity]\n{facts}')
    for name in ("facts", "pack"):
        named = ["--identity", tmp_path / f"{name}.toml", "--set", "identity.maker=two friends", "--style", "direct"]
        document = json.loads(skills("--out-dir", tmp_path / name, *small(words), *named, "--json").output)
        assert document["config"]["identity"] == {
            "name": "Nota",
            "maker": "two friends",
            "purpose": "sort notes",
            "cannot": "hear sounds",
        }
        assert document["config"]["skills"]["style"] == "direct"
    rows = (tmp_path / "facts" / "chat.jsonl").read_text()
    assert "I was made by two friends." in rows and "Pico" not in rows and " = " not in rows


@pytest.mark.parametrize(
    ("argv", "code", "exit_code"),
    [
        (["--rows", "3"], "skills.rows", 2),
        (["--eval-per-skill", "0"], "skills.rows", 2),
        (["--seed", "-1"], "config.value", 2),
        (["--set", "skills.rows=7"], "config.key", 2),
        (["--set", "identity.name=two words"], "config.value", 2),
        (["--set", "words=/nowhere/at/all"], "usage.path", 2),
        (["--identity", "/nowhere.toml"], "usage.path", 2),
    ],
)
def test_what_cannot_be_made_is_refused_and_leaves_nothing(tmp_path: Path, argv: list[str], code: str, exit_code: int):
    with pytest.raises(PicochatError) as caught:
        skills("--out-dir", tmp_path / "out", *argv)
    assert (caught.value.code, caught.value.exit_code) == (code, exit_code)
    assert not (tmp_path / "out").exists()


def test_too_few_words_and_a_taken_folder_are_refused(tmp_path: Path, words: Path):
    (tmp_path / "few.txt").write_text("only a few words\n\n\nonly a few words")
    with pytest.raises(PicochatError) as caught:
        skills("--out-dir", tmp_path / "out", "--set", f"words={tmp_path / 'few.txt'}")
    assert (caught.value.code, caught.value.exit_code) == ("skills.words", 4)
    skills("--out-dir", tmp_path / "out", *small(words))
    with pytest.raises(PicochatError) as caught:
        skills("--out-dir", tmp_path / "out", *small(words))
    assert (caught.value.code, caught.value.exit_code) == ("skills.folder", 2)
