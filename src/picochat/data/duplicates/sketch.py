"""Sketches: what is kept of a document, so that documents that resemble each other can be found without comparing all.

A document becomes 128 MinHash values: under each of 128 random orders of all shingles, the least of its own. Two
documents agree in one value with the chance of their Jaccard similarity (Broder 1997). The values are kept in two
forms: the values of a band hashed to one 64-bit key, so that documents that agree in a whole band share a bucket, and
one byte of each value, the signature, from which the similarity of a candidate pair is estimated before it is computed.

Two engines make the values. Both see the same shingles; they differ only by which pairs banding misses.

    numpy    least of a * x + b mod 2^32 over the upper halves x of the shingle hashes, a odd
    rensa    `RMinHash` of the package rensa, algorithm version 2
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.core.errors import refuse
from picochat.data.duplicates.config import PERMUTATIONS, DuplicatesConfig
from picochat.data.duplicates.shingles import Hashes, iter_pieces, mix

RENSA_ALGORITHM = 2
"""The version of rensa's values that was tested: another one is refused, since a table never mixes two."""
NUMPY_ALGORITHM = "1"
"""Changes whenever the numpy engine's values do."""
SEED = 42
DOCUMENTS_AT_ONCE = 512
"""Documents whose 128 values are in memory together."""
_VALUES_AT_ONCE = 1 << 18
"""Numbers of the numpy engine's working table, which stays in the processor's caches."""
_NO_VALUE = np.uint32(0xFFFFFFFF)

Values = NDArray[np.uint32]
Digest = Callable[[Hashes, NDArray[np.int64]], Values]


class EngineVersion(NamedTuple):
    """Which code made the values of a table. Values of two engines, or of two versions, are never compared."""

    name: str
    version: str


class Sketches(NamedTuple):
    """The sketches of n documents: `bands` (n, bands) u64, `signature` (n, 128) u8, `takes_part` (n,) bool."""

    bands: NDArray[np.uint64]
    signature: NDArray[np.uint8]
    takes_part: NDArray[np.bool_]


class Sketcher:
    """Makes sketches of comparison forms. A sketch depends on its document alone, never on the rest of a batch."""

    def __init__(self, engine: EngineVersion, digest: Digest, config: DuplicatesConfig) -> None:
        self.engine = engine
        self._digest = digest
        self._config = config

    def sketch(self, forms: Sequence[str]) -> Sketches:
        """The sketches of comparison forms, in their order. A document without shingles takes no part."""
        parts = [self._sketch(forms[i : i + DOCUMENTS_AT_ONCE]) for i in range(0, len(forms), DOCUMENTS_AT_ONCE)]
        return Sketches(*map(np.concatenate, zip(*parts or [self._sketch([])], strict=True)))

    def _sketch(self, forms: Sequence[str]) -> Sketches:
        values = np.full((len(forms), PERMUTATIONS), _NO_VALUE, np.uint32)
        takes_part = np.zeros(len(forms), bool)
        for documents, hashes, offsets in iter_pieces(forms, self._config):
            values[documents] = np.minimum(values[documents], self._digest(hashes, offsets))
            takes_part[documents] = True
        return Sketches(band_keys(values, self._config), signatures(values), takes_part)


def build_sketcher(config: DuplicatesConfig) -> Sketcher:
    """The sketcher of the configured engine. Raises `duplicates.engine` when rensa is asked for and cannot be used."""
    engine = resolve_engine(config)
    return Sketcher(engine, _rensa_values if engine.name == "rensa" else _numpy_values, config)


def resolve_engine(config: DuplicatesConfig) -> EngineVersion:
    """The engine that the configuration means here. Raises `duplicates.engine`."""
    own = EngineVersion("numpy", NUMPY_ALGORITHM)
    if config.engine == "numpy":
        return own
    installed = importlib.util.find_spec("rensa") is not None
    if not installed and config.engine == "rensa":
        refuse("duplicates.engine", "the engine is rensa, and the package rensa is not installed")
    if not installed:
        return own
    algorithm = _rensa_minhash().ALGORITHM_VERSION
    if algorithm == RENSA_ALGORITHM:
        return EngineVersion("rensa", f"{importlib.metadata.version('rensa')}, algorithm {RENSA_ALGORITHM}")
    if config.engine == "auto":
        return own
    refuse(
        "duplicates.engine",
        f"the installed rensa has algorithm version {algorithm}; {RENSA_ALGORITHM} is known",
    )


def band_keys(values: Values, config: DuplicatesConfig) -> NDArray[np.uint64]:
    """One key a band, (n, bands) u64: all its values, in their order, mixed into 64 bits."""
    rows = values.reshape(len(values), config.bands, config.rows)
    keys = np.zeros(rows.shape[:2], np.uint64)
    for row in range(config.rows):
        keys *= np.uint64(0x9E3779B97F4A7C15)
        keys += rows[:, :, row]
        mix(keys)
    return keys


def signatures(values: Values) -> NDArray[np.uint8]:
    """One byte of each value: the upper byte after a multiplication, which every bit of the value has moved."""
    return ((values * np.uint32(0x9E3779B1)) >> np.uint32(24)).astype(np.uint8)


def _numpy_values(hashes: Hashes, offsets: NDArray[np.int64]) -> Values:
    """The least value under each permutation, (n, 128) u32, of n documents that all have shingles."""
    factors, addends = _permutations()
    shingles = (hashes >> np.uint64(32)).astype(np.uint32)
    values = np.empty((PERMUTATIONS, len(offsets) - 1), np.uint32)
    group = max(1, min(PERMUTATIONS, _VALUES_AT_ONCE // len(shingles)))
    table = np.empty((group, len(shingles)), np.uint32)
    for first in range(0, PERMUTATIONS, group):
        part = table[: min(group, PERMUTATIONS - first)]
        np.multiply(factors[first : first + group, None], shingles, out=part)
        part += addends[first : first + group, None]
        np.minimum.reduceat(part, offsets[:-1], axis=1, out=values[first : first + group])
    return values.T


def _permutations() -> tuple[Values, Values]:
    """The odd factors and the addends of the numpy engine's permutations, 128 each, always the same."""
    numbers = mix(np.arange(1, 2 * PERMUTATIONS + 1, dtype=np.uint64) * np.uint64(0xD1342543DE82EF95) + np.uint64(SEED))
    factors, addends = (numbers >> np.uint64(32)).astype(np.uint32).reshape(2, PERMUTATIONS)
    return factors | np.uint32(1), addends


def _rensa_values(hashes: Hashes, offsets: NDArray[np.int64]) -> Values:
    """The same from rensa, whose matrix can only be read as lists."""
    bounds = offsets.astype(np.uint64)
    matrix = _rensa_minhash().digest_matrix_from_flat_token_hashes(hashes, bounds, PERMUTATIONS, SEED)
    numbers = chain.from_iterable(matrix.to_rows())
    values = np.fromiter(numbers, np.uint32, count=(len(offsets) - 1) * PERMUTATIONS)
    return values.reshape(len(offsets) - 1, PERMUTATIONS)


def _rensa_minhash() -> Any:
    """The class that makes rensa's values; an optional package, so it is imported where it is needed."""
    return importlib.import_module("rensa").RMinHash
