"""picochat bundle: a run to hand over, in one file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from picochat.artifacts.bundle_record import BundleRecord
from picochat.cli import options
from picochat.cli.console import build_console, print_json
from picochat.core.units import format_bytes
from picochat.judgement.bundle.plan import BundleOptions
from picochat.judgement.bundle.write import write_bundle
from picochat.pipeline.runner import load_run_record


@click.command()
@options.run_argument
@click.option("--out", type=click.Path(path_type=Path), required=True, help="FILE.tar, or a folder; must not exist.")
@click.option("--without-weights", is_flag=True, help="Leave the judged weights out.")
@click.option("--with-corpus", is_flag=True, help="Take the text of the corpus in.")
@click.option("--with-shards", is_flag=True, help="Take the shards in.")
@click.option("--sign-key", type=click.Path(path_type=Path), help="Sign with this private key (PEM).")
@options.quiet_option
@options.json_option
def bundle(
    run: str | None,
    out: Path,
    without_weights: bool,
    with_corpus: bool,
    with_shards: bool,
    sign_key: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Pack RUN (default: the newest) for a reviewer, after verifying it.

    Exit code 3 when the verdict is missing or stale, 4 when the run does not verify. What is left out is named with
    its digest.
    """
    store = options.find_run(run)
    load_run_record(store)
    chosen = BundleOptions(weights=not without_weights, corpus=with_corpus, shards=with_shards)
    record = write_bundle(store, out, chosen, sign_key)
    if as_json:
        print_json({"bundle": str(out), "signed": sign_key is not None, "record": record.to_json()})
    elif not quiet:
        show(out, record, sign_key is not None)


def show(out: Path, record: BundleRecord, signed: bool) -> None:
    """What was written, what was left out, how to check it."""
    held, left = sum(file.bytes for file in record.files), sum(file.bytes for file in record.left_out)
    lines = [
        f"{out}: {len(record.files):,} files, {format_bytes(held)}, {'signed' if signed else 'unsigned'}",
        f"left out {len(record.left_out):,} files, {format_bytes(left)}",
        *(f"  {count:,} files: {reason}" for reason, count in Counter(f.reason for f in record.left_out).items()),
        f"verdict  {record.verdict} under {record.profile} (version {record.profile_version})",
        f"check    picochat verify {out}{' --public-key KEY.pem' if signed else ''}",
    ]
    build_console().print("\n".join(lines), markup=False)
