"""picochat data: fetch, look at, check or build what a model is made from."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.cli import options
from picochat.cli.commands.data_import import import_source
from picochat.cli.commands.data_skills import skills
from picochat.cli.commands.run import absolute_pack, announce, resolve_run
from picochat.cli.console import print_json
from picochat.cli.dataset_tables import show_check, show_manifest, show_pack, show_shards
from picochat.cli.session import work_on
from picochat.core.errors import refuse
from picochat.data.pack import BUILTIN
from picochat.data.preview import preview_pack
from picochat.pipeline.runner import open_run
from picochat.views.dataset import blocking_faults

TEXT_STAGES = ("dataset", "honesty")
TOKEN_STAGES = ("tokenizer", "shards")
BLOCKED = 3


@click.group()
def data() -> None:
    """Import, inspect, check or build a dataset."""


data.add_command(import_source)
data.add_command(skills)


@data.command("build")
@click.option("--pack", required=True, help="A pack file, a folder of text, or builtin.")
@click.option("--out-dir", type=click.Path(path_type=Path), required=True, help="The run folder.")
@click.option("--profile", default="tiny", show_default=True)
@click.option("--resume", is_flag=True, help="Go on with the build in --out-dir.")
@options.set_option
@options.quiet_option
@options.json_option
def build(
    pack: str, out_dir: Path, profile: str, resume: bool, settings: tuple[str, ...], quiet: bool, as_json: bool
) -> None:
    """Build corpus and chat rows, and for a profile that trains from shards also tokenizer and shards.

    It needs no GPU; `picochat run PROFILE --resume --out-dir ...` goes on from there.
    """
    resolved, policy = resolve_run(profile, None, {"data.pack": absolute_pack(pack)}, settings)
    store = open_run(out_dir, profile, resolved, resume=resume)
    announce(store, resolved, quiet, ())
    names = TEXT_STAGES + (TOKEN_STAGES if resolved.config.base.data_mode != "memory" else ())
    work_on(store, resolved.config, names, resume=resume, quiet=quiet, policy=policy)
    if as_json:
        print_json(store.read(layout.CORPUS_MANIFEST))
    if as_json or quiet:
        return
    show_manifest(store.read(layout.CORPUS_MANIFEST))
    if store.has(layout.SHARDS_MANIFEST):
        show_shards(store.read(layout.SHARDS_MANIFEST))


@data.command("inspect")
@click.argument("target", metavar="[RUN|PACK]", required=False)
@options.json_option
def inspect(target: str | None, as_json: bool) -> None:
    """Show what the corpus of RUN was made of and what was dropped and why, or what PACK would offer, unbuilt."""
    store = find_store(target)
    if store is not None:
        document = store.read(layout.CORPUS_MANIFEST)
        print_json(document) if as_json else show_manifest(document, examples=True)
        return
    found = preview_pack(str(target))
    print_json(found) if as_json else show_pack(found)


@data.command("check")
@click.argument("pack")
@options.set_option
@options.quiet_option
@options.json_option
def check(pack: str, settings: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Clean PACK, look for duplicates, a leaking hold-out and contamination, and keep nothing.

    Exit code 3: the hold-out leaks, or what a model would be judged on stands in the text.
    """
    resolved, policy = resolve_run("tiny", None, {"data.pack": absolute_pack(pack)}, settings)
    with tempfile.TemporaryDirectory(prefix="picochat-check-") as folder:
        store = open_run(Path(folder) / "check", "tiny", resolved, resume=False)
        work_on(store, resolved.config, TEXT_STAGES, quiet=quiet, policy=policy)
        manifest, honesty = store.read(layout.CORPUS_MANIFEST), store.read(layout.HONESTY)
    faults = blocking_faults(manifest, honesty)
    if as_json:
        print_json({"corpus": manifest, "honesty": honesty, "faults": faults})
    elif faults or not quiet:
        show_check(manifest, honesty, faults)
    if faults:
        raise click.exceptions.Exit(BLOCKED)


def find_store(target: str | None) -> RunStore | None:
    """The run of that name, or None when the target is a pack. Raises `run.missing` or `usage.path`."""
    if target in (None, options.LAST):
        return options.find_run(target)
    for folder in (Path(str(target)), options.runs_dir() / str(target)):
        if (folder / layout.RUN).is_file():
            return RunStore(folder)
    if target == BUILTIN or Path(str(target)).exists():
        return None
    refuse("usage.path", f"{target} is neither a run nor a pack", fix="give a run folder, a pack file or a folder")
