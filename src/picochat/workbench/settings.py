"""The keys of `web.*`: who may open the workbench, and what it may do."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, model_validator

from picochat.core.config import Config
from picochat.core.errors import refuse

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]")


class WebConfig(Config):
    """What `picochat web` may be told by `--set web.KEY=VALUE`."""

    allowed_hosts: list[str] = Field(default=[], max_length=64)
    """Names beside localhost, 127.0.0.1 and [::1] under which it may be opened; any port."""
    read_only: bool = False
    """Whether every button that changes something is gone: only logging in remains."""

    @model_validator(mode="after")
    def require_exact_names(self) -> Self:
        """Refuses patterns: a host is a name without port."""
        for host in self.allowed_hosts:
            if not _HOST.fullmatch(host):
                refuse(
                    "config.value",
                    f"web.allowed_hosts: {host!r} is no exact name in lower case",
                    fix='give names without scheme and port: --set web.allowed_hosts=["pico.lan"]',
                )
        return self
