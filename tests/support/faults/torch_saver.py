"""The saver of real checkpoints, in the protocol of `saver.py`: the product's writer and loaders, a tiny state.

torch_saver.py FOLDER VERSION loop               says what it found, saves VERSION, then saves on and on
torch_saver.py FOLDER LAST write exchange|rename saves 1, at SIGUSR1 all up to LAST, with times, in JSON lines
torch_saver.py FOLDER 0 read                     loads until SIGTERM comes, with times, in JSON lines
torch_saver.py FOLDER VERSION once SPEC          says "ready", then saves once with failpoints armed, and reports
"""

import json
import signal
import sys
import time
from pathlib import Path

import torch
from tests.support.checkpoints import build_state, save_tiny
from tests.support.faults.saver import DAMAGED, NAME, Found, no_exchange, say

from picochat.checkpoint.reader import LoadedCheckpoint, load_checkpoint, load_for_resume
from picochat.core import failpoints
from picochat.core.errors import PicochatError
from picochat.core.swap import exchange_names

EXCHANGES = {"exchange": exchange_names, "rename": no_exchange}


def version_of(loaded: LoadedCheckpoint) -> int:
    """The step, when every tensor is that step's; else DAMAGED."""
    step, weights = loaded.manifest.step, build_state(loaded.manifest.step)
    expected = {
        "weights": weights,
        "ema": {name: tensor / 2 for name, tensor in weights.items()},
        "optimizer": {f"{name}.moment": tensor * 2 for name, tensor in weights.items()},
    }
    for part, tensors in expected.items():
        found = getattr(loaded, part)
        if found.keys() != tensors.keys() or not all(torch.equal(found[name], tensors[name]) for name in tensors):
            return DAMAGED
    return step


def read(folder: Path) -> int | None:
    try:
        return version_of(load_checkpoint(folder))
    except PicochatError as err:
        return None if err.code == "checkpoint.missing" else DAMAGED


def look_and_save(parent: Path, version: int) -> Found:
    seen = read(parent / NAME)
    before = {path.name for path in parent.iterdir()}
    resumed = load_for_resume(parent).checkpoint
    swept = len(before - {path.name for path in parent.iterdir()})
    save_tiny(parent, version)
    names = tuple(sorted(path.name for path in parent.iterdir()))
    recovered = version_of(resumed) if resumed else None
    return Found(seen, recovered, swept, read(parent / NAME), read(parent / f"{NAME}.previous"), names)


def loop(parent: Path, version: int) -> None:
    say(json.dumps(look_and_save(parent, version)._asdict()))
    while True:
        version += 1
        save_tiny(parent, version)
        say(str(version))


def write(parent: Path, last: int, way: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    for version in range(1, last + 1):
        if version == 2:
            signal.sigwait({signal.SIGUSR1})
        begun = time.monotonic()
        save_tiny(parent, version, exchange=EXCHANGES[way])
        say(json.dumps([version, begun, time.monotonic()]))


def read_on(parent: Path, _: int) -> None:
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    while not asked:
        begun = time.monotonic()
        version = read(parent / NAME)
        say(json.dumps([version, begun, time.monotonic()]))


def once(parent: Path, version: int, spec: str) -> None:
    failpoints.arm(spec)
    say("ready")
    try:
        save_tiny(parent, version)
        say("saved")
    except PicochatError as err:
        say(json.dumps([err.code, err.exit_code, err.detail]))


if __name__ == "__main__":
    modes = {"loop": loop, "write": write, "read": read_on, "once": once}
    folder, number, mode, *rest = sys.argv[1:]
    torch.set_num_threads(1)
    modes[mode](Path(folder), int(number), *rest)
