"""The workbench is a reader: without its package every other command works, and `picochat web` says what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.green_run import GreenRun
from tests.support.tiny_run import ROOT, environment

from picochat.artifacts import layout
from picochat.cli.app import COMMANDS
from picochat.core.jsonio import read_json

pytestmark = pytest.mark.integration
NAME = "green"
PROGRAM = """
import picochat, sys
from picochat.cli.__main__ import main
assert sys.argv[1] in picochat.__file__
main(sys.argv[2:])
"""
JUDGE = """
import picochat, sys
from pathlib import Path
from tests.support.green_run import judge
assert sys.argv[1] in picochat.__file__
judge(Path(sys.argv[2]), "research")
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package without workbench/."""
    source = tmp_path_factory.mktemp("bare") / "src"
    skipped = shutil.ignore_patterns("__pycache__", "*.egg-info", "workbench")
    shutil.copytree(ROOT / "src", source, ignore=skipped)
    assert not (source / "picochat" / "workbench").exists() and (source / "picochat" / "serving").exists()
    return source


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scripted run that nobody has judged."""
    return GreenRun(tmp_path_factory.mktemp("scripted") / "runs" / NAME, name=NAME).build().root


def picochat(source: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The program of the copy, and of nothing else."""
    child = environment() | {"PYTHONPATH": str(source)}
    return subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(source), *words],
        cwd=cwd, env=child, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_every_command_but_one_is_there(source: Path, tmp_path: Path):
    assert "web" in picochat(source, tmp_path, "--help").stdout
    program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module('picochat.cli.' + name)"
    modules = sorted({module.partition(":")[0] for module, _ in COMMANDS.values()})
    child = environment() | {"PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *modules, "serving"], cwd=tmp_path, env=child,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_web_command_says_what_is_missing(source: Path, tmp_path: Path):
    done = picochat(source, tmp_path, "web")
    assert done.returncode == 2
    assert "no workbench" in done.stderr and "pip install 'picochat[web]'" in done.stderr


def test_runs_are_listed(source: Path, green: Path):
    done = picochat(source, green.parent.parent, "runs")
    assert done.returncode == 0 and NAME in done.stdout, done.stderr


def test_a_run_is_judged_the_same(source: Path, green: Path, tmp_path: Path):
    """By the summary stage: verdict, checks and every page."""
    found = {}
    for package in (source, ROOT / "src"):
        root = Path(shutil.copytree(green, tmp_path / package.parent.name / NAME))
        child = environment() | {"PYTHONPATH": f"{package}{os.pathsep}{ROOT}"}
        argv = [sys.executable, "-P", "-c", JUDGE, str(package), str(root)]
        done = subprocess.run(argv, env=child, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        gate = read_json(root / layout.GATE)
        assert gate["verdict"] == "approved" and len(gate["checks"]) > 20
        found[package] = gate["checks"], {name: (root / name).read_text() for name in layout.PAGES}
    assert found[source] == found[ROOT / "src"]


def test_a_model_is_talked_to_and_served(source: Path, tmp_path: Path):
    """Up to where the checkpoint would be loaded: the program and its server are whole."""
    for words in (["chat", "none"], ["serve", "none"], ["generate", "none", "a"]):
        done = picochat(source, tmp_path, *words)
        assert done.returncode == 2 and "ModuleNotFoundError" not in done.stderr, done.stderr
    assert os.listdir(tmp_path) == []
