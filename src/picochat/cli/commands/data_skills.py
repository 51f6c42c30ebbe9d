"""picochat data skills: the generated skills as files that a pack can name."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any

import click

from picochat.cli import options
from picochat.cli.console import build_console, print_json
from picochat.cli.dataset_tables import show_tables
from picochat.core.config import merge, nest, read_toml
from picochat.core.jsonio import parse_json
from picochat.data.pack import load_pack
from picochat.data.skill_words import describe_words, iter_word_texts
from picochat.data.skills.config import SkillsPartConfig
from picochat.data.skills.part import FRAGMENT, MANIFEST, build_part, require_free, require_size, write_part
from picochat.views.evals.skills import part_tables


@click.command("skills")
@click.option("--out-dir", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@click.option("--seed", type=int, help="Another seed makes other rows of the same skills.")
@click.option("--rows", type=int, help="SFT rows over all skills.")
@click.option("--eval-per-skill", type=int, help="Eval rows a skill; refusal has as many benign twins.")
@click.option("--style", type=click.Choice(["direct", "steps"]), help="Arithmetic answers: the result, or its columns.")
@click.option(
    "--identity",
    "identity_file",
    type=click.Path(path_type=Path),
    help="A TOML file with name, maker, purpose, cannot; or a pack file.",
)
@options.set_option
@options.quiet_option
@options.json_option
def skills(
    out_dir: Path,
    seed: int | None,
    rows: int | None,
    eval_per_skill: int | None,
    style: str | None,
    identity_file: Path | None,
    settings: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Make SFT, held-out and eval rows of the five skills, which share no wording and no entity.

    The folder is a part of a pack: part.toml has the lines to copy. --set takes skills.*, identity.* and words.
    """
    require_free(out_dir)
    named = {
        "skills.seed": seed,
        "skills.sft_rows": rows,
        "skills.eval_rows_per_skill": eval_per_skill,
        "skills.style": style,
    }
    config = build_config(named, identity_file, settings)
    require_size(config)
    loaded = load_pack(config.words)
    files = build_part(config, iter_word_texts(loaded), describe_words(loaded))
    write_part(out_dir, files)
    manifest = parse_json(files[MANIFEST], MANIFEST)
    if as_json:
        print_json(manifest)
    elif not quiet:
        show_tables(part_tables(manifest))
        text = f"use it   copy {out_dir / FRAGMENT} into a pack file, then picochat data check PACK"
        build_console().print(f"{text} --set data.generate_skills=false", markup=False)


def build_config(named: dict[str, Any], identity_file: Path | None, settings: tuple[str, ...]) -> SkillsPartConfig:
    """Defaults, then the identity file, then what was typed; --set comes last. Raises `config.*` or `usage.path`."""
    layers = [read_identity(identity_file)] if identity_file else []
    layers += [nest(key, value) for key, value in named.items() if value is not None]
    layers += [nest(key, value) for key, value in options.parse_settings(settings)]
    return SkillsPartConfig.from_dict(reduce(merge, layers, {}), "picochat data skills")


def read_identity(path: Path) -> dict[str, Any]:
    """The facts of a TOML file: its own keys, or the table [identity] of a pack file."""
    values = read_toml(path)
    return {"identity": values.get("identity", {}) if {"schema", "identity"} & values.keys() else values}
