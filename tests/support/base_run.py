"""A base training at the smallest scale, started as a user starts it, and what two of them must have in common.

prepare(folder)             corpus and tokenizer, made once
base_settings(...)          80 steps over three epochs, as `--set` takes them
train(...)                  the stage in a process of its own
differences(a, b)           everything in which two finished trainings differ
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.tiny_run import picochat, set_flags, start, tiny_settings, write_pack

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.jsonio import canonical_json
from picochat.pipeline.config import resolve, settings_layer
from picochat.pipeline.profiles import load_profile
from picochat.pipeline.runner import Factory, open_run, run_stages
from picochat.training.ledger import spliced

STEPS, SEQ_LEN, ROWS_PER_STEP = 80, 128, 4
ROWS = {"memory": 102, "sharded": 102, "packed": 74}
"""Rows of an epoch by data mode, two more than a multiple of four: one step spans two epochs, and half as many steps
as there are rows are two epochs (25.5 steps an epoch in memory, so that step 26 spans two and step 51 ends one)."""
DOCUMENTS = {"memory": 80, "sharded": 81, "packed": 76}
WARMUP_STEPS = 8
COUNTS = ("steps", "tokens_seen", "targets_seen", "skipped_steps", "epochs", "first_loss", "final_loss", "completed")


class Prepared(NamedTuple):
    """What a base training reads."""

    corpus: Path
    tokenizer: Path


def prepare(folder: Path, mode: str = "memory") -> Prepared:
    """Corpus and tokenizer of a small pack, made in this process."""
    settings = tiny_settings(write_pack(folder / "texts", documents=DOCUMENTS[mode]))
    resolved = resolve("tiny", load_profile("tiny").build(), [("--set", settings_layer(list(settings.items())))])
    store = open_run(folder / "run", "tiny", resolved, resume=False)
    run_stages(store, resolved.config, Factory(), ("dataset", "tokenizer"))
    return Prepared(store.path(layout.CORPUS), store.path(layout.TOKENIZER))


def base_settings(steps: int = STEPS, **more: Any) -> dict[str, Any]:
    """Dotted keys over the profile tiny; `more` are keys of the loop."""
    chosen = tiny_settings(Path("unused"))
    kept = {key: value for key, value in chosen.items() if key.startswith(("base.", "model.", "machine."))}
    del kept["model.vocab_size"]
    loop = {"tokens": steps * SEQ_LEN * ROWS_PER_STEP, "warmup_frac": WARMUP_STEPS / STEPS}
    loop |= {"eval_every": 25, "sample_every": 35, "save_every": 20} | more
    return kept | {f"base.loop.{key}": value for key, value in loop.items()}


def mode_settings(mode: str) -> dict[str, Any]:
    """The keys of a data mode; shards so small that there are several, and rows cross from one into the next."""
    return {"base.data_mode": mode, "shards.shard_bytes": 6000}


def command(prepared: Prepared, root: Path, settings: dict[str, Any]) -> list[object]:
    """`picochat train base ...` without --resume."""
    inputs = ["--corpus", prepared.corpus, "--tokenizer", prepared.tokenizer]
    return ["train", "base", *inputs, "--out-dir", root, "--quiet", *set_flags(settings)]


def train(
    prepared: Prepared, root: Path, settings: dict[str, Any], *, resume: bool = False, failpoint: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs the stage to its end, or to its death."""
    words = [*command(prepared, root, settings), *(["--resume"] if resume else [])]
    return picochat(*words, failpoint=failpoint)


def start_training(
    prepared: Prepared, root: Path, settings: dict[str, Any], *, failpoint: str = ""
) -> subprocess.Popen[str]:
    """Starts the stage and returns at once."""
    return start(*command(prepared, root, settings), failpoint=failpoint)


def saved_step(root: Path, stage: str = layout.BASE) -> int:
    """The step of the checkpoint under its name; 0 when there is none."""
    name = f"{layout.checkpoint_dir(stage)}/{layout.CKPT_MANIFEST}"
    store = RunStore(root)
    return store.read(name)["step"] if store.has(name) else 0


def ledger_bytes(store: RunStore, stage: str) -> bytes:
    """The ledger as one uninterrupted attempt writes it: the last line of each step, in order."""
    return b"".join(canonical_json(line) + b"\n" for line in spliced(store.path(f"{stage}/{layout.LEDGER}")))


def differences(store: RunStore, reference: RunStore, stage: str = layout.BASE) -> list[str]:
    """The names of everything that is not to the bit as in the reference, which nothing interrupted.

    Times, places and the list of resumes are left out; nothing else is.
    """
    found = []
    if ledger_bytes(store, stage) != reference.path(f"{stage}/{layout.LEDGER}").read_bytes():
        found.append(layout.LEDGER)
    mine, theirs = (run.path(f"{stage}/{layout.SAMPLES}").read_bytes() for run in (store, reference))
    found += [layout.SAMPLES] if mine != theirs else []
    folder = layout.checkpoint_dir(stage)
    files, wanted = (run.read(f"{folder}/{layout.CKPT_MANIFEST}")["files"] for run in (store, reference))
    names = (files.keys() | wanted.keys()) - {layout.CKPT_TRAIN_STATE}
    found += [name for name in sorted(names) if files.get(name) != wanted.get(name)]
    states = [run.read(f"{folder}/{layout.CKPT_TRAIN_STATE}") for run in (store, reference)]
    found += [f"state {key}" for key in sorted(states[1]) if key != "resumes" and states[0].get(key) != states[1][key]]
    reports = [run.read(layout.report_path(stage)) for run in (store, reference)]
    found += [f"report {key}" for key in ("weights_digest", "validation", "ema") if reports[0][key] != reports[1][key]]
    before, after = (report["training"] for report in reports)
    return found + [f"report training.{key}" for key in COUNTS if before[key] != after[key]]
