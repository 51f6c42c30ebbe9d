"""Two to eight runs side by side: settings, losses, rates, and the rows that one passes and another does not.

Under other tokenizers only bits a byte are compared: losses are a target's, and replies and likelihoods are counted in
tokens. Rates need the same rows, bits a byte the same held-out text. What cannot be compared has no difference, and a
warning says why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.config import flatten
from picochat.core.errors import PicochatError, refuse
from picochat.evals.paired import mean_interval
from picochat.evals.statistics import Z95
from picochat.judgement.compared_run import ComparedRun, load_compared, read_base_loss
from picochat.judgement.comparison import compare_runs, label_of
from picochat.model.sizing import planned_parameters
from picochat.views.runs.config_difference import Side, difference, side_of_record
from picochat.views.runs.run_files import Document, RunReader, list_at, number_at, text_at, value_at
from picochat.views.runs.run_list import read_run_line, run_line, validations

MOST_RUNS = 8
PAIRED_SETS = ("eval", "heldout")
TRAININGS = (layout.BASE, layout.SFT)
SIDE_FILES = (
    layout.RUN,
    layout.GATE,
    layout.STATUS,
    *(layout.report_path(stage) for stage in (*TRAININGS, layout.EVAL)),
    f"{layout.EVAL}/{layout.ROWS}",
    f"{layout.EVAL}/{layout.HELDOUT_ROWS}",
)
"""What a comparison is read from."""
_LINE = ("name", "state", "verdict", "judged_under", "profile", "parameters", "weights_digest", "best_bpb")
_LINE += ("eval", "heldout", "fit")
OTHER_TOKENIZERS = "the tokenizers are other ones"
_UNUSABLE = (PicochatError, OSError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class Subject:
    """One run as it is compared."""

    label: str
    store: RunStore
    line: Mapping[str, Any]
    side: Side
    reports: Mapping[str, Document]
    tokenizer: str | None
    """Digest of the tokenizer that its training read."""
    validation: str | None
    """Digest of the held-out text of its base loss."""
    rows: Mapping[str, ComparedRun | str]
    """By set: the rows judged again, or why they cannot be used."""


def put_side_by_side(roots: Sequence[Path], limit: int = 10) -> dict[str, Any]:
    """The comparison as one document, the first run being what the others are set against.

    `limit` rows that flipped are listed a pair. Raises `compare.runs` for fewer than two or more than eight runs.
    """
    different = len({root.resolve() for root in roots})
    if not 2 <= different <= MOST_RUNS or different < len(roots):
        given = f"{len(roots)} runs are given, {different} of them different"
        refuse("compare.runs", f"{given}; 2 to {MOST_RUNS} different ones are set side by side")
    subjects = [read_subject(label_of(number), root) for number, root in enumerate(roots)]
    same_tokenizer = _same([subject.tokenizer for subject in subjects])
    same_text = _same([subject.validation for subject in subjects])
    pairs = {name: _pairs(subjects, name, limit, same_tokenizer) for name in PAIRED_SETS}
    return {
        "runs": [_describe(subject) for subject in subjects],
        "config": difference([subject.side for subject in subjects]),
        "same": {"tokenizer": same_tokenizer, "held_out_text": same_text}
        | {f"{name}_rows": found["problem"] is None for name, found in pairs.items()},
        "warnings": _warnings(same_tokenizer, same_text, pairs),
        "measures": [*_losses(subjects, same_tokenizer, same_text), *_rates(subjects, pairs)],
        "pairs": pairs,
    }


def read_subject(label: str, root: Path) -> Subject:
    """Reads what there is of a run; what cannot be used is said where it would be compared."""
    reader, store = RunReader(root), RunStore(root)
    record = reader.read(layout.RUN)
    reports = {stage: reader.read(layout.report_path(stage)) for stage in TRAININGS}
    settings = flatten(record["config"]) if isinstance(record.get("config"), dict) else {}
    return Subject(
        label=label,
        store=store,
        line=run_line(read_run_line(root, planned_parameters)),
        side=side_of_record(label, record),
        reports=reports,
        tokenizer=next(filter(None, (_tokenizer(report) for report in reports.values())), None),
        validation=_validation(store),
        rows={name: _load_rows(store, settings, name) for name in PAIRED_SETS},
    )


def _tokenizer(report: Document) -> str | None:
    refs = list_at(report, "manifest", "inputs")
    return next((text_at(ref, "sha256") for ref in refs if value_at(ref, "kind") == "tokenizer"), None)


def _validation(store: RunStore) -> str | None:
    try:
        found = read_base_loss(store)
    except _UNUSABLE:
        return None
    return found["validation"] if found else None


def _load_rows(store: RunStore, settings: Mapping[str, Any], name: str) -> ComparedRun | str:
    try:
        return load_compared(store, settings, name)
    except PicochatError as err:
        missing = err.code == "artifact.missing"
        return f"{store.root.name} has no {name} rows" if missing else f"{store.root.name}: {err.detail}"
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as err:
        return f"{store.root.name}: its {name} rows cannot be used ({type(err).__name__})"


def _same(values: Sequence[str | None]) -> bool | None:
    """None where one of them is unknown."""
    return None if None in values else len(set(values)) == 1


def _describe(subject: Subject) -> dict[str, Any]:
    return {
        "label": subject.label,
        "path": str(subject.store.root),
        "tokenizer": subject.tokenizer,
        "held_out_text": subject.validation,
        **{key: subject.line[key] for key in _LINE},
    }


def _warnings(same_tokenizer: bool | None, same_text: bool | None, pairs: Mapping[str, Any]) -> list[dict[str, str]]:
    found = []
    if same_tokenizer is False:
        found.append(("tokenizer", "The tokenizers are other ones: only bits a byte are compared."))
    elif same_tokenizer is None:
        found.append(("tokenizer", "Not all tokenizers are known: losses in nats a token are not compared."))
    if not same_text:
        fact = "are other ones" if same_text is False else "are not all known"
        found.append(("held_out_text", f"The held-out texts {fact}: bits a byte are shown and not compared."))
    for name, entry in pairs.items():
        if entry["problem"] and same_tokenizer is not False:
            found.append((name, f"Rates of {name} are not compared: {entry['problem']}."))
    return [{"about": about, "text": text} for about, text in found]


def _losses(subjects: Sequence[Subject], same_tokenizer: bool | None, same_text: bool | None) -> list[dict[str, Any]]:
    """Held-out losses of both trainings: the least and the last in bits a byte, the last in nats a token."""
    found = []
    for stage in TRAININGS:
        reports = [subject.reports[stage] for subject in subjects]
        best = [min((p["bpb"] for p in validations(report)), default=None) for report in reports]
        last = [number_at(report, "validation", "bpb") for report in reports]
        nats = [number_at(report, "validation", "loss") for report in reports]
        errors = [number_at(report, "validation", "bpb_se") for report in reports]
        nats_errors = [number_at(report, "validation", "loss_se") for report in reports]
        found += [
            _measure(f"{stage}.best_bpb", "bits a byte", "<", best, [None] * len(best), bool(same_text)),
            _measure(f"{stage}.last_bpb", "bits a byte", "<", last, errors, bool(same_text)),
            _measure(f"{stage}.last_loss", "nats a token", "<", nats, nats_errors, bool(same_text and same_tokenizer)),
        ]
    return [measure for measure in found if any(value is not None for value in measure["values"])]


def _measure(
    name: str, unit: str, direction: str, values: list[Any], errors: Sequence[Any], comparable: bool
) -> dict[str, Any]:
    """`deltas` are to the first run; the interval of two measured losses takes them as independent, which is wide."""
    first = values[0]
    deltas: list[Any] = [None]
    for value, error in zip(values[1:], errors[1:], strict=True):
        if comparable and value is not None and first is not None:
            deltas.append(_delta(first, value, errors[0], error))
        else:
            deltas.append(None)
    intervals = [
        None if value is None or error is None else [value - Z95 * error, value + Z95 * error]
        for value, error in zip(values, errors, strict=True)
    ]
    return _entry(name, unit, direction, values, intervals, deltas, comparable)


def _delta(first: float, second: float, first_se: float | None, second_se: float | None) -> dict[str, Any]:
    difference = second - first
    if first_se is None or second_se is None:
        return {"difference": difference, "interval": None}
    half = Z95 * math.hypot(first_se, second_se)
    return {"difference": difference, "interval": [difference - half, difference + half]}


def _rates(subjects: Sequence[Subject], pairs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Mean over the skills of each set; fit rows are each run's own and are never compared."""
    found = []
    for name in (*PAIRED_SETS, "fit"):
        scores = [subject.line[name] for subject in subjects]
        if not any(scores):
            continue
        values, intervals = ([score[key] if score else None for score in scores] for key in ("rate", "interval"))
        pair = pairs.get(name, {"problem": "own rows", "against": []})
        deltas = [None, *(_mean_delta(entry) for entry in pair["against"])]
        deltas += [None] * (len(subjects) - len(deltas))
        found.append(_entry(f"{name}.mean_skill", "fraction", ">", values, intervals, deltas, pair["problem"] is None))
    return found


