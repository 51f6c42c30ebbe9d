"""Clusters while they grow: a forest over the documents on disk, whose root is a cluster's smallest number.

`parent[i] <= i` always holds, so a root is hung under a smaller one and nothing goes round in circles; all steps work
on arrays of documents at once (union-find with path halving, Tarjan and van Leeuwen 1984, in rounds).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Documents = NDArray[np.int64]


class Components:
    """A forest over documents 0 to n - 1 in `parent` (n,) i64, a memory map that is filled here."""

    def __init__(self, parent: Documents, at_once: int = 1 << 20) -> None:
        self.parent = parent
        self._at_once = at_once
        for first in range(0, len(parent), at_once):
            last = min(len(parent), first + at_once)
            parent[first:last] = np.arange(first, last)

    def find(self, documents: Documents) -> Documents:
        """The smallest number of the cluster of each document."""
        root = self.parent[documents]
        while True:
            above = self.parent[root]
            if np.array_equal(above, root):
                break
            self.parent[root] = self.parent[above]
            root = above
        self.parent[documents] = root
        return np.asarray(root)

    def union(self, a: Documents, b: Documents) -> None:
        """Makes one cluster of the clusters of a[i] and b[i], for every i."""
        while True:
            one, other = self.find(a), self.find(b)
            apart = one != other
            if not apart.any():
                return
            a, b, one, other = a[apart], b[apart], one[apart], other[apart]
            np.minimum.at(self.parent, np.maximum(one, other), np.minimum(one, other))

    def flatten(self) -> None:
        """Every document points at its root."""
        for first in range(0, len(self.parent), self._at_once):
            self.find(np.arange(first, min(len(self.parent), first + self._at_once)))
