"""The numbers of a prediction from the rungs of a ladder: a pure function, so that verify can compute them again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from picochat.artifacts.ladder_record import Rung
from picochat.core.errors import refuse
from picochat.evals.scaling.band import measure_band
from picochat.evals.scaling.law import Point, fit_huber, fit_law
from picochat.evals.scaling.requirements import MAX_DECADES, decades_beyond, require_ladder, seed_group

TOO_FAR = "prediction.too_far"
DIGITS = 12
"""Stored digits of a number: enough for anything, too few for the last bit of another machine's logarithm."""


def predict_loss(rungs: Sequence[Rung], parameters: int, tokens: int) -> dict[str, Any]:
    """Law, cross-check, band, and the held-out bits a byte of a target; or the refusal to say them.

    Raises `ladder.*` for rungs that no law can be fitted to, `prediction.target` for a target that is no size.
    """
    require_target(parameters, tokens)
    require_ladder(rungs)
    points = [Point(rung.parameters, rung.tokens, rung.bpb) for rung in rungs if rung.purpose == "fit"]
    law, huber = fit_law(points), fit_huber(points)
    band = measure_band(points, [rung.bpb for rung in seed_group(rungs)], (parameters, tokens))
    decades = decades_beyond(rungs, parameters, tokens)
    refused = decades > MAX_DECADES
    value, other = law.at(parameters, tokens), huber.at(parameters, tokens)
    return _rounded(
        {
            "target": {"parameters": parameters, "tokens": tokens},
            "decades_beyond": decades,
            "refusal": _refusal(rungs, parameters, tokens, decades) if refused else None,
            "predicted": None if refused else _interval(value, band.half_log),
            "law": law._asdict(),
            "huber": huber._asdict() | {"bpb": None if refused else other, "difference_log": math.log(other / value)},
            "band": band._asdict() | {"left_out": [entry._asdict() for entry in band.left_out]},
        }
    )


def require_target(parameters: int, tokens: int) -> None:
    """Raises `prediction.target` unless both are at least 1."""
    if parameters < 1 or tokens < 1:
        refuse("prediction.target", f"a target of {parameters:,} parameters and {tokens:,} tokens is no training")


def check_prediction(prediction: dict[str, Any], prediction_sha256: str, base_report: dict[str, Any]) -> dict[str, Any]:
    """A measured loss beside its prediction: inside or outside of the band, and the error.

    `inside` is None where nothing was predicted, or where the two cannot be compared; `incomparable` says why: what was
    trained is not what was predicted, or base did not know of the prediction when it began.
    """
    measured = {key: base_report["validation"][key] for key in ("loss", "bpb", "bpb_se")}
    inputs = {ref["kind"]: ref["sha256"] for ref in base_report["manifest"]["inputs"]}
    why = _incomparable(prediction, prediction_sha256, base_report, inputs)
    found: dict[str, Any] = {"inside": None, "error_frac": None, "error_in_bands": None}
    said = prediction["predicted"]
    if said is not None and not why:
        error, half = math.log(measured["bpb"] / said["bpb"]), math.log(said["high"] / said["bpb"])
        found = {
            "inside": said["low"] <= measured["bpb"] <= said["high"],
            "error_frac": math.expm1(error),
            "error_in_bands": error / half if half else None,
        }
    return {
        "measured": measured,
        "predicted": said,
        "refusal": prediction["refusal"],
        "incomparable": why,
        **_rounded(found),
    }


def _incomparable(
    prediction: dict[str, Any], sha256: str, base_report: dict[str, Any], inputs: dict[str, str]
) -> list[str]:
    """Why the measured loss is not the one that was predicted; nothing when it is."""
    why = []
    if inputs.get("prediction") != sha256:
        why.append("base began without this prediction")
    trained = {
        "parameters": base_report["model"]["parameters"],
        "tokens": base_report["training"]["tokens_seen"],
    }
    for key, value in trained.items():
        if value != prediction["target"][key]:
            why.append(f"{prediction['target'][key]:,} {key} were predicted, {value:,} trained")
    for kind, digest in sorted(prediction["text"].items()):
        if inputs.get(kind) != digest:
            why.append(f"the {kind} is not that of the ladder")
    return why


def _interval(value: float, half_log: float) -> dict[str, float]:
    return {"bpb": value, "low": value * math.exp(-half_log), "high": value * math.exp(half_log)}


def _refusal(rungs: Sequence[Rung], parameters: int, tokens: int, decades: float) -> dict[str, str]:
    fitted = [rung for rung in rungs if rung.purpose == "fit"]
    sizes, lengths = [rung.parameters for rung in fitted], [rung.tokens for rung in fitted]
    detail = (
        f"{parameters:,} parameters and {tokens:,} tokens lie {decades:.2f} powers of ten beyond a ladder of "
        f"{min(sizes):,} to {max(sizes):,} parameters and {min(lengths):,} to {max(lengths):,} tokens, "
        f"at most {MAX_DECADES} are predicted"
    )
    return {"code": TOO_FAR, "detail": detail}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    return [_rounded(entry) for entry in value] if isinstance(value, list) else value
