"""picochat train: one training stage with inputs of its own, outside of any run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.cli import options
from picochat.cli.commands.run import announce, resolve_run
from picochat.cli.console import build_console, print_json
from picochat.cli.launch import as_ranks
from picochat.cli.session import work_on
from picochat.core.errors import refuse
from picochat.core.jsonio import read_json
from picochat.core.units import format_count
from picochat.pipeline.config import needed
from picochat.pipeline.runner import open_shared_run, require_machine

AROUND_BASE = ("shards", layout.BASE, "prediction")
"""Shards go before base where base.data_mode asks for them, and the comparison with a prediction after it where there
is one; the run passes over what it has not."""


@click.group()
def train() -> None:
    """Run one training stage with its own inputs; they are referenced by path and digest, never copied."""


def stage_options(command):
    """What both stages take."""
    for option in (
        click.option(
            "--corpus", type=click.Path(path_type=Path), required=True, help="corpus.txt of a run, or a bare text file."
        ),
        click.option("--tokenizer", type=click.Path(path_type=Path), required=True, help="tokenizer.json of a run."),
        click.option("--out-dir", type=click.Path(path_type=Path), required=True, help="The run folder."),
        click.option("--profile", default="tiny", show_default=True),
        click.option("--device", help="auto, cpu or cuda."),
        click.option("--precision", help="auto, fp32 or bf16."),
        click.option("--resume", is_flag=True, help="Go on with the run in --out-dir."),
        options.ddp_option,
        options.strategy_option,
        options.set_option,
        options.quiet_option,
        options.json_option,
    ):
        command = option(command)
    return command


@train.command("base")
@stage_options
def base(corpus: Path, tokenizer: Path, **flags: Any) -> None:
    """Pretrain a model on --corpus with --tokenizer."""
    run_stage(
        layout.BASE,
        {"base.text.corpus": str(corpus.absolute()), "base.text.tokenizer": str(tokenizer.absolute())},
        tokenizer,
        flags,
    )


@train.command("sft")
@click.option("--base", "checkpoint", type=click.Path(path_type=Path), required=True, help="A base checkpoint folder.")
@click.option("--chat", type=click.Path(path_type=Path), required=True, help="JSON Lines of chat rows.")
@stage_options
def sft(corpus: Path, tokenizer: Path, checkpoint: Path, chat: Path, **flags: Any) -> None:
    """Fine-tune --base on the rows of --chat; documents of --corpus measure what is forgotten."""
    values = {
        "sft.text.corpus": str(corpus.absolute()),
        "sft.text.tokenizer": str(tokenizer.absolute()),
        "sft.base": str(checkpoint.absolute()),
        "sft.chat": str(chat.absolute()),
    }
    run_stage(layout.SFT, values, tokenizer, flags)


def run_stage(stage: str, values: dict[str, str], tokenizer: Path, flags: dict[str, Any]) -> None:
    """Opens a run folder for one stage and runs it. The vocabulary is the tokenizer's."""
    for key, path in values.items():
        if not Path(path).exists():
            refuse("usage.path", f"{path} does not exist ({key})")
    vocab_size = count_ids(tokenizer)
    given: dict[str, Any] = values | {"machine.device": flags["device"], "machine.precision": flags["precision"]}
    given |= {"distributed.strategy": flags["strategy"]}
    given |= {"model.vocab_size": vocab_size, "tokenizer.vocab_size": vocab_size}
    resolved, policy = resolve_run(flags["profile"], None, given, flags["settings"])
    uses = needed(resolved.config, (stage,))
    with as_ranks(flags["out_dir"], resolved.config.distributed, ddp=flags["ddp"], uses=uses) as ranks:
        require_machine(resolved.config.machine)
        store = open_shared_run(flags["out_dir"], flags["profile"], resolved, flags["resume"], ranks)
        announce(store, resolved, flags["quiet"] or not ranks.is_main, (stage,))
        names = AROUND_BASE if stage == layout.BASE else (stage,)
        work_on(store, resolved.config, names, resume=flags["resume"], quiet=flags["quiet"], policy=policy, ranks=ranks)
    if ranks.is_main:
        show_report(store, stage, flags)


def show_report(store: RunStore, stage: str, flags: dict[str, Any]) -> None:
    """The stage's report in a line, or whole."""
    report = store.read(layout.report_path(stage))
    if flags["as_json"]:
        print_json(report)
    elif not flags["quiet"]:
        found, training = report["validation"], report["training"]
        rate = format_count(training["tokens_per_s"])
        text = f"{stage}: {training['steps']:,} steps, {rate} tokens/s, held-out {found['bpb']:.3f} bits per byte"
        build_console().print(f"{text}\nread     {store.path(f'{stage}/{layout.REPORT_MD}')}", markup=False)


def count_ids(tokenizer: Path) -> int:
    """Ids of a tokenizer.json, special tokens included. Raises `artifact.missing` or `tokenizer.file`."""
    document = read_json(tokenizer)
    try:
        return len(document["model"]["vocab"]) + len(document["added_tokens"])
    except (KeyError, TypeError):
        refuse("tokenizer.file", f"{tokenizer} holds no vocabulary")
