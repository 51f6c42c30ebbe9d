"""Evaluation: fit beside held-out fit and eval, rows, samples over a training, benchmarks, honesty."""

from __future__ import annotations

import shlex
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.confined import open_below, reason_of
from picochat.core.errors import PicochatError
from picochat.evals.summarise import rate_of
from picochat.judgement.benchmark_table import describe_benchmarks, describe_cross_checks
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.sampled import MAX_CORPUS_BYTES, find_faults
from picochat.views.evals.artifact_state import made_on, read_artifact, weights_now
from picochat.views.evals.eval_rows import CATEGORY_CHARS, facets_of
from picochat.views.evals.fit import build_fit
from picochat.views.evals.honesty import build_honesty, show_hit
from picochat.views.evals.row_index import read_rows
from picochat.views.evals.samples import build_grid, read_samples, shown_samples
from picochat.workbench.bench import is_kind
from picochat.workbench.problems import Problem, not_found
from picochat.workbench.reading.eval_rows import RowPages, RowsQuery, index_of, list_sets, path_of
from picochat.workbench.reading.nearest import build_near_index, find_nearest
from picochat.workbench.routing import Call, Question, Route

TRAININGS = (layout.BASE, layout.SFT)
REPETITIVE_FRAC = 0.5
"""As in an eval: over half of the 4-grams are repeats."""
COPIED_WORDS = 8
"""From so many words on a copy is marked: everybody's sentences share a few."""
Document = dict[str, Any]


class HitsQuery(Question):
    """Which hits beside the matrix: of one set in one training text; all of them without."""

    set: str | None = Field(default=None, max_length=200)
    against: str | None = Field(default=None, max_length=200)
    cursor: int = Field(default=0, ge=0)
    limit: int = Field(default=20, ge=1, le=200)


class SamplesQuery(Question):
    """Of which training."""

    stage: Literal["base", "sft"] | None = None


class NearestQuery(Question):
    """Of which row."""

    set: Literal["eval", "fit", "heldout"] = "eval"
    row: int = Field(default=0, ge=0)


def show_fit(call: Call) -> Document:
    """Three numbers in three places, with their gaps."""
    store = call.run
    evaluated = read_artifact(store.root, layout.report_path(layout.EVAL))
    evaluated = made_on(evaluated, weights_now(store.root, layout.SFT), evaluated.value("weights_digest"))
    trained = read_artifact(store.root, layout.report_path(layout.SFT))
    return build_fit(evaluated, trained) | {
        "commands": {"show": _command("eval", "fit", store), "measure": _command("eval", "skills", store)}
    }


def show_rows(call: Call) -> Document:
    """A page of rows of one set."""
    store = call.run
    document = RowPages(call.bench, store, call.query).document()
    verb = {"memorisation": "memorisation"}.get(call.query.set, "skills")
    return document | {"sets": list_sets(store), "commands": {"measure": _command("eval", verb, store)}}


def show_nearest(call: Call) -> Document:
    """The training row whose question is nearest to that of an evaluated row."""
    store, query = call.run, call.query
    index = index_of(call.bench, store, path_of(query.set))
    if query.row >= len(index):
        raise not_found(f"the set has {len(index):,} rows")
    try:
        row = next(found for _, found in read_rows(store.root, index, [query.row]))
    except OSError:
        row = None
    near = call.bench.memo.read(
        ("near", store.root), [store.path(layout.CHAT_TRAIN)], lambda: build_near_index(store.root)
    )
    text = "" if row is None else _asked(row)
    return {
        "state": near.state,
        "why": near.why,
        "whole": near.whole,
        "rows": len(near.offsets),
        "question": None if row is None else facets_of(row).id,
        "nearest": find_nearest(store.root, near, text),
    }


def _asked(row: Mapping[str, Any]) -> str:
    messages = row.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else {}
    text = row.get("user") or (last.get("content") if isinstance(last, dict) else "")
    return text if isinstance(text, str) else ""


