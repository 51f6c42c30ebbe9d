"""picochat data import: freeze a source into a folder of parts with a manifest, so that a build never waits for it."""

from __future__ import annotations

import os
import re
import shlex
from functools import reduce
from pathlib import Path
from typing import Any

import click

from picochat.cli import options
from picochat.cli.console import ConsoleProgress, print_json, print_table
from picochat.cli.session import stop_on_signals
from picochat.core.config import merge, nest
from picochat.core.errors import refuse
from picochat.core.units import format_bytes
from picochat.data.imports.config import ImportConfig
from picochat.data.imports.hub import TOKEN_VARIABLE
from picochat.data.imports.importer import Imported, Surroundings, run_import
from picochat.data.imports.manifest import ImportManifest
from picochat.data.pack import IMPORTS, load_pack
from picochat.distributed.env import default_environment
from picochat.stages.contract import StopFlag

_QUIET_LIBRARY = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
}
_PACK_HEAD_BYTES = 4096


@click.command("import")
@click.argument("source")
@click.option("--out-dir", type=click.Path(path_type=Path), help="The import folder; a pack file has its own.")
@click.option("--text", metavar="COLUMN", help="The column that holds the text of a row.")
@click.option("--split", help="The split of a dataset of the hub.")
@click.option("--revision", help="A branch, tag or commit of the hub; main when not given.")
@click.option("--licence", help="The licence of the texts; that of the dataset's card when not given.")
@click.option("--max-rows", type=int, help="Rows to read, in the order of the files.")
@click.option("--shards", metavar="A-B", help="The shards of climbmix.")
@options.set_option
@options.quiet_option
@options.json_option
def import_source(
    source: str, out_dir: Path | None, settings: tuple[str, ...], quiet: bool, as_json: bool, **named: Any
) -> None:
    """Freeze SOURCE into a folder: a path, hf:ORG/NAME, climbmix, or a pack file, whose imports lie beside it.

    Run again with the same settings, it goes on where it was stopped. A token is read from HF_TOKEN.
    """
    default_environment(_QUIET_LIBRARY)
    given = {key: value for key, value in named.items() if value is not None}
    imports = _imports_of_pack(source, out_dir, given, settings) or [
        (_folder(out_dir), _config(source, given, settings))
    ]
    stop = StopFlag()
    done: list[tuple[Path, Imported]] = []
    with stop_on_signals(stop), ConsoleProgress(quiet) as progress:
        around = Surroundings(
            token=os.environ.get(TOKEN_VARIABLE) or None,
            again=_again(source, out_dir, given, settings),
            progress=progress,
            stop_reason=lambda: stop.reason,
        )
        for folder, config in imports:
            done.append((folder, run_import(folder, config, around)))
    if as_json:
        documents = [imported.manifest.to_json() for _, imported in done]
        print_json(documents[0] if len(documents) == 1 else documents)
        return
    for folder, imported in done:
        if not quiet:
            show(folder, imported)


def _folder(out_dir: Path | None) -> Path:
    if out_dir is None:
        refuse("usage.path", "an import needs a folder of its own", fix="add --out-dir DIR")
    return out_dir


def _config(source: str, given: dict[str, Any], settings: tuple[str, ...]) -> ImportConfig:
    """The configuration, `--set` on top of the options."""
    pairs = [nest(key, value) for key, value in options.parse_settings(settings)]
    return ImportConfig.from_dict(reduce(merge, pairs, {"source": source, **given}), "import")


def _imports_of_pack(
    source: str, out_dir: Path | None, given: dict[str, Any], settings: tuple[str, ...]
) -> list[tuple[Path, ImportConfig]]:
    """The sources that a pack file wants from the hub, each with its folder; [] when `source` is no pack file."""
    if not _is_pack(Path(source)):
        return []
    loaded = load_pack(source)
    if out_dir is not None or given:
        refuse("config.conflict", f"{source} is a pack file: what is imported, and where to, stands in it")
    wanted = [found for found in loaded.pack.sources if found.import_]
    if not wanted:
        refuse("config.value", f"{source} has no source with import", fix='give a source import = "hf" or "climbmix"')
    return [
        (
            loaded.root / IMPORTS / found.id,
            _config(found.import_config().source, _values(found.import_config()), settings),
        )
        for found in wanted
    ]


def _is_pack(path: Path) -> bool:
    """Whether a path is a pack file: TOML, or JSON whose first bytes say so (other JSON holds rows)."""
    if path.suffix.lower() == ".json" and path.is_file():
        with path.open("rb") as stream:
            return re.search(rb'"schema"\s*:\s*"pack/', stream.read(_PACK_HEAD_BYTES)) is not None
    return path.suffix.lower() == ".toml"


def _values(config: ImportConfig) -> dict[str, Any]:
    return {key: value for key, value in config.as_dict().items() if value is not None and key != "source"}


def _again(source: str, out_dir: Path | None, given: dict[str, Any], settings: tuple[str, ...]) -> str:
    """The same command, to be typed again."""
    words = ["picochat", "data", "import", source]
    words += ["--out-dir", str(out_dir)] if out_dir is not None else []
    for key, value in given.items():
        words += ["--" + key.replace("_", "-"), str(value)]
    for text in settings:
        words += ["--set", text]
    return shlex.join(words)


def show(folder: Path, imported: Imported) -> None:
    """What became of every row."""
    found: ImportManifest = imported.manifest
    state = "finished" if imported.fresh else "was finished before"
    rows = [
        ["state", state],
        ["revision", found.source.revision],
        ["licence", f"{found.source.licence} ({found.source.licence_from})"],
        ["files", f"{len(found.files):,}" + (f", {found.files_left:,} left unread" if found.files_left else "")],
        ["rows read", f"{found.rows_read:,}"],
        ["documents", f"{found.documents:,}"],
        *([f"dropped: {reason}", f"{count:,}"] for reason, count in found.dropped.items()),
        ["text", format_bytes(found.text_bytes)],
        ["parts", f"{len(found.parts):,}, {format_bytes(sum(part.bytes for part in found.parts))} packed"],
    ]
    print_table(f"{found.source.name} in {folder}", ["import", "value"], rows)
