"""Evidence of memorisation, computed again: numbers from rows, rows from the corpus, canaries from the pack's salt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.jsonio import iter_jsonl
from picochat.data.corpus import FLAG_CANARY, CorpusReader
from picochat.data.memorisation.canaries import make_canaries
from picochat.data.memorisation.config import Canaries
from picochat.data.memorisation.copied import Copy, holds_copy
from picochat.data.memorisation.passages import choose_passages
from picochat.data.mixture import name_shares, read_shares, resolve_weights
from picochat.data.split import SIDES, TRAIN
from picochat.evals.memorisation import CANARY, LOSS, PASSAGE, SAMPLE, summarise_memorisation
from picochat.judgement.documents import Document, same_numbers
from picochat.tokenizer.tokenizer import Tokenizer

Row = Mapping[str, Any]
NAMES = (layout.BASE, layout.SFT)
SECTIONS = ("extractable", "canaries", "copied", "loss")
_SHOWN = ("prefix_tokens", "suffix_tokens", "scaled", "shortest_copy_words")
_UNUSABLE = (PicochatError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class MemorisationEvidence:
    """The report of a run, read again. `models` are computed from rows; none of them with a `problem`."""

    report: Document
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    problem: str = ""
    differing: tuple[str, ...] = ()
    """Places of the report that do not follow from the rows."""
    foreign: tuple[str, ...] = ()
    """What rows claim of the corpus and the canaries that these do not say."""

    @property
    def sound(self) -> bool:
        return not (self.problem or self.differing or self.foreign)

    def weights_digest(self, name: str) -> str | None:
        return self.report.value("models", name, "weights_digest")


def load_memorisation(
    store: RunStore, report: Document, corpus: Document, *, has_text: bool = True
) -> MemorisationEvidence:
    """Reads the rows and computes everything again that needs no model. A malformed row makes all of them unusable.

    Without the text (`has_text`) the rows are not held against it.
    """
    if not report.usable:
        return MemorisationEvidence(report, problem=report.problem)
    named = report.value("models")
    if report.value("rows") != layout.MEMORISATION_ROWS or not isinstance(named, dict) or not named:
        return MemorisationEvidence(report, problem="names no rows or no model")
    try:
        rows = list(iter_jsonl(store.path(layout.MEMORISATION_ROWS)))
        by_model = {name: [row for row in rows if row["model"] == name] for name in named}
        models = {name: summarise_memorisation(of_model) for name, of_model in by_model.items()}
        foreign = [
            f"{name}: {text}"
            for name, of_model in by_model.items()
            for text in (_iter_foreign(store, report, corpus, of_model) if has_text else ())
        ]
    except _UNUSABLE as err:
        return MemorisationEvidence(report, problem=str(err)[:200] or type(err).__name__)
    if strangers := {row["model"] for row in rows} - set(named) | set(named) - set(NAMES):
        foreign.append(f"rows of {sorted(strangers)[0]!r}, which is no model of the run")
    differing = [
        f"models/{name}/{section}"
        for name, numbers in models.items()
        for section in SECTIONS
        if not same_numbers(report.value("models", name, section), numbers[section])
    ]
    return MemorisationEvidence(report, models, "", tuple(differing), tuple(foreign))


def check_planted(store: RunStore, corpus: Document) -> str:
    """What is wrong with the canaries of a run; "" for nothing. The pack's salt decides each of them.

    A document that is called planted and is on no list would be hidden from every search.
    """
    wish = corpus.value("canaries")
    try:
        reader = CorpusReader(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS))
        if np.any(reader.documents["flags"][: reader.n_found] & FLAG_CANARY):
            return "a planted document stands among the others"
    except _UNUSABLE as err:
        return str(err)[:200] if wish else ""  # that the corpus is broken is found by others
    if wish is None:
        return "planted documents without a list of canaries" if len(reader) > reader.n_found else ""
    return _compare_planted(store, corpus, reader, wish)


def _compare_planted(store: RunStore, corpus: Document, reader: CorpusReader, wish: Any) -> str:
    try:
        split = corpus.body["split"]
        made = make_canaries(Canaries(copies=wish["copies"], each=wish["each"]), split["salt"], split["val_fraction"])
        rows = list(iter_jsonl(store.path(layout.CANARIES)))
        if rows != [canary.to_row(reader.n_found + place) for place, canary in enumerate(made)]:
            return "the list is not the one that the pack's salt gives"
        if len(reader) - reader.n_found != len(rows) or any(reader.text(r["document"]) != r["text"] for r in rows):
            return "the corpus holds other canaries"
        if any(int(side) != TRAIN for side in reader.documents["split"][reader.n_found :]):
            return "a canary is held out"
    except _UNUSABLE as err:
        return str(err)[:200] or type(err).__name__
    return ""


def build_memorisation(found: MemorisationEvidence | None) -> dict[str, Any]:
    """What the summary shows: numbers by model, computed from rows. What was not measured is said, never 0."""
    if found is None or found.problem:
        return {"measured": False, "problem": found.problem if found else "", "models": {}}
    settings = {key: found.report.value("settings", key) for key in _SHOWN}
    problems = [*found.foreign, *found.differing]
    return {
        "measured": True,
        "problem": problems[0] if problems else "",
        "settings": settings,
        "models": {name: dict(numbers) for name, numbers in found.models.items()},
    }


def _iter_foreign(store: RunStore, report: Document, corpus: Document, rows: Sequence[Row]) -> Iterator[str]:
    """Rows that are not those which corpus, tokenizer, canaries and settings ask for."""
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in (PASSAGE, LOSS, CANARY, SAMPLE)}
    reader = CorpusReader(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS))
    settings = report.body["settings"]
    yield from _foreign_passages(store, corpus, reader, settings, kinds)
    listed = list(iter_jsonl(store.path(layout.CANARIES))) if corpus.value("canaries") else []
    if [(row["document"], row["copies"]) for row in kinds[CANARY]] != [(r["document"], r["copies"]) for r in listed]:
        yield "its canaries are not those of the run"
    if any(len(row["references"]) != settings["references"] for row in kinds[CANARY]):
        yield f"a canary was not compared with {settings['references']:,} references"
    if len(kinds[SAMPLE]) != settings["samples"]:
        yield f"{len(kinds[SAMPLE]):,} samples, asked for were {settings['samples']:,}"
    for row in kinds[SAMPLE]:
        if row["copied_words"] and not _is_copied(reader, row):
            yield f"sample {row['number']} does not copy document {row['document']}"


def _foreign_passages(
    store: RunStore, corpus: Document, reader: CorpusReader, settings: Row, kinds: Mapping[str, Sequence[Row]]
) -> Iterator[str]:
    """The documents must be the first by digest, and what should follow must stand in them."""
    fast = store.read(layout.TOKENIZER_REPORT)["fast_path"]["equal"]
    tok = Tokenizer.load(store.path(layout.TOKENIZER), fast=fast)
    shares = name_shares(reader, read_shares(corpus.body))
    weights = resolve_weights(reader, shares, lambda text: len(tok.encode_array(text)))
    prefix, length = settings["prefix_tokens"], settings["prefix_tokens"] + settings["suffix_tokens"]
    count = settings["documents"]
    wanted, scored = [], []
    for side in SIDES:
        for passage in choose_passages(reader, tok, weights, side, count, length, length):
            wanted.append((side, passage.document, passage.ids[prefix:]))
        for passage in choose_passages(reader, tok, weights, side, count, 1, settings["loss_tokens"]):
            scored.append((side, passage.document, len(passage.ids)))
    if [(row["side"], row["document"], row["wanted"]) for row in kinds[PASSAGE]] != wanted:
        yield "its passages are not those that the corpus gives"
    elif not all(_is_path(row["wanted"], row["reply"]) for row in kinds[PASSAGE]):
        yield "a reply does not end with its first difference"
    if [(row["side"], row["document"], row["tokens"]) for row in kinds[LOSS]] != scored:
        yield "its losses are not those of the documents that the corpus gives"


def _is_path(wanted: list[int], reply: list[int]) -> bool:
    """Whether a reply is what was wanted, or ends with the first id that was not."""
    last = len(reply) - 1
    return reply == wanted or (
        0 <= last < len(wanted) and reply[:last] == wanted[:last] and reply[last] != wanted[last]
    )


def _is_copied(reader: CorpusReader, row: Row) -> bool:
    number = row["document"]
    trained = int(reader.documents["split"][number]) == TRAIN
    return trained and holds_copy(row["text"], Copy(row["copied_words"], row["begin"], number), reader.text(number))
