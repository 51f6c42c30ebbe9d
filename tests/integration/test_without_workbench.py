"""The workbench is a reader: without its package every other command works, and `picochat web` says what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.support.green_run import GreenRun
from tests.support.served_run import READY
from tests.support.tiny_run import ROOT, environment, set_flags, tiny_settings, write_pack

from picochat.artifacts import layout
from picochat.cli.app import COMMANDS
from picochat.core.jsonio import read_json

pytestmark = pytest.mark.integration
NAME = "green"
BLOCKED = 3
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


@pytest.fixture(scope="module")
def trained(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run of the copy, from text to verdict, in a folder that has nothing else."""
    folder = tmp_path_factory.mktemp("trained")
    words = set_flags(tiny_settings(write_pack(folder / "pack")))
    done = picochat(source, folder, "run", "tiny", "--out-dir", "runs/tiny-1", "--quiet", *words)
    assert done.returncode in (0, BLOCKED), done.stderr
    return folder / "runs" / "tiny-1"


def test_a_model_is_trained_to_the_same_weights(trained: Path, tmp_path: Path):
    words = set_flags(tiny_settings(trained.parents[1] / "pack"))
    done = picochat(ROOT / "src", tmp_path, "run", "tiny", "--out-dir", "runs/tiny-1", "--quiet", *words)
    assert done.returncode in (0, BLOCKED), done.stderr
    for stage in (layout.BASE, layout.SFT):
        digests = {
            read_json(root / layout.report_path(stage))["weights_digest"]
            for root in (trained, tmp_path / "runs" / "tiny-1")
        }
        assert len(digests) == 1


def test_a_trained_run_is_judged_verified_and_talked_to(source: Path, trained: Path):
    where = trained.parents[1]
    for words in (
        ["gate", "runs/tiny-1", "--quiet"],
        ["verify", "runs/tiny-1"],
        ["status", "runs/tiny-1"],
        ["chat", "runs/tiny-1", "--prompt", "Who are you?"],
        ["generate", "runs/tiny-1", "--prompt", "A word"],
    ):
        done = picochat(source, where, *words)
        assert done.returncode in (0, BLOCKED) and "Traceback" not in done.stderr, (words, done.stderr)
        assert words[0] == "gate" or done.stdout.strip(), words


def test_a_trained_run_is_served(source: Path, trained: Path):
    """By the program of the copy, to OpenAI's own form of a question."""
    argv = [sys.executable, "-P", "-c", PROGRAM, str(source), "serve", "runs/tiny-1", "--port", "0"]
    child = environment() | {"PYTHONPATH": str(source)}
    with subprocess.Popen(
        argv, cwd=trained.parents[1], env=child, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            ready = next(filter(None, map(READY.search, process.stdout)))
            body = {"model": ready["model"], "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}
            answer = httpx.post(f"{ready['url']}/v1/chat/completions", json=body, timeout=60)
            assert answer.status_code == 200 and answer.json()["usage"]["completion_tokens"] >= 1
        finally:
            process.terminate()