def show_samples(call: Call) -> Document:
    """What a training wrote to the same prompts at each of its checkpoints."""
    store = call.run
    stages = [call.query.stage] if call.query.stage else list(TRAININGS)
    return {"greedy": True, "copied_words": COPIED_WORDS} | {
        "trainings": {stage: _samples(call, store, stage) for stage in stages}
    }


def _samples(call: Call, store: RunStore, stage: str) -> Document:
    relative = f"{stage}/{layout.SAMPLES}"
    paths = [store.path(name) for name in (relative, layout.CORPUS, layout.CORPUS_DOCUMENTS)]
    return call.bench.memo.read(("samples", store.root, stage), paths, lambda: _grid(store, relative))


def _grid(store: RunStore, relative: str) -> Document:
    samples = read_samples(store.root, relative)
    chosen = shown_samples(samples)
    corpus = _corpus(store)
    try:
        found = find_faults([(row.prompt, row.text) for row in chosen], corpus)
    except (PicochatError, OSError, ValueError, LookupError):
        corpus = None
        found = find_faults([(row.prompt, row.text) for row in chosen], None)
    marks = {row: _marks(faults._asdict()) for row, faults in zip(chosen, found, strict=True)}
    return build_grid(samples, marks) | {"artifact": relative, "searched": corpus is not None}


def _marks(faults: Document) -> Document:
    words = faults["copied_words"]
    return faults | {
        "repetition": faults["repetition_frac"] > REPETITIVE_FRAC,
        "copied": None if words is None else words >= COPIED_WORDS,
    }


def _corpus(store: RunStore) -> tuple[Path, Path] | None:
    """Text and records of the run's own corpus, where both are there and small enough to be searched at once."""
    names = layout.CORPUS, layout.CORPUS_DOCUMENTS
    for name in names:
        try:
            with open_below(store.root, name) as stream:
                if stream.seek(0, 2) > MAX_CORPUS_BYTES:
                    return None
        except OSError:
            return None
    return store.path(names[0]), store.path(names[1])


def show_benchmarks(call: Call) -> Document:
    """Where the run stands with each published benchmark, and what another program says of the same weights."""
    store = call.run
    return call.bench.memo.read(("benchmarks", store.root), _judged_files(store), lambda: _benchmarks(store))


def _benchmarks(store: RunStore) -> Document:
    answer: Document = {
        "state": "ready",
        "why": "",
        "benchmarks": [],
        "cross_checks": [],
        "weights_digest": weights_now(store.root, layout.SFT),
        "commands": {"show": _command("eval", "benchmarks", store)},
    }
    if strange := [path for path in _judged_files(store) if path.exists() and not _is_own(path)]:
        name = strange[0].relative_to(store.root)
        return answer | {"state": "unreadable", "why": f"{name} is no regular file of the run"}
    try:
        evidence = RunEvidence(store)
        tables = describe_benchmarks(evidence), describe_cross_checks(evidence)
    except (PicochatError, OSError) as err:
        return answer | {"state": "unreadable", "why": err.detail if isinstance(err, PicochatError) else reason_of(err)}
    return answer | {"benchmarks": tables[0], "cross_checks": tables[1]}


def _is_own(path: Path) -> bool:
    """A file or folder itself, no link to one, no pipe."""
    return is_kind(path, stat.S_ISREG) or is_kind(path, stat.S_ISDIR)


def _judged_files(store: RunStore) -> list[Path]:
    """What a status depends on: the record of the run, the weights that ship, all reports and rows."""
    folders = [store.path(folder) for folder in (layout.BENCHMARKS, layout.HARNESS)]
    weights = store.path(layout.checkpoint_dir(layout.SFT))
    files = [store.path(layout.RUN), store.path(layout.SFT), weights, *sorted(weights.glob("*"))]
    for folder in folders:
        files += [folder, *sorted(folder.glob("*"))]
        files += [*sorted(folder.glob(f"*/{layout.REPORT}")), *sorted(folder.glob(f"*/{layout.ROWS}"))]
    return files


