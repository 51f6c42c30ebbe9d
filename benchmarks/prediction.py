"""Whether predictions hold: bands on made ladders by the hundred, and one real ladder with a held-out larger rung.

    python benchmarks/prediction.py [--real-data FOLDER] [--ladders 300] [--bands-only] [--out-dir FOLDER] [--json]

First many ladders are made from laws that are known, with noise of a known size, and the share of targets inside their
band is counted: 19 of 20 are asked for at every distance. Then a ladder below the profile tiny is trained on real text
(the speeches of --real-data, or the documentation inside Python), the loss of tiny itself is predicted and stored, and
only then is it trained. Asked for: the target is at least twice the largest rung, the ladder and its law take at most
1,200 CPU-seconds, and the measured loss lies inside the band. CPU-seconds count on a shared machine; seconds do not.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts.ladder_record import Rung
from picochat.evals.scaling.law import Law
from picochat.evals.scaling.prediction import predict_loss

CPU_LIMIT_S = 1200
LEAST_RATIO = 2.0
LEAST_COVER = 0.95
RULES = ["machine.threads=1", "base.loop.tokens=900000"]
"""One thread: two of them wait for each other on a machine that does something else as well."""
SETTINGS = [*RULES, "ladder.gap=2.3", "ladder.span=8.5", "ladder.cuts=[0.35,0.6,1.0]"]
TOKENS = 1_200_000
CUTS = (0.25, 0.5, 1.0)
FILES = {"corpus": "corpus.txt", "tokenizer": "tokenizer.json"}
SHOWN = ("name", "parameters", "tokens", "seed", "bpb", "bpb_se", "branch_step")


class Kind(NamedTuple):
    """Made ladders of one kind: sizes, their span, the distance of the target, and the noise of a loss."""

    sizes: int
    span: float
    gap: float
    noise: float


KINDS = (
    Kind(4, 8.0, 2.2, 0.003),
    Kind(5, 8.6, 2.2, 0.003),
    Kind(5, 8.6, 2.2, 0.01),
    Kind(5, 10.0, 5.0, 0.005),
    Kind(6, 16.0, 10.0, 0.005),
    Kind(5, 10.0, 31.0, 0.003),
)


def main() -> None:
    options = parse_options()
    found: dict[str, Any] = {"bands": [cover(kind, options.ladders) for kind in KINDS]}
    show_bands(found["bands"], options.json)
    if not options.bands_only:
        with tempfile.TemporaryDirectory(prefix="prediction-") as folder:
            found["ladder"] = measure(options.out_dir or Path(folder), options.real_data)
        show_ladder(found["ladder"], options.json)
    if options.json:
        print(json.dumps(found))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-data", type=Path)
    parser.add_argument("--ladders", type=int, default=300)
    parser.add_argument("--bands-only", action="store_true")
    parser.add_argument("--out-dir", type=Path, help="Keep ladder and run here.")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def cover(kind: Kind, count: int) -> dict[str, Any]:
    """The share of made ladders whose target came out inside its band, and how wide the bands were."""
    rng = random.Random(1)
    inside, halves, errors = 0, [], []
    for _ in range(count):
        law = any_law(rng)
        sizes = [round(40_000 * kind.span ** (i / (kind.sizes - 1))) for i in range(kind.sizes)]
        target = round(sizes[-1] * kind.gap)
        said = predict_loss(make_rungs(law, sizes, kind.noise, rng), target, TOKENS)["predicted"]
        measured = law.at(target, TOKENS) * math.exp(rng.gauss(0.0, kind.noise))
        inside += said["low"] <= measured <= said["high"]
        halves.append(math.log(said["high"] / said["bpb"]))
        errors.append(abs(math.log(measured / said["bpb"])))
    return kind._asdict() | {
        "ladders": count,
        "cover": inside / count,
        "median_half_frac": statistics.median(halves),
        "median_error_frac": statistics.median(errors),
    }


def any_law(rng: random.Random) -> Law:
    """Exponents of .2 to .6; at 100,000 parameters and a million tokens parts of .2 to 1, a floor of .5 to 2."""
    a, b = rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.6)
    return Law(rng.uniform(0.5, 2), rng.uniform(0.2, 1) * 1e5**a, rng.uniform(0.2, 1) * 1e6**b, a, b, 0.0)


def make_rungs(law: Law, sizes: list[int], noise: float, rng: random.Random) -> list[Rung]:
    """Every size at every cut, and the smallest one with two more seeds."""
    places = [("fit", size, round(TOKENS * cut), 1) for size in sizes for cut in CUTS]
    places += [("seed", sizes[0], TOKENS, seed) for seed in (2, 3)]
    return [
        Rung(
            name=f"{purpose}-{size}-{tokens}-{seed}",
            purpose=purpose,
            parameters=size,
            tokens=tokens,
            seed=seed,
            loss=(bpb := law.at(size, tokens) * math.exp(rng.gauss(0.0, noise))),
            loss_se=0.0,
            bpb=bpb,
            bpb_se=0.0,
            steps=1,
            branch_step=None,
            inputs={},
            rules="",
            weights_digest="",
            run_digest="",
            report_sha256="",
        )
        for purpose, size, tokens, seed in places
    ]


def measure(root: Path, real_data: Path | None) -> dict[str, Any]:
    """A ladder, the prediction of a larger model, then that model."""
    pack = str(real_data / "sotu") if real_data else "builtin"
    ladder, run = root / "ladder", root / "run"
    text = {kind: str((ladder / "data" / name).absolute()) for kind, name in FILES.items()}
    rules = [*RULES, 'base.loop.schedule="wsd"']
    target = [*rules, *(f"base.text.{kind}={json.dumps(path)}" for kind, path in text.items())]
    spent = {
        "ladder": picochat("predict", "ladder", "tiny", "--pack", pack, "--out-dir", ladder, *setting(SETTINGS)),
        "fit": picochat("predict", "fit", ladder, "--target", "tiny", "--out-dir", run, *setting(target)),
    }
    prediction = json.loads((run / "prediction.json").read_bytes())
    flags = [word for kind, path in text.items() for word in (f"--{kind}", path)]
    spent["target"] = picochat("train", "base", *flags, "--out-dir", run, "--resume", *setting(rules))
    check = json.loads((run / "prediction_check.json").read_bytes())
    sizes = [rung["parameters"] for rung in prediction["rungs"]]
    return {
        "text": "speeches" if real_data else pack,
        "rungs": [{key: rung[key] for key in SHOWN} for rung in prediction["rungs"]],
        "spent": spent,
        "target": prediction["target"],
        "ratio": prediction["target"]["parameters"] / max(sizes),
        "law": prediction["law"],
        "band": {key: prediction["band"][key] for key in ("left_out_rms", "seed_sd", "growth", "half_log")},
        "huber_difference_log": prediction["huber"]["difference_log"],
        "check": {key: check[key] for key in ("predicted", "measured", "inside", "error_frac", "incomparable")},
    }


def setting(pairs: list[str]) -> list[str]:
    return [word for pair in pairs for word in ("--set", pair)]


def picochat(*words: object) -> dict[str, float]:
    """Runs a command to its end; seconds and CPU-seconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-m", "picochat.cli", *map(str, words)], check=True, stdout=sys.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.monotonic() - started, "cpu_s": cpu_s}


