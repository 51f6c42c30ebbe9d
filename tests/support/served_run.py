"""`picochat serve` as a user starts it: a process, a checkpoint on disk, a free port."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.support.chat_run import chat_run
from tests.support.engines import build_telling_model
from tests.support.tiny_run import environment

from picochat.artifacts import layout

READY = re.compile(r"ready: (?P<model>\S+) at (?P<url>http://\S+)/v1, weights (?P<digest>[0-9a-f]{12})")
CONTEXT = 512
NAME = "tiny-1"
MODEL = f"{NAME}-sft"


def write_served_run(folder: Path, **shape: Any) -> Path:
    """A run folder with a chat model whose random blocks rule the stream; never judged."""
    root = folder / NAME
    with chat_run(root, build_telling_model(**{"max_seq_len": CONTEXT} | shape)):
        return root


@dataclass
class Process:
    """A server that has said that it is ready."""

    popen: subprocess.Popen[str]
    url: str
    model: str
    said: list[str]
    errors: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self.popen.pid

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)

    def stop(self) -> int:
        """The exit code after a SIGTERM."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(30)

    def memory_bytes(self) -> int:
        """Resident now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * 4096


@contextmanager
def serve(root: Path, *flags: str, **env: str) -> Iterator[Process]:
    """`picochat serve --checkpoint ... --tokenizer ... --port 0`; ended at the end, whatever happened."""
    model = ["--checkpoint", str(root / layout.checkpoint_dir(layout.SFT)), "--tokenizer", str(root / layout.TOKENIZER)]
    with serve_words(root, *model, *flags, **env) as process:
        yield process


@contextmanager
def serve_words(folder: Path, *words: str, **env: str) -> Iterator[Process]:
    """`picochat serve WORDS --port 0`, with one thread, which neighbours on the machine disturb least."""
    errors = folder.parent / "serve-errors.txt"
    with errors.open("w") as stream:
        popen = subprocess.Popen(
            [sys.executable, "-m", "picochat.cli", "serve", *words, "--port", "0", "--set", "serve.threads=1"],
            env=environment(**env),
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
        )
    assert popen.stdout is not None
    said: list[str] = []
    try:
        for line in popen.stdout:
            said.append(line)
            if found := READY.match(line):
                yield Process(popen, found["url"], found["model"], said, errors)
                break
        else:
            raise AssertionError(f"it ended with {popen.wait(10)}: {errors.read_text()}")
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait(10)
        popen.stdout.close()
