"""The launch desk: a folder beside the runs with plans, the audit trail and what was started.

.picochat/plans/<digest>.json     immutable: the name is the digest of the bytes
.picochat/audit.jsonl             append-only: every confirmation, start and refusal, on disk before anything starts
.picochat/starts/<digest>.json    made exclusively, before anything starts: a plan is started at most once
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.core import fs
from picochat.core.clock import utc_now
from picochat.core.errors import refuse
from picochat.core.hashing import sha256_bytes
from picochat.core.jsonio import canonical_json, iter_jsonl, pretty_json, read_json
from picochat.core.redact import redact_tree
from picochat.pipeline.launch.records import LaunchPlan, parse_plan


class LaunchDesk:
    """What one runs folder knows of its launches. Several processes may use it at once."""

    def __init__(self, runs: Path) -> None:
        self.root = runs / layout.DESK

    def add_plan(self, plan: LaunchPlan) -> Path:
        """Writes a plan under its digest; the same plan again changes nothing."""
        path = self.plan_path(plan.digest())
        fs.make_dir(path.parent)
        if not path.exists():
            fs.write_atomic(path, plan.data())
        return path

    def plan_path(self, digest: str) -> Path:
        return self.root / layout.DESK_PLANS / f"{digest}.json"

    def find_plan(self, name: str) -> LaunchPlan:
        """A plan by its digest, by the first 8 or more digits of it, or by the path of its file.

        Raises `launch.unknown` when there is none or more than one, `launch.plan` when the bytes are not its name's.
        """
        path = Path(name) if name.endswith(".json") else self._by_digits(name)
        try:
            data = path.read_bytes()
        except OSError:
            refuse("launch.unknown", f"{path} cannot be read")
        if sha256_bytes(data) != path.stem:
            refuse("launch.plan", f"{path} holds {sha256_bytes(data)[:12]}...: it was changed after it was written")
        return parse_plan(data, str(path))

    def _by_digits(self, name: str) -> Path:
        digits = len(name) >= 8 and all(letter in "0123456789abcdef" for letter in name)
        found = sorted(self.plan_path("x").parent.glob(f"{name}*.json")) if digits else []
        if len(found) != 1:
            refuse("launch.unknown", f"{len(found)} plans of {self.root} begin with {name[:64]!r}")
        return found[0]

    def plan_digests(self) -> list[str]:
        """The names of the plans that lie there, whether they are whole or not; the newest file first."""
        found = []
        for path in self.plan_path("x").parent.glob("*.json"):
            try:
                found.append((path.stat().st_mtime_ns, path.stem))
            except OSError:
                continue  # it went away meanwhile
        return [digest for _, digest in sorted(found, reverse=True)]

    def plans(self) -> list[LaunchPlan]:
        """All plans that are whole, the oldest first."""
        found = [self.find_plan(str(path)) for path in self.plan_path("x").parent.glob("*.json")]
        return sorted(found, key=lambda plan: (plan.created_at, plan.digest()))

    def audit(self, action: str, plan_digest: str, **fields: Any) -> None:
        """Appends a line and waits until it is on disk. Raises `disk.*`."""
        fs.make_dir(self.root)
        line = {"t": utc_now(), "pid": os.getpid(), "action": action, "plan": plan_digest, **fields}
        path = self.root / layout.DESK_AUDIT
        try:
            with open(path, "ab") as stream:
                stream.write(canonical_json(redact_tree(line)) + b"\n")
                fs.sync_stream(stream)
            fs.fsync_dir(self.root)
        except OSError as err:
            fs.raise_disk_error(err, path)

    def audit_lines(self, plan_digest: str | None = None) -> list[dict[str, Any]]:
        """The trail, or that of one plan; a line that a crash tore is left out."""
        path = self.root / layout.DESK_AUDIT
        lines = list(iter_jsonl(path, torn_tail=True)) if path.exists() else []
        return [line for line in lines if plan_digest in (None, line.get("plan"))]

    def read_start(self, plan_digest: str) -> dict[str, Any] | None:
        """What is known of the plan's one start."""
        path = self._start_path(plan_digest)
        return read_json(path) if path.exists() else None

    def claim_start(self, plan_digest: str) -> None:
        """Takes the plan's only start. Of any number of callers one succeeds. Raises `launch.started`."""
        path = self._start_path(plan_digest)
        fs.make_dir(path.parent)
        try:
            with open(path, "xb") as stream:
                stream.write(canonical_json({"state": "claimed", "t": utc_now(), "pid": os.getpid()}))
                fs.sync_stream(stream)
            fs.fsync_dir(path.parent)
        except FileExistsError:
            refuse("launch.started", f"plan {plan_digest[:12]} was started before: {path}")
        except OSError as err:
            fs.raise_disk_error(err, path)

    def record_start(self, plan_digest: str, state: str, **fields: Any) -> None:
        """What became of the start: started, failed, stopped."""
        fs.write_json(self._start_path(plan_digest), redact_tree({"state": state, "t": utc_now(), **fields}))

    def write_dry_run(self, plan_digest: str, checks: list[CheckResult], run: str) -> None:
        """Keeps the rows of the latest dry run of a plan; the one before keeps a numbered name."""
        path = self._dry_run_path(plan_digest)
        fs.make_dir(path.parent)
        body = {"t": utc_now(), "run": run, "checks": [check.to_json() for check in checks]}
        fs.write_atomic(path, pretty_json(body), keep_old=True)

    def read_dry_run(self, plan_digest: str) -> dict[str, Any] | None:
        """`t`, `run` and `checks` of the latest dry run, or None."""
        path = self._dry_run_path(plan_digest)
        return read_json(path) if path.exists() else None

    def _dry_run_path(self, plan_digest: str) -> Path:
        return self.root / layout.DESK_DRY_RUNS / f"{plan_digest}.json"

    def _start_path(self, plan_digest: str) -> Path:
        return self.root / layout.DESK_STARTS / f"{plan_digest}.json"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One start at a time, over all processes."""
        fs.make_dir(self.root)
        descriptor = os.open(self.root / layout.LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
