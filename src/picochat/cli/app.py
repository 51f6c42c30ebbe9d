"""The command table. A command's module is imported when the command is called, so that --help starts at once."""

from __future__ import annotations

import importlib

import click

import picochat

COMMANDS = {
    "demo": ("commands.demo:demo", "The whole factory on built-in text, in minutes."),
    "run": ("commands.run:run", "Run a profile from text to verdict."),
    "data": ("commands.data:data", "Build or inspect a dataset."),
    "import": ("commands.import_hf:import_model", "Take in a model that others trained."),
    "train": ("commands.train:train", "Run one training stage with its own inputs."),
    "predict": ("commands.predict:predict", "The loss of a run from smaller ones, before it is trained."),
    "eval": ("commands.eval:evaluate", "Measure a run: its skills, or a published benchmark."),
    "preflight": ("commands.preflight:preflight", "Every check, before anything is spent."),
    "launch": ("commands.launch:launch", "Another machine: plan, rehearse, start under a cap, stop."),
    "gate": ("commands.gate:gate", "Judge a run again, without training."),
    "verify": ("commands.verify:verify", "Re-hash and recompute everything in a run."),
    "bundle": ("commands.bundle:bundle", "Pack a judged run into one file to hand over."),
    "export": ("commands.export:export", "The model for other runtimes, with a proof."),
    "reproduce": ("commands.reproduce:command", "Train some steps of a run again and compare them."),
    "generate": ("commands.generate:generate", "Continue a text with a trained model."),
    "chat": ("commands.chat:chat", "Talk to a trained model."),
    "serve": ("commands.serve:serve", "Let OpenAI's clients talk to a trained model."),
    "web": ("commands.web:web", "The workbench: runs, curves, verdicts and launches in a browser."),
    "runs": ("commands.runs:runs", "List the runs of a folder."),
    "status": ("commands.status:status", "Where a run is, and whether it is healthy."),
    "compare": ("commands.compare:compare", "Runs side by side, or one beside its profile."),
    "stop": ("commands.stop:stop", "Ask a run to save a checkpoint and stop."),
    "checkpoint": ("commands.checkpoint:checkpoint", "List or verify the checkpoints of a run."),
    "plan": ("commands.plan:plan", "What a run will need, before it costs anything."),
    "sanity": ("commands.sanity:sanity", "Short proofs on this machine before a long job."),
    "doctor": ("commands.doctor:doctor", "Devices, versions, disk, and what is missing."),
}


class LazyGroup(click.Group):
    """Knows every command by name and short help; imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        return getattr(importlib.import_module(f"picochat.cli.{module}"), attribute)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(picochat.__version__, prog_name="picochat")
def cli() -> None:
    """Picochat: a factory for small language models. Every stage writes artifacts that later stages verify.

    Start with `picochat demo`. Any command takes --debug, which shows the traceback of an error.
    """
