"""The contamination section of a report: counts and ids by set, and the matrix of sets against training texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from picochat.data.contamination.boilerplate import LISTED, Boilerplate
from picochat.data.contamination.compare import ROW_RULES
from picochat.data.contamination.config import ENGINE
from picochat.data.contamination.documents import DocumentResult, list_common_grams
from picochat.data.contamination.evidence import VAL
from picochat.data.contamination.fields import COLUMNS
from picochat.data.contamination.findings import Findings

Body = dict[str, Any]
_NO_CELLS: Body = dict.fromkeys((*COLUMNS, "document", *ROW_RULES))


def build_section(findings: Findings, not_scanned: Sequence[tuple[str, str]], stored_hits: int) -> Body:
    """The section, a pure function of the findings. `not_scanned` are (set, reason); counts are never capped.

    An item is dirty when it stands in any training text, uncheckable when it is not dirty and too short or all
    boilerplate, else clean: the three add up to the items.
    """
    names = list(findings.items.sides)
    sets = {item_set.name: _item_set(findings, number) for number, item_set in enumerate(findings.sets)}
    results = {name: findings.documents[name].results() for name in names}
    sets[VAL] = _document_set(findings, results)
    matrix = [_cell(findings, number, name) for number in range(len(findings.sets)) for name in names]
    matrix += [_document_cell(findings, results[name], name) for name in names]
    return {
        "engine": dict(ENGINE),
        "rules": findings.needles.items.config.as_dict(),
        "against": {
            name: {"documents": side.documents, "bytes": side.bytes} for name, side in findings.items.sides.items()
        },
        "sets": sets,
        "matrix": matrix,
        "not_scanned": [{"set": name, "reason": reason} for name, reason in not_scanned],
        "totals": {
            key: sum(entry[key] for entry in sets.values()) for key in ("items", "dirty", "clean", "uncheckable")
        }
        | {"hits": sum(row["hits"] for row in matrix), "stored_hits": stored_hits},
    }


def _item_set(findings: Findings, number: int) -> Body:
    index, item_set = findings.needles.items, findings.sets[number]
    low, high = findings.bounds(number)
    dirty = findings.items.dirty()[low:high]
    dirty[[hit.heldout for hit in findings.row_hits(number)]] = True
    uncheckable = ~index.checkable[low:high] & ~dirty
    ids = np.array([item.id for item in item_set.items], object)
    return _counts(item_set.kind, len(ids), ids[dirty].tolist(), ids[uncheckable].tolist()) | {
        "boilerplate": _boilerplate(index.boilerplate[number])
    }


def _counts(kind: str, items: int, dirty: list[str], uncheckable: list[str]) -> Body:
    return {
        "kind": kind,
        "items": items,
        "dirty": len(dirty),
        "clean": items - len(dirty) - len(uncheckable),
        "uncheckable": len(uncheckable),
        "dirty_ids": dirty,
        "uncheckable_ids": uncheckable,
    }


def _boilerplate(found: Boilerplate) -> Body:
    phrases = [{"text": phrase.text, "items": phrase.items} for phrase in found.phrases]
    return {"grams": found.grams, "at_least_items": found.at_least_items, "phrases": phrases}


def _cell(findings: Findings, number: int, against: str) -> Body:
    low, high = findings.bounds(number)
    side = findings.items.sides[against]
    columns = side.columns[low:high]
    dirty = np.array(columns.any(axis=1), np.bool_)
    cells = _NO_CELLS | dict(zip(COLUMNS, columns.sum(axis=0).tolist(), strict=True))
    hits = int(side.hits[low:high].sum())
    name = findings.sets[number].name
    if against == "sft" and (rows := _compared(findings, number)) is not None:
        cells |= {rule: len({hit.heldout for hit in rows if hit.rule == rule}) for rule in ROW_RULES}
        dirty[[hit.heldout for hit in rows]] = True
        hits += len(rows)
    return {"set": name, "against": against, "items": high - low, **cells, "dirty": int(dirty.sum()), "hits": hits}


def _compared(findings: Findings, number: int) -> list[Any] | None:
    """The hits of rows as rows, or None for a set that is not compared in that way."""
    return findings.row_hits(number) if findings.sets[number].kind == "heldout" else None


def _document_set(findings: Findings, results: dict[str, list[DocumentResult]]) -> Body:
    index = findings.needles.documents
    dirty = {result.number for found in results.values() for result in found if result.dirty}
    first = next(iter(results.values()), [])
    uncheckable = [result.number for result in first if not result.grams and result.number not in dirty]
    body = _counts("documents", len(index.numbers), [str(n) for n in sorted(dirty)], [str(n) for n in uncheckable])
    common = list_common_grams(index, LISTED)
    spans = {name: findings.documents[name].span_shares() for name in results}
    return body | {
        "left_out": index.n_documents - len(index.numbers),
        "boilerplate": {
            "grams": int(index.boilerplate.sum()),
            "at_least_items": index.at_least_documents,
            "phrases": [{"text": phrase.text, "items": phrase.items} for phrase in common],
        },
        "spans": {"documents": index.n_measured, "shares": spans},
    }


def _document_cell(findings: Findings, results: list[DocumentResult], against: str) -> Body:
    dirty = sum(result.dirty for result in results)
    cells = _NO_CELLS | {"document": dirty}
    return {"set": VAL, "against": against, "items": len(results), **cells, "dirty": dirty, "hits": dirty}
