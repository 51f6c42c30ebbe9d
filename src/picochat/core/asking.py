"""Work that needs a process of its own, because it loads what the asking one must not: question and answer in JSON.

    ask("picochat.training.memory", {...})     starts the module, gives it the question, returns its answer
    answer(work)                               the module's own end: reads the question, writes what `work` makes of it

A refusal travels as one: the asking side raises what the other side refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import picochat
from picochat.core.errors import PicochatError, refuse
from picochat.core.jsonio import canonical_json, parse_json
from picochat.core.subprocesses import run_with_input


def ask(module: str, question: dict[str, Any], *, code: str, timeout_s: float) -> dict[str, Any]:
    """The answer of `python -m module`. Raises `code` where it ends without one, or whatever it refused."""
    folder = Path(picochat.__file__).parents[1]
    argv = [sys.executable, "-m", module]
    done = run_with_input(argv, canonical_json(question), cwd=folder, timeout_s=timeout_s)
    if done.code != 0:
        refuse(code, f"{module} ended early: {done.complaint}")
    try:
        said = parse_json(done.output, module)
    except PicochatError as err:
        refuse(code, f"{module} gave no answer: {err.detail}")
    if refusal := said.get("refusal"):
        raise PicochatError(refusal["code"], refusal["detail"], refusal["why"], refusal["fix"])
    return said["answer"]


def answer(work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Reads a question from standard input and writes the answer, or the refusal, to standard output."""
    try:
        said: dict[str, Any] = {"answer": work(parse_json(sys.stdin.buffer.read(), "question"))}
    except PicochatError as err:
        said = {"refusal": {"code": err.code, "detail": err.detail, "why": err.why, "fix": err.fix}}
    sys.stdout.buffer.write(canonical_json(said))
