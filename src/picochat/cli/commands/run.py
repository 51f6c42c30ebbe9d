"""picochat run PROFILE: from text to verdict."""

from __future__ import annotations

from pathlib import Path

import click

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.cli import options
from picochat.cli.console import build_console, print_json
from picochat.cli.launch import as_ranks
from picochat.cli.preflighting import BLOCKED, judge_here, show
from picochat.cli.session import work_on
from picochat.cli.verdict import finish
from picochat.core.config import merge, read_toml
from picochat.core.units import format_count
from picochat.pipeline.config import Resolved, needed, resolve, settings_layer
from picochat.pipeline.profiles import PROFILES, load_profile
from picochat.pipeline.runner import open_run, open_shared_run, require_machine
from picochat.training.config import ResumeConfig

TRAINING = (layout.BASE, layout.SFT)
BEFORE_TRAINING = ("dataset", "honesty", "tokenizer", "shards")


@click.command(epilog="Profiles: " + "; ".join(f"{p.name} ({p.title})" for p in PROFILES.values()))
@click.argument("profile")
@click.option("--pack", help="A pack file, a folder of text, or builtin.")
@click.option("--out-dir", type=click.Path(path_type=Path), help="The run folder; default runs/PROFILE-N.")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="A TOML file with settings over the profile."
)
@click.option("--device", help="auto, cpu or cuda.")
@click.option("--precision", help="auto, fp32 or bf16.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out-dir.")
@click.option(
    "--dry-run", is_flag=True, help="Show the resolved configuration and where each value came from; run nothing."
)
@click.option(
    "--preflight-only", is_flag=True, help="Build the data, judge whether the run should start, and train nothing."
)
@options.ddp_option
@options.strategy_option
@options.set_option
@options.quiet_option
@options.json_option
@click.pass_context
def run(
    ctx: click.Context,
    profile: str,
    pack: str | None,
    out_dir: Path | None,
    config_file: Path | None,
    device: str | None,
    precision: str | None,
    resume: bool,
    dry_run: bool,
    preflight_only: bool,
    ddp: bool,
    strategy: str | None,
    settings: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Run PROFILE: dataset, tokenizer, base, SFT, evaluation, gate and summary.

    Exit code 0 even when the gate says blocked: the run is finished, and `picochat gate` judges.
    """
    flags = {"data.pack": absolute_pack(pack), "machine.device": device, "machine.precision": precision}
    flags["distributed.strategy"] = strategy
    resolved, policy = resolve_run(profile, config_file, flags, settings)
    if dry_run:
        print_json({"profile": profile, "config": resolved.config.as_dict(), "origins": resolved.origins})
        return
    if preflight_only:
        root = out_dir or (options.find_run(None).root if resume else options.new_run_dir(profile))
        ctx.exit(
            preflight_run(open_run(root, profile, resolved, resume=resume), profile, resolved, policy, quiet, as_json)
        )
    with as_ranks(out_dir, resolved.config.distributed, ddp=ddp, uses=needed(resolved.config)) as ranks:
        require_machine(resolved.config.machine)
        root = out_dir or (options.find_run(None).root if resume else options.new_run_dir(profile))
        store = open_shared_run(root, profile, resolved, resume, ranks)
        announce(store, resolved, quiet or not ranks.is_main)
        work_on(store, resolved.config, resume=resume, quiet=quiet, policy=policy, ranks=ranks)
    if ranks.is_main:
        finish(store, as_json=as_json, quiet=quiet)


def preflight_run(
    store: RunStore, profile: str, resolved: Resolved, policy: ResumeConfig, quiet: bool, as_json: bool
) -> int:
    """Builds what training reads, judges it into preflight.json, and returns the exit code."""
    announce(store, resolved, quiet, ())
    work_on(store, resolved.config, BEFORE_TRAINING, resume=True, quiet=quiet, policy=policy)
    body = judge_here(store, resolved.config, profile, PROFILES[profile].ranks)
    if as_json or not quiet:
        show(body, as_json=as_json)
    return BLOCKED if body["verdict"] == "blocked" else 0


def absolute_pack(pack: str | None) -> str | None:
    """The pack by absolute path, so that the run's record still says what was read when the folder is another."""
    return pack if pack in (None, "builtin") else str(Path(pack).absolute())


def resolve_run(
    profile: str, config_file: Path | None, flags: dict[str, str | None], settings: tuple[str, ...]
) -> tuple[Resolved, ResumeConfig]:
    """Profile, then file, then flags, then --set. `resume.*` settings are about this attempt and kept apart."""
    pairs = options.parse_settings(settings)
    policy = settings_layer([(key.removeprefix("resume."), value) for key, value in pairs if key.startswith("resume.")])
    own = settings_layer([(key, value) for key, value in pairs if not key.startswith("resume.")])
    given = settings_layer([(key, value) for key, value in flags.items() if value is not None])
    layers = [(str(config_file), read_toml(config_file))] if config_file else []
    layers += [(origin, layer) for origin, layer in (("flag", given), ("--set", own)) if merge({}, layer)]
    return resolve(profile, load_profile(profile).build(), layers), ResumeConfig.from_dict(policy, "--set resume")


def announce(store: RunStore, resolved: Resolved, quiet: bool, stages: tuple[str, ...] = TRAINING) -> None:
    """One line before the work starts: where, how many tokens, from what."""
    if quiet:
        return
    loops = {layout.BASE: resolved.config.base.loop, layout.SFT: resolved.config.sft.loop}
    parts = [f"{format_count(loops[name].tokens)} {name} tokens" for name in stages if name in loops]
    text = f"{store.root}: " + (" and ".join(parts) or f"pack {resolved.config.data.pack}")
    build_console(stderr=True).print(text, markup=False)
