"""The speed that a probe of 20 steps foretells, against a longer training by the real command.

    predicted   `picochat plan PROFILE --probe`: 20 steps on made tokens, after 3 that do not count
    measured    `picochat train base --profile PROFILE` on the built-in text; tokens and seconds of its own report, with
                reading ahead, validation and saves

    python benchmarks/plan_speed.py [--json]

Bar: within 20 %. Nothing else should run on the machine: both sides are slowed by what runs beside them, not alike.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BAR_FRAC = 0.20
CASES = {
    "tiny": [],
    "small": ["base.loop.tokens=409600", "base.loop.tokens_per_step=8192", "base.data_mode=memory"],
}
"""Profiles, and what is set in both ways: `small` is cut to 50 steps."""


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
    flags = [word for setting in settings if "data_mode" not in setting for word in ("--set", setting)]
    inputs = ("--corpus", str(data / "corpus.txt"), "--tokenizer", str(data / "tokenizer.json"))
    picochat(
        "train", "base", *inputs, "--profile", profile, "--out-dir", str(folder), "--quiet", *flags, *memory(profile)
    )
    report = json.loads((folder / "base" / "report.json").read_text())
    training = report["training"]
    return {
        "tokens_per_s": training["tokens_per_s"],
        "hours": training["duration_s"] / 3600,
        "steps": training["steps"],
        "compile": report["machine"]["compile"],
    }


def memory(profile: str) -> tuple[str, ...]:
    """Shards are not built for this."""
    return () if profile == "tiny" else ("--set", "base.data_mode=memory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="picochat-plan-") as place:
        for profile, settings in CASES.items():
            data = Path(place) / f"{profile}-data"
            build = ("--profile", profile, "--out-dir", str(data), "--set", "base.data_mode=sharded")
            picochat("data", "build", "--quiet", *build)  # with shards comes a tokenizer
            foretold = predict(profile, settings)
            done = train(profile, settings, data, Path(place) / profile)
            error = foretold["tokens_per_s"] / done["tokens_per_s"] - 1
            found[profile] = {"predicted": foretold, "measured": done, "error_frac": error}
            if not as_json:
                print(
                    f"{profile:6} predicted {foretold['tokens_per_s']:9,.0f} tokens/s ({foretold['compile']})   "
                    f"measured {done['tokens_per_s']:9,.0f} in {done['steps']} steps ({done['compile']})  {error:+.1%}",
                    flush=True,
                )
    missed = [name for name, row in found.items() if abs(row["error_frac"]) > BAR_FRAC]
    print(json.dumps(found, indent=1) if as_json else f"bar {BAR_FRAC:.0%}: {'MISSED' if missed else 'reached'}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
