"""The dataset hub: what a revision holds, and its files, fetched one at a time and verified.

The address, the session, the headers and the errors are those of huggingface_hub. A file is streamed here and not by
its download helper: that one tries again by itself with waits of its own, falls back to a local file where the hub
cannot be reached, and starts anew after a kill. Nothing but files is read; no code of a dataset ever runs.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import picochat
from picochat.core.errors import PicochatError, refuse
from picochat.core.extras import require_extra
from picochat.core.fs import free_bytes, raise_disk_error
from picochat.core.hashing import sha256_file
from picochat.data.imports.config import ANEW, COMMIT
from picochat.data.imports.hub_errors import (
    NEED,
    Unfinished,
    describe,
    header_of,
    is_of_library,
    may_pass,
    retry_after,
    status_of,
)
from picochat.data.imports.manifest import PlannedFile

TRIES = 5
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
TIMEOUT_S = 30.0
TOKEN_VARIABLE = "HF_TOKEN"
Result = TypeVar("Result")
Watch = Callable[[int], None]
"""Told how many bytes of a file are there; it may raise to stop."""


@dataclass(frozen=True)
class HubDataset:
    """A revision of a dataset, as the hub describes it."""

    name: str
    commit: str
    files: tuple[PlannedFile, ...]
    configs: list[dict[str, Any]]
    """The `configs` of the dataset's card."""
    licence: str | None
    endpoint: str


@dataclass
class Hub:
    """Questions to one hub. `again` is the command that goes on; `sleep` is replaced in tests."""

    endpoint: str | None = None
    token: str | None = field(default=None, repr=False)
    again: str = "run the same command again"
    sleep: Callable[[float], None] = time.sleep

    def dataset(self, name: str, revision: str) -> HubDataset:
        """What a branch, tag or commit holds now.

        Raises `hub.access`, `hub.revision`, `hub.unreachable` after the last try, or `hub.answer`.
        """
        library = _library()
        api = library.HfApi(
            endpoint=self.endpoint,
            token=self.token or False,
            library_name="picochat",
            library_version=picochat.__version__,
        )
        what = f"dataset {name} at {revision}"
        info = self._patiently(
            lambda: api.dataset_info(name, revision=revision, files_metadata=True, timeout=TIMEOUT_S), what
        )
        if not isinstance(info.sha, str) or not COMMIT.fullmatch(info.sha) or info.siblings is None:
            refuse("hub.answer", f"the hub's answer for {what} names no commit of 40 digits, or no files")
        if COMMIT.fullmatch(revision) and info.sha != revision:
            refuse("hub.answer", f"the hub answered with commit {info.sha} where {revision} was asked for")
        files = sorted((_planned(sibling, what) for sibling in info.siblings), key=lambda file: file.name)
        card = info.card_data.to_dict() if info.card_data is not None else {}
        configs = card.get("configs")
        return HubDataset(
            name=name,
            commit=info.sha,
            files=tuple(files),
            configs=[entry for entry in configs if isinstance(entry, dict)] if isinstance(configs, list) else [],
            licence=_licence(card.get("license")),
            endpoint=str(api.endpoint),
        )

    def fetch(self, dataset: str, commit: str, file: PlannedFile, target: Path, watch: Watch = lambda _: None) -> str:
        """Puts a file under `target` and returns its sha256, which is the hub's.

        What an earlier attempt left there is continued. Raises `import.digest` for bytes that are not those the hub
        names, `source.vanished` when the file is gone, `disk.full`, and what `dataset` raises.
        """
        self._require_space(file, target)
        continued = target.is_file() and target.stat().st_size > 0
        for _ in range(2):
            self._patiently(
                lambda: self._stream(dataset, commit, file, target, watch), f"{dataset}/{file.name}", commit
            )
            digest, problem = _verify(target, file)
            if problem is None:
                return digest
            target.unlink()
            if not continued:  # else what was left here may have been spoilt: once more, from the first byte
                break
        refuse("import.digest", f"{dataset}/{file.name} at {commit[:12]}: {problem}")

    def _require_space(self, file: PlannedFile, target: Path) -> None:
        have = target.stat().st_size if target.is_file() else 0
        free = free_bytes(target.parent)
        if file.bytes - have > free:
            refuse("disk.full", f"{file.name} has {file.bytes:,} bytes, {free:,} bytes are free for {target.parent}")

    def _stream(self, dataset: str, commit: str, file: PlannedFile, target: Path, watch: Watch) -> None:
        """One try: appends what is missing, or writes everything where the hub does not continue."""
        library = _library()
        have = target.stat().st_size if target.is_file() else 0
        if have > file.bytes:
            target.unlink()
            have = 0
        if have == file.bytes and target.is_file():
            return
        url = library.hf_hub_url(dataset, file.name, repo_type="dataset", revision=commit, endpoint=self.endpoint)
        wanted = {"accept-encoding": "identity"} | ({"range": f"bytes={have}-"} if have else {})
        headers = _utils().build_hf_headers(
            token=self.token or False, library_name="picochat", library_version=picochat.__version__, headers=wanted
        )
        with _utils().get_session().stream("GET", url, headers=headers, timeout=TIMEOUT_S) as response:
            _utils().hf_raise_for_status(response)
            continues = response.status_code == 206
            if continues and not response.headers.get("content-range", "").startswith(f"bytes {have}-"):
                target.unlink(missing_ok=True)
                raise Unfinished("another range than the one that was asked for")
            self._write(response, file, target, have if continues else 0, watch)

    def _write(self, response: Any, file: PlannedFile, target: Path, have: int, watch: Watch) -> None:
        packed = "content-encoding" in response.headers
        announced = None if packed else response.headers.get("content-length")
        if announced is not None and have + int(announced) != file.bytes:
            _refuse_size(file, have + int(announced))
        try:
            with target.open("ab" if have else "wb") as stream:
                for chunk in response.iter_bytes():
                    have += len(chunk)
                    if have > file.bytes:
                        _refuse_size(file, have)
                    stream.write(chunk)
                    watch(have)
        except OSError as err:
            raise_disk_error(err, target, file.bytes)
        if have < file.bytes:
            raise Unfinished(f"the body ended after {have:,} of {file.bytes:,} bytes")

    def _patiently(self, action: Callable[[], Result], what: str, commit: str = "") -> Result:
        """The result of an action; what may pass is tried `TRIES` times with growing waits. Raises a refusal else."""
        wait, last = FIRST_WAIT_S, ""
        for number in range(TRIES):
            if number:
                self.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT_S)
            try:
                return action()
            except PicochatError:
                raise
            except Exception as err:  # whatever the library raises is sorted here, and a bug is raised again
                if not may_pass(err):
                    self._refuse(err, what, commit)
                last = describe(err)
                wait = min(max(wait, retry_after(err)), LONGEST_WAIT_S)
        refuse("hub.unreachable", f"{what}: {TRIES} tries failed, the last one with {last}", fix=self.again)

    def _refuse(self, err: Exception, what: str, commit: str) -> NoReturn:
        status, code = status_of(err), header_of(err, "x-error-code")
        if code == "RevisionNotFound" and not commit:
            refuse("hub.revision", f"{what}: the hub knows no such branch, tag or commit")
        if status == 404 and commit:
            refuse("source.vanished", f"{what} at commit {commit} is gone from the hub", fix=ANEW)
        if status in (401, 403, 404):
            given = f"a token was sent, from {TOKEN_VARIABLE}" if self.token else f"{TOKEN_VARIABLE} is not set"
            refuse("hub.access", f"{what} is not there, is private, or is closed to you ({status}; {given})")
        if type(err).__name__ == "OfflineModeIsEnabled":
            refuse(
                "hub.unreachable", f"{what}: HF_HUB_OFFLINE forbids it", fix=f"unset HF_HUB_OFFLINE, then {self.again}"
            )
        if status is not None:
            refuse("hub.answer", f"{what}: the hub answered {describe(err)}")
        if isinstance(err, ValueError | KeyError | TypeError) or is_of_library(err):
            refuse("hub.answer", f"{what}: the hub's answer cannot be read ({describe(err)})")
        raise err


