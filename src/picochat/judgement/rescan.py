"""What a run is judged on, looked for again in what it was trained on: a report of hits is not taken at its word.

Bounded: of a larger training text the report and its list of hits stand, and verify says so.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json, parse_json
from picochat.data.contamination.config import ContaminationConfig
from picochat.data.contamination.documents import build_document_index
from picochat.data.contamination.findings import Findings
from picochat.data.contamination.index import build_index
from picochat.data.contamination.jobs import Needles
from picochat.data.contamination.search import TrainTexts, compare_rows, search_texts
from picochat.judgement.documents import value_at
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.judged_sets import Collected, collect_sets

MAX_BYTES = 64_000_000
"""The most text, corpus and chat rows together, that is searched again: a few seconds of one process."""
_TEXTS = (layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.CHAT_TRAIN, layout.CHAT_HELDOUT, layout.CHAT_EVAL)
_UNUSABLE = (PicochatError, OSError, AttributeError, LookupError, TypeError, ValueError)


class Rescan(NamedTuple):
    """Ids of items by set and by the training text in which they were found."""

    found: dict[tuple[str, str], set[str]]

    def in_any(self, name: str) -> set[str]:
        """Those of a set that stand in any training text."""
        return set().union(*(ids for (own, _), ids in self.found.items() if own == name))

    @property
    def sets(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self.found))


def rescan_as_asked(evidence: RunEvidence) -> Rescan | None:
    """Searched by the rules of the run; None where the texts are not here, too large, or cannot be read."""
    return _rescan(evidence, canonical_json(_rules(evidence).as_dict()))


def rescan_fairly(evidence: RunEvidence) -> Rescan | None:
    """Searched by the package's own rules, whatever the run was made with: other rules may find fewer items."""
    return _rescan(evidence, canonical_json(ContaminationConfig().as_dict()))


def has_own_rules(evidence: RunEvidence) -> bool:
    """Whether the run searched by other rules than the package's."""
    return _rules(evidence) != ContaminationConfig()


def is_too_large(evidence: RunEvidence) -> bool:
    """Whether the texts are here and are not searched again for their size."""
    return _holds_texts(evidence) and _count_bytes(evidence) > MAX_BYTES


def _rules(evidence: RunEvidence) -> ContaminationConfig:
    wished = value_at(evidence.run.config, "honesty", "contamination") if evidence.run else None
    try:
        return ContaminationConfig.from_dict(wished or {})
    except PicochatError:
        return ContaminationConfig()


def _holds_texts(evidence: RunEvidence) -> bool:
    report = evidence.documents.get(layout.HONESTY)
    return report is not None and report.usable and all(evidence.store.has(name) for name in _TEXTS)


def _count_bytes(evidence: RunEvidence) -> int:
    return sum(evidence.store.path(name).stat().st_size for name in (layout.CORPUS, layout.CHAT_TRAIN))


@lru_cache(maxsize=2)
def _rescan(evidence: RunEvidence, rules: bytes) -> Rescan | None:
    if not _holds_texts(evidence) or is_too_large(evidence):
        return None
    try:
        config = ContaminationConfig.from_dict(parse_json(rules, "rules"))
        return _search(evidence, _collect(evidence), config)
    except _UNUSABLE:
        return None


@lru_cache(maxsize=1)
def _collect(evidence: RunEvidence) -> Collected:
    named = evidence.documents[layout.CORPUS_MANIFEST].value("benchmarks")
    return collect_sets(evidence.store, named or [], lambda kind, file: None, lenient=True)


def _search(evidence: RunEvidence, collected: Collected, rules: ContaminationConfig) -> Rescan:
    store = evidence.store
    corpus = store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS)
    texts = TrainTexts(corpus, store.path(layout.CHAT_TRAIN), collected.train)
    needles = Needles(build_index(collected.sets, rules), build_document_index((), 0, rules))
    findings = Findings(collected.sets, needles, compare_rows(collected.train, collected.heldout))
    search_texts(findings, texts, processes=1)
    return Rescan(
        {
            (item_set.name, against): findings.found_in(number, against)
            for number, item_set in enumerate(findings.sets)
            for against in findings.items.sides
        }
    )
