"""The real factory at the smallest scale: made text, a model of thousands of parameters, seconds from text to verdict.

write_pack(folder)          about 150 documents of made sentences
tiny_settings(pack)         the tiny profile's settings in small, as `--set` takes them
build_run(root, pack)       the whole run in this process
picochat(...)               the program in a process of its own
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from picochat.artifacts.store import RunStore
from picochat.pipeline.config import resolve, settings_layer
from picochat.pipeline.profiles import load_profile
from picochat.pipeline.runner import Factory, open_run, run_stages

ROOT = Path(__file__).parents[2]
BASE_STEPS, SFT_STEPS = 40, 16


def write_pack(folder: Path, documents: int = 150) -> Path:
    """A folder of text files: about 60 kB of sentences that differ, over a few hundred made words."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(7)
    heads, tails = (
        ["b", "cr", "d", "f", "gl", "h", "l", "m", "p", "st"],
        ["ack", "end", "il", "ope", "ump", "ane", "ist"],
    )
    middles = ["ar", "el", "in", "or", "un", "an"]
    words = sorted({h + m + t for h in heads for m in middles for t in tails})
    for number in range(documents):
        sentences = [" ".join(rng.choices(words, k=rng.randint(6, 10))).capitalize() + "." for _ in range(6)]
        (folder / f"document-{number:03d}.txt").write_text(f"{number} " + " ".join(sentences) + "\n")
    return folder


def tiny_settings(pack: Path, **more: Any) -> dict[str, Any]:
    """Dotted keys over the profile tiny."""
    loop = {"seq_len": 128, "micro_batch_size": 2, "tokens_per_step": 512, "ema_decay": 0.9, "state_digest_every": 5}
    settings: dict[str, Any] = {
        "data.pack": str(pack),
        "data.val_fraction": 0.1,
        "data.skills.sft_rows": 600,
        "data.skills.eval_rows_per_skill": 20,
        "data.skills.heldout_rows_per_skill": 20,
        "tokenizer.vocab_size": 300,
        "model.vocab_size": 300,
        "model.dim": 32,
        "model.n_layers": 2,
        "model.head_dim": 16,
        "model.hidden_dim": 64,
        "eval.fit_rows_per_category": 10,
        "eval.heldout_rows_per_category": 10,
        "eval.max_new_tokens": 8,
        "machine.compile": "off",
        "machine.threads": 1,
        "base.loop.tokens": BASE_STEPS * 512,
        "base.loop.save_every": 10,
        "base.loop.eval_every": 20,
        "sft.loop.tokens": SFT_STEPS * 512,
        "sft.loop.save_every": 6,
    }
    for stage in ("base", "sft"):
        settings |= {f"{stage}.loop.{key}": value for key, value in loop.items()}
    return settings | more


def build_run(root: Path, pack: Path, **more: Any) -> RunStore:
    """A finished run, made in this process."""
    resolved = resolve(
        "tiny", load_profile("tiny").build(), [("--set", settings_layer(list(tiny_settings(pack, **more).items())))]
    )
    store = open_run(root, "tiny", resolved, resume=False)
    run_stages(store, resolved.config, Factory())
    return store


def set_flags(settings: dict[str, Any]) -> list[str]:
    """`--set` flags."""
    return [word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]


def environment(failpoint: str = "", **more: str) -> dict[str, str]:
    """What a child process sees: one thread, this source tree, perhaps an armed failpoint."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PICOCHAT_RUNS", "PICOCHAT_FAILPOINT")}
    paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    chosen = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    return kept | chosen | ({"PICOCHAT_FAILPOINT": failpoint} if failpoint else {}) | more


def start(*argv: object, cwd: Path | None = None, failpoint: str = "", **options: Any) -> subprocess.Popen[str]:
    """Starts `picochat ARGV` and returns at once."""
    return subprocess.Popen(
        [sys.executable, "-m", "picochat.cli", *map(str, argv)],
        cwd=cwd,
        env=environment(failpoint),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def picochat(
    *argv: object, cwd: Path | None = None, failpoint: str = "", stdin: str = "", timeout_s: float = 240, **env: str
) -> subprocess.CompletedProcess[str]:
    """Runs `picochat ARGV` to its end. Whatever happens, nobody is shown a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "picochat.cli", *map(str, argv)],
        cwd=cwd,
        env=environment(failpoint, **env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode != 1, done.stderr
    return done


def flip_byte(path: Path, at: int | None = None) -> None:
    """Turns one bit of one byte in the middle of a file (or at `at`)."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 1
    path.write_bytes(data)
