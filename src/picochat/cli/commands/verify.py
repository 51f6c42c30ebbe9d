"""picochat verify: re-hash everything, recompute what can be recomputed."""

from __future__ import annotations

import click

from picochat.artifacts.checks import overall
from picochat.cli import options
from picochat.cli.console import build_console, print_json, print_table
from picochat.cli.verdict import STYLES
from picochat.judgement.verify import verify_run
from picochat.pipeline.runner import load_run_record
from picochat.views.checks import check_rows

UNUSABLE = 4


@click.command()
@options.run_argument
@options.quiet_option
@options.json_option
@click.pass_context
def verify(ctx: click.Context, run: str | None, quiet: bool, as_json: bool) -> None:
    """Verify RUN (default: the newest). Exit code 4 when a file is not the recorded one, naming it."""
    store = options.find_run(run)
    load_run_record(store)
    results = verify_run(store)
    verdict = overall(results)
    if as_json:
        print_json({"run": str(store.root), "verdict": verdict, "checks": [result.to_json() for result in results]})
    elif not quiet:
        _show(str(store.root), results, verdict)
    ctx.exit(UNUSABLE if verdict == "blocked" else 0)


def _show(root: str, results: list, verdict: str) -> None:
    documents = [result.to_json() for result in results]
    rows = check_rows(documents)
    table = [
        [
            row.verdict,
            row.id,
            ", ".join(e["artifact"] for e in document["evidence"]),
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
