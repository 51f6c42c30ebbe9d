"""picochat export: the model for other runtimes, with a proof or a reasoned refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from picochat.cli import options
from picochat.cli.console import ConsoleProgress, build_console, print_json, print_table

if TYPE_CHECKING:
    from picochat.cli.exporting import Exported


@click.group()
def export() -> None:
    """Hand the judged model to other runtimes, each export with a proof that it is the same model."""


@export.command("hf")
@options.run_argument
@options.quiet_option
@options.json_option
def hf(run: str | None, quiet: bool, as_json: bool) -> None:
    """Write a folder that transformers and vLLM load, from RUN (default: the newest), into RUN/export/hf.

    Exit code 3 when the model has no layout there or the proof fails: nothing is written then.
    """
    from picochat.cli.exporting import export_hf

    store = options.find_run(run)
    with ConsoleProgress(quiet or as_json) as progress:
        found = export_hf(store, progress.say)
    _show(found, quiet=quiet, as_json=as_json)


@export.command("gguf")
@options.run_argument
@click.option(
    "--type",
    "types",
    multiple=True,
    default=("f32",),
    show_default=True,
    metavar="TYPE",
    help="f32, f16, bf16, q8_0, q5_1 or q4_0; may be given again.",
)
@options.quiet_option
@options.json_option
def gguf(run: str | None, types: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Write GGUF files that llama.cpp and Ollama load, from RUN (default: the newest), into RUN/export/gguf.

    The layout is proved on F32; what fewer bits cost is measured on held-out text. Exit code 3 as for hf.
    """
    from picochat.cli.exporting import export_gguf

    store = options.find_run(run)
    with ConsoleProgress(quiet or as_json) as progress:
        found = export_gguf(store, types, progress.say)
    _show(found, quiet=quiet, as_json=as_json)


@export.command("check")
@options.run_argument
@options.json_option
def check(run: str | None, as_json: bool) -> None:
    """Show what each runtime can load of RUN (default: the newest), what is proved, and why not. Writes nothing."""
    from picochat.cli.export_check import check_targets
    from picochat.views.exports import target_table

    store = options.find_run(run)
    rows = check_targets(store)
    if as_json:
        print_json({"run": str(store.root), "targets": rows})
        return
    table = target_table(rows)
    print_table("", table.columns, table.rows)


@export.command("push")
@options.run_argument
@click.option("--kind", type=click.Choice(["hf", "gguf"]), required=True, help="Which export of the run.")
@click.option("--repo", metavar="NAME", required=True, help="OWNER/NAME on the hub; made private when it is new.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--allow-unapproved", is_flag=True, help="Upload weights that the gate has not approved.")
@options.quiet_option
@options.json_option
def push(run: str | None, kind: str, repo: str, yes: bool, allow_unapproved: bool, quiet: bool, as_json: bool) -> None:
    """Upload an export of RUN (default: the newest) to a hub of models. The token is read from HF_TOKEN.

    Its files are hashed again first. Exit code 3 when the gate's word for these weights is not approved.
    """
    from picochat.cli.export_push import push_export

    url = push_export(options.find_run(run), kind, repo, confirmed=yes, allow_unapproved=allow_unapproved)
    if as_json:
        print_json({"repo": repo, "url": url})
    elif not quiet:
        build_console().print(f"uploaded to {url}", markup=False)


def _show(found: Exported, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(found.folder), "record": found.record.to_json(), "parity": found.parity})
    elif not quiet:
        _show_tables(found)


def _show_tables(found: Exported) -> None:
    """Proof, cost of rounding, and where the files are."""
    from picochat.views.exports import proof_table, rounding_table

    for table in (proof_table(found.parity), rounding_table(found.parity)):
        if table.rows:
            print_table(table.title, table.columns, table.rows)
    record: Any = found.record
    lines = [
        f"{found.folder}: {record.result}, {', '.join(record.types)}, weights {record.weights_digest[:16]}",
        f"parity   {record.parity.verdict}{f': {record.parity.fix}' if record.parity.verdict == 'not_run' else ''}",
        f"gate     {record.gate.word}: {record.gate.reason}",
    ]
    build_console().print("\n".join(lines), markup=False)
