"""Near duplicates of a corpus: which documents resemble each other, and which of them go.

    sketches -> buckets, one band after the other -> candidate pairs -> true similarity -> clusters -> removal

Two documents are linked when they share a bucket of any band and their shingle sets have a true Jaccard similarity of
at least the threshold; clusters are the connected components of the links. Links belong to pairs, so clusters depend
neither on the order of the documents nor on how often a pair was found, and more documents only ever join clusters
(but where a bucket is thinned, which is counted).

Inside a cluster documents are taken in order, and one goes when it is a near duplicate of an earlier one that stays.
So each that goes has a twin that stays, and no two that stay are near duplicates of each other. A chain a-b-c whose
ends differ loses b alone.

Memory does not grow with the corpus, only with its largest bucket and cluster: what is held for each document lies in
memory maps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picochat.core.disk_arrays import open_array
from picochat.data.duplicates.buckets import Documents, iter_pairs, thinned_keys
from picochat.data.duplicates.components import Components
from picochat.data.duplicates.config import DuplicatesConfig, s_curve
from picochat.data.duplicates.partition import Groups, iter_groups
from picochat.data.duplicates.removal import NO_LINK, mark_removed
from picochat.data.duplicates.table import SketchTable
from picochat.data.duplicates.verification import Verifier

PAIRS_AT_ONCE = 2048
"""Pairs that are verified before clusters are looked up again."""
Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class NearDuplicates:
    """The result over N documents; both arrays are memory maps in the folder of the search.

    `root` (N,) i64 is the smallest number of a document's cluster, the document itself when it stands alone; `twin`
    (N,) i64 is the earlier document that stays and that a removed one resembles, -1 for documents that stay.
    """

    root: Documents
    twin: Documents
    stats: dict[str, Any]


def find_near_duplicates(
    table: SketchTable,
    candidates: NDArray[np.bool_],
    form_of: Callable[[int], str],
    config: DuplicatesConfig,
    work_dir: Path,
    progress: Progress = lambda done, total: None,
) -> NearDuplicates:
    """Searches the documents of `table` that are `candidates` (N,); the others stay alone and are never compared.

    `form_of(i)` is the comparison form that document i was sketched from. `work_dir` takes up to 41 bytes a document;
    what an earlier search left there is overwritten. `progress(done, total)` is called between pieces of work, and may
    raise to stop.
    """
    if len(candidates) != table.n:
        raise ValueError(f"{len(candidates)} candidates for a table of {table.n} documents")
    work_dir.mkdir(parents=True, exist_ok=True)
    root, twin, link = (
        open_array(work_dir / name, np.int64, (table.n,), create=True)
        for name in ("roots.i64", "twins.i64", "links.i64")
    )
    link[:] = NO_LINK
    search = _Search(table, candidates, form_of, config, work_dir, Components(root), link)
    total = config.bands + 1
    for band in range(config.bands):
        done = 0.0
        for groups, share in search.iter_buckets(band):
            for _ in search.join(groups, band):
                progress(band + done, total)
            done = share
            progress(band + done, total)
    search.components.flatten()
    mark_removed(table, root, link, search.verifier, config, work_dir, twin, lambda: progress(config.bands, total))
    progress(total, total)
    return NearDuplicates(root, twin, search.stats(twin))


class _Search:
    """The join, band by band. `link[b]` becomes the smallest document that was verified to resemble b."""

    def __init__(
        self,
        table: SketchTable,
        candidates: NDArray[np.bool_],
        form_of: Callable[[int], str],
        config: DuplicatesConfig,
        scratch: Path,
        components: Components,
        link: Documents,
    ) -> None:
        self.components = components
        self.verifier = Verifier(form_of, config)
        self._table, self._candidates, self._config, self._scratch = table, candidates, config, scratch
        self._link = link
        self._thinned: list[NDArray[np.uint64]] = [np.empty(0, np.uint64)] * config.bands
        self._counts: Counter[str] = Counter()
        self._n_part = sum(int(np.count_nonzero(self._chosen(*span))) for span in table.iter_spans())

    def _chosen(self, first: int, last: int) -> NDArray[np.bool_]:
        return self._table.takes_part[first:last] & self._candidates[first:last]

    def iter_buckets(self, band: int) -> Iterator[tuple[Groups, float]]:
        """(buckets of two and more documents, share of the band that is done then)."""
        row = self._table.bands[band]

        def entries() -> Iterator[tuple[NDArray[np.uint64], Documents]]:
            for first, last in self._table.iter_spans():
                chosen = np.flatnonzero(self._chosen(first, last))
                yield row[first:last][chosen], chosen + first

        return iter_groups(entries, self._n_part, self._scratch)

    def join(self, groups: Groups, band: int) -> Iterator[None]:
        """Verifies the pairs of these buckets, and joins the clusters of those that reach the threshold, in steps."""
        thinned = thinned_keys(groups, self._config.max_bucket)
        self._thinned[band] = np.concatenate((self._thinned[band], thinned))
        self._counts["buckets"] += len(groups.sizes)
        self._counts["thinned_buckets"] += len(thinned)
        self._counts["largest_bucket"] = max(self._counts["largest_bucket"], int(groups.sizes.max(initial=0)))
        for a, b in iter_pairs(groups, self._table, band, self._config.max_bucket):
            self._counts["candidate_pairs"] += len(a)
            a, b = self._worth_comparing(a, b, band)
            order = np.lexsort((b, a))  # texts that lie together are read together
            for begin in range(0, len(order), PAIRS_AT_ONCE):
                some = order[begin : begin + PAIRS_AT_ONCE]
                self._verify(*self._apart(a[some], b[some]))
                yield

    def _worth_comparing(self, a: Documents, b: Documents, band: int) -> tuple[Documents, Documents]:
        """The pairs that are not in one cluster yet, may reach the threshold, and were not compared before."""
        a, b = self._apart(a, b)
        similar = self._table.similar_enough(a, b, self._config.threshold)
        a, b = a[similar], b[similar]
        new = ~self._met_before(a, b, band)
        return a[new], b[new]

    def _apart(self, a: Documents, b: Documents) -> tuple[Documents, Documents]:
        apart = self.components.find(a) != self.components.find(b)
        return a[apart], b[apart]

    def _met_before(self, a: Documents, b: Documents, band: int) -> NDArray[np.bool_]:
        """Whether a pair shared a bucket of an earlier band. A thinned bucket may not have compared it."""
        met = np.zeros(len(a), bool)
        for earlier in range(band if len(a) else 0):
            keys = self._table.bands[earlier, a]
            same = keys == self._table.bands[earlier, b]
            if len(self._thinned[earlier]):
                same &= ~np.isin(keys, self._thinned[earlier])
            met |= same
        return met

    def _verify(self, a: Documents, b: Documents) -> None:
        reached = self.verifier.similarities(a, b) >= self._config.threshold
        self._counts["links"] += int(np.count_nonzero(reached))
        a, b = a[reached], b[reached]
        np.minimum.at(self._link, b, a)
        self.components.union(a, b)

    def stats(self, twin: Documents) -> dict[str, Any]:
        """What the search did, for the record; `verified` counts the comparisons of the removal too."""
        table, config = self._table, self._config
        heads = open_array(self._scratch / "heads.u8", np.bool_, (table.n,), create=True)
        counts = self._counts.copy()
        counts["verified"] = self.verifier.compared
        for first, last in table.iter_spans():
            roots = self.components.parent[first:last]
            heads[roots[roots != np.arange(first, last)]] = True
            counts["removed"] += int(np.count_nonzero(twin[first:last] >= 0))
        counts["components"] = int(np.count_nonzero(heads))
        names = ("buckets", "thinned_buckets", "largest_bucket", "candidate_pairs", "verified", "links")
        names += ("components", "removed")
        return {
            "engine": table.engine._asdict(),
            "parameters": config.as_dict(),
            "s_curve": s_curve(config.bands, config.rows),
            "documents": self._n_part,
            **{name: counts[name] for name in names},
        }
