"""picochat data: what it prints of a run and of a pack, and how a check ends."""

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from picochat.cli.app import cli
from picochat.core.errors import PicochatError

SMALL = ["--set", "data.generate_skills=false", "--set", "data.val_fraction=0.3", "--set", "machine.workers=1"]


def data(*argv: object):
    return CliRunner().invoke(cli, ["data", *map(str, argv)], catch_exceptions=False, standalone_mode=False)


def text_of(seed: int, count: int = 50) -> str:
    rng = random.Random(seed)
    return " ".join(f"word{rng.randrange(3000)}" for _ in range(count))


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for seed in range(40):
        (folder / f"{seed:02d}.txt").write_text(text_of(seed))
    (folder / "short.txt").write_text("too short")
    return folder


def test_a_built_corpus_is_shown_with_what_was_dropped_and_why(pack: Path, tmp_path: Path):
    (pack / "copy.txt").write_text(text_of(3).upper())
    built = data("build", "--pack", pack, "--out-dir", tmp_path / "run", *SMALL)
    assert built.exit_code == 0 and "documents" in built.output
    shown = data("inspect", tmp_path / "run").output
    assert "too_short" in shown and "short.txt" in shown
    assert "exact_duplicate" in shown and "copy.txt (document 3 stays)" in shown
    assert "near copies left, of a sample" in shown and "rensa" in shown
    document = json.loads(data("inspect", tmp_path / "run", "--json").output)
    assert document["dropped"]["by_reason"] == {"exact_duplicate": 1, "too_short": 1}


def test_a_pack_is_shown_without_building_it(pack: Path, tmp_path: Path):
    before = sorted(tmp_path.rglob("*"))
    shown = data("inspect", pack).output
    assert "texts" in shown and "present" in shown and "40 of 41" in shown and "too_short" in shown
    found = json.loads(data("inspect", pack, "--json").output)
    assert found["sources"][0]["files"] == 41 and found["sources"][0]["first"]["kept"] == 40
    assert sorted(tmp_path.rglob("*")) == before


def test_a_source_that_is_not_imported_yet_is_shown_as_that(pack: Path, tmp_path: Path):
    sources = [
        {"id": "web", "import": "hf", "dataset": "o/n", "split": "train", "text": "t", "licence": "CC0-1.0"},
        {"id": "own", "path": "texts"},
    ]
    (tmp_path / "p.json").write_text(json.dumps({"schema": "pack/1", "name": "p", "sources": sources}))
    shown = data("inspect", tmp_path / "p.json").output
    assert "not imported" in shown and "hf:o/n" in shown and "40 of 41" in shown


def test_what_is_neither_a_run_nor_a_pack_is_refused(tmp_path: Path):
    with pytest.raises(PicochatError) as caught:
        data("inspect", tmp_path / "nothing")
    assert (caught.value.code, caught.value.exit_code) == ("usage.path", 2)


def test_a_clean_pack_passes_its_check_and_leaves_nothing(pack: Path, tmp_path: Path):
    before = sorted(tmp_path.rglob("*"))
    assert data("check", pack, "--quiet", *SMALL).output == ""
    done = data("check", pack, *SMALL)
    assert not done.return_value and "nothing was found that blocks a release" in done.output
    assert sorted(tmp_path.rglob("*")) == before


def test_an_eval_row_in_the_corpus_fails_the_check(pack: Path, tmp_path: Path):
    question = "Which river runs past the old mill where seven brothers kept their father's copper lanterns at night?"
    for number in range(3):
        (pack / f"leak{number}.txt").write_text(f"{text_of(900 + number)} {question} {text_of(950 + number)}")
    row = {"id": "q", "category": "c", "user": question, "rule": "word", "expected": ["Blackwater"]}
    (tmp_path / "eval.jsonl").write_text(json.dumps(row))
    values = {
        "schema": "pack/1",
        "name": "p",
        "sources": [{"id": "own", "path": "texts"}],
        "eval": [{"path": "eval.jsonl"}],
    }
    (tmp_path / "p.json").write_text(json.dumps(values))
    done = data("check", tmp_path / "p.json", "--quiet", *SMALL)
    assert done.return_value == 3 or done.exit_code == 3, (done.return_value, done.exit_code)
    assert "eval: 1 of 1 stand in the training text" in done.output
