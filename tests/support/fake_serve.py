"""Stands in for `picochat serve`: says that it is ready, and streams what it was asked.

A prompt `wait` never ends, `die` ends the process, `refuse` is refused; a checkpoint called best never gets ready.
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

words = dict(zip(sys.argv[2::1], sys.argv[3::1], strict=False))
SECRET = Path(words["--api-key-file"]).read_text()
CHECKPOINT = words["--checkpoint"]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert self.headers["authorization"] == f"Bearer {SECRET}"
        asked = body.get("prompt")
        if asked == "refuse":
            data = json.dumps({"error": {"message": "prompt is refused"}}).encode()
            self.send_response(400)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        self.send_response(200)
        self.end_headers()
        if asked == "die":
            os._exit(1)
        self.say({"asked": body, "path": self.path, "checkpoint": CHECKPOINT})
        while asked == "wait":
            self.say({"choices": []})
            time.sleep(0.02)
        self.wfile.write(b"data: [DONE]\n\n")

    def say(self, document: dict) -> None:
        self.wfile.write(b"data: " + json.dumps(document).encode() + b"\n\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        pass


if CHECKPOINT.endswith("best"):
    print("error: the weights are not there", flush=True)
    sys.exit(4)
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print("loading", flush=True)
print(f"ready: fake-model at http://127.0.0.1:{server.server_address[1]}/v1, weights 000", flush=True)
server.serve_forever()
