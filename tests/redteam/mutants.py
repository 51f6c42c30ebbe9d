"""Small changes of one judged green run, each with the file that verify must name."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.redteam.signing import edit

from picochat.artifacts import layout
from picochat.core.jsonio import read_json
from picochat.judgement.profile import PROFILES
from picochat.judgement.summary import iter_files

Pointer = tuple[str | int, ...]
NUMBERS_A_REPORT = 2
UNTOLD = ("manifest", "schema", "artifacts", "self_digest")
"""Parts of a report that name other files: what is changed there is found at those."""
SUMMARY_TOLD = "facts"
CHECKPOINTS = [layout.checkpoint_dir(stage) for stage in (layout.BASE, layout.SFT)]


class Mutant(NamedTuple):
    """`apply(root, profiles)` changes the copy of the run, or the folder of profiles; `named` is what must be said."""

    name: str
    named: str
    apply: Callable[[Path, Path], object]


def make_mutants(released: Path, other: Path) -> list[Mutant]:
    """The same list each time, in an order that spreads the kinds."""
    found = [
        *_flipped(released),
        *_changed_numbers(released),
        *_removed(released),
        *_swapped(released, other),
        *_other_checkpoints(other),
        *_edited_thresholds(),
        *_edited_words(),
    ]
    random.Random(1).shuffle(found)
    return found


def _flipped(released: Path) -> Iterator[Mutant]:
    rng = random.Random(2)
    for name in iter_files(released):
        size = (released / name).stat().st_size
        at = rng.randrange(size) if size else 0
        yield Mutant(f"bit flipped at {at} of {name}", name, lambda root, _, name=name, at=at: _flip(root / name, at))


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at : at + 1] = bytes([(data[at] if data else 0) ^ 1])
    path.write_bytes(data)


def _changed_numbers(released: Path) -> Iterator[Mutant]:
    """Some numbers of each report, the report's own digest made to fit."""
    rng = random.Random(3)
    for name in (name for name in iter_files(released) if name.endswith(".json")):
        body = read_json(released / name)
        if not isinstance(body, dict) or "schema" not in body:
            continue
        told = {key: value for key, value in body.items() if key not in UNTOLD}
        places = sorted(_numbers({SUMMARY_TOLD: told[SUMMARY_TOLD]} if name == layout.SUMMARY else told), key=str)
        for place in rng.sample(places, min(NUMBERS_A_REPORT, len(places))):
            where = "/".join(map(str, place))
            yield Mutant(
                f"number at {where} of {name}", name, lambda root, _, n=name, p=place: edit(root, n, _raise(p))
            )


def _numbers(value: Any, place: Pointer = ()) -> Iterator[Pointer]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _numbers(item, (*place, index))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place


def _raise(place: Pointer) -> Callable[[dict[str, Any]], None]:
    def change(body: Any) -> None:
        for key in place[:-1]:
            body = body[key]
        body[place[-1]] += 1

    return change


def _removed(released: Path) -> Iterator[Mutant]:
    """Without the gate there is a summary that lists it; without the summary a gate that it was written with."""
    for name in iter_files(released)[::4]:
        yield Mutant(f"{name} removed", name, lambda root, _, name=name: (root / name).unlink())


def _swapped(released: Path, other: Path) -> Iterator[Mutant]:
    """Every second of the files that another run, judged too, has with other bytes."""
    names = [name for name in iter_files(released) if (other / name).is_file()]
    unlike = [name for name in names if (other / name).read_bytes() != (released / name).read_bytes()]
    for name in unlike[::2]:
        yield Mutant(f"{name} of another run", name, lambda root, _, n=name: shutil.copyfile(other / n, root / n))


def _other_checkpoints(other: Path) -> Iterator[Mutant]:
    """Whole checkpoints of another run, and an evaluation that was made on another one."""
    for folder in CHECKPOINTS:
        weights = f"{folder}/{layout.CKPT_WEIGHTS}"
        yield Mutant(f"{folder} of another run", weights, lambda root, _, f=folder: _replace(other / f, root / f))
    digest = read_json(other / layout.report_path(layout.SFT))["weights_digest"]
    for name in (layout.report_path(layout.EVAL), layout.report_path(layout.benchmark_dir("blimp"))):
        yield Mutant(
            f"{name} about another checkpoint",
            name,
            lambda root, _, n=name: edit(root, n, lambda body: body.update(weights_digest=digest)),
        )


def _replace(source: Path, target: Path) -> None:
    shutil.rmtree(target)
    shutil.copytree(source, target)


def _edited_thresholds() -> Iterator[Mutant]:
    """Thresholds of the profile that the run was judged under."""
    text = (PROFILES / "skill_release.toml").read_text()
    for old in ("threshold = 0.75", "threshold = 20.0", "threshold = 50.0", "warn_at = 12.0", "minimum_n = 50"):
        assert old in text
        yield Mutant(
            f"profile: {old} lowered",
            layout.GATE,
            lambda _, profiles, o=old: _rewrite(profiles / "skill_release.toml", o, o.split("=")[0] + "= 1"),
        )


def _rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    path.write_text(text.replace(old, new, 1))


def _edited_words() -> Iterator[Mutant]:
    """Words and checks of the verdict, the own digests made to fit."""
    edits: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
        "gate without a check": (layout.GATE, lambda body: body["checks"].pop()),
        "gate with another verdict": (layout.GATE, lambda body: body.update(verdict="warn")),
        "gate of another profile": (layout.GATE, lambda body: body.update(profile="research")),
        "gate with a note": (layout.GATE, lambda body: body.update(note="seen and approved")),
        "summary with another verdict": (layout.SUMMARY, lambda body: body.update(verdict="warn")),
        "summary without a check": (layout.SUMMARY, lambda body: body["checks"].pop()),
        "summary with a note": (layout.SUMMARY, lambda body: body.update(note="seen and approved")),
        "summary of other weights": (layout.SUMMARY, lambda body: body.update(weights_digest="0" * 64)),
        "run of another name": (layout.RUN, lambda body: body.update(name="better")),
        "run without failpoints": (layout.RUN, lambda body: body.pop("failpoints")),
    }
    for name, (path, change) in edits.items():
        yield Mutant(name, path, lambda root, _, p=path, c=change: edit(root, p, c))
