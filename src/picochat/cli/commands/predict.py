"""picochat predict: a ladder of small trainings, and the loss of a larger one before it is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.cli import options
from picochat.cli.commands.run import absolute_pack, resolve_run
from picochat.cli.commands.train import count_ids
from picochat.cli.console import ConsoleProgress, build_console, print_json, print_table
from picochat.cli.session import stop_on_signals
from picochat.core.errors import refuse
from picochat.pipeline.config import RunConfig, settings_layer
from picochat.pipeline.prediction.config import LadderConfig
from picochat.pipeline.prediction.ladder import build_ladder
from picochat.pipeline.prediction.plan import TextPaths
from picochat.pipeline.prediction.predict import parse_numbers, predict_from, write_prediction
from picochat.pipeline.runner import Factory, require_machine, run_stages
from picochat.stages.contract import StopFlag
from picochat.views.gate.prediction import ladder_table, law_notes, prediction_table

PREFIX = "ladder."


@click.group()
def predict() -> None:
    """Predict the loss of a run from smaller ones, before it is trained."""


@predict.command("ladder")
@click.argument("profile")
@click.option("--out-dir", type=click.Path(path_type=Path), required=True, help="The ladder's folder.")
@click.option("--pack", help="A pack file, a folder of text, or builtin.")
@click.option("--corpus", type=click.Path(path_type=Path), help="corpus.txt of a run, instead of a pack.")
@click.option("--tokenizer", type=click.Path(path_type=Path), help="tokenizer.json of a run; goes with --corpus.")
@click.option("--device", help="auto, cpu or cuda.")
@click.option("--precision", help="auto, fp32 or bf16.")
@click.option("--resume", is_flag=True, help="Go on with the ladder in --out-dir.")
@options.set_option
@options.quiet_option
@options.json_option
def ladder(
    profile: str,
    out_dir: Path,
    pack: str | None,
    corpus: Path | None,
    tokenizer: Path | None,
    device: str | None,
    precision: str | None,
    resume: bool,
    settings: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Train smaller models of PROFILE's kind, each at several lengths: the ladder that a law is fitted to.

    `--set` takes any key of a run, and `ladder.KEY` for sizes, lengths and seeds.
    """
    if not resume and out_dir.is_dir() and any(out_dir.iterdir()):
        refuse("run.not_empty", f"{out_dir} is not empty", fix="add --resume, or choose another --out-dir")
    text = text_paths(corpus, tokenizer)
    own, others = split_settings(settings)
    flags: dict[str, Any] = {"data.pack": absolute_pack(pack), "machine.device": device, "machine.precision": precision}
    if text:
        ids = count_ids(text.tokenizer)
        flags |= {"model.vocab_size": ids, "tokenizer.vocab_size": ids}
    resolved, _ = resolve_run(profile, None, flags, others)
    require_machine(resolved.config.machine)
    layout_of = LadderConfig.from_dict(own, "--set ladder")
    stop = StopFlag()  # one for all rungs: a stop in the last step of one must not be lost before the next
    with stop_on_signals(stop), ConsoleProgress(quiet) as progress:
        factory = Factory(progress=progress, stop=stop)

        def train(store: RunStore, config: RunConfig, names: tuple[str, ...], title: str) -> None:
            progress.say(title)
            run_stages(store, config, factory, names, resume=True)

        found = build_ladder(out_dir, profile, resolved, layout_of, text, train)
    if as_json:
        print_json(found.to_json())
    elif not quiet:
        table = ladder_table([rung.to_json() for rung in found.rungs])
        print_table(table.title, table.columns, table.rows)
        hint = f"picochat predict fit {out_dir} --target {profile} --out-dir RUN"
        build_console().print(f"next     {hint}", markup=False)


@predict.command("fit")
@click.argument("ladder_dir", metavar="LADDER", type=click.Path(path_type=Path))
@click.option("--target", required=True, help="A profile, or PARAMETERS,TOKENS such as 1.1e9,22e9.")
@click.option(
    "--out-dir",
    type=click.Path(path_type=Path),
    help="The target's run folder, for prediction.json.",
)
@click.option("--pack", help="The target's pack: a file, a folder of text, or builtin.")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="A TOML file with settings over the profile."
)
@options.set_option
@options.quiet_option
@options.json_option
def fit(
    ladder_dir: Path,
    target: str,
    out_dir: Path | None,
    pack: str | None,
    config_file: Path | None,
    settings: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Fit a law to LADDER and say what loss --target will come to, with a band.

    With --out-dir the prediction is bound to that run before it is trained; then `picochat run PROFILE --out-dir RUN
    --resume` trains it. Exit code 3 when the target lies too far beyond the ladder: the refusal is written as well.
    """
    numbers = parse_numbers(target)
    if numbers:
        if out_dir is not None:
            refuse("prediction.target", "--out-dir binds a prediction to a run, and --target names no profile")
        body = predict_from(ladder_dir, numbers)[1]
    else:
        resolved, _ = resolve_run(target, config_file, {"data.pack": absolute_pack(pack)}, settings)
        if out_dir is None:
            body = predict_from(ladder_dir, resolved.config)[1]
        else:
            body = write_prediction(ladder_dir, out_dir, target, resolved)
    show_prediction(body, out_dir, quiet, as_json)
    if body["refusal"]:
        refuse(body["refusal"]["code"], body["refusal"]["detail"])


def show_prediction(body: dict[str, Any], out_dir: Path | None, quiet: bool, as_json: bool) -> None:
    """The law's answer in a table, what goes with it in lines, or all of it as JSON."""
    if as_json:
        print_json(body)
        return
    if quiet:
        return
    table = prediction_table(body)
    if table.rows:
        print_table(table.title, table.columns, table.rows)
    console = build_console()
    for note in law_notes(body):
        console.print(f"note     {note}", markup=False)
    if out_dir is not None:
        console.print(f"written  {RunStore(out_dir).path(layout.PREDICTION)}", markup=False)


def text_paths(corpus: Path | None, tokenizer: Path | None) -> TextPaths | None:
    """Both or neither. Raises `usage.path` or `config.conflict`."""
    if (corpus is None) != (tokenizer is None):
        refuse("config.conflict", "--corpus and --tokenizer are given together or not at all")
    if corpus is None or tokenizer is None:
        return None
    for path in (corpus, tokenizer):
        if not path.is_file():
            refuse("usage.path", f"{path} does not exist")
    return TextPaths(corpus, tokenizer)


def split_settings(settings: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The `ladder.*` ones as a layer of their own, and the texts of all others."""
    pairs = options.parse_settings(settings)
    own = [(key.removeprefix(PREFIX), value) for key, value in pairs if key.startswith(PREFIX)]
    others = tuple(text for text, (key, _) in zip(settings, pairs, strict=True) if not key.startswith(PREFIX))
    return settings_layer(own), others
