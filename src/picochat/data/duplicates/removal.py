"""Which documents of a cluster go: in their order, each that is a near duplicate of an earlier one that stays.

The smallest document of a cluster has no earlier one and stays. Most of the others were compared with it in the join
and are settled at once; the rest is taken cluster by cluster and compared with all that stay so far, by signature
first, the most similar first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.partition import iter_groups
from picochat.data.duplicates.shingles import mix
from picochat.data.duplicates.table import PREFILTER_MARGIN, SketchTable, least_agreements
from picochat.data.duplicates.verification import Verifier

NO_LINK = np.iinfo(np.int64).max
STAYS = -1
_PRELOADED = 64

Documents = NDArray[np.int64]


def mark_removed(
    table: SketchTable,
    root: Documents,
    link: Documents,
    verifier: Verifier,
    config: DuplicatesConfig,
    scratch: Path,
    twin: Documents,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Fills `twin` (N,) with the document that stays in place of each removed one, and -1 for those that stay.

    `root` holds the smallest document of each cluster, `link` the smallest document that each was verified to resemble
    (`NO_LINK` for none). `between` is called between two clusters.
    """
    n_open = 0
    for first, last in table.iter_spans():
        inside = root[first:last] != np.arange(first, last)
        direct = inside & (link[first:last] == root[first:last])
        twin[first:last] = np.where(direct, root[first:last], STAYS)
        n_open += int(np.count_nonzero(inside & ~direct))

    def entries() -> Iterator[tuple[NDArray[np.uint64], Documents]]:
        for first, last in table.iter_spans():
            inside = root[first:last] != np.arange(first, last)
            chosen = np.flatnonzero(inside & (twin[first:last] == STAYS)) + first
            yield mix(root[chosen].astype(np.uint64)), chosen

    for groups, _ in iter_groups(entries, n_open, scratch, at_least=1):
        for begin, end in zip(groups.starts.tolist(), groups.starts[1:].tolist(), strict=False):
            _settle(groups.documents[begin:end], table, root, link, verifier, config, twin)
            between()


def _settle(
    documents: Documents,
    table: SketchTable,
    root: Documents,
    link: Documents,
    verifier: Verifier,
    config: DuplicatesConfig,
    twin: Documents,
) -> None:
    """The documents of one cluster that are not settled yet, ascending."""
    staying = [int(root[documents[0]])]
    stays = set(staying)
    for number, document in enumerate(documents.tolist()):
        if number % _PRELOADED == 0:
            verifier.preload(documents[number : number + _PRELOADED].tolist())
        found = (
            int(link[document])
            if int(link[document]) in stays
            else _find_twin(document, staying, table, verifier, config)
        )
        if found == STAYS:
            staying.append(document)
            stays.add(document)
        twin[document] = found


def _find_twin(
    document: int, staying: list[int], table: SketchTable, verifier: Verifier, config: DuplicatesConfig
) -> int:
    """A document of `staying` that resembles this one, the most similar by estimate first; `STAYS` for none."""
    others = np.array(staying)
    agreements = np.count_nonzero(table.signatures[others] == table.signatures[document], axis=1)
    for place in np.argsort(-agreements, kind="stable"):
        if agreements[place] < least_agreements(config.threshold - PREFILTER_MARGIN):
            break
        if verifier.similarities(others[place, None], np.array([document]))[0] >= config.threshold:
            return int(others[place])
    return STAYS
