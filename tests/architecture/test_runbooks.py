"""Every picochat command in the how-to pages is one that exists, with options that it takes and words that it needs."""

import re
import shlex
from pathlib import Path

import click
import pytest

from picochat.cli.app import cli
from picochat.pipeline.profiles import PROFILES

PAGES = sorted((Path(__file__).parents[2] / "docs").rglob("*.md"))
RUNBOOKS = [page for page in PAGES if page.name.startswith("runbook-")]
LINE = re.compile(r"^    (picochat (?!-)[^\n]+)$", re.MULTILINE)
PLACEHOLDERS = ("PROFILE", "COMMAND")


def commands(page: Path) -> list[str]:
    """The command lines of the indented blocks, comments and redirections aside; a broken line is joined."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return [re.split(r"\s+#|\s+[>|]\s|;\s", found[1])[0].strip() for found in LINE.finditer(text)]


def fault(words: list[str]) -> str:
    """Why click would not take the words, or nothing."""
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        if found is None:
            return f"there is no command {words[0]}"
        command, words = found, words[1:]
    try:
        command.make_context(command.name, list(words), resilient_parsing=False)
    except click.exceptions.Exit:
        return ""
    except click.UsageError as err:
        return err.format_message()
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_is_one_that_the_program_takes(page: Path):
    bad = []
    for line in commands(page):
        words = [word for word in shlex.split(line)[1:] if word not in ("...", "…")]
        said = words[0].endswith(":")  # what the program prints, not what a person types
        if said or "..." in line or "[" in line or any(word in PLACEHOLDERS for word in words):
            continue
        if text := fault(words):
            bad.append(f"{line}: {text}")
    assert bad == []


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_goes_from_plan_to_checked_run_with_profiles_that_exist(page: Path):
    lines = commands(page)
    assert len(lines) >= 8 and any(line.startswith("picochat plan ") for line in lines)
    assert any("--preflight-only" in line for line in lines) and any("launch plan" in line for line in lines)
    named = {words[2] for line in lines if (words := shlex.split(line))[1] in ("plan", "run")}
    assert named and named <= set(PROFILES)


def test_there_is_a_runbook_for_each_kind_of_machine():
    assert {page.stem for page in RUNBOOKS} == {"runbook-one-gpu", "runbook-eight-gpus", "runbook-slurm"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("plan tiny --gpu 1xH100", "--gpu"),
        ("lunch plan", "lunch"),
        ("launch start", "PLAN"),
        ("gate a b c", "unexpected"),
    ],
)
def test_a_wrong_command_would_be_found(line: str, said: str):
    assert said in fault(line.split())
