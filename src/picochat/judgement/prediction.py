"""A prediction judged: its numbers computed again from its rungs, its target from run.json, its result from base.

Evidence of three things: that the law gives what was said, that it was said before base began, and what came of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from picochat.artifacts import layout
from picochat.artifacts.ladder_record import Rung
from picochat.artifacts.run_record import RunRecord
from picochat.core.errors import PicochatError
from picochat.evals.scaling.law import Law
from picochat.evals.scaling.prediction import check_prediction, predict_loss
from picochat.judgement.documents import Document, same_numbers
from picochat.model.config import ModelConfig
from picochat.model.sizing import count_parameters
from picochat.training.config import LoopConfig
from picochat.training.recipe import resolve_recipe

NUMBERS = ("target", "decades_beyond", "refusal", "predicted", "law", "huber", "band")
CHECKED = ("measured", "predicted", "refusal", "incomparable", "inside", "error_frac", "error_in_bands")
MAX_RULES = 40
_UNUSABLE = (PicochatError, ArithmeticError, AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class PredictionEvidence:
    """What is left of a prediction when nothing in it is believed."""

    document: Document
    check: Document | None
    differing: list[str]
    """Numbers that do not follow from the rungs, or from run.json."""
    faults: list[str]
    """What is wrong with how it came about."""
    result: dict[str, Any] | None
    """The comparison with base, made again; None before base is trained or where something is wrong."""
    check_differing: list[str]
    """Parts of prediction_check.json that do not follow."""

    @property
    def sound(self) -> bool:
        """Whether it says what its ladder says of this run, and said so before base began."""
        return self.document.usable and not self.differing and not self.faults


def prediction_word(found: PredictionEvidence | None) -> Literal["present", "refused"] | None:
    """What a launch may rely on: a sound prediction, or the recorded refusal to make one; None for anything else."""
    if found is None or not found.sound:
        return None
    return "refused" if found.document.value("refusal") else "present"


def load_prediction(
    document: Document, check: Document | None, base: Document, run: RunRecord | None
) -> PredictionEvidence:
    """Judges prediction.json and prediction_check.json against each other, the base report and run.json."""
    differing = _differing(document, run) if document.usable else []
    faults = _faults(document, check, base)
    result = _result(document, base) if document.usable and base.usable else None
    wrong = []
    if check is not None and check.usable and result is not None:
        wrong = [key for key in CHECKED if not same_numbers(check.value(key), result[key])]
    return PredictionEvidence(document, check, differing, faults, result, wrong)


def _differing(document: Document, run: RunRecord | None) -> list[str]:
    try:
        rungs = [Rung.from_json(entry, document.path) for entry in document.body["rungs"]]
        target = document.body["target"]
        now = predict_loss(rungs, target["parameters"], target["tokens"])
        found = [key for key in NUMBERS if not same_numbers(document.value(key), now[key])]
        if document.value("text") != rungs[0].inputs:
            found.append("text")
        if run is not None and (target["parameters"], target["tokens"]) != _size_of(run.config):
            found.append("target")
    except _UNUSABLE as err:
        return [f"rungs ({str(err)[:120] or type(err).__name__})"]
    return list(dict.fromkeys(found))


def _size_of(config: dict[str, Any]) -> tuple[int, int]:
    """(parameters, tokens of base) that run.json asks for."""
    parameters = count_parameters(ModelConfig.from_dict(config["model"], layout.RUN)).total
    recipe = resolve_recipe(LoopConfig.from_dict(config["base"]["loop"], layout.RUN), parameters)
    return parameters, recipe.steps * recipe.tokens_per_step


def _faults(document: Document, check: Document | None, base: Document) -> list[str]:
    faults = []
    if base.usable and base.manifest is not None:
        named = {ref.sha256 for ref in base.manifest.inputs if ref.path == layout.PREDICTION and not ref.external}
        if named != {document.sha256}:
            faults.append("base began without it")
        if check is None:
            faults.append(f"base is trained, and there is no {layout.PREDICTION_CHECK}")
    return faults


def _result(document: Document, base: Document) -> dict[str, Any] | None:
    try:
        return check_prediction(document.body, document.sha256, base.body)
    except _UNUSABLE:
        return None


def build_prediction(found: PredictionEvidence | None) -> dict[str, Any] | None:
    """What a summary shows: None for a run of which nothing was predicted."""
    if found is None:
        return None
    # Numbers that do not follow are not shown: nobody would see the problem beside them.
    follows = found.document.usable and not found.differing
    body, result = (found.document.body, found.result or {}) if follows else ({}, {})
    wrong = [f"{place} does not follow" for place in found.differing]
    return {
        "problem": found.document.problem or "; ".join([*wrong, *found.faults]),
        **{key: body.get(key) for key in ("target", "refusal", "predicted")},
        "rules_differ": _rules(body.get("rules_differ")),
        **{key: result.get(key) for key in ("measured", "incomparable", "inside", "error_frac", "error_in_bands")},
        "rungs": len(body["rungs"]) if isinstance(body.get("rungs"), list) else None,
    }


def _rules(entries: Any) -> list[dict[str, str]]:
    """What the ladder said of settings, as words: nothing follows from it."""
    known = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [{key: str(entry.get(key)) for key in ("key", "ladder", "target")} for entry in known[:MAX_RULES]]


def build_plot(found: PredictionEvidence | None) -> dict[str, Any] | None:
    """Points of a chart over parameters, as [parameters, bits a byte]: rungs of each size's longest training, the law
    at the same sizes and at the target, the band there, and what was measured. None where nothing can be drawn."""
    if found is None or not found.document.usable:
        return None
    body = found.document.body
    try:
        rungs = [Rung.from_json(entry, found.document.path) for entry in body["rungs"]]
        law, target = Law(**body["law"]), body["target"]
        longest = {
            size: max((r for r in rungs if r.purpose == "fit" and r.parameters == size), key=lambda r: r.tokens)
            for size in sorted({r.parameters for r in rungs if r.purpose == "fit"})
        }
        places = [(size, rung.tokens) for size, rung in longest.items()]
        said = body["predicted"]
        if said:
            places = sorted([*places, (target["parameters"], target["tokens"])])
        return {
            "rungs": [[size, rung.bpb] for size, rung in longest.items()],
            "law": [[size, _plain(law.at(size, tokens))] for size, tokens in places],
            "band": [[target["parameters"], said[end]] for end in ("low", "high")] if said else [],
            "measured": [[target["parameters"], found.result["measured"]["bpb"]]] if found.result else [],
        }
    except _UNUSABLE:
        return None


def _plain(value: float) -> float:
    return float(f"{value:.9g}")
