"""picochat eval: measure a finished run again, what it knows by heart, or how it does on a published benchmark."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, get_args

import click

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.cli import cross_check, options
from picochat.cli.commands.eval_compare import compare
from picochat.cli.console import build_console, print_json, print_table
from picochat.cli.launch import as_ranks
from picochat.cli.session import work_on
from picochat.core.errors import refuse
from picochat.data.split import SIDES
from picochat.distributed.ranks import Ranks
from picochat.judgement.benchmark_table import describe_benchmarks
from picochat.judgement.evidence import RunEvidence
from picochat.pipeline.config import RunConfig
from picochat.pipeline.runner import load_run_record, run_benchmark, run_harness
from picochat.stages.benchmark.config import Name

MEASURING = frozenset({"evaluate"})
BLOCKED = 3


@click.group("eval")
def evaluate() -> None:
    """Measure a run: its skills, what it knows by heart, or a published benchmark."""


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


@evaluate.command("memorisation")
@options.run_argument
@options.ddp_option
@options.quiet_option
@options.json_option
def memorisation(run: str | None, ddp: bool, quiet: bool, as_json: bool) -> None:
    """Measure what the checkpoints of RUN know by heart, then write the summary anew."""
    store, config = open_finished(run)
    if config.base.text.corpus is not None:
        refuse(
            "usage.unavailable",
            f"{store.root} was trained on {config.base.text.corpus}, and its own corpus says nothing of that text",
            fix="measure a run that was trained on its own corpus",
        )
    with measuring_ranks(store, config, ddp) as ranks:
        work_on(store, config, ("memorisation", "summary"), quiet=quiet, ranks=ranks)
    if not ranks.is_main:
        return
    report = store.read(layout.MEMORISATION)
    if as_json:
        print_json(report)
    elif not quiet:
        show_memorisation(report)


@evaluate.command("benchmark")
@click.argument("name", type=click.Choice(get_args(Name)))
@click.option(
    "--data", "folder", type=click.Path(path_type=Path), required=True, help="Folder with the published files, or one."
)
@click.option("--run", "run", help="Default: the newest run.")
@click.option("--limit", type=click.IntRange(min=1), help="Items of each file; marks the result as partial.")
@click.option("--shots", type=click.IntRange(min=0), help="Examples before each item; default: the benchmark's own.")
@options.set_option
@options.ddp_option
@options.quiet_option
@options.json_option
def benchmark(
    name: str,
    folder: Path,
    run: str | None,
    limit: int | None,
    shots: int | None,
    settings: tuple[str, ...],
    ddp: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Score RUN on a published benchmark from local files and add the result to its evidence."""
    store, config = open_finished(run)
    values: dict[str, Any] = {"name": name, "data": str(folder.absolute()), "limit": limit, "shots": shots}
    values |= dict(options.parse_settings(settings))
    if values["name"] != name:
        refuse("config.value", f"--set name={values['name']} beside the benchmark {name}", fix="name one benchmark")
    with measuring_ranks(store, config, ddp) as ranks:
        work_on(store, config, ("benchmark",), quiet=quiet, extra=run_benchmark(values, config.machine), ranks=ranks)
    if not ranks.is_main:
        return
    report = store.read(layout.report_path(layout.benchmark_dir(name)))
    if as_json:
        print_json(report)
    elif not quiet:
        show_benchmark(store, report)


@evaluate.command("benchmarks")
@options.run_argument
@options.json_option
def benchmarks(run: str | None, as_json: bool) -> None:
    """Show where RUN stands with every known benchmark: not run, partial, stale, attached, broken or verified."""
    found = describe_benchmarks(RunEvidence(options.find_run(run)))
    if as_json:
        print_json(found)
    else:
        rows = [[row["name"], row["status"], _score(row["score"]), row["why"]] for row in found]
        print_table("", ["benchmark", "status", "score", "why"], rows)


def _score(found: dict[str, Any] | None) -> str:
    if not found:
        return ""
    low, high = found["interval"]
    return f"{found['rate']:.4f} [{low:.4f}, {high:.4f}] n={found['n']:,}"


@evaluate.command("harness")
@options.run_argument
@click.option("--tasks", required=True, metavar="TASK,...", help="Of blimp, arc and text, with commas between.")
@click.option(
    "--data",
    "places",
    multiple=True,
    metavar="TASK=PATH",
    help="File or folder with a task's rows; text without one takes the run's held-out documents.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Items of each file.")
@options.quiet_option
@options.json_option
@click.pass_context
def harness(
    ctx: click.Context,
    run: str | None,
    tasks: str,
    places: tuple[str, ...],
    limit: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Score RUN with EleutherAI's lm-eval beside our own scorer and compare the two. Exit code 3 when they differ.

    Needs the extra harness. Everything is read from local files.
    """
    asked = cross_check.parse_tasks(tasks, places, limit)
    store, config = open_finished(run)
    extra = tuple(run_harness(values, config.machine) for values in asked)
    with cross_check.offline():
        work_on(store, config, ("harness",), quiet=quiet, extra=extra)
    reports = [store.read(spec.report) for spec in extra]
    if as_json:
        print_json({report["name"]: report for report in reports})
    elif not quiet:
        cross_check.show(store, reports)
    ctx.exit(0 if all(report["comparison"]["agree"] for report in reports) else BLOCKED)


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


def show_memorisation(report: dict) -> None:
    """One row a model: passages that it continues exactly, exposure by copies, the longest copy, the gap of losses."""
    counts = sorted({count for found in report["models"].values() for count in found["canaries"]["by_copies"]}, key=int)
    head = ["model", "train", "held out", *(f"bits at {count}" for count in counts), "copied words", "loss gap"]
    rows = []
    for name, found in report["models"].items():
        sides = (_rate(found["extractable"][side] if found["extractable"][side]["n"] else None) for side in SIDES)
        bits = (f"{found['canaries']['by_copies'][count]['mean']:.2f}" for count in counts)
        gap = found["loss"]["gap"]
        longest = found["copied"]["longest_words"]
        rows.append([name, *sides, *bits, str(longest), "not run" if gap is None else f"{gap:+.4f}"])
    print_table("", head, rows)


def show_benchmark(store: RunStore, report: dict) -> None:
    headline = report["headline"]
    low, high = headline["interval"]
    partial = ", partial" if report["partial"] else ""
    score = f"{headline['point']:.4f} [{low:.4f}, {high:.4f}]"
    text = f"{report['name']}: {score}, {report['items']:,} items{partial}, chance {report['chance']}"
    text = "\n".join([text, *report["notes"]])
    build_console().print(f"{text}\njudge    picochat gate {store.root}", markup=False)
