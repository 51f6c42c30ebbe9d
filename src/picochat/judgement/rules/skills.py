"""The sets of chat rows, compared again: nothing that is asked may have been trained on."""

from __future__ import annotations

from pathlib import Path

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.data.contamination.compare import TrainRows
from picochat.data.conversations import EvalRow, read_chat_rows, read_eval_rows
from picochat.judgement.rules.case import Case, Outcome, not_run

RECORDED = "/chat/disjoint_violations"
_ASKED = (layout.CHAT_HELDOUT, layout.CHAT_EVAL)


def judge_disjoint(case: Case) -> Outcome:
    """No prompt, template or entity of a held-out or eval row is one of a training row, and the build found none in
    the finished text either. `n` is the number of rows that are asked.
    """
    store, manifest = case.evidence.store, case.evidence.documents[layout.CORPUS_MANIFEST]
    recorded = manifest.number("chat", "disjoint_violations")
    if recorded is None:
        return not_run((layout.CORPUS_MANIFEST, RECORDED))
    try:
        known = read_known(store.path(layout.CHAT_TRAIN))
        found = {path: (asked := _questions(store.path(path)), known.compare(asked)) for path in _ASKED}
    except PicochatError as err:
        return not_run((layout.CHAT_TRAIN, ""), (err.detail[:100], ""))
    n = sum(len(asked) for asked, _ in found.values())
    if n == 0 or known.n_rows == 0:
        return not_run((layout.CHAT_TRAIN, ""), n=n)
    shared = sum(len(hits) for _, hits in found.values())
    faults = max(shared, int(recorded))
    places = [(path, "") for path, (_, hits) in found.items() if hits]
    places += [(layout.CORPUS_MANIFEST, RECORDED)] if recorded or not places else []
    return Outcome("block" if faults else "pass", float(faults), 0.0, n, artifacts=tuple(places))


def read_known(path: Path) -> TrainRows:
    """What the training rows have. Raises `chat.row` or `usage.path`."""
    known = TrainRows()
    for row in read_chat_rows(path) if not _is_empty(path) else ():
        known.add(row)
    return known


def _questions(path: Path) -> list[EvalRow]:
    return [] if _is_empty(path) else read_eval_rows(path)


def _is_empty(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0
