"""picochat data: look at a pack, or build the dataset of a run on its own."""

from __future__ import annotations

from pathlib import Path

import click

from picochat.artifacts import layout
from picochat.cli import options
from picochat.cli.commands.run import absolute_pack, announce, resolve_run
from picochat.cli.console import print_json, print_table
from picochat.cli.session import work_on
from picochat.pipeline.runner import open_run


@click.group()
def data() -> None:
    """Build or inspect a dataset."""


@data.command("build")
@click.option("--pack", required=True, help="A pack file, a folder of text, or builtin.")
@click.option("--out-dir", type=click.Path(path_type=Path), required=True, help="The run folder.")
@click.option("--profile", default="tiny", show_default=True)
@options.set_option
@options.quiet_option
@options.json_option
def build(pack: str, out_dir: Path, profile: str, settings: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Build corpus and chat rows only; `picochat run PROFILE --resume --out-dir ...` goes on from there."""
    resolved, policy = resolve_run(profile, None, {"data.pack": absolute_pack(pack)}, settings)
    store = open_run(out_dir, profile, resolved, resume=False)
    announce(store, resolved, quiet, ())
    work_on(store, resolved.config, ("dataset",), quiet=quiet, policy=policy)
    show_manifest(store.read(layout.CORPUS_MANIFEST), as_json)


@data.command("inspect")
@options.run_argument
@options.json_option
def inspect(run: str | None, as_json: bool) -> None:
    """Show what the corpus of RUN was made of, and what was dropped and why."""
    show_manifest(options.find_run(run).read(layout.CORPUS_MANIFEST), as_json)


def show_manifest(manifest: dict, as_json: bool) -> None:
    if as_json:
        print_json(manifest)
        return
    counts = manifest["counts"]
    print_table("", ["count", "value"], [[key, f"{value:,}"] for key, value in counts.items()])
    columns = ["source", "read", "kept", "dropped", "licence"]
    print_table("", columns, [_source_row(source) for source in manifest["sources"]])
    dropped = manifest["dropped"]["by_reason"]
    print_table(
        "",
        ["dropped because", "documents"],
        [[reason, f"{count:,}"] for reason, count in sorted(dropped.items())] or [["nothing was dropped", "0"]],
    )


def _source_row(source: dict) -> list[str]:
    dropped = sum(source["dropped"].values()) if isinstance(source["dropped"], dict) else source["dropped"]
    return [source["id"], f"{source['read']:,}", f"{source['kept']:,}", f"{dropped:,}", source["licence"]]