def _mean_delta(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The mean of the differences of all skills, each over the same rows."""
    differences = [skill["difference"] for skill in entry["skills"]]
    low, high = mean_interval(differences, [tuple(skill["interval"]) for skill in entry["skills"]])
    return {"difference": sum(differences) / len(differences), "interval": [low, high]}


def _entry(
    name: str, unit: str, direction: str, values: list[Any], intervals: list[Any], deltas: list[Any], comparable: bool
) -> dict[str, Any]:
    return {
        "name": name,
        "unit": unit,
        "direction": direction,
        "values": values,
        "intervals": intervals,
        "deltas": deltas,
        "comparable": comparable,
    }


def _pairs(subjects: Sequence[Subject], name: str, limit: int, same_tokenizer: bool | None) -> dict[str, Any]:
    """The first run against each other one, row by row; `problem` says why there is none."""
    if same_tokenizer is False:
        return {"problem": OTHER_TOKENIZERS, "against": []}
    loaded = [subject.rows[name] for subject in subjects]
    problems = [found for found in loaded if isinstance(found, str)]
    if problems:
        return {"problem": "; ".join(problems), "against": []}
    runs = [found for found in loaded if isinstance(found, ComparedRun)]
    against = []
    for number, run in enumerate(runs[1:], 1):
        try:
            found = compare_runs([runs[0], run], name, limit, [label_of(0), label_of(number)])
        except PicochatError as err:
            return {"problem": err.detail, "against": []}
        against.append({"first": label_of(0), "second": label_of(number), **found["pair"]})
    return {"problem": None, "against": against}
