"""A dataset hub on the loopback device: what huggingface_hub asks for, and every way in which a hub can let one down.

    with StubHub() as hub:
        commit = hub.commit({"data/train-0.jsonl": b"..."}, card={"license": "mit"})
        ... endpoint=hub.url ...

Files of 100 bytes and more lie in large file storage: their sha256 is listed, and they come from another host, to which
no token may travel.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 100
DATASET = "org/data"


@dataclass
class Fault:
    """What happens to the next `times` requests whose path matches `path`."""

    path: str
    kind: str
    """`status`, `drop` in mid-body, `short` (an honest length and a closed body), `wrong` bytes, `reset` at once."""
    value: Any = None
    times: int = 1_000_000


@dataclass
class Request:
    method: str
    path: str
    host: str
    """`hub` or `storage`."""
    headers: dict[str, str]


@dataclass
class StubHub:
    """Commits of one dataset, and the requests that came."""

    token: str | None = None
    """Without it every question is answered 401."""
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the list says of a file in place of the truth: sizes and digests by name."""
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    before_answer: Callable[[Request], None] = lambda _: None
    ranges: bool = True

    def __enter__(self) -> StubHub:
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, host)) for host in ("hub", "storage")]
        self._threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in self._servers]
        for thread in self._threads:
            thread.start()
        self.url, self.storage_url = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    def commit(self, files: dict[str, bytes], branch: str = "main", card: dict[str, Any] | None = None) -> str:
        """Adds a commit, moves the branch to it and returns its 40 digits."""
        digest = hashlib.sha1(repr((sorted(files.items()), card, len(self.commits))).encode()).hexdigest()
        self.commits[digest], self.cards[digest] = files, card or {}
        self.branches[branch] = digest
        return digest

    def fail(self, path: str, kind: str, value: Any = None, times: int = 1_000_000) -> None:
        self.faults.append(Fault(path, kind, value, times))

    def fetched(self, host: str = "hub") -> list[str]:
        """The files that were asked for by GET, in order."""
        found = [
            re.search(r"/resolve/[^/]+/(.*)", r.path) for r in self.requests if r.method == "GET" and r.host == host
        ]
        return [unquote(match[1]) for match in found if match]

    def asked(self) -> Counter[str]:
        return Counter(request.method for request in self.requests)

    def take_fault(self, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None

    def describe(self, commit: str) -> dict[str, Any]:
        """The answer to a question for a revision."""
        siblings = []
        for name, data in self.commits[commit].items():
            digest = hashlib.sha256(data).hexdigest()
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": blob}
            if len(data) >= LARGE:
                entry["lfs"] = {"size": len(data), "sha256": digest, "pointerSize": 130}
            said = self.listed.get(name, {})
            if "lfs" in entry:
                entry["lfs"] |= said
            siblings.append(entry | {key: value for key, value in said.items() if key != "sha256"})
        return {"id": DATASET, "sha": commit, "siblings": siblings, "cardData": self.cards[commit], "tags": []}


def _handler(hub: StubHub, host: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._answer(True)

        def do_HEAD(self) -> None:
            self._answer(False)

        def _answer(self, with_body: bool) -> None:
            path = urlsplit(self.path).path
            headers = {key.lower(): value for key, value in self.headers.items()}
            request = Request(self.command, path, host, headers)
            hub.requests.append(request)
            hub.before_answer(request)
            fault = hub.take_fault(f"{host}:{path}")
            if fault and fault.kind == "status":
                return self._error(*fault.value) if isinstance(fault.value, tuple) else self._error(fault.value, "")
            if fault and fault.kind == "reset":
                self.close_connection = True
                return self.connection.close()
            if host == "hub" and hub.token is not None and headers.get("authorization") != f"Bearer {hub.token}":
                return self._error(401, "RepoNotFound")
            if match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/revision/(.+)", path):
                return self._send_revision(match[1], unquote(match[2]), fault)
            if match := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                return self._send_file(match[2], unquote(match[3]), with_body, fault)
            return self._error(404, "")

        def _send_revision(self, dataset: str, revision: str, fault: Fault | None) -> None:
            if dataset != DATASET:
                return self._error(404, "RepoNotFound")
            commit = hub.branches.get(revision, revision)
            if commit not in hub.commits:
                return self._error(404, "RevisionNotFound")
            body = fault.value if fault and fault.kind == "wrong" else json.dumps(hub.describe(commit)).encode()
            self._send(200, body, {"content-type": "application/json"}, True, fault)

        def _send_file(self, commit: str, name: str, with_body: bool, fault: Fault | None) -> None:
            if commit not in hub.commits:
                return self._error(404, "RevisionNotFound")
            if name not in hub.commits[commit]:
                return self._error(404, "EntryNotFound")
            data = hub.commits[commit][name]
            headers = {
                "x-repo-commit": commit,
                "etag": f'"{hashlib.sha256(data).hexdigest()}"',
                "accept-ranges": "bytes",
            }
            if host == "hub" and len(data) >= LARGE:
                headers |= {
                    "x-linked-size": str(len(data)),
                    "x-linked-etag": headers["etag"],
                    "location": f"{hub.storage_url}{self.path}?signature=SECRETSIGNATURE",
                }
                return self._send(302, b"", headers, with_body, None)
            if fault and fault.kind == "wrong":
                data = fault.value
            begin, status = 0, 200
            if hub.ranges and (wanted := re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))):
                begin, status = int(wanted[1]), 206
                headers["content-range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
            self._send(status, data[begin:], headers, with_body, fault)

        def _send(
            self, status: int, body: bytes, headers: dict[str, str], with_body: bool, fault: Fault | None
        ) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            if fault and fault.kind == "short":
                self.send_header("connection", "close")
                self.close_connection = True
            else:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            if not with_body:
                return
            if fault and fault.kind in ("drop", "short"):
                self.wfile.write(body[: fault.value])
                self.wfile.flush()
                self.close_connection = True
                return
            self.wfile.write(body)

        def _error(self, status: int, code: str) -> None:
            self.send_response(status)
            if code:
                self.send_header("x-error-code", code)
            if status == 429:
                self.send_header("retry-after", "7")
            self.send_header("content-length", "0")
            self.end_headers()

    return Handler
