"""A hub of models on the loopback device that takes small files: what huggingface_hub asks for when it uploads.

with UploadHub(token="...") as hub:
    ... endpoint=hub.url ...
    hub.files["org/name"]        {name: bytes} after the commit
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, Any]]


@dataclass
class UploadHub:
    """Repositories that were made, with their files and messages."""

    token: str
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    full: bool = False
    """Refuses commits, as a hub without room does."""

    def __enter__(self) -> UploadHub:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, body: bytes) -> Answer:
        """What a POST gets."""
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = "/".join(filter(None, [asked.get("organization"), asked["name"]]))
            self.files.setdefault(name, {})
            self.private[name] = bool(asked.get("private") or asked.get("visibility") == "private")
            return 200, {"url": f"{self.url}/{name}", "name": name}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", path)
        if not match or match[1] not in self.files:
            return 404, {"error": "Repository Not Found"}
        if match[2] == "preupload":
            names = [entry["path"] for entry in json.loads(body)["files"]]
            return 200, {"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]}
        if self.full:
            return 507, {"error": "no room"}
        return 200, self._commit(match[1], [json.loads(line) for line in body.splitlines() if line])

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
        for line in lines:
            if line["key"] == "header":
                self.messages.append(line["value"]["summary"])
            else:
                self.files[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        return {"commitUrl": f"{self.url}/{name}/commit/0", "commitOid": "0" * 40, "success": True}


def _handler(hub: UploadHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._guarded(lambda: (200, {"id": "x", "sha": "0" * 40, "siblings": [], "tags": []}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            self._guarded(lambda: hub.answer(self.path.partition("?")[0], body))

        def _guarded(self, answer: Callable[[], Answer]) -> None:
            allowed = self.headers.get("authorization") == f"Bearer {hub.token}"
            status, found = answer() if allowed else (401, {"error": "Invalid username or password."})
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler
