"""picochat reproduce: some steps of a run, trained again and compared."""

from __future__ import annotations

import click

from picochat.artifacts import layout
from picochat.cli import options
from picochat.cli.console import ConsoleProgress, build_console, print_json
from picochat.cli.session import stop_on_signals
from picochat.core.errors import refuse
from picochat.pipeline.config import RunConfig
from picochat.pipeline.reproduce import START, Reproduction, Request, reproduce
from picochat.pipeline.runner import load_run_record
from picochat.stages.contract import StopFlag

DIFFERENT = 4


@click.command("reproduce")
@options.run_argument
@click.option("--steps", type=click.IntRange(min=1), required=True, help="How many steps to train again.")
@click.option("--from", "begin", default=START, show_default=True, help="start, or the step of a kept checkpoint.")
@click.option("--stage", type=click.Choice([layout.BASE, layout.SFT]), default=layout.BASE, show_default=True)
@click.option("--allow-differences", is_flag=True, help="Go on under other conditions; losses need only be close.")
@options.quiet_option
@options.json_option
@click.pass_context
def command(
    ctx: click.Context,
    run: str | None,
    steps: int,
    begin: str,
    stage: str,
    allow_differences: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train some steps of RUN (default: the newest) again, in a scratch folder, and compare the ledger line by line.

    RUN is only read. Exit code 0 when the steps are equal to the bit (or close, where differences were allowed), 4 when
    they are not, 5 when machine or code are others.
    """
    store = options.find_run(run)
    config = RunConfig.from_dict(load_run_record(store).config, str(store.path(layout.RUN)))
    request = Request(stage, steps, parse_begin(begin), allow_differences)
    stop = StopFlag()
    with stop_on_signals(stop), ConsoleProgress(quiet or as_json) as progress:
        found = reproduce(store, config, request, progress, stop)
    if as_json:
        print_json({"run": str(store.root), **as_document(found)})
    elif not quiet:
        show(str(store.root), found)
    ctx.exit(DIFFERENT if found.comparison.word == "different" else 0)


def parse_begin(text: str) -> int | None:
    """`start` or 0 is the seeded start. Raises `config.value`."""
    if text == START:
        return None
    if not text.isascii() or not text.isdigit():
        refuse(
            "config.value",
            f"--from is {text!r}, which is neither {START} nor a step",
            fix="--from start, or --from STEP",
        )
    return int(text) or None


def as_document(found: Reproduction) -> dict:
    compared = found.comparison
    return {
        "verdict": compared.word,
        "stage": found.request.stage,
        "from": found.request.begin or START,
        "last_step": found.last_step,
        "steps": compared.steps,
        "differing_steps": compared.differing,
        "first_difference": compared.first._asdict() if compared.first else None,
        "largest_loss_frac": compared.largest_frac,
        "conditions": [difference._asdict() for difference in found.conditions],
    }


def show(root: str, found: Reproduction) -> None:
    """One line a fact, the verdict last."""
    compared, request = found.comparison, found.request
    lines = [f"other conditions: {difference.describe()}" for difference in found.conditions]
    if first := compared.first:
        lines.append(f"first difference: step {first.step:,}, {first.key}")
        lines += [f"  recorded {first.recorded}", f"  replayed {first.replayed}"]
        lines.append(f"{compared.differing:,} of {compared.steps:,} steps differ")
    words = {
        "equal": "equal to the bit",
        "close": f"close, not equal: losses differ by {compared.largest_frac or 0:.2%} at most",
        "different": "different",
    }
    place = f"{request.stage} steps {(request.begin or 0) + 1:,} to {found.last_step:,}"
    lines.append(f"{root}: {place} are {words[compared.word]}")
    build_console().print("\n".join(lines), markup=False)
