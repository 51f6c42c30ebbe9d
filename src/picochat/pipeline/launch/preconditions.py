"""What must hold at the moment of a start, judged again at that moment: check results like any other."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult, Verdict, overall
from picochat.artifacts.code_record import code_record
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_file
from picochat.pipeline.launch.desk import LaunchDesk
from picochat.pipeline.launch.dry_run import HOLDS_HOURS, is_fresh
from picochat.pipeline.launch.records import LaunchPlan

WHY: dict[str, tuple[str, str]] = {
    "launch.files": ("a byte that changed is another run", "make the plan again: picochat launch plan RUN"),
    "launch.code": ("the code that was planned with is the code that must run", "make the plan again, and the dry run"),
    "launch.preflight": (
        "what blocks on the laptop blocks on rented GPUs too, and costs more",
        "picochat preflight RUN, then make the plan again",
    ),
    "launch.dry_run": ("what fails in a hundred steps fails there", "picochat launch dry-run PLAN"),
    "launch.estimate": ("a run that cannot end within its cap pays for nothing", "raise --cap, or plan fewer tokens"),
    "launch.ceiling": (
        "a ceiling that is written down cannot be typed away",
        f"write max_cap_usd = 500 into .picochat/{layout.DESK_SETTINGS} beside the runs",
    ),
    "launch.reachable": ("a machine that does not answer may be billed all the same", "check the host, and ssh HOST"),
    "launch.disk": ("a full disk there ends the run at a checkpoint", "ask for a larger disk"),
}
_RELEASE = "release"
WARN_FRAC = 0.8


def judge_preconditions(
    plan: LaunchPlan,
    store: RunStore,
    desk: LaunchDesk,
    now: datetime.datetime,
    ask_free_bytes: Callable[[], int] | None,
) -> list[CheckResult]:
    """Every precondition of a start; `ask_free_bytes` asks the other side, None where nobody can."""
    reachable, disk = _other_side(plan, ask_free_bytes)
    checks = [_files(plan, store), _code(plan), _preflight(plan, store), _estimate(plan), _ceiling(plan, desk)]
    return [*checks, *([] if plan.dry_run_of else [_dry_run(plan, desk, now)]), reachable, disk]


def judge_on_paper(plan: LaunchPlan, store: RunStore, desk: LaunchDesk, now: datetime.datetime) -> list[CheckResult]:
    """Those preconditions for which no large file is hashed and nobody is asked."""
    return [_code(plan), _preflight(plan, store), _estimate(plan), _ceiling(plan, desk), _dry_run(plan, desk, now)]


def _files(plan: LaunchPlan, store: RunStore) -> CheckResult:
    changed = [file.path for file in plan.files if not _is_same(store.path(file.path), file.sha256)]
    return _result("launch.files", not changed, len(changed), 0, n=len(plan.files), detail=", ".join(changed[:3]))


def _is_same(path: Path, sha256: str) -> bool:
    try:
        return path.is_file() and sha256_file(path) == sha256
    except OSError:
        return False


def _code(plan: LaunchPlan) -> CheckResult:
    now = code_record().package_digest
    return _result("launch.code", now == plan.code_digest, now[:12], plan.code_digest[:12])


def _preflight(plan: LaunchPlan, store: RunStore) -> CheckResult:
    """preflight.json is the one that was planned with, judged with the limits of a release, and does not block."""
    if plan.preflight_digest is None or not store.has(layout.PREFLIGHT):
        return _result("launch.preflight", None, None, "pass")
    try:
        body = store.read_report(layout.PREFLIGHT, "preflight")
    except PicochatError as err:
        return _result("launch.preflight", None, None, "pass", detail=err.detail)
    same = sha256_file(store.path(layout.PREFLIGHT)) == plan.preflight_digest
    word = f"{body.get('verdict')} under {body.get('column')} limits"
    good = same and body.get("verdict") in ("pass", "warn") and body.get("column") == _RELEASE
    return _result("launch.preflight", good, word, "pass")


def _estimate(plan: LaunchPlan) -> CheckResult:
    share = float(plan.money.estimate_usd[1]) / float(plan.money.cap_usd)
    if plan.dry_run_of is None and WARN_FRAC < share <= 1:
        return _result("launch.estimate", True, share, 1.0, verdict="warn")
    return _result("launch.estimate", share <= 1, share, 1.0)


def _ceiling(plan: LaunchPlan, desk: LaunchDesk) -> CheckResult:
    """Only the file beside the runs can set it: no request, no flag."""
    ceiling = read_settings(desk).get("max_cap_usd")
    if not isinstance(ceiling, int | float) or isinstance(ceiling, bool):
        return _result("launch.ceiling", None, plan.money.cap_usd, None)
    return _result("launch.ceiling", float(plan.money.cap_usd) <= ceiling, float(plan.money.cap_usd), float(ceiling))


def read_settings(desk: LaunchDesk) -> Mapping[str, Any]:
    """The desk's own file; empty when there is none that can be read."""
    try:
        return tomllib.loads((desk.root / layout.DESK_SETTINGS).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}


def _dry_run(plan: LaunchPlan, desk: LaunchDesk, now: datetime.datetime) -> CheckResult:
    found = desk.read_dry_run(plan.digest())
    if found is None:
        return _result("launch.dry_run", None, None, "pass")
    verdict = overall([CheckResult.from_json(check, "dry run") for check in found["checks"]])
    if not is_fresh(found["t"], now):
        return _result("launch.dry_run", False, f"older than {HOLDS_HOURS} h", "pass")
    return _result("launch.dry_run", verdict != "blocked", verdict, "pass")


def _other_side(plan: LaunchPlan, ask: Callable[[], int] | None) -> tuple[CheckResult, CheckResult]:
    needed = float(plan.predicted.get("disk_bytes") or 0.0) + sum(file.bytes for file in plan.files)
    if ask is None:
        return _result("launch.reachable", None, None, "an answer"), _result("launch.disk", None, None, needed)
    try:
        free = ask()
    except PicochatError as err:
        reachable = _result("launch.reachable", False, "no answer", "an answer", detail=err.detail)
        return reachable, _result("launch.disk", None, None, needed)
    return _result("launch.reachable", True, "an answer", "an answer"), _result(
        "launch.disk", free >= needed, free, needed
    )


def _result(
    name: str,
    good: bool | None,
    measured: float | str | None,
    threshold: float | str | None,
    *,
    verdict: Verdict | None = None,
    n: int | None = None,
    detail: str = "",
) -> CheckResult:
    why, fix = WHY[name]
    word: Verdict = verdict or ("not_run" if good is None else "pass" if good else "block")
    return CheckResult(
        id=name,
        verdict=word,
        measured=measured,
        threshold=threshold,
        n=n,
        required=True,
        why=f"{why} ({detail})" if detail else why,
        fix=fix,
    )
