"""picochat serve: an OpenAI-compatible server for one checkpoint."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picochat.cli import options
from picochat.cli.api_key import KEY_VARIABLE, read_api_key, require_key_or_loopback
from picochat.cli.console import build_console
from picochat.core.extras import require_extra
from picochat.core.log import close_log, open_stream_log

if TYPE_CHECKING:
    from picochat.serving.served import Service

NOTICE = "a local smoke-serving layer for one checkpoint, not a service for the open network"
PACKAGES = ("uvicorn", "h11", "starlette", "prometheus_client")


@click.command()
@options.run_argument
@click.option("--checkpoint", type=click.Path(path_type=Path), help="A checkpoint folder, with --tokenizer.")
@click.option("--tokenizer", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Another address needs a key.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any that is free.")
@click.option("--device", default="auto", show_default=True)
@click.option("--api-key-file", type=click.Path(path_type=Path), help=f"Mode 600, one line; or ${KEY_VARIABLE}.")
@options.set_option
@options.quiet_option
def serve(
    run: str | None,
    checkpoint: Path | None,
    tokenizer: Path | None,
    host: str,
    port: int,
    device: str,
    api_key_file: Path | None,
    settings: tuple[str, ...],
    quiet: bool,
) -> None:
    """Let OpenAI's clients talk to RUN (default: the newest run), or to any checkpoint with its tokenizer.

    The chat model is served, or the base model where there is none. Answers carry the weights digest and what the gate
    said of it. Ends in good order at SIGTERM or Ctrl-C.
    """
    for package in PACKAGES:
        require_extra(package, "serving speaks HTTP", "serve")
    key = read_api_key(api_key_file)
    require_key_or_loopback(host, key)
    from picochat.cli.serve_source import find_source, read_config
    from picochat.serving.server import bind, serve_forever

    config, source = read_config(settings), find_source(run, checkpoint, tokenizer)
    console = build_console()
    listener = bind(host, port)
    url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    log = open_stream_log(sys.stderr, {"uvicorn.error": logging.WARNING})
    logging.getLogger("picochat").setLevel(logging.WARNING if quiet else logging.INFO)

    def say(text: str) -> None:
        if not quiet:
            console.print(text, markup=False)
            sys.stdout.flush()

    def load() -> Service:
        """Runs beside the server, when signals and requests are answered already."""
        say(f"listening on {url}, loading {source.checkpoint}")
        from picochat.cli.serving import load_service  # torch, which takes seconds

        return load_service(source, config, device)

    say(f"picochat serve: {NOTICE}")
    try:
        serve_forever(
            listener,
            load,
            config,
            key=key,
            on_ready=lambda service: say(describe(service, url, key is not None)),
        )
    finally:
        close_log(log)


def describe(service: Service, url: str, with_key: bool) -> str:
    """The start line: which weights answer, and what the gate says of them."""
    served = service.served
    return (
        f"ready: {served.id} at {url}/v1, weights {served.weights_digest[:12]}, gate {served.verdict}, "
        f"context {served.max_model_len:,} tokens, {'with' if with_key else 'without'} a key"
    )
