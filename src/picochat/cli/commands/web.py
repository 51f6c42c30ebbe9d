"""picochat web: the operator's surface on the runs of a folder."""

from __future__ import annotations

from pathlib import Path

import click

from picochat.cli import options
from picochat.cli.console import build_console
from picochat.core.config import merge, nest
from picochat.core.errors import refuse
from picochat.core.extras import require_extra

PACKAGES = ("uvicorn", "h11", "starlette")
SECTION = "web"


@click.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Default: runs, or $PICOCHAT_RUNS.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any that is free.")
@options.set_option
def web(folder: Path | None, host: str, port: int, settings: tuple[str, ...]) -> None:
    """Open the workbench on a folder of runs: where each one is, whether it is healthy, what blocks it and mends it."""
    for package in PACKAGES:
        require_extra(package, "the workbench speaks HTTP", "web")
    from picochat.workbench.bench import Workbench
    from picochat.workbench.server import bind, serve_forever
    from picochat.workbench.settings import WebConfig

    config = WebConfig.from_dict(read_section(settings), SECTION)
    listener = bind(host, port)
    url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/"
    build_console().print(f"picochat web: {url}", markup=False)
    serve_forever(listener, Workbench(folder or options.runs_dir(), config))


def read_section(settings: tuple[str, ...]) -> dict[str, object]:
    """The keys of `web.*`, nested. Raises `config.key`."""
    values: dict[str, object] = {}
    for key, value in options.parse_settings(settings):
        section, _, rest = key.partition(".")
        if section != SECTION or not rest:
            refuse("config.key", f"--set {key}: this command takes keys of {SECTION}.* alone")
        values = merge(values, nest(rest, value))
    return values
