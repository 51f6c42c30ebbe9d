"""picochat verify: re-hash everything, recompute what can be recomputed."""

from __future__ import annotations

from pathlib import Path

import click

from picochat.artifacts.checks import CheckResult, overall
from picochat.cli import options
from picochat.cli.codec_source import find_imported
from picochat.cli.console import build_console, print_json, print_table
from picochat.cli.hash_progress import HashProgress
from picochat.cli.verdict import STYLES
from picochat.core.errors import refuse
from picochat.judgement.bundle.verify import is_bundle, verify_bundle
from picochat.judgement.imported import verify_import
from picochat.judgement.verify import verify_run
from picochat.pipeline.runner import load_run_record
from picochat.views.checks import check_rows

UNUSABLE = 4
SHOWN_FILES = 3


@click.command()
@options.run_argument
@click.option("--public-key", type=click.Path(path_type=Path), help="Of a bundle: its signature must hold under it.")
@options.quiet_option
@options.json_option
@click.pass_context
def verify(ctx: click.Context, run: str | None, public_key: Path | None, quiet: bool, as_json: bool) -> None:
    """Verify RUN (default: the newest), an imported model or a bundle.

    Exit code 4 when a file is not the recorded one, naming it.
    """
    name, results = _verify(run, public_key, quiet)
    verdict = overall(results)
    if as_json:
        print_json({"run": name, "verdict": verdict, "checks": [result.to_json() for result in results]})
    elif not quiet:
        _show(name, results, verdict)
    ctx.exit(UNUSABLE if verdict == "blocked" else 0)


def _verify(run: str | None, public_key: Path | None, quiet: bool) -> tuple[str, list[CheckResult]]:
    """(name, results) of a run, an imported model or a bundle."""
    if run not in (None, options.LAST) and is_bundle(Path(run)):
        return run, verify_bundle(Path(run), public_key)
    if (imported := find_imported(run)) is not None and public_key is None:
        return str(imported.root), verify_import(imported.root)
    store = options.find_run(run)
    load_run_record(store)
    if public_key is not None:
        refuse("usage.path", f"{store.root} is a run, and only a bundle has a signature", fix="picochat bundle RUN")
    return str(store.root), verify_run(store, watch=HashProgress(store.root, quiet).add)


def _files(names: list[str]) -> str:
    """The first of many names; --json has them all."""
    more = f" and {len(names) - SHOWN_FILES:,} more" if len(names) > SHOWN_FILES else ""
    return ", ".join(names[:SHOWN_FILES]) + more


def _show(root: str, results: list, verdict: str) -> None:
    documents = [result.to_json() for result in results]
    rows = check_rows(documents)
    table = [
        [
            row.verdict,
            row.id,
            _files([entry["artifact"] for entry in document["evidence"]]),
            row.measured,
            row.why if row.verdict != "pass" else "",
        ]
        for row, document in zip(rows, documents, strict=True)
    ]
    print_table(
        "", ["verdict", "check", "file", "found", "why it matters"], table, [STYLES[row.verdict] for row in rows]
    )
    n = next((result.n for result in results if result.id == "verify.chain" and result.verdict == "pass"), None)
    text = f"{root} verifies: {n:,} files and links" if n else f"{root} does not verify"
    build_console().print(text if verdict != "blocked" else f"{root} does not verify", markup=False)
