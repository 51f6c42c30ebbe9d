"""The demo killed with SIGKILL once in every stage, resumed each time, and compared with one that nothing interrupted.

The moment is a random share of the time that the stage took in the undisturbed demo, counted from the event that says
it has started. For the demo in its full size, minutes of work:

    python -m tests.support.killed_demo FOLDER
"""

from __future__ import annotations

import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.tiny_run import picochat, set_flags, start

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.events import iter_events
from picochat.core.jsonio import canonical_json
from picochat.pipeline.runner import STAGE_BY_NAME
from picochat.training.ledger import spliced

STAGES = tuple(name for name in STAGE_BY_NAME if name != layout.SHARDS)  # the demo trains from memory
SHOTS = 5
JUDGED = ("id", "verdict", "measured", "threshold", "interval", "n", "unit", "direction", "required")
EQUAL_FILES = (
    *(layout.CORPUS, layout.TOKENIZER, layout.CHAT_TRAIN, layout.CHAT_HELDOUT, layout.CHAT_EVAL),
    *(f"{stage}/{layout.SAMPLES}" for stage in (layout.BASE, layout.SFT)),
    *(f"{layout.EVAL}/{name}" for name in (layout.ROWS, layout.FIT_ROWS, layout.HELDOUT_ROWS)),
)


class Shot(NamedTuple):
    """One death: in which stage, how long after its start, and after how many shots that came too late."""

    stage: str
    after_s: float
    missed: int


def demo_words(root: Path, settings: dict[str, Any]) -> list[object]:
    return ["demo", "--out-dir", root, "--quiet", *set_flags(settings)]


def run_whole(root: Path, settings: dict[str, Any], *, resume: bool = False, timeout_s: float = 3600) -> RunStore:
    """The demo to its end."""
    done = picochat(*demo_words(root, settings), *(["--resume"] if resume else []), timeout_s=timeout_s)
    assert done.returncode == 0, done.stderr
    return RunStore(root)


def durations(store: RunStore) -> dict[str, float]:
    """Seconds of each stage."""
    return {
        e["stage"]: e["duration_s"] for e in iter_events(store.path(layout.EVENTS)) if e["kind"] == "stage_finished"
    }


def kill_in(root: Path, settings: dict[str, Any], stage: str, after_s: float) -> Shot:
    """One attempt that dies in `stage`. A shot that came too late is taken back with the folder, and comes earlier."""
    kept = root.with_name(f"{root.name}-kept")
    for missed in range(SHOTS):
        shutil.rmtree(kept, ignore_errors=True)
        if root.exists():
            shutil.copytree(root, kept)
        if _shoot(root, settings, stage, after_s) == stage:
            return Shot(stage, round(after_s, 3), missed)
        shutil.rmtree(root)
        if kept.exists():
            kept.rename(root)
        after_s /= 2
    raise AssertionError(f"{SHOTS} shots at {stage} came too late")


def _shoot(root: Path, settings: dict[str, Any], stage: str, after_s: float) -> str:
    """Kills the demo so long after the start of a stage; returns the stage in which it died."""
    resume = ["--resume"] if root.exists() else []
    events = root / layout.EVENTS
    seen = len(list(iter_events(events)))
    process = start(*demo_words(root, settings), *resume)
    while not any(e["kind"] == "stage_started" and e["stage"] == stage for e in list(iter_events(events))[seen:]):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    time.sleep(after_s)
    process.kill()
    process.communicate()
    late = process.returncode != -signal.SIGKILL
    last = list(iter_events(events))[-1]
    return "" if late or last["kind"] == "stage_finished" else last["stage"]


def kill_in_every_stage(root: Path, settings: dict[str, Any], seconds: dict[str, float], seed: int) -> list[Shot]:
    """Six deaths, a stage each, then a resume to the end."""
    rng = random.Random(seed)
    shots = [kill_in(root, settings, stage, rng.uniform(0, 0.8) * seconds[stage]) for stage in STAGES]
    run_whole(root, settings, resume=True)
    return shots


def judgement(store: RunStore) -> Any:
    """The gate without the digests of reports, which hold times."""
    gate = store.read(layout.GATE)
    checks = [{key: check[key] for key in JUDGED} for check in [*gate["checks"], *gate["shown"]]]
    return {key: gate[key] for key in ("profile", "profile_digest", "verdict", "weights_digest")} | {"checks": checks}


def demo_differences(store: RunStore, reference: RunStore) -> list[str]:
    """What is not to the bit as in the undisturbed demo. Times and paths are left out."""
    found = [name for name in EQUAL_FILES if store.path(name).read_bytes() != reference.path(name).read_bytes()]
    for stage in (layout.BASE, layout.SFT):
        name = f"{stage}/{layout.LEDGER}"
        mine, theirs = (b"\n".join(map(canonical_json, spliced(run.path(name)))) for run in (store, reference))
        found += [name] if mine != theirs else []
        reports = [run.read(layout.report_path(stage)) for run in (store, reference)]
        found += [f"{stage} {key}" for key in ("weights_digest", "validation") if reports[0][key] != reports[1][key]]
    return found + ([layout.GATE] if judgement(store) != judgement(reference) else [])


def main() -> None:
    """The full size: both demos below the folder that is named, and every death with its place."""
    folder, seed = Path(sys.argv[1]), random.SystemRandom().randrange(10**6)
    folder.mkdir(parents=True)
    reference = run_whole(folder / "undisturbed", {})
    seconds = durations(reference)
    print(f"undisturbed: {sum(seconds.values()):.0f} s", flush=True)
    for shot in kill_in_every_stage(folder / "killed", {}, seconds, seed):
        print(f"killed in {shot.stage} after {shot.after_s} s, {shot.missed} shots missed")
    found = demo_differences(RunStore(folder / "killed"), reference)
    print(f"seed {seed}: " + (f"different: {', '.join(found)}" if found else "equal in every part"))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