def _library() -> Any:
    return require_extra("huggingface_hub", NEED)


def _utils() -> Any:
    return require_extra("huggingface_hub.utils", NEED)


def _planned(sibling: Any, what: str) -> PlannedFile:
    name, lfs = sibling.rfilename, sibling.lfs
    size = lfs.size if lfs is not None else sibling.size
    if not isinstance(size, int) or size < 0:
        refuse("hub.answer", f"the hub's answer for {what} has no size of {name!r}")
    if name.startswith("/") or ".." in name.split("/"):
        refuse("hub.answer", f"the hub's answer for {what} names a file outside of the dataset: {name!r}")
    sha256 = str(lfs.sha256) if lfs is not None else ""
    return PlannedFile(name=name, bytes=size, sha256=sha256, blob_id=sibling.blob_id or "" if lfs is None else "")


def _licence(value: Any) -> str | None:
    names = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return ", ".join(str(name) for name in names) or None


def _verify(path: Path, file: PlannedFile) -> tuple[str, str | None]:
    """(sha256 of the bytes on disk, what is wrong with them)."""
    size, digest = path.stat().st_size, sha256_file(path)
    if size != file.bytes:
        return digest, f"{size:,} bytes arrived, the hub says {file.bytes:,}"
    if file.sha256 and digest != file.sha256:
        return digest, f"sha256 {digest[:12]}... arrived, the hub says {file.sha256[:12]}..."
    if file.blob_id and (blob := _git_digest(path, size)) != file.blob_id:
        return digest, f"git's digest {blob[:12]}... arrived, the hub says {file.blob_id[:12]}..."
    return digest, None


def _git_digest(path: Path, size: int) -> str:
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _refuse_size(file: PlannedFile, size: int) -> NoReturn:
    refuse("import.digest", f"{file.name} comes with {size:,} bytes or more, the hub's list says {file.bytes:,}")


def remove_download(path: Path) -> None:
    """Takes a file away that has been read."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as err:
        raise_disk_error(err, path)
