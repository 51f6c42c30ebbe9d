"""What mends each check: every check has its row, and every command that is printed is one that this program has."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from picochat.artifacts import layout
from picochat.cli.app import cli as main
from picochat.core.config import flatten
from picochat.judgement.preflight.registry import PREFLIGHT_CHECKS
from picochat.judgement.registry import CHECKS, VERIFY_CHECKS
from picochat.judgement.repairs import REPAIRS, ROOM_OF, ROOMS, repair_of, room_of
from picochat.pipeline.profiles import PROFILES
from picochat.views.fixes import blanks_of, fill_fix

ALL_CHECKS = PREFLIGHT_CHECKS | CHECKS | VERIFY_CHECKS
COMMAND = re.compile(r"picochat [a-z][^;,:()]*")


def test_every_check_has_its_repair_and_no_other() -> None:
    assert REPAIRS.keys() == ALL_CHECKS.keys()
    assert {repair.room for repair in REPAIRS.values()} <= set(ROOMS)


def test_the_keys_that_a_repair_changes_are_keys_of_a_run() -> None:
    known = flatten(PROFILES["tiny"].build().as_dict())
    keys = {change.key for repair in REPAIRS.values() for change in repair.changes}
    assert keys <= known.keys() and keys


def require_command(text: str) -> None:
    """Follows the words of a command into the program, and finds each of its options there."""
    words = shlex.split(text)[1:]
    command: click.Command = main
    while isinstance(command, click.Group) and words:
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"{text}: there is no {words[0]}"
        command, words = found, words[1:]
    options = {name for param in command.params for name in param.opts}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert given <= options, f"{text}: {given - options}"


@pytest.mark.parametrize("check", sorted(ALL_CHECKS))
def test_commands_exist_with_their_options(check: str) -> None:
    values = {
        "run": "runs/a",
        "profile": "tiny",
        "pack": "texts",
        "resume": "picochat run tiny --resume",
        "settings": "",
    }
    for template in REPAIRS[check].commands:
        require_command(template.format(**values))
    for command in COMMAND.findall(fill_fix(ALL_CHECKS[check].fix, "runs/a", "tiny")):
        require_command(command.split(" lists ")[0].split(" shows ")[0].split(" before ")[0].split(" measures ")[0])


def test_what_was_not_measured_is_measured_where_it_was_looked_for() -> None:
    assert repair_of("sft.fit", "not_run", ("eval/fit_rows.jsonl",)).commands[0] == "picochat eval skills {run}"
    assert repair_of("honesty.extractable", "not_run", (layout.MEMORISATION,)).room == "evaluate"
    assert repair_of("external.score", "not_run", (layout.BENCHMARKS,)).room == "benchmark"
    assert repair_of("external.score", "block", ("benchmarks/blimp/report.json",)).new_run
    assert repair_of("budget.target_ratio", "not_run", ("base/report.json",)).commands == ("{resume}",)
    assert repair_of("preflight", "not_run", (layout.PREFLIGHT,)).new_run


def test_a_broken_chain_is_mended_where_its_first_file_was_made() -> None:
    found = repair_of("verify.chain", "block", ("eval/rows.jsonl", "sft/report.json", layout.TOKENIZER))
    assert found.room == "tokenizer" and found.commands
    assert repair_of("verify.chain", "block", (layout.SUMMARY,)).room == "gate"


def test_rooms_of_artifacts() -> None:
    assert room_of("shards/train-00000.bin") == "shards" and room_of("chat/train.jsonl") == "data"
    assert room_of("base/checkpoint/MANIFEST.json") == "base" and room_of(layout.GATE) == "gate"
    assert set(ROOM_OF.values()) == set(ROOMS) - {"gate"}


def test_blanks_are_the_words_that_a_reader_fills_in() -> None:
    assert blanks_of("picochat eval benchmark blimp --data FOLDER_WITH_BLIMP --run runs/SFT-2") == ["FOLDER_WITH_BLIMP"]
    assert blanks_of("picochat run tiny --set base.loop.lr=LR --set a.b=3") == ["LR"]


def test_a_fix_names_this_run_and_is_quoted() -> None:
    assert fill_fix("picochat gate RUN", "my runs/a", None) == "picochat gate 'my runs/a'"
    assert fill_fix("picochat eval benchmark NAME --data PATH, then picochat gate RUN", "runs/a", None) == (
        "picochat eval benchmark NAME --data PATH --run runs/a, then picochat gate runs/a"
    )
    assert fill_fix("picochat run PROFILE --out-dir RUN --resume", "r", "tiny") == (
        "picochat run tiny --out-dir r --resume"
    )
    before = "picochat run PROFILE --preflight-only --out-dir RUN before training, in a new run"
    assert fill_fix(before, "r", "tiny").startswith("picochat run tiny --preflight-only --out-dir NEW_RUN before")
    assert fill_fix("TRUNK and RUNS stay", "r", "p") == "TRUNK and RUNS stay"
