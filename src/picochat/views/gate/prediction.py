"""Predictions in words and tables: for the terminal, summary.md and report.html alike. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.core.units import format_count
from picochat.views.checks import UNKNOWN
from picochat.views.dataset import Table

Content = Mapping[str, Any]
INSIDE = {True: "inside the band", False: "OUTSIDE of the band", None: "not compared"}


def ladder_table(rungs: list[Content]) -> Table:
    """One row a rung, as ladder.json has them."""
    columns = ["rung", "parameters", "tokens", "seed", "branched at step", "held-out bits per byte", "standard error"]
    rows = [
        [
            rung["name"],
            f"{rung['parameters']:,}",
            f"{rung['tokens']:,}",
            str(rung["seed"]),
            UNKNOWN if rung["branch_step"] is None else f"{rung['branch_step']:,}",
            f"{rung['bpb']:.4f}",
            f"{rung['bpb_se']:.4f}",
        ]
        for rung in rungs
    ]
    return Table("", columns, rows)


def prediction_table(said: Content) -> Table:
    """Predicted, band, measured: a prediction or the facts of a summary; no row where there is no prediction."""
    found = said.get("predicted")
    if not found:
        return Table("", [], [])
    target, measured = said["target"], said.get("measured")
    columns = ["parameters", "tokens", "predicted bits per byte", "band"]
    row = [
        format_count(target["parameters"]),
        format_count(target["tokens"]),
        f"{found['bpb']:.4f}",
        f"{found['low']:.4f} to {found['high']:.4f}",
    ]
    if measured:
        error = said["error_frac"]
        columns += ["measured", "error", ""]
        row += [f"{measured['bpb']:.4f}", UNKNOWN if error is None else f"{error:+.2%}", INSIDE[said["inside"]]]
    return Table("", columns, [row])


def law_notes(body: Content) -> list[str]:
    """What goes with the numbers of prediction.json: the law, where the band comes from, what differs."""
    law, band, huber = body["law"], body["band"], body["huber"]
    notes = [
        f"law: {law['floor']:.4f} + {law['size_scale']:.4g} / N^{law['size_exponent']:.3f} + "
        f"{law['data_scale']:.4g} / D^{law['data_exponent']:.3f}, off by {law['residual']:.2%} (root mean square)",
        f"band: {band['t']:.2f} x the root of the squares of {band['growth']:.2f} x {band['left_out_rms']:.2%} (missed "
        f"when a size was left out) and {band['seed_sd']:.2%} (between seeds)",
        f"cross-check: the law under Huber's loss differs by {huber['difference_log']:+.2%} at the target",
    ]
    return notes + prediction_notes(body)


def prediction_notes(said: Content) -> list[str]:
    """The refusal, what is wrong, and where target and ladder are not trained by the same rules."""
    notes = [said["refusal"]["detail"]] if said.get("refusal") else []
    notes += [said["problem"]] if said.get("problem") else []
    notes += said.get("incomparable") or []
    notes += [
        f"{entry['key']} was {entry['ladder']} in the ladder and is {entry['target']} in the target"
        for entry in said.get("rules_differ") or []
    ]
    return notes
