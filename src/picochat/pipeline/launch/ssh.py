"""A provider that starts a plan on a machine that is reached over ssh: copy, check every byte, start, ask, stop, fetch.

Every command is an argv list; the other side's shell gets words that are quoted one by one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from picochat.artifacts.store import RunStore
from picochat.core import fs
from picochat.core.errors import PicochatError, refuse
from picochat.core.jsonio import parse_json
from picochat.core.redact import redact
from picochat.core.subprocesses import Finished, run_with_input
from picochat.core.swap import rename_durably
from picochat.judgement.verify import verify_run
from picochat.pipeline.launch.records import LaunchPlan
from picochat.pipeline.launch.render import ssh as words
from picochat.pipeline.launch.start import Started

ASK_TIMEOUT_S = 60.0
COPY_TIMEOUT_S = 24 * 3600.0
SHOWN_CHARS = 300
Run = Callable[..., Finished]


class SshProvider:
    """`run` takes an argv list, bytes for its standard input and `timeout_s`; tests hand in another one."""

    def __init__(self, run_root: Path, run: Run = run_with_input) -> None:
        self._root, self._run = run_root, run

    def start(self, plan: LaunchPlan) -> Started:
        """Copies what travels, has it hashed there, and starts. Raises `launch.provider`."""
        folder = words.run_folder(plan)
        self._there(plan, ["mkdir", "-p", f"{folder}/logs"], ASK_TIMEOUT_S)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
            listing.write("".join(f"{file.path}\n" for file in plan.files))
            listing.flush()
            self._here(words.copy_words(plan, str(self._root), listing.name), COPY_TIMEOUT_S)
        check = ["bash", "-c", f"cd {folder} && sha256sum --check --quiet"]
        self._there(plan, check, COPY_TIMEOUT_S, words.digests_text(plan).encode())
        self._there(plan, words.start_words(plan), ASK_TIMEOUT_S)
        return Started(f"ssh:{plan.target.host}:{plan.run}", {"host": plan.target.host, "folder": folder})

    def status(self, plan: LaunchPlan) -> dict[str, Any]:
        """What `picochat status --json` says there."""
        answer = self._there(plan, words.status_words(plan), ASK_TIMEOUT_S)
        try:
            found = parse_json(answer.output, "status of the other side")
        except PicochatError as err:
            refuse("launch.provider", f"the other side's status cannot be read: {err.detail}")
        return found if isinstance(found, dict) else {}

    def stop(self, plan: LaunchPlan) -> None:
        """Asks for a checkpoint and an orderly end."""
        self._there(plan, words.stop_words(plan), ASK_TIMEOUT_S)

    def free_bytes(self, plan: LaunchPlan) -> int:
        """Free disk of the working folder there, or of its parent before it exists."""
        script = (
            f"df --block-size=1 --output=avail {plan.target.folder} 2>/dev/null || df --block-size=1 --output=avail ."
        )
        answer = self._there(plan, ["bash", "-c", script], ASK_TIMEOUT_S)
        figures = [
            line.strip() for line in answer.output.decode(errors="replace").splitlines() if line.strip().isdigit()
        ]
        if not figures:
            refuse("launch.provider", "the other side does not say how much disk is free")
        return int(figures[-1])

    def fetch(self, plan: LaunchPlan, into: Path) -> list[str]:
        """Copies the run back under a hidden name, verifies it, and only then gives it its own.

        Returns what verify found; raises `launch.provider` when anything of it blocks: nothing is shown of such a run.
        """
        if into.exists():
            refuse("launch.provider", f"{into} exists already", fix="name a folder that does not exist yet")
        fs.make_dir(into.parent)
        arrived = into.parent / f".tmp-{into.name}"
        fs.make_dir(arrived)
        self._here(words.fetch_words(plan, str(arrived)), COPY_TIMEOUT_S)
        results = verify_run(RunStore(arrived))
        broken = [f"{result.id}: {result.measured}" for result in results if result.verdict == "block"]
        if broken:
            refuse(
                "launch.provider",
                f"what came back does not verify: {broken[0]} ({len(broken)} in all); it lies in {arrived}",
            )
        rename_durably(arrived, into)
        return [f"{result.id} {result.verdict}" for result in results]

    def _there(self, plan: LaunchPlan, command: list[str], timeout_s: float, data: bytes = b"") -> Finished:
        return self._here(words.ssh_words(plan, command), timeout_s, data)

    def _here(self, argv: Sequence[str], timeout_s: float, data: bytes = b"") -> Finished:
        done = self._run(list(argv), data, timeout_s=timeout_s)
        if done.code != 0:
            said = redact(done.complaint)[:SHOWN_CHARS]
            refuse("launch.provider", f"{argv[0]} ended with {done.code}: {said}")
        return done
