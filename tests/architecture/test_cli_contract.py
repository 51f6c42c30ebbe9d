"""The command line is a contract: its flags are frozen, its help is quick and needs no torch."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from picochat.cli.app import cli

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "cli_flags.json"
HELP_LIMIT_S = 0.3


def command_tree(command: click.Command, path: str = "picochat") -> dict[str, list[str]]:
    """Each command with its arguments and options, as typed."""
    context = click.Context(command)
    tree = {path: sorted("|".join(p.opts + p.secondary_opts) for p in command.params)}
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, name
            tree |= command_tree(child, f"{path} {name}")
    return tree


def test_the_flag_list_is_frozen():
    """A new knob is a configuration key, reached with --set. A new command is added to the golden file by hand."""
    assert json.loads(GOLDEN.read_text()) == command_tree(cli)


def test_every_command_has_help():
    for command in command_tree(cli):
        result = CliRunner().invoke(cli, [*command.split()[1:], "--help"], prog_name="picochat")
        assert result.exit_code == 0, result.output
        assert result.output.startswith(f"Usage: {command}")


def test_help_is_quick_and_imports_no_torch():
    """The limit is on processor time, the best of three, so that a busy machine does not turn it red."""
    code = (
        "import sys\nfrom picochat.cli.__main__ import main\ntry:\n    main(['--help'])\n"
        "finally:\n    print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "False False"
    assert min(seconds) < HELP_LIMIT_S, seconds


@pytest.mark.parametrize(
    ("argv", "hint"),
    [(["rn"], "did you mean 'run'?"), (["run"], "PROFILE"), (["run", "tiny", "--sett", "a=1"], "--set")],
)
def test_a_wrong_word_gets_its_nearest_spelling(argv: list[str], hint: str):
    result = CliRunner().invoke(cli, argv)
    assert result.exit_code == 2
    assert hint in result.output
