"""The reference is generated, complete and current; no tracked file names what does not belong to the project."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from picochat.core.config import flatten
from picochat.core.reasons import REASONS
from picochat.judgement.registry import CHECKS
from picochat.pipeline.profiles import PROFILES

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
FOREIGN = (
    "hand" + "book",
    "issue" + r" #\d",
    r"(?<![\w./])/(work|root|home)/",
    r"\bpypi" + r"\.org",
    "python" + "hosted",
    r"registry\.npm" + "js",
)
REGENERATE = "python scripts/generate_reference.py"


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_reference", ROOT / "scripts" / "generate_reference.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The reference as the code generates it now: {path below docs/reference: text}."""
    return load_generator().build_pages()


def test_the_committed_reference_is_the_generated_one(pages: dict[str, str]):
    assert {"cli.md", "config.md", "errors.md", "checks.md", "schemas/run.json"} <= pages.keys()
    stale = [
        name
        for name, text in pages.items()
        if not (REFERENCE / name).is_file() or (REFERENCE / name).read_text() != text
    ]
    assert stale == [], f"run: {REGENERATE}"
    assert {p.name for p in (REFERENCE / "schemas").iterdir()} == {
        name.removeprefix("schemas/") for name in pages if name.startswith("schemas/")
    }


def test_every_command_key_code_and_check_is_documented(pages: dict[str, str]):
    from picochat.cli.app import COMMANDS

    assert [name for name in COMMANDS if f"picochat {name}" not in pages["cli.md"]] == []
    keys = flatten(PROFILES["tiny"].build().as_dict())
    assert [key for key in keys if f"`{key}`" not in pages["config.md"]] == []
    assert [code for code in REASONS if f"`{code}`" not in pages["errors.md"]] == []
    assert [check for check in CHECKS if f"`{check}`" not in pages["checks.md"]] == []


def test_no_configuration_key_lacks_a_sentence_of_help(pages: dict[str, str]):
    assert "| |" not in pages["cli.md"]
    assert re.findall(r"^\| `[^`]+` \|\s*\|", pages["config.md"], re.MULTILINE) == []


def tracked_files() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git checkout: which files are tracked is not known")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_no_tracked_file_names_what_is_not_part_of_the_project():
    found = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        for pattern in FOREIGN:
            found += [f"{path.relative_to(ROOT)}: {m.group()}" for m in re.finditer(pattern, text, re.IGNORECASE)]
    assert found == []


def test_links_between_docs_lead_somewhere():
    broken = []
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()) if page.is_file() else ():
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []
