"""A run folder, opened: where stages find their inputs and put their reports."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.code_record import code_record, environment_record
from picochat.artifacts.reports import FileRef, Manifest, file_ref, self_digest
from picochat.artifacts.schema import require_schema, schema_tag
from picochat.core import fs
from picochat.core.clock import utc_now
from picochat.core.config import Config
from picochat.core.errors import refuse
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import pretty_json, read_json


class RunStore:
    """The files of one run. Paths are relative to `root`; every read is strict, every write durable."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, relative: str) -> Path:
        return self.root / relative

    def has(self, relative: str) -> bool:
        return self.path(relative).is_file()

    def read(self, relative: str) -> Any:
        return read_json(self.path(relative))

    def read_report(self, relative: str, schema: str) -> dict[str, Any]:
        """A report, checked against its schema version and its own digest. Raises `artifact.*` or `json.invalid`."""
        report = require_schema(self.read(relative), schema, str(self.path(relative)))
        Manifest.from_json(report.get("manifest"), f"{self.path(relative)} manifest")
        if report.get("self_digest") != self_digest(report):
            refuse(
                "artifact.changed",
                f"{self.path(relative)} was changed after it was written: it has another self_digest",
            )
        return report

    def write(self, relative: str, data: bytes) -> None:
        path = self.path(relative)
        fs.make_dir(path.parent)
        fs.write_atomic(path, data)

    def write_evidence(self, relative: str, data: bytes) -> None:
        """Writes a record after renaming the one it replaces (`report.json` -> `report.001.json`).

        Nothing is renamed when the bytes are the same.
        """
        path = self.path(relative)
        if path.is_file() and path.read_bytes() == data:
            return
        fs.make_dir(path.parent)
        fs.write_atomic(path, data, keep_old=True)

    def write_report(self, relative: str, schema: str, body: dict[str, Any], manifest: Manifest) -> None:
        """Writes a report: schema tag, body, manifest, and the digest of them all."""
        document = {"schema": schema_tag(schema).to_json(), **body, "manifest": manifest.to_json()}
        self.write_evidence(relative, pretty_json(document | {"self_digest": self_digest(document)}))

    def ref(self, kind: str, path: Path | str) -> FileRef:
        """The digest of a file of this run (relative) or outside of it (absolute)."""
        full = self.path(path) if isinstance(path, str) else path
        if not full.is_file():
            refuse("artifact.missing", f"{full} does not exist")
        return file_ref(kind, full, self.root)

    def refs_below(self, kind: str, folder: str) -> list[FileRef]:
        """Digests of all files below a folder of this run, in the order of their names."""
        base = self.path(folder)
        return [file_ref(kind, p, self.root) for p in sorted(base.rglob("*")) if p.is_file()] if base.is_dir() else []

    def checkpoint_folders(self) -> list[str]:
        """The checkpoints that this run holds, relative to it: the named ones of each training, then the kept ones."""
        found = []
        for stage in (layout.BASE, layout.SFT):
            names = (layout.CHECKPOINT, layout.CHECKPOINT_PREVIOUS, layout.BEST)
            kept = sorted(p.name for p in self.path(f"{stage}/{layout.KEPT}").glob("step-*"))
            found += [f"{stage}/{name}" for name in (*names, *(f"{layout.KEPT}/{name}" for name in kept))]
        return [folder for folder in found if self.path(folder).exists()]

    def resolve(self, ref: FileRef) -> Path:
        return Path(ref.path) if ref.external else self.path(ref.path)

    def require_unchanged(self, ref: FileRef) -> Path:
        """The path of a recorded file after hashing it again. Raises `artifact.missing` or `artifact.changed`."""
        path = self.resolve(ref)
        digest = sha256_file(path)
        if digest != ref.sha256:
            refuse("artifact.changed", f"{path} has sha256 {digest[:12]}..., recorded was {ref.sha256[:12]}...")
        return path

    def require_outputs(self, report: str, schema: str) -> dict[str, Any]:
        """The report of an earlier stage, after re-hashing everything that it says it wrote."""
        document = self.read_report(report, schema)
        manifest = Manifest.from_json(document["manifest"], report)
        run_digest = self.run_digest()
        if manifest.run_digest != run_digest:
            refuse(
                "artifact.changed",
                f"{self.path(report)} belongs to run.json {manifest.run_digest[:12]}..., this is {run_digest[:12]}...",
            )
        for ref in manifest.outputs:
            self.require_unchanged(ref)
        return document

    def run_digest(self) -> str:
        return sha256_file(self.path(layout.RUN))


class StageRecord:
    """Collects a stage's manifest while it runs."""

    def __init__(self, store: RunStore, stage: str, attempt: int, config: Config, started_s: float) -> None:
        self._store = store
        self._stage = stage
        self._attempt = attempt
        self._config = config.digest()
        self._started_at = utc_now()
        self._started_s = started_s
        self.inputs: list[FileRef] = []
        self.outputs: list[FileRef] = []

    def add_input(self, kind: str, path: Path | str) -> FileRef:
        """Hashes a file before the stage uses it."""
        ref = self._store.ref(kind, path)
        self.inputs.append(ref)
        return ref

    def add_output(self, kind: str, path: Path | str) -> FileRef:
        ref = self._store.ref(kind, path)
        self.outputs.append(ref)
        return ref

    def manifest(self, now_s: float, **environment: Any) -> Manifest:
        """The finished manifest; `now_s` is on the same monotonic clock as `started_s`."""
        return Manifest(
            stage=self._stage,
            attempt=self._attempt,
            started_at=self._started_at,
            finished_at=utc_now(),
            duration_s=round(now_s - self._started_s, 3),
            run_digest=self._store.run_digest(),
            code=code_record(),
            environment=environment_record(**environment),
            config=self._config,
            inputs=tuple(self.inputs),
            outputs=tuple(self.outputs),
        )


class RunLock:
    """An exclusive writer's lock on a run folder; released when the process ends, however it ends."""

    def __init__(self, root: Path) -> None:
        self._path = root / layout.LOCK
        self._descriptor: int | None = None

    def __enter__(self) -> RunLock:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            refuse("run.busy", f"another process is writing to {self._path.parent}")
        self._descriptor = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
