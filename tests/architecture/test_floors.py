"""The floors hold, and the contracts that guard them turn red for each kind of breach."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLANTS = {
    "upward": ("core/clock.py", "from picochat.stages import contract  # planted"),
    "stage": ("stages/sft/run.py", "from picochat.stages.base import config as planted"),
    "torch": ("judgement/gate.py", "import torch  # planted"),
    "cycle": ("evals/normalize.py", "from picochat.evals import scoring as planted"),
}


def lint(root: Path) -> tuple[int, str]:
    """(exit code, output) of the import contracts of pyproject.toml over `root`/src."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command(prog_name='lint-imports')"
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=root,
        env={"PYTHONPATH": str(root / "src"), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output over a copy of the package with every breach planted at once."""
    root = tmp_path_factory.mktemp("floors")
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", root)
    for path, line in PLANTS.values():
        with (root / "src/picochat" / path).open("a") as stream:
            stream.write(f"\n{line}\n")
    code, output = lint(root)
    assert code != 0
    return output


def test_the_floors_hold():
    code, output = lint(ROOT)
    assert code == 0, output
    assert "4 kept, 0 broken" in output


def test_an_upward_import_is_reported(planted: str):
    assert "The floors: a floor imports only floors below it BROKEN" in planted
    assert "picochat.core.clock -> picochat.stages.contract" in planted


def test_a_stage_that_imports_another_is_reported(planted: str):
    assert "Stages meet only through artifacts BROKEN" in planted
    assert "picochat.stages.sft.run -> picochat.stages.base.config" in planted


def test_torch_in_the_torch_free_zone_is_reported(planted: str):
    assert "The torch-free zone BROKEN" in planted
    assert "picochat.judgement.gate -> torch" in planted


def test_a_cycle_between_siblings_is_reported(planted: str):
    assert "No cycles between siblings BROKEN" in planted
    assert "normalize" in planted