def show_bands(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        return
    print("made ladders: sizes  span  target  noise    inside its band   half-width   error (medians)")
    for row in rows:
        word = "kept" if row["cover"] >= LEAST_COVER else "MISSED"
        print(
            f"{row['sizes']:19} {row['span']:5.1f} {row['gap']:6.1f}x {row['noise']:6.1%} "
            f"{row['cover']:10.1%} {word:>6} {row['median_half_frac']:11.2%} {row['median_error_frac']:9.2%}"
        )


def show_ladder(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return
    for rung in found["rungs"]:
        print(f"{rung['name']:10} {rung['parameters']:9,} {rung['tokens']:10,} seed {rung['seed']} {rung['bpb']:.4f}")
    check, spent, target = found["check"], found["spent"], found["target"]
    for name, cost in spent.items():
        print(f"{name:8} {cost['seconds']:7.0f} s {cost['cpu_s']:7.0f} CPU-s")
    print(f"target {target['parameters']:,} parameters, {target['tokens']:,} tokens: {found['ratio']:.2f} x the ladder")
    said, measured = check["predicted"], check["measured"]
    print(f"predicted {said['bpb']:.4f}, band {said['low']:.4f} to {said['high']:.4f}")
    error = "not compared" if check["error_frac"] is None else f"error {check['error_frac']:+.2%}"
    print(f"measured  {measured['bpb']:.4f} +- {measured['bpb_se']:.4f}, {error}, {'; '.join(check['incomparable'])}")
    cpu_s = spent["ladder"]["cpu_s"] + spent["fit"]["cpu_s"]
    for name, kept in (
        (f"at least {LEAST_RATIO} x larger", found["ratio"] >= LEAST_RATIO),
        (f"at most {CPU_LIMIT_S:,} CPU-s for ladder and law", cpu_s <= CPU_LIMIT_S),
        ("measured inside the band", check["inside"] is True),
    ):
        print(f"threshold {name}: {'kept' if kept else 'MISSED'}")


if __name__ == "__main__":
    main()
