"""The n-gram baselines, counted again from the corpus that the run holds.

A small corpus is counted as the tokenizer stage did, and gives the same numbers. Of a large one a part is counted: more
text makes an n-gram better, so what is reported may be lower than what the part gives, never much higher.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.data.corpus import CorpusReader
from picochat.data.split import SIDES
from picochat.evals.baselines import sample_side, score_ngrams
from picochat.judgement.documents import value_at
from picochat.judgement.evidence import RunEvidence
from picochat.tokenizer.config import TokenizerConfig
from picochat.tokenizer.tokenizer import Tokenizer

PART_BYTES = 16_000_000
"""The most text of a side that is encoded and counted again: about two seconds."""
PART_SLACK = 1.05
"""How far a baseline may stand above that of a part of its text, for the part may be an easy one."""
_UNUSABLE = (PicochatError, OSError, ArithmeticError, LookupError, TypeError, ValueError)


class Recount(NamedTuple):
    """`scores` as in the report. `whole`: of all the text that was to be counted, so they must be equal."""

    scores: dict[str, dict[str, float]]
    whole: bool

    def most(self, name: str) -> float | None:
        """The highest bits per byte that a baseline of this text can have; None for one that was not counted."""
        bpb = value_at(self.scores, name, "bpb")
        return bpb if bpb is None or self.whole else PART_SLACK * bpb


def recount_as_asked(evidence: RunEvidence) -> Recount | None:
    """Counted under the settings of the run; None where the text is not here, no scores where it cannot be read."""
    return _recount(evidence, _settings(evidence))


def recount_fairly(evidence: RunEvidence) -> Recount | None:
    """Counted on no less text than the package's own settings ask for: a baseline of little text is easy to beat."""
    return _recount(evidence, _fair(_settings(evidence)))


def counts_less(evidence: RunEvidence) -> bool:
    """Whether the run asked for a baseline of less text than the package would count."""
    asked = _settings(evidence)
    return _fair(asked) != asked


def _settings(evidence: RunEvidence) -> tuple[int, int]:
    """(bytes of each side that are encoded, tokens that are counted)."""
    wished = value_at(evidence.run.config, "tokenizer") if evidence.run else None
    try:
        config = TokenizerConfig.from_dict(wished or {})
    except PicochatError:
        config = TokenizerConfig()
    return config.measure_bytes, config.baseline_max_tokens


def _fair(settings: tuple[int, int]) -> tuple[int, int]:
    own = TokenizerConfig()
    return max(settings[0], own.measure_bytes), max(settings[1], own.baseline_max_tokens)


@lru_cache(maxsize=2)
def _recount(evidence: RunEvidence, settings: tuple[int, int]) -> Recount | None:
    store, report = evidence.store, evidence.documents[layout.TOKENIZER_REPORT]
    paths = [store.path(name) for name in (layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.TOKENIZER)]
    if not report.usable or not all(path.is_file() for path in paths):
        return None
    limit_bytes, limit_tokens = settings
    try:
        reader = CorpusReader(*paths[:2])
        tok = Tokenizer.load(paths[2], fast=report.value("fast_path", "equal") is True)
        part = min(limit_bytes, PART_BYTES)
        train, val = (sample_side(reader, tok, side, part, limit_tokens) for side in ("train", "val"))
        scores = score_ngrams(train, val, tok)
    except _UNUSABLE:
        return Recount({}, whole=True)
    return Recount(scores, limit_bytes <= PART_BYTES or _largest_side(reader) <= PART_BYTES)


def _largest_side(reader: CorpusReader) -> int:
    found = reader.documents[: reader.n_found]
    return max(int(found["length"][found["split"] == number].sum()) for number in SIDES.values())
