"""A pack built from the files of `picochat data skills`: it passes its check, and its rows keep their sides."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from picochat.artifacts import layout
from picochat.cli.app import cli
from picochat.core.jsonio import iter_jsonl

pytestmark = pytest.mark.integration
OWN = ["--set", "data.generate_skills=false", "--set", "data.val_fraction=0.3", "--set", "machine.workers=1"]


def data(*argv: object):
    return CliRunner().invoke(cli, ["data", *map(str, argv)], catch_exceptions=False, standalone_mode=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty small texts, the files of the command at release size, and a pack file around both."""
    folder = tmp_path_factory.mktemp("pack")
    (folder / "texts").mkdir()
    for seed in range(40):
        rng = random.Random(seed)
        (folder / "texts" / f"{seed:02d}.txt").write_text(" ".join(f"w{rng.randrange(3000)}" for _ in range(50)))
    done = data("skills", "--out-dir", folder / "skills", "--rows", 1600, "--quiet")
    assert done.exit_code == 0
    part = (folder / "skills" / "part.toml").read_text().replace('path = "', 'path = "skills/')
    head = 'schema = "pack/1"\nname = "whole"\n'
    source = '[[sources]]\nid = "notes"\npath = "texts"\nlicence = "CC0-1.0"\nrevision = "1"\n\n'
    (folder / "pack.toml").write_text(head + source + part)
    return folder


def test_a_pack_of_the_parts_files_passes_its_check(folder: Path):
    done = data("check", folder / "pack.toml", "--json", "--quiet", *OWN)
    found = json.loads(done.output)
    assert not done.return_value and found["faults"] == []
    chat = found["corpus"]["chat"]
    assert (chat["rows"], chat["heldout_rows"], chat["eval_rows"]) == (1600, 1200, 1200)
    assert chat["mixed_rows"] == chat["disjoint_violations"] == 0
    assert found["honesty"]["contamination"]["sets"]["heldout"]["dirty"] == 0


def test_the_rows_of_a_build_are_those_of_the_part(folder: Path, tmp_path: Path):
    data("build", "--pack", folder / "pack.toml", "--out-dir", tmp_path / "run", "--quiet", *OWN)
    for name, file in (("chat", layout.CHAT_TRAIN), ("heldout", layout.CHAT_HELDOUT), ("eval", layout.CHAT_EVAL)):
        rows = list(iter_jsonl(folder / "skills" / f"{name}.jsonl"))
        assert list(iter_jsonl(tmp_path / "run" / file)) == rows
        assert len(rows) >= 1000


@pytest.mark.parametrize("name", ["heldout", "eval"])
def test_a_question_that_is_trained_on_fails_the_check(folder: Path, tmp_path: Path, name: str, measured: Callable):
    row = next(iter_jsonl(folder / "skills" / f"{name}.jsonl"))
    leak = {key: row[key] for key in ("user", "category", "template", "entities")} | {"assistant": "leaked"}
    rows = (folder / "skills" / "chat.jsonl").read_text()
    (folder / "skills" / "leaky.jsonl").write_text(rows + json.dumps(leak) + "\n")
    pack = (folder / "pack.toml").read_text().replace("chat.jsonl", "leaky.jsonl")
    (folder / "leaky.toml").write_text(pack)
    done = data("check", folder / "leaky.toml", "--json", "--quiet", *OWN)
    found = json.loads(done.output)
    shared = found["corpus"]["chat"]["disjoint_violations"]
    assert done.return_value == 3 and shared > 1
    assert any("share a template or an entity" in fault for fault in found["faults"])
    measured(f"one {name} question among 1,600 SFT rows: {shared} shared templates, entities and prompts named")
