"""The skills as a part of a dataset pack: a folder of rows, the lines that a pack names them with, and a manifest.

    chat.jsonl      rows to learn from                  heldout.jsonl   questions of the same families
    eval.jsonl      independent questions               part.toml       the tables to copy into a pack file
    manifest.json   settings, counts and digests

The manifest is written last: a folder without it is unfinished, and may be written again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.core.errors import refuse
from picochat.core.fs import make_dir, write_atomic
from picochat.core.hashing import sha256_bytes
from picochat.core.jsonio import canonical_json, pretty_json
from picochat.data.conversations import encode_rows
from picochat.data.skills.config import SKILLS, Identity, SkillsPartConfig
from picochat.data.skills.disjoint import check_disjoint
from picochat.data.skills.generate import generate_skills
from picochat.data.skills.part_facts import describe_set, shared_prompts
from picochat.data.skills.rows import SkillRows

SCHEMA = "skills-part/1"
CHAT, FRAGMENT, MANIFEST = "chat.jsonl", "part.toml", "manifest.json"
HELDOUT, EVAL = Path(layout.CHAT_HELDOUT).name, Path(layout.CHAT_EVAL).name
FILES = (CHAT, HELDOUT, EVAL, FRAGMENT, MANIFEST)
MAX_ROWS = 1_000_000
"""All rows are held in memory while they are compared."""


def require_free(folder: Path) -> None:
    """Refuses with `skills.folder` unless the folder is new, empty, or left unfinished by this very command."""
    if not folder.exists():
        return
    names = {entry.name for entry in folder.iterdir()} if folder.is_dir() else {folder.name}
    if not folder.is_dir() or MANIFEST in names or not names <= set(FILES):
        refuse("skills.folder", f"{folder} exists and holds {', '.join(sorted(names)[:3])}")


def require_size(config: SkillsPartConfig) -> None:
    """Refuses with `skills.rows` a number of rows that leaves a set or a skill empty, or that memory cannot hold."""
    skills = config.skills
    smallest = min(share for skill in SKILLS if (share := getattr(skills.shares, skill)) > 0)
    for what, count, least in (
        ("SFT rows", skills.sft_rows, math.ceil(2 / smallest)),
        ("held-out rows a skill", skills.heldout_rows_per_skill, 1),
        ("eval rows a skill", skills.eval_rows_per_skill, 1),
    ):
        if not least <= count <= MAX_ROWS:
            refuse(
                "skills.rows",
                f"{count:,} {what} are asked for; at least {least:,} and at most {MAX_ROWS:,} can be made",
                fix=f"ask for {least:,} to {MAX_ROWS:,} {what}",
            )


def build_part(config: SkillsPartConfig, documents: Iterable[str], words: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a part by name, the manifest last. The same inputs give the same bytes.

    `words` says in the manifest where the documents come from. Raises `skills.rows`, `skills.words` or
    `skills.disjoint`; nothing is written here.
    """
    require_size(config)
    rows = generate_skills(config.skills, config.identity, documents)
    _require_disjoint(rows)
    files = {
        CHAT: encode_rows(rows.to_pairs()),
        HELDOUT: encode_rows(rows.to_eval_rows("heldout")),
        EVAL: encode_rows(rows.to_eval_rows("eval")),
        FRAGMENT: fragment(config.identity).encode(),
    }
    manifest = {
        "schema": SCHEMA,
        "config": config.as_dict(),
        "config_digest": config.digest(),
        "words": dict(words),
        "sets": {"sft": describe_set(rows.sft), "heldout": describe_set(rows.heldout), "eval": describe_set(rows.eval)},
        "separation": {
            "violations": 0,
            "shared_prompts": shared_prompts((rows.sft, rows.heldout, rows.eval)),
        },
        "files": {name: {"bytes": len(data), "sha256": sha256_bytes(data)} for name, data in files.items()},
    }
    return files | {MANIFEST: pretty_json(manifest)}


def write_part(folder: Path, files: Mapping[str, bytes]) -> None:
    """Publishes the files one by one, in their order. Raises `disk.full` or `disk.io`."""
    make_dir(folder)
    for name, data in files.items():
        write_atomic(folder / name, data)


def fragment(identity: Identity) -> str:
    """The tables of a pack file that name the part; paths are relative to the folder of that pack file."""
    facts = "\n".join(f"{key} = {_toml_text(value)}" for key, value in identity.as_dict().items())
    return (
        "# Copy into a pack file of this folder, or write the paths as seen from the pack file.\n"
        "# These rows take the place of generated ones: build with --set data.generate_skills=false\n\n"
        f'[[chat]]\npath = "{CHAT}"\nside = "train"\n\n'
        f'[[chat]]\npath = "{HELDOUT}"\nside = "heldout"\n\n'
        f'[[eval]]\npath = "{EVAL}"\n\n'
        f"[identity]\n{facts}\n"
    )


def _toml_text(value: str) -> str:
    """A basic string of TOML: JSON's escapes are among its own."""
    return canonical_json(value).decode()


def _require_disjoint(rows: SkillRows) -> None:
    found = check_disjoint(rows)
    if found:
        first = found[0]
        refuse(
            "skills.disjoint",
            f"{len(found):,} wordings or entities of the held-out and eval sets stand in SFT rows; the first is the"
            f" {first.kind} {first.what!r} in {first.text[:80]!r}",
        )
