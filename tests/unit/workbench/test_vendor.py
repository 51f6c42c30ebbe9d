"""The vendored modules are those that were fetched, with the edits that are written down and no other."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
VENDOR = ROOT / "src" / "picochat" / "workbench" / "static" / "vendor"
SCRIPT = ROOT / "scripts" / "refresh_vendor.py"
ROWS: list[dict[str, Any]] = json.loads((VENDOR / "vendor.json").read_text())["files"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("refresh_vendor", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_file_is_in_the_record_and_has_its_digest():
    recorded = {row["file"]: row["sha256"] for row in ROWS} | {
        row["licence_file"]: row["licence_sha256"] for row in ROWS
    }
    there = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "vendor.json"
    }
    assert there == recorded


def test_the_record_is_that_of_the_script(script: ModuleType):
    wanted = {
        (name, package.name, package.version, package.licence, path)
        for package in script.PACKAGES
        for path, name in package.files.items()
    }
    assert {(row["file"], row["package"], row["version"], row["licence"], row["path"]) for row in ROWS} == wanted


def test_imports_are_relative_and_no_source_map_is_named():
    for path in VENDOR.glob("*.js"):
        text = path.read_text()
        assert "sourceMappingURL" not in text
        for name in re.findall(r'\b(?:from|import)\s*"([^"]+)"', text):
            assert name.startswith("./") and (VENDOR / name).is_file(), f"{path.name} imports {name}"


def test_five_imports_in_two_files_were_edited():
    edits = [(row["file"], edit) for row in ROWS for edit in row["edits"] if edit.startswith("import ")]
    assert (len(edits), {file for file, _ in edits}) == (5, {"hooks.js", "signals.js"})


@pytest.mark.parametrize(
    ("name", "text", "shipped"),
    [
        ("a.js", 'import{h}from"preact";x', 'import{h}from"./preact.js";x'),
        ("a.js", "x\n//# sourceMappingURL=a.js.map\n", "x\n"),
        ("a.js", 'import{h}from"./b.js";', 'import{h}from"./b.js";'),
        ("uplot.js", "var uPlot=1;", "var uPlot=1;\nexport default uPlot;\n"),
    ],
)
def test_an_edit_does_one_thing(script: ModuleType, name: str, text: str, shipped: str):
    assert script.edit(name, text)[0] == shipped


def test_an_import_that_leads_nowhere_is_refused(script: ModuleType):
    with pytest.raises(ValueError, match="a.js imports left-pad"):
        script.edit("a.js", 'import x from"left-pad"')


def test_another_archive_than_the_remembered_one_is_refused(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def npm(folder: Path, *words: str) -> str:
        (folder / "p.tgz").write_bytes(b"other bytes")
        return '"sha512-stated"'

    monkeypatch.setattr(script, "npm", npm)
    with pytest.raises(
        ValueError, match=r"preact@11.2.0: the archive has sha512-.*, the registry states sha512-stated"
    ):
        script.fetch(script.PACKAGES[0], tmp_path, {})
    other = "sha512-" + script.base64.b64encode(hashlib.sha512(b"other bytes").digest()).decode()
    monkeypatch.setattr(script, "npm", lambda folder, *words: npm(folder, *words) and json.dumps(other))
    with pytest.raises(ValueError, match=r"vendor.json says sha512-remembered"):
        script.fetch(script.PACKAGES[0], tmp_path, {"preact@11.2.0": "sha512-remembered"})


@pytest.mark.deep
def test_the_script_fetches_the_same_bytes_again(tmp_path: Path):
    """Needs npm and a registry."""
    if shutil.which("npm") is None:
        pytest.skip("NOT RUN: npm is not installed")
    done = subprocess.run([sys.executable, SCRIPT, "--into", tmp_path], capture_output=True, text=True, timeout=240)
    if done.returncode and "npm" in done.stderr and "view" in done.stderr:
        pytest.skip("NOT RUN: npm reaches no registry")
    assert done.returncode == 0, done.stderr
    names = sorted(path.relative_to(VENDOR) for path in VENDOR.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert all((tmp_path / name).read_bytes() == (VENDOR / name).read_bytes() for name in names)
