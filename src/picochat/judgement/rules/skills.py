"""The sets of chat rows, compared again: nothing that is asked may have been trained on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.data.contamination.compare import TrainRows
from picochat.data.conversations import ConversationRow, EvalRow, PairRow, read_chat_rows, read_eval_rows
from picochat.data.skills.disjoint import check_entities
from picochat.judgement.rules.case import Case, Outcome, not_run

GENERATED = "skills."
"""What the source of a generated row begins with."""
RECORDED = "/chat/disjoint_violations"
_ASKED = (layout.CHAT_HELDOUT, layout.CHAT_EVAL)


def judge_disjoint(case: Case) -> Outcome:
    """No prompt, template or entity of a held-out or eval row is one of a training row, no entity of a generated one
    stands in the words of a training row of its skill, and the build found none either. `n` counts the rows asked.
    """
    store, manifest = case.evidence.store, case.evidence.documents[layout.CORPUS_MANIFEST]
    recorded = manifest.number("chat", "disjoint_violations")
    if recorded is None:
        return not_run((layout.CORPUS_MANIFEST, RECORDED))
    try:
        train = _read_rows(store.path(layout.CHAT_TRAIN))
        known = know(train)
        found = {path: (asked := _questions(store.path(path)), known.compare(asked)) for path in _ASKED}
    except PicochatError as err:
        return not_run((layout.CHAT_TRAIN, ""), (err.detail[:100], ""))
    n = sum(len(asked) for asked, _ in found.values())
    if n == 0 or known.n_rows == 0:
        return not_run((layout.CHAT_TRAIN, ""), n=n)
    shared = sum(len(hits) for _, hits in found.values())
    spelled = count_spelled(train, [row for asked, _ in found.values() for row in asked])
    faults = max(shared, spelled, int(recorded))
    places = [(path, "") for path, (_, hits) in found.items() if hits]
    places += [(layout.CHAT_TRAIN, "")] if spelled else []
    places += [(layout.CORPUS_MANIFEST, RECORDED)] if recorded or not places else []
    return Outcome("block" if faults else "pass", float(faults), 0.0, n, artifacts=tuple(places))


def know(rows: Iterable[PairRow | ConversationRow]) -> TrainRows:
    """What the training rows have."""
    known = TrainRows()
    for row in rows:
        known.add(row)
    return known


def count_spelled(train: Iterable[PairRow | ConversationRow], asked: Iterable[EvalRow]) -> int:
    """Places where the words of a training row hold an entity of a generated row of the same skill, whatever the row
    says of itself. In rows of other kinds a word is just a word.
    """
    generated = [row for row in asked if (row.source or "").startswith(GENERATED)]
    skills = {row.category for row in generated}
    rows = [row.to_messages() for row in train if row.category in skills]
    return len(check_entities(((messages[0].content, messages[-1].content) for messages in rows), generated))


def _read_rows(path: Path) -> list[PairRow | ConversationRow]:
    return [] if _is_empty(path) else read_chat_rows(path)


def _questions(path: Path) -> list[EvalRow]:
    return [] if _is_empty(path) else read_eval_rows(path)


def _is_empty(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0
