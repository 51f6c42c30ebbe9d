"""Preflight on the machine at hand, and how it is shown: what `preflight` and `run --preflight-only` share."""

from __future__ import annotations

from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.store import RunLock, RunStore
from picochat.cli import options
from picochat.cli.console import build_console, print_json, print_table
from picochat.cli.verdict import STYLES
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.prediction import prediction_word
from picochat.judgement.preflight.facts import ABSENT, LaunchFacts, MachineFacts
from picochat.pipeline.config import RunConfig
from picochat.pipeline.plan.build import build_plan
from picochat.pipeline.plan.cards import parse_gpus
from picochat.pipeline.preflight.gather import Watch, run_preflight, write_preflight
from picochat.pipeline.preflight.machine import ask_doctor, planned_machine, this_machine
from picochat.pipeline.profiles import PROFILES
from picochat.views.gate.preflight import fix_lines, preflight_line, preflight_markdown, preflight_table, sorted_rows

BLOCKED = 3


class Rented(NamedTuple):
    """A machine that is paid by the hour, as a person names it."""

    gpus: str
    rate: float | None = None
    cap: float | None = None


def judge_rented(store: RunStore | None, config: RunConfig, profile: str, asked: Rented) -> dict[str, Any]:
    """Judges for cards of the table, with the limits of a release; with a run, under its lock and into its folder."""
    fleet = parse_gpus(asked.gpus)
    plan = build_plan(config, fleet, asked.rate, config.distributed.strategy, profile=profile)
    expected = PROFILES[profile].ranks if profile in PROFILES else None
    machine = planned_machine(config, fleet, expected, plan)
    total = plan.estimate.total.money if plan.estimate else None
    launch = LaunchFacts(total, asked.cap, _prediction(store), _tokenises(store, config))
    return _judge(store, config, machine, launch)


def _prediction(store: RunStore | None) -> str | None:
    """A prediction that does not follow from its ladder is none."""
    return (prediction_word(RunEvidence(store).prediction) or ABSENT) if store is not None else None


def _tokenises(store: RunStore | None, config: RunConfig) -> bool:
    """Whether the text would still have to become tokens there."""
    wanted = layout.TOKENIZER_REPORT if config.base.data_mode == "memory" else layout.SHARDS_MANIFEST
    return store is None or not store.has(wanted)


def judge_here(store: RunStore | None, config: RunConfig, profile: str, ranks: int) -> dict[str, Any]:
    """Judges on this machine; with a run, under its lock and into its folder."""
    folder = store.root if store else options.runs_dir()
    expected = PROFILES[profile].ranks if profile in PROFILES else None
    machine = this_machine(config, ranks, expected, folder, ask_doctor())
    return _judge(store, config, machine, None)


def _judge(
    store: RunStore | None, config: RunConfig, machine: MachineFacts, launch: LaunchFacts | None
) -> dict[str, Any]:
    if store is None:
        return run_preflight(RunStore(options.runs_dir() / ".none"), config, machine, launch)
    with RunLock(store.root):
        watch = Watch()
        body = run_preflight(store, config, machine, launch, watch)
        if store.has(layout.report_path(layout.BASE)):
            build_console(stderr=True).print(f"{store.root} is trained: what comes after is not written", markup=False)
        else:
            write_preflight(store, config, body, watch)
    return body


def show(body: dict[str, Any], *, as_json: bool, markdown: bool = False) -> None:
    """The body as JSON, as Markdown, or as a table with what mends each fault."""
    if as_json:
        print_json(body)
        return
    console = build_console()
    if markdown:
        console.print(preflight_markdown(body), markup=False, soft_wrap=True)
        return
    table, rows = preflight_table(body), sorted_rows(body)
    print_table(table.title, table.columns, table.rows, [STYLES[row.verdict] for row in rows])
    for line in fix_lines(body):
        console.print(f"  {line}", markup=False)
    console.print(f"\n{preflight_line(body)}", markup=False)
