"""picochat web: the operator's surface on the runs of a folder."""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path

import click

from picochat.cli import options
from picochat.cli.api_key import is_loopback
from picochat.core.errors import refuse
from picochat.core.extras import require_extra
from picochat.core.log import close_log, open_stream_log

PACKAGES = ("uvicorn", "h11", "starlette")
SECTION = "web"
PORT = 8765


@click.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Default: runs, or $PICOCHAT_RUNS.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Another address needs web.open_network.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any that is free.")
@options.set_option
def web(folder: Path | None, host: str, port: int, settings: tuple[str, ...]) -> None:
    """Open the workbench on a folder of runs: where each one is, whether it is healthy, what blocks it and mends it.

    The printed link logs one browser in; it is new at each start. Ends in good order at SIGTERM or Ctrl-C.
    """
    if importlib.util.find_spec("picochat.workbench") is None:
        refuse("web.missing", "this installation has no workbench")
    for package in PACKAGES:
        require_extra(package, "the workbench speaks HTTP", "web")
    from picochat.workbench.bench import Workbench
    from picochat.workbench.door.sessions import Sessions
    from picochat.workbench.door.settings import WebConfig
    from picochat.workbench.server import bind, serve_forever

    config = WebConfig.from_dict(options.read_section(settings, SECTION), SECTION)
    require_loopback_or_will(host, config.open_network, config.allowed_hosts)
    listener = bind(host, port)
    sessions = Sessions(listener.getsockname()[1])
    log = open_stream_log(sys.stderr, {"uvicorn.error": logging.CRITICAL})
    logging.getLogger("picochat").setLevel(logging.WARNING)
    shown = config.allowed_hosts[0] if not is_loopback(host) else f"[{host}]" if ":" in host else host
    click.echo(f"picochat web: http://{shown}:{sessions.port}{config.prefix}/#token={sessions.token}")
    try:
        serve_forever(listener, Workbench(folder or options.runs_dir(), config, sessions=sessions))
    finally:
        close_log(log)


def require_loopback_or_will(host: str, open_network: bool, allowed_hosts: list[str]) -> None:
    """Raises `web.exposed` for an address that other machines reach, unless that and its name were asked for."""
    if is_loopback(host):
        return
    if not open_network:
        refuse("web.exposed", f"{host} can be reached from other machines, and web.open_network is off")
    if not allowed_hosts:
        refuse(
            "web.exposed",
            f"{host} can be reached from other machines, and no name is listed under which they may",
            fix='list it: --set web.allowed_hosts=["NAME"]',
        )
