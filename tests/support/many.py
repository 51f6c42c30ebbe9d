"""Several commands, one after another, in one process of their own; `tiny_run.picochat` is for one.

    ran = run_all([["status", root], ["verify", root]])

For commands that only read or are refused. Each has its own input and output, on the file descriptors; what is imported
stays so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.support.tiny_run import ROOT, environment

FILES = ("stdin", "stdout", "stderr")


class Ran(NamedTuple):
    """What one command said, and how it ended."""

    argv: list[str]
    returncode: int
    stdout: str
    stderr: str


def run_all(commands: list[list[object]], stdins: list[str] | None = None, cwd: Path | None = None) -> list[Ran]:
    """Runs `picochat ARGV` for each. Whatever happens, nobody is shown a traceback."""
    words = [list(map(str, argv)) for argv in commands]
    rows = list(zip(words, stdins or [""] * len(words), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rows.json").write_text(json.dumps(rows))
        child = environment()
        child["PYTHONPATH"] = f"{child['PYTHONPATH']}{os.pathsep}{ROOT}"
        argv = [sys.executable, "-m", "tests.support.many", folder]
        done = subprocess.run(argv, cwd=cwd, env=child, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        found = [Ran(*row) for row in json.loads((Path(folder) / "ran.json").read_text())]
    for ran in found:
        assert "Traceback" not in ran.stderr and ran.returncode != 1, (ran.argv, ran.stderr)
    return found


def run_one(folder: Path, argv: list[str], stdin: str) -> Ran:
    """One command, with files as its standard streams."""
    from picochat.cli.__main__ import main

    (folder / "stdin").write_text(stdin)
    for number, name in enumerate(FILES):
        mode = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(folder / name, mode)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)
    code = 0
    try:
        main(argv)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    sys.stdout.flush(), sys.stderr.flush()
    return Ran(argv, code, *((folder / name).read_text(errors="replace") for name in FILES[1:]))


def main_of_child() -> None:
    folder = Path(sys.argv[1])
    rows = json.loads((folder / "rows.json").read_text())
    found = [run_one(folder, argv, stdin) for argv, stdin in rows]
    (folder / "ran.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main_of_child()
