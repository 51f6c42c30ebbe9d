"""picochat demo: the tiny profile on the text that ships inside Python."""

from __future__ import annotations

from pathlib import Path

import click

from picochat.cli import options
from picochat.cli.commands.run import announce, resolve_run
from picochat.cli.launch import as_ranks
from picochat.cli.session import work_on
from picochat.cli.verdict import finish
from picochat.pipeline.runner import open_run, require_machine


@click.command()
@click.option("--out-dir", type=click.Path(path_type=Path), help="The run folder; default runs/demo-N.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out-dir.")
@options.set_option
@options.quiet_option
@options.json_option
def demo(out_dir: Path | None, resume: bool, settings: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Run the whole factory on built-in text and show the verdict."""
    resolved, policy = resolve_run("tiny", None, {}, settings)
    with as_ranks(out_dir, resolved.config.distributed, ddp=False):
        require_machine(resolved.config.machine)
        store = open_run(out_dir or options.new_run_dir("demo"), "tiny", resolved, resume)
        announce(store, resolved, quiet)
        work_on(store, resolved.config, resume=resume, quiet=quiet, policy=policy)
    finish(store, as_json=as_json, quiet=quiet)
