"""The sketches of a whole corpus on disk, 385 bytes a document, as memory maps.

    bands.u64         (bands, N) u64, band-major: a join reads one band from end to end
    signatures.u8     (N, 128) u8
    takes_part.u8     (N,) 0 or 1
    table.json        N, the engine and the parameters that made them

The folder is working state of one search, not an artifact. Processes that open it see each other's sketches at once;
what a power cut leaves of it is not checked, so it is made again and never resumed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picochat.core.disk_arrays import open_array
from picochat.core.errors import refuse
from picochat.core.fs import write_json
from picochat.core.jsonio import read_json
from picochat.data.duplicates.config import PERMUTATIONS, DuplicatesConfig
from picochat.data.duplicates.sketch import EngineVersion, Sketches, resolve_engine

DOCUMENTS_AT_ONCE = 1 << 18
"""Documents of a band that are read together."""
PREFILTER_MARGIN = 0.20
_HEAD = "table.json"
_CHANCE = 1 / 256
"""How often two different values show the same byte."""


class SketchTable:
    """The sketches of documents 0 to n - 1. Documents that were never put take no part."""

    def __init__(self, folder: Path, n: int, engine: EngineVersion, bands: int, *, create: bool) -> None:
        self.n = n
        self.engine = engine
        self.bands = open_array(folder / "bands.u64", np.uint64, (bands, n), create=create)
        self.signatures = open_array(folder / "signatures.u8", np.uint8, (n, PERMUTATIONS), create=create)
        self.takes_part = open_array(folder / "takes_part.u8", np.bool_, (n,), create=create)

    @classmethod
    def create(cls, folder: Path, n: int, config: DuplicatesConfig) -> SketchTable:
        """An empty table for n documents; files of an earlier one are overwritten. Raises `duplicates.engine`."""
        folder.mkdir(parents=True, exist_ok=True)
        head = _head(n, resolve_engine(config), config)
        table = cls(folder, n, EngineVersion(*head["engine"]), config.bands, create=True)
        write_json(folder / _HEAD, head)
        return table

    @classmethod
    def open(cls, folder: Path, config: DuplicatesConfig) -> SketchTable:
        """The table of a folder. Raises `artifact.missing`, `duplicates.table` when it was made in another way.

        Raises `disk.array` when a file of it is missing or has another size.
        """
        found = read_json(folder / _HEAD)
        expected = _head(found.get("documents", 0), resolve_engine(config), config)
        if found != expected:
            keys = [key for key in expected if found.get(key) != expected[key]]
            differences = ", ".join(f"{key} {found.get(key)} (now {expected[key]})" for key in keys)
            refuse("duplicates.table", f"the sketches in {folder} were made with {differences or 'other keys'}")
        return cls(folder, found["documents"], EngineVersion(*found["engine"]), config.bands, create=False)

    def put(self, first: int, sketches: Sketches) -> None:
        """Stores the sketches of documents `first`, `first` + 1, ... Processes may put different documents."""
        last = first + len(sketches.takes_part)
        if not 0 <= first <= last <= self.n:
            raise ValueError(f"documents {first} to {last} do not lie in a table of {self.n}")
        self.bands[:, first:last] = sketches.bands.T
        self.signatures[first:last] = sketches.signature
        self.takes_part[first:last] = sketches.takes_part

    def similar_enough(self, a: NDArray[np.int64], b: NDArray[np.int64], threshold: float) -> NDArray[np.bool_]:
        """For each pair of documents, whether its true similarity may reach the threshold.

        Estimated from the signatures, corrected for the bytes that agree by chance; what lies 0.20 below the threshold
        is sorted out. A pair of just the threshold falls below in less than 3 of 1,000,000 cases at any threshold from
        .50 (the binomial tail: 51 or fewer of 128 at .60), the more similar the rarer.
        """
        return self.agreements(a, b) >= least_agreements(threshold - PREFILTER_MARGIN)

    def agreements(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each pair of documents, how many of the 128 bytes agree."""
        return np.count_nonzero(self.signatures[a] == self.signatures[b], axis=1)

    def iter_spans(self) -> Iterator[tuple[int, int]]:
        """(first, last + 1) of stretches of documents that together are all of them."""
        for first in range(0, self.n, DOCUMENTS_AT_ONCE):
            yield first, min(self.n, first + DOCUMENTS_AT_ONCE)


def least_agreements(estimate: float) -> int:
    """The least number of agreeing bytes, of 128, whose estimated similarity is at least `estimate`."""
    return math.ceil(PERMUTATIONS * (estimate * (1 - _CHANCE) + _CHANCE))


def _head(n: int, engine: EngineVersion, config: DuplicatesConfig) -> dict[str, Any]:
    """What must be equal for two sketches to be comparable."""
    keys = ("ngram_words", "min_words", "bands", "rows")
    return {"documents": n, "engine": list(engine), "parameters": {key: getattr(config, key) for key in keys}}
