"""The speed that a probe of 20 steps foretells, against a longer training by the real command, in turns.

    predicted   `picochat plan PROFILE --probe`: 20 steps on made tokens, after 3 that do not count
    measured    `picochat train base --profile PROFILE` on the built-in text; tokens and seconds of its own report, with
                reading ahead, validation and saves

    python benchmarks/plan_speed.py [--rounds 3] [--threads 1] [--json]

Bar: the median of all rounds within 20 %. Several threads wait for each other where another program takes a core, a
hundred times a step: on a machine that is not quiet only `--threads 1` measures anything.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BAR_FRAC = 0.20
CASES = {
    "tiny": ["base.loop.tokens=819200"],
    "small": ["base.loop.tokens=204800", "base.loop.tokens_per_step=4096", "base.loop.micro_batch_size=8"],
}
"""Profiles, and what is set in both ways: 200 and 50 steps."""
ALIKE = ["base.data_mode=memory"]


def picochat(*argv: str) -> str:
    """Standard output of one command; ends with its complaint when it fails."""
    done = subprocess.run([sys.executable, "-m", "picochat.cli", *argv], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"picochat {' '.join(argv)}\n{done.stderr}")
    return done.stdout


def predict(profile: str, settings: list[str]) -> dict[str, Any]:
    """What the plan says after its probe."""
    flags = [word for setting in settings for word in ("--set", setting)]
    plan = json.loads(picochat("plan", profile, "--gpus", "cpu", "--probe", "--json", *flags))
    found = plan["estimates"][plan["assumed"]]
    return {
        "tokens_per_s": found["tokens_per_s"],
        "hours": found["training_hours"],
        "compile": plan["probe"]["compile"],
    }


def train(profile: str, settings: list[str], data: Path, folder: Path) -> dict[str, Any]:
    """What the training itself reports."""
    flags = [word for setting in settings for word in ("--set", setting)]
    inputs = ("--corpus", str(data / "corpus.txt"), "--tokenizer", str(data / "tokenizer.json"))
    picochat("train", "base", *inputs, "--profile", profile, "--out-dir", str(folder), "--quiet", *flags)
    report = json.loads((folder / "base" / "report.json").read_text())
    training = report["training"]
    return {
        "tokens_per_s": training["tokens_per_s"],
        "hours": training["duration_s"] / 3600,
        "steps": training["steps"],
        "compile": report["machine"]["compile"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    shared = ALIKE + ([f"machine.threads={options.threads}"] if options.threads else [])
    found = {}
    with tempfile.TemporaryDirectory(prefix="picochat-plan-") as place:
        for profile, settings in CASES.items():
            data = Path(place) / f"{profile}-data"
            build = (
                "--pack",
                "builtin",
                "--profile",
                profile,
                "--out-dir",
                str(data),
                "--set",
                "base.data_mode=sharded",
            )
            picochat("data", "build", "--quiet", *build)  # with shards comes a tokenizer
            rounds = [compare(profile, settings + shared, data, n, options.json) for n in range(options.rounds)]
            found[profile] = {"rounds": rounds, "error_frac": statistics.median(row["error_frac"] for row in rounds)}
    missed = [name for name, row in found.items() if abs(row["error_frac"]) > BAR_FRAC]
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        print("   ".join(f"{name} {row['error_frac']:+.1%}" for name, row in found.items()))
        print(f"bar {BAR_FRAC:.0%}: {'MISSED' if missed else 'reached'}")
    sys.exit(1 if missed else 0)


def compare(profile: str, settings: list[str], data: Path, number: int, quiet: bool) -> dict[str, Any]:
    """One round: foretell, then train."""
    foretold = predict(profile, settings)
    done = train(profile, settings, data, data.parent / f"{profile}-{number}")
    error = foretold["tokens_per_s"] / done["tokens_per_s"] - 1
    if not quiet:
        print(
            f"{profile:6} predicted {foretold['tokens_per_s']:9,.0f} tokens/s ({foretold['compile']})   "
            f"measured {done['tokens_per_s']:9,.0f} in {done['steps']} steps ({done['compile']})  {error:+.1%}",
            flush=True,
        )
    return {"predicted": foretold, "measured": done, "error_frac": error}


if __name__ == "__main__":
    main()
