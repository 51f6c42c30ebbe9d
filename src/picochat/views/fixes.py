"""Commands that can be run as they are printed: the words RUN and PROFILE of a fix become this run's own."""

from __future__ import annotations

import re
import shlex

_RUN = re.compile(r"\bRUN\b")
_PROFILE = re.compile(r"\bPROFILE\b")
_BENCHMARK = re.compile(r"(picochat eval benchmark NAME --data PATH)(?! --run)")
_ANOTHER = "in a new run"
_BLANK = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\b")
_PLAIN = frozenset({"JSON", "TOML", "SFT", "DPO", "GPU", "CPU", "FSDP", "DDP", "CUDA"})


def fill_fix(text: str, run: str, profile: str | None) -> str:
    """`picochat gate RUN` -> `picochat gate runs/demo-1`. `run` is a path from the folder where the reader types it.

    A benchmark is measured of the run that is spoken of, not of the newest. What is said of a new run has a folder of
    its own, which its reader names: in this one it would be refused.
    """
    filled = _BENCHMARK.sub(r"\1 --run RUN", text)
    if filled.endswith(_ANOTHER):
        filled = filled.replace("--out-dir RUN", "--out-dir NEW_RUN")
    if profile:
        filled = _PROFILE.sub(lambda _: shlex.quote(profile), filled)
    return _RUN.sub(lambda _: shlex.quote(run), filled)


def blanks_of(command: str) -> list[str]:
    """The words in capitals of a command: what its reader still has to say."""
    words = [found for part in shlex.split(command) for found in _BLANK.findall(part) if found == _value(part)]
    return [word for word in dict.fromkeys(words) if word not in _PLAIN]


def _value(part: str) -> str:
    """`--set base.loop.lr=VALUE` and `--data=FOLDER` end in what is to be filled in."""
    return part.rpartition("=")[2]
