"""picochat import: take in a model that others trained."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picochat.cli import options
from picochat.cli.console import ConsoleProgress, build_console, print_json, print_table
from picochat.core.config import merge, nest

if TYPE_CHECKING:
    from picochat.artifacts.import_record import ImportRecord


@click.group("import")
def import_model() -> None:
    """Take in a model that others trained, with its own tokenizer and chat template."""


@import_model.command("hf")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out-dir", type=click.Path(path_type=Path), required=True, help="The new folder of the model.")
@options.set_option
@options.quiet_option
@options.json_option
def import_hf(folder: Path, out_dir: Path, settings: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Import FOLDER: config.json, safetensors and tokenizer.json of a Llama- or Qwen3-shaped model.

    The weights become float32. Keys: max_seq_len, chat_template, licence. Nothing is downloaded.
    """
    from picochat.inference.foreign.config import ForeignConfig
    from picochat.inference.foreign.importer import import_model as run_import

    values = reduce(merge, [nest(key, value) for key, value in options.parse_settings(settings)], {})
    config = ForeignConfig.from_dict(values, "import")
    with ConsoleProgress(quiet or as_json) as progress:
        record = run_import(folder, out_dir, config, progress)
    if as_json:
        print_json(record.to_json())
    elif not quiet:
        show(out_dir, record)


def show(out_dir: Path, record: ImportRecord) -> None:
    """What the model is, what was left out, and what can be done with it."""
    saved = ", ".join(f"{count:,} {name}" for name, count in record.saved_dtypes.items())
    model, tokenizer = record.model, record.tokenizer
    rows = [
        ["architecture", record.architecture],
        ["parameters", f"{record.parameters:,}"],
        ["context", f"{model['max_seq_len']:,} of {record.trained_context:,} tokens"],
        ["tensors", f"{record.tensors:,}, saved as {saved}, here F32"],
        ["vocabulary", f"{tokenizer.vocab_size:,} ids, {len(tokenizer.special):,} special"],
        ["ends an answer", ", ".join(map(str, tokenizer.end_ids)) or "nothing"],
        ["licence", f"{record.licence} ({record.licence_from})"],
        ["weights", record.weights_digest[:12]],
        *(["note", note] for note in record.notes),
    ]
    print_table(f"{record.name} in {out_dir}", ["import", "value"], rows)
    word = "chat" if tokenizer.chat_template else "generate --prompt TEXT"
    build_console().print(f"talk     picochat {word} {out_dir}\nverify   picochat verify {out_dir}", markup=False)
