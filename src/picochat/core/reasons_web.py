"""Reason codes of the workbench's server. Part of the registry."""

from __future__ import annotations

from picochat.core.reason import Reason

WEB_REASONS: dict[str, Reason] = {
    # --- web: who may open the workbench
    "web.address": Reason(
        5, "one address and port belong to one process", "choose another one: --port 0 takes any that is free"
    ),
    "web.exposed": Reason(
        2,
        "whoever reads the link on its way can start commands here, and spend money where launches are allowed",
        "go through a tunnel: ssh -L 8765:127.0.0.1:8765 THIS-MACHINE",
    ),
    "web.missing": Reason(
        2,
        "this installation of Picochat was made without its pages",
        "install the whole package: pip install 'picochat[web]'",
    ),
}