def show_honesty(call: Call) -> Document:
    """Contamination with both passages, memorisation, and faults of replies."""
    store, query = call.run, call.query
    names = (layout.HONESTY, layout.MEMORISATION, layout.report_path(layout.EVAL), layout.SUMMARY)
    rows = {name: path_of(name) for name in ("fit", "heldout", "eval")}
    manifest = f"{layout.checkpoint_dir(layout.SFT)}/{layout.CKPT_MANIFEST}"
    paths = [store.path(name) for name in (*names, *rows.values(), manifest)]

    def build() -> Document:
        refused = {name: _over_refusal(call, store, path) for name, path in rows.items()}
        found, known, evaluated, summary = (read_artifact(store.root, name) for name in names)
        now = weights_now(store.root, layout.SFT)
        known = made_on(known, now, known.value("models", layout.SFT, "weights_digest"))
        evaluated = made_on(evaluated, now, evaluated.value("weights_digest"))
        return build_honesty(found, known, evaluated, summary, refused)

    document = call.bench.memo.read(("honesty", store.root), paths, build)
    return document | {"hits": _hits(call, store, query), "commands": _honesty_commands(store)}


def _over_refusal(call: Call, store: RunStore, path: str) -> Document | None:
    """The rate of refused harmless requests, counted from the stored reasons; None where none was asked."""
    refused, asked = index_of(call.bench, store, path).benign()
    return rate_of(place < refused for place in range(asked)) if asked else None


def _hits(call: Call, store: RunStore, query: HitsQuery) -> Document:
    if (query.set is None) != (query.against is None):
        raise Problem(422, "query", "set and against are given together: which set, found in which text")
    index = index_of(call.bench, store, layout.HONESTY_HITS)
    name = f"{query.set} in {query.against}"[:CATEGORY_CHARS] if query.set and query.against else None
    places = [place for place in range(query.cursor, len(index)) if name is None or index.in_category(place, name)]
    page, rest = places[: query.limit], places[query.limit :]
    try:
        rows = [(place, row) for place, row in read_rows(store.root, index, page) if row is not None] if page else []
    except OSError:
        rows = []
    return {
        "artifact": layout.HONESTY_HITS,
        "state": index.state,
        "why": index.why,
        "torn": index.torn,
        "unreadable": index.unreadable,
        "stored": len(index),
        "rows": [show_hit(row, place) for place, row in rows],
        "next": rest[0] if rest else None,
    }


def _honesty_commands(store: RunStore) -> dict[str, str]:
    return {
        "memorisation": _command("eval", "memorisation", store),
        "inspect": _command("data", "inspect", store),
    }


def _command(*words: Any) -> str:
    return shlex.join(["picochat", *(str(word.root) if isinstance(word, RunStore) else word for word in words)])


ROUTES = [
    Route("GET", "api/runs/{run}/fit", show_fit, "Fit, held-out fit and eval with their gaps", "picochat eval fit RUN"),
    Route("GET", "api/runs/{run}/rows", show_rows, "Stored rows, filtered", "picochat eval skills RUN", RowsQuery),
    Route(
        "GET",
        "api/runs/{run}/nearest",
        show_nearest,
        "The training row nearest to a row",
        "picochat data inspect RUN",
        NearestQuery,
    ),
    Route("GET", "api/runs/{run}/samples", show_samples, "Samples over a training", "", SamplesQuery),
    Route(
        "GET",
        "api/runs/{run}/benchmarks",
        show_benchmarks,
        "Published benchmarks and their status",
        "picochat eval benchmarks RUN",
    ),
    Route(
        "GET",
        "api/runs/{run}/honesty",
        show_honesty,
        "Contamination and memorisation",
        "picochat eval memorisation RUN",
        HitsQuery,
    ),
]
