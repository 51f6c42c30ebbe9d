"""Clients that are published for node: fetched into a folder of the test, skipped where that cannot be done."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FETCH_S = 120


def install_npm(folder: Path, *packages: str) -> Path:
    """The folder, with pinned packages (`openai@7.59.0`) in it and nothing outside of it."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("NOT RUN: node and npm are not installed")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--cache", str(folder / "cache")]
    try:
        done = subprocess.run([*command, *packages], cwd=folder, capture_output=True, text=True, timeout=FETCH_S)
    except subprocess.TimeoutExpired:
        pytest.skip(f"NOT RUN: npm could not fetch {packages[0]} within {FETCH_S} s")
    if done.returncode:
        pytest.skip(f"NOT RUN: npm cannot install {packages[0]}: {done.stderr.strip().splitlines()[:1]}")
    return folder


def run_node(folder: Path, program: str, *words: str) -> Any:
    """The one JSON document that a program of this folder prints, run among the packages of `folder`."""
    shutil.copy(HERE / program, folder / program)
    done = subprocess.run(["node", program, *words], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
