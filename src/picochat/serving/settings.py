"""The keys of `serve.*`: what the server allows, and how many clients it serves at once."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from picochat.core.config import Config
from picochat.webguard.names import require_exact_hosts, require_exact_origins


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
        require_exact_hosts("serve.allowed_hosts", self.allowed_hosts)
        require_exact_origins("serve.allowed_origins", self.allowed_origins, "http://localhost:3000")
        return self
