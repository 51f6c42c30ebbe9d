import hashlib
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.data.duplicates import partition
from picochat.data.duplicates.exact import digest_keys, find_exact
from picochat.data.duplicates.forms import cluster_of


def digests(values: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(values), "V32").copy()


def firsts(values: list[bytes]) -> list[int]:
    seen: dict[bytes, int] = {}
    return [-1 if seen.setdefault(v, i) == i else seen[v] for i, v in enumerate(values)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=80))
def test_every_later_document_points_to_the_first_with_its_digest(tmp_path_factory, numbers):
    values = [hashlib.sha256(str(n).encode()).digest() for n in numbers]
    assert find_exact(digests(values), tmp_path_factory.mktemp("x")).tolist() == firsts(values)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=60))
@settings(max_examples=50, deadline=None)
def test_digests_are_compared_in_full(tmp_path_factory, pairs):
    """The first 8 bytes collide on purpose."""
    values = [bytes([a]) * 8 + bytes([b]) * 24 for a, b in pairs]
    assert find_exact(digests(values), tmp_path_factory.mktemp("x")).tolist() == firsts(values)


def test_many_documents_are_grouped_part_by_part(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(partition.iter_groups, "__kwdefaults__", {"at_least": 2, "at_once": 50})
    values = [hashlib.sha256(str(n % 700).encode()).digest() for n in range(1500)]
    assert find_exact(digests(values), tmp_path).tolist() == firsts(values)


def test_the_key_is_the_number_of_the_cluster():
    form = "a text"
    keys = digest_keys(digests([hashlib.sha256(form.encode()).digest()]))
    assert int(keys[0]) == cluster_of(form)
