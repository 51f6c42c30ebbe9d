"""The keys of `web.*`: who may open the workbench, and what it may do."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, model_validator

from picochat.core.config import Config
from picochat.core.errors import refuse
from picochat.webguard.names import require_exact_hosts, require_exact_origins

_PREFIX = re.compile(r"(/[A-Za-z0-9._~@-]+)+")


class WebConfig(Config):
    """What `picochat web` may be told by `--set web.KEY=VALUE`."""

    allowed_hosts: list[str] = Field(default=[], max_length=64)
    """Names beside localhost, 127.0.0.1 and [::1] under which it may be opened; any port."""
    allowed_origins: list[str] = Field(default=[], max_length=64)
    """Origins that pages may have beside `http://` and the name they are asked under: a proxy that ends TLS needs one,
    such as https://pico.lan."""
    open_network: bool = False
    """Whether `--host` may be an address that other machines reach."""
    prefix: str = Field(default="", max_length=200)
    """The path below which a proxy hands requests on unchanged, such as /pico; none where it takes the path away."""
    read_only: bool = False
    """Whether every button that changes something is gone: only logging in remains."""

    @model_validator(mode="after")
    def require_exact_names(self) -> Self:
        """Refuses patterns: a host is a name without port."""
        require_exact_hosts("web.allowed_hosts", self.allowed_hosts)
        require_exact_origins("web.allowed_origins", self.allowed_origins, "https://pico.lan")
        if self.prefix and not (_PREFIX.fullmatch(self.prefix) and {".", ".."}.isdisjoint(self.prefix.split("/"))):
            refuse(
                "config.value",
                f"web.prefix: {self.prefix!r} is no path without its last slash",
                fix="give it as the browser shows it: --set web.prefix=/pico",
            )
        return self
