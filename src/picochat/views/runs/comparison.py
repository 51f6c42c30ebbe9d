"""A comparison of runs as tables and sentences. Nothing is computed here, and nobody is called better here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.views.checks import UNKNOWN, format_interval
from picochat.views.dataset import Table

Document = Mapping[str, Any]


def comparison_tables(found: Document) -> list[Table]:
    """The runs, then the pair with its discordant rows or the spread, then the losses."""
    tables = [_runs(found)]
    if found["pair"]:
        tables += [_pair(found), _discordant(found)]
    if found["spread"]:
        tables.append(_spread(found))
    return [*tables, _losses(found)]


def comparison_notes(found: Document) -> list[str]:
    """What a reader must know beside the tables."""
    notes = []
    if pair := found["pair"]:
        shown = len(pair["discordant"])
        notes.append(
            f"{pair['discordant_rows']:,} of {found['rows']:,} rows were passed by one run alone; {shown} are shown"
        )
        notes.append(f"p: exact McNemar; p (Holm): over {len(pair['skills'])} skills, told apart at {pair['alpha']:g}")
    else:
        notes.append("mean and standard deviation over the runs; no run is picked out")
    if not found["base_on_the_same_text"]:
        notes.append("base bpb stands on different held-out texts: the figures cannot be compared")
    if found["settings_that_differ"]:
        notes.append(f"settings that differ: {', '.join(found['settings_that_differ'])}")
    return notes


def _runs(found: Document) -> Table:
    skills = list(found["runs"][0]["skills"])
    rows = [
        [run["label"], run["run"], _text(run["seed"]), run["weights_digest"][:12]]
        + [f"{run['skills'][skill]['rate']:.3f}" for skill in skills]
        for run in found["runs"]
    ]
    title = f"{found['set']}: {found['rows']:,} rows, questions {found['questions'][:12]}"
    return Table(title, ["", "run", "seed", "weights", *skills], rows)


def _pair(found: Document) -> Table:
    first, second = (run["label"] for run in found["runs"])
    columns = ["skill", "n", "both", f"{first} alone", f"{second} alone", f"{second} - {first}", "95 %"]
    columns += ["95 % by template", "p", "p (Holm)", "verdict"]
    return Table("", columns, [_pair_row(entry) for entry in found["pair"]["skills"]])


def _pair_row(entry: Document) -> list[str]:
    counts = [f"{entry[key]:,}" for key in ("n", "both", "only_first", "only_second")]
    intervals = [format_interval(entry[key]) or UNKNOWN for key in ("interval", "template_interval")]
    values = [f"{entry['p']:.3g}", f"{entry['p_holm']:.3g}", entry["verdict"]]
    return [entry["skill"], *counts, f"{entry['difference']:+.3f}", *intervals, *values]


def _discordant(found: Document) -> Table:
    first, second = (run["label"] for run in found["runs"])
    columns = ["row", "question", "expected", "passed by", f"reply of {first}", f"reply of {second}"]
    rows = []
    for row in found["pair"]["discordant"]:
        cells = [row["id"], row["prompt"], " | ".join(row["expected"]), row["passed_by"]]
        rows.append([_short(cell) for cell in [*cells, *(row["replies"][label] for label in (first, second))]])
    return Table("", columns, rows)


def _spread(found: Document) -> Table:
    spread = found["spread"]
    named = [*spread["skills"].items(), ("mean of the skills", spread["mean_skill"])]
    named += [("base bpb", spread["base_bpb"]), ("bpb after SFT", spread["after_sft_bpb"])]
    rows = [[name, *(f"{entry[key]:.3f}" for key in ("mean", "sd", "min", "max"))] for name, entry in named if entry]
    return Table("", [f"over {len(found['runs'])} runs", "mean", "sd", "least", "greatest"], rows)


def _losses(found: Document) -> Table:
    """Held-out bits a byte: of the base model, and of the same text after SFT."""
    rows = []
    for run in found["runs"]:
        base, forgetting = run["base"] or {}, run["forgetting"] or {}
        cells = [base.get("bpb"), base.get("bpb_se"), forgetting.get("before_bpb"), forgetting.get("after_bpb")]
        rows.append([run["label"], *(UNKNOWN if cell is None else f"{cell:.3f}" for cell in cells)])
    return Table("", ["", "base bpb", "standard error", "before SFT", "after SFT"], rows)


def _text(value: Any) -> str:
    return UNKNOWN if value is None else str(value)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."
