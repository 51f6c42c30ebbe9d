"""picochat eval: measure a finished run again, or on a published benchmark."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import click

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.cli import options
from picochat.cli.commands.eval_compare import compare
from picochat.cli.console import build_console, print_json, print_table
from picochat.cli.launch import as_ranks
from picochat.cli.session import work_on
from picochat.core.errors import refuse
from picochat.distributed.ranks import Ranks
from picochat.pipeline.config import RunConfig
from picochat.pipeline.runner import load_run_record, run_benchmark

MEASURING = frozenset({"evaluate"})


@click.group("eval")
def evaluate() -> None:
    """Measure a run: its skills, or a published benchmark."""


evaluate.add_command(compare)


@evaluate.command("skills")
@options.run_argument
@options.ddp_option
@options.quiet_option
@options.json_option
def skills(run: str | None, ddp: bool, quiet: bool, as_json: bool) -> None:
    """Answer the eval, fit and held-out rows of RUN again, then write the summary anew."""
    store, config = open_finished(run)
    with measuring_ranks(store, config, ddp) as ranks:
        work_on(store, config, ("evaluate", "summary"), quiet=quiet, ranks=ranks)
    if not ranks.is_main:
        return
    report = store.read(layout.report_path(layout.EVAL))
    if as_json:
        print_json(report)
    elif not quiet:
        show_sets(report)


@evaluate.command("fit")
@options.run_argument
@options.json_option
def fit(run: str | None, as_json: bool) -> None:
    """Show fit, held-out fit and eval of RUN side by side: three facts, never added up."""
    store, _ = open_finished(run)
    report = store.read(layout.report_path(layout.EVAL))
    if as_json:
        print_json({name: found["summary"]["categories"] for name, found in report["sets"].items()})
    else:
        show_sets(report)


@evaluate.command("benchmark")
@click.argument("name", type=click.Choice(["blimp"]))
@click.option(
    "--data", "folder", type=click.Path(path_type=Path), required=True, help="Folder with the published files."
)
@click.option("--run", "run", help="Default: the newest run.")
@click.option("--limit", type=click.IntRange(min=1), help="Items of each file; marks the result as partial.")
@options.ddp_option
@options.quiet_option
@options.json_option
def benchmark(
    name: str, folder: Path, run: str | None, limit: int | None, ddp: bool, quiet: bool, as_json: bool
) -> None:
    """Score RUN on a published benchmark from local files and add the result to its evidence."""
    store, config = open_finished(run)
    values = {"name": name, "data": str(folder.absolute()), "limit": limit}
    with measuring_ranks(store, config, ddp) as ranks:
        work_on(store, config, ("benchmark",), quiet=quiet, extra=run_benchmark(values, config.machine), ranks=ranks)
    if not ranks.is_main:
        return
    report = store.read(layout.report_path(layout.benchmark_dir(name)))
    if as_json:
        print_json(report)
    elif not quiet:
        show_benchmark(store, report)


def measuring_ranks(store: RunStore, config: RunConfig, ddp: bool) -> AbstractContextManager[Ranks]:
    """The ranks that measure, however the run was trained: every rank reads whole weights, and nothing is sliced."""
    return as_ranks(store.root, config.distributed.model_copy(update={"strategy": "ddp"}), ddp=ddp, uses=MEASURING)


def open_finished(run: str | None) -> tuple[RunStore, RunConfig]:
    """A run with a chat checkpoint, and its configuration. Raises `artifact.missing` or `run.missing`."""
    store = options.find_run(run)
    record = load_run_record(store)
    if not store.has(layout.report_path(layout.SFT)):
        refuse(
            "artifact.missing",
            f"{store.root} has no {layout.report_path(layout.SFT)}: it was not trained to the end",
            fix=f"picochat run {record.profile} --out-dir {store.root} --resume",
        )
    return store, RunConfig.from_dict(record.config, str(store.path(layout.RUN)))


def show_sets(report: dict) -> None:
    """One row a skill: the rate on each set with its interval."""
    names = [name for name in ("fit", "heldout", "eval") if name in report["sets"]]
    tables = {name: report["sets"][name]["summary"]["categories"] for name in names}
    categories = sorted(set().union(*(table.keys() for table in tables.values())))
    print_table(
        "",
        ["skill", *names],
        [[category, *(_rate(tables[name].get(category)) for name in names)] for category in categories],
    )


def _rate(found: dict | None) -> str:
    if not found:
        return "not run"
    low, high = found["interval"]
    return f"{found['rate']:.3f} [{low:.3f}, {high:.3f}] n={found['n']}"


def show_benchmark(store: RunStore, report: dict) -> None:
    headline = report["headline"]
    low, high = headline["interval"]
    partial = ", partial" if report["partial"] else ""
    score = f"{headline['point']:.4f} [{low:.4f}, {high:.4f}]"
    text = f"{report['name']}: {score}, {report['items']:,} items{partial}, chance {report['chance']}"
    build_console().print(f"{text}\njudge    picochat gate {store.root}", markup=False)
