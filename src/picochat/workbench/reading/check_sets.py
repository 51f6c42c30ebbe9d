"""The gate, the preflight and the repairs of one run, read from its files: what the routes of the gate page answer."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Mapping
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.judgement.evidence import NUMBERED, RunEvidence
from picochat.judgement.explain import explain_result
from picochat.judgement.preflight.registry import PREFLIGHT_CHECKS
from picochat.judgement.registry import CHECKS, LATEST_VERSION, VERIFY_CHECKS
from picochat.judgement.repair_queue import build_repairs
from picochat.judgement.repairs import REPAIRS
from picochat.judgement.rules.preflight import settings_digest
from picochat.judgement.waivers import is_waivable
from picochat.pipeline.launch.readiness import prepare_command
from picochat.views.gate import check_sets as views
from picochat.views.gate.preflight import preflight_line, preflight_markdown
from picochat.views.reading import number_of, value_at
from picochat.views.runs.rework import Rework, read_rework
from picochat.workbench.bench import Workbench, is_kind
from picochat.workbench.reading.freshness import Freshener

TITLES = {check: facts.title for check, facts in (VERIFY_CHECKS | PREFLIGHT_CHECKS | CHECKS).items()}
EXPLAINED_BYTES = 16_000_000
"""A larger file is named beside a check and not read for a page."""
WAIVE = "picochat gate {run} --profile {profile} --waive {check} --by NAME --reason TEXT --until YYYY-MM-DD"


class RunChecks:
    """The checks of one run of a bench. Nothing here judges: what was judged is read, and set against the disk."""

    def __init__(self, bench: Workbench, name: str) -> None:
        self.store: RunStore = bench.run(name)
        self.bench = bench
        self.run = str(bench.runs / name)
        self._found: dict[str, views.Found] = {}

    def facts(self) -> Rework:
        paths = [self.store.path(name) for name in (layout.RUN, layout.EVENTS, layout.GATE)]
        # The folder of the runs too: the next run's name is one that is free.
        paths += [self.store.path(layout.report_path(layout.BASE)), self.bench.runs]
        return self.bench.memo.read(("rework", self.run), paths, lambda: read_rework(self.store.root, self.run))

    def found(self, relative: str, schema: str) -> views.Found:
        """The document, or its state. A link or a folder in its place is unreadable."""
        path = self.store.path(relative)
        if not is_kind(path, stat.S_ISREG):
            there = path.is_symlink() or path.exists()
            why = f"{relative} is no regular file" if there else f"there is no {relative}"
            return views.Found(views.UNREADABLE if there else views.MISSING, why, None)
        return self.bench.memo.read(("checks", path), [path], lambda: views.read_checked(path, schema))

    def gate(self) -> dict[str, Any]:
        """gate.json as a page shows it, with what changed since the verdict before."""
        found = self.found(layout.GATE, "gate")
        body, document = self._set("gate", found, layout.GATE), found.document or {}
        profile = document.get("profile") or self._own_profile()
        version = document.get("profile_version")
        command = f"picochat gate {self.run}" + (f" --profile {profile}" if profile else "")
        for row in body["rows"]:
            row["waive"] = self._waive(row, str(profile))
        return body | {
            "profile_version": version,
            "profile_digest": document.get("profile_digest"),
            "newer_profile": isinstance(version, int) and version < LATEST_VERSION,
            "weights_digest": document.get("weights_digest"),
            "not_judged": document.get("not_judged", []),
            "failpoints": document.get("failpoints", []),
            "waivers": document.get("waivers", []),
            "judged_on": document.get("judged_on"),
            "previous": self._previous(document),
            "command": command,
        }

    def preflight(self) -> dict[str, Any]:
        """preflight.json as a page shows it, passes too, with the Markdown that preflight.md has."""
        found = self.found(layout.PREFLIGHT, "preflight")
        body, document = self._set("preflight", found, layout.PREFLIGHT), found.document or {}
        whole = bool(document) and {"facts", "not_asked", "limits_version"} <= document.keys()
        for key in ("column", "limits_version", "limits_digest", "config_digest", "facts"):
            body[key] = document.get(key)
        seconds = value_at(document, "manifest", "environment", "check_seconds")
        for row in body["rows"]:
            row["seconds"] = number_of(value_at(seconds, row["id"]))
        trained = self.store.has(layout.report_path(layout.BASE))
        return body | {
            "not_asked": document.get("not_asked", []),
            "line": preflight_line(document) if whole else "",
            "markdown": preflight_markdown(document) if whole else "",
            "command": prepare_command(self.store, self.run),
            "trained": trained,
        }

    def verify(self) -> dict[str, Any]:
        """What the newest verification that was started here found."""
        newest = self.bench.verifications.newest(self.store.root.name)
        checks = [check for check in newest.checks if views.is_result(check)] if newest else []
        state = views.MISSING if newest is None or newest.verdict is None else views.READY
        why = newest.problem if newest else "no verification was started here"
        document = {"checks": checks, "verdict": newest.verdict} if newest and state == views.READY else None
        body = self._build("verify", views.Found(state, why, document), None)
        process = newest.process.to_json() if newest else None
        return body | {"process": process, "command": f"picochat verify {self.run}"}

    def _set(self, name: str, found: views.Found, relative: str) -> dict[str, Any]:
        return self._build(name, found, self.freshness(relative, found.document) if found.document else None)

    def _build(self, name: str, found: views.Found, fresh: views.Freshness | None) -> dict[str, Any]:
        """The set with, beside each row, the commands of the step that mends it."""
        body = views.build_set(name, found, fresh, run=self.run, profile=self.facts().profile, titles=TITLES)
        body["rows"] = views.with_commands(body["rows"], self._queue(found.document or {}, name)["steps"])
        return body

    def _queue(self, document: Mapping[str, Any], name: str) -> dict[str, Any]:
        profile = document.get("profile") or self._own_profile()
        known = profile if isinstance(profile, str) else None
        return build_repairs(document.get("checks", ()), self.facts(), known, before=name == "preflight")

    def freshness(self, relative: str, document: Mapping[str, Any]) -> views.Freshness:
        """What changed on disk since; a preflight also goes stale with the settings that it judged."""
        fresh = Freshener(self.store, self.bench.memo, relative).compare(document)
        judged, config = document.get("config_digest"), self._config()
        if judged is not None and config is not None and settings_digest(config) != judged:
            fresh = fresh._replace(changed=[*fresh.changed, {"path": layout.RUN, "how": "has other settings"}])
        return fresh

    def _config(self) -> dict[str, Any] | None:
        try:
            config = self.store.read(layout.RUN).get("config")
        except (PicochatError, OSError, AttributeError):
            return None
        return config if isinstance(config, dict) else None

    def _own_profile(self) -> str | None:
        try:
            return str(self.store.read(layout.RUN)["gate_profile"])
        except (PicochatError, OSError, KeyError, TypeError):
            return None

    def _waive(self, row: Mapping[str, Any], profile: str) -> str | None:
        """The command that lets a check go, for one that could be; contamination and integrity never can."""
        if row["verdict"] not in ("block", "warn") or not is_waivable(row["id"]):
            return None
        return WAIVE.format(run=self.run, profile=profile, check=row["id"])

    def _previous(self, document: Mapping[str, Any]) -> dict[str, Any] | None:
        """The verdict before this one, and the checks of which the two say different things."""
        path = self.store.path(layout.GATE)
        names = [name for name in path.parent.glob(f"{path.stem}.*{path.suffix}") if NUMBERED.search(name.name)]
        if not document or not names:
            return None
        older = max(names, key=lambda name: name.name)
        found = self.found(str(older.relative_to(self.store.root)), "gate")
        before = found.document or {}
        manifest = before.get("manifest") or {}
        return {
            "file": older.name,
            "state": found.state,
            "verdict": before.get("verdict"),
            "profile": before.get("profile"),
            "weights_digest": before.get("weights_digest"),
            "judged_at": manifest.get("finished_at"),
            "changes": views.changes_since(before, document) if before else [],
        }

    def shown(self, checks: Iterable[Mapping[str, Any]], plan: str | None = None) -> list[dict[str, Any]]:
        """Results of any kind as rows with the commands that mend them, in their order. `plan`: a launch's digest."""
        found, profile = list(checks), self._own_profile()
        rows = [views.row_json(check, run=self.run, profile=self.facts().profile, titles=TITLES) for check in found]
        queue = build_repairs((check for check in found if check["id"] in REPAIRS), self.facts(), profile, before=True)
        for row in rows:
            if plan is not None:
                row["fix"] = re.sub(r"\bPLAN\b", plan[:12], row["fix"])
        return views.with_commands(rows, queue["steps"])

    def repairs(self, name: str) -> dict[str, Any]:
        """The queue for the gate's results, or for those of preflight; empty for a document that cannot be read."""
        found = self.found(layout.GATE, "gate") if name == "gate" else self.found(layout.PREFLIGHT, "preflight")
        document = found.document or {}
        profile = document.get("profile") or self._own_profile()
        queue = self._queue(document, name)
        return {"set": name, "state": found.state, "why": found.why, "profile": profile, "run": self.run, **queue}

    def explain(self, check: str) -> dict[str, Any]:
        """Where the numbers of a stored result stand, and what a pass would need."""
        document = self.found(layout.GATE, "gate").document or {}
        stored = next((row for key in ("checks", "shown") for row in document.get(key, ()) if row["id"] == check), None)
        waiver = next((entry for entry in document.get("waivers", ()) if entry.get("check") == check), None)
        result = CheckResult.from_json(stored, check) if stored else None
        found = explain_result(RunEvidence(self.store), check, result, waiver, most_bytes=EXPLAINED_BYTES)
        profile = document.get("profile") or self._own_profile()
        command = f"picochat gate {self.run} --explain {check}" + (f" --profile {profile}" if profile else "")
        return found | {"profile": profile, "profile_version": document.get("profile_version"), "command": command}
