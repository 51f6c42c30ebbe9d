"""The keys of `serve.*`: what the server allows, and how many clients it serves at once."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, model_validator

from picochat.core.config import Config
from picochat.core.errors import refuse

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:.]+\](:\d{1,5})?")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]")


class ServeConfig(Config):
    """What `picochat serve` may be told by `--set serve.KEY=VALUE`."""

    model_id: str | None = Field(default=None, min_length=1, max_length=200)
    """The name that clients ask for; none: `<run>-<stage>`."""
    allowed_hosts: list[str] = Field(default=[], max_length=64)
    """Names beside localhost, 127.0.0.1 and [::1] that a request may be addressed to; any port."""
    allowed_origins: list[str] = Field(default=[], max_length=64)
    """Web pages that may use the model, such as http://localhost:3000; none by default."""
    slots: int = Field(default=8, ge=1, le=256)
    """Answers that are generated at once; each has a place in the cache of keys and values."""
    max_waiting: int = Field(default=16, ge=0, le=4096)
    """Requests that wait for a slot; one more is answered 429."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """Processor threads of the engine; none: the cores that this process may use."""
    generation_s: float = Field(default=120.0, gt=0, le=86_400)
    """Longest time of one answer in seconds; then it ends with `length`."""
    drain_s: float = Field(default=10.0, ge=0, le=3600)
    """How long running answers may go on after SIGTERM, in seconds."""
    log_prompts: bool = False
    """Whether the log shows the prompts of requests."""

    @model_validator(mode="after")
    def require_exact_names(self) -> Self:
        """Refuses patterns: a host is a name without port, an origin is a scheme, a host and perhaps a port."""
        for host in self.allowed_hosts:
            if not _HOST.fullmatch(host):
                refuse(
                    "config.value",
                    f"serve.allowed_hosts: {host!r} is no exact name in lower case",
                    fix='give names without scheme and port: --set serve.allowed_hosts=["pico.lan"]',
                )
        for origin in self.allowed_origins:
            if not _ORIGIN.fullmatch(origin):
                refuse(
                    "config.value",
                    f"serve.allowed_origins: {origin!r} is no exact origin in lower case",
                    fix='give scheme, host and port: --set serve.allowed_origins=["http://localhost:3000"]',
                )
        return self
