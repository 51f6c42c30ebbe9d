import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.data.duplicates import buckets
from picochat.data.duplicates.buckets import iter_pairs, thinned_keys
from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.partition import group
from picochat.data.duplicates.sketch import Sketches
from picochat.data.duplicates.table import SketchTable


def make_table(folder, keys: list[int], next_keys: list[int] | None = None, signatures: list[int] | None = None):
    """Documents with these keys in band 0 and band 1; equal numbers give equal signatures."""
    n = len(keys)
    table = SketchTable.create(folder, n, DuplicatesConfig(engine="numpy"))
    bands = np.arange(n * 32, dtype=np.uint64).reshape(n, 32)
    bands[:, 0], bands[:, 1] = keys, next_keys or range(n)
    numbers = signatures or list(range(n))
    signature = np.stack([np.random.default_rng(k).integers(0, 256, 128, dtype=np.uint8) for k in numbers])
    table.put(0, Sketches(bands, signature, np.ones(n, bool)))
    return table


def list_pairs(table: SketchTable, max_bucket: int) -> list[tuple[int, int]]:
    groups = group(table.bands[0], np.arange(table.n))
    return [
        pair for a, b in iter_pairs(groups, table, 0, max_bucket) for pair in zip(a.tolist(), b.tolist(), strict=True)
    ]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=25), st.integers(1, 9))
def test_all_pairs_of_a_bucket_come_once(keys, at_once):
    groups = group(np.array(keys, np.uint64), np.arange(len(keys)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buckets, "PAIRS_AT_ONCE", at_once)
        blocks = list(buckets._all_pairs(groups))
    pairs = [pair for a, b in blocks for pair in zip(a.tolist(), b.tolist(), strict=True)]
    expected = {(i, j) for j in range(len(keys)) for i in range(j) if keys[i] == keys[j]}
    assert all(len(a) <= at_once for a, _ in blocks)
    assert len(pairs) == len(expected) and set(pairs) == expected


def test_the_first_round_links_a_bucket_to_its_smallest_member(tmp_path):
    pairs = list_pairs(make_table(tmp_path, [7, 5, 7, 7, 5, 7]), 10)
    assert pairs[:4] == [(1, 4), (0, 2), (0, 3), (0, 5)]


def test_a_large_bucket_is_compared_with_representatives_and_inside_finer_buckets(tmp_path):
    n = 60
    table = make_table(tmp_path, [1] * n + [2, 2], next_keys=[i // 3 for i in range(n)] + [90, 91])
    pairs = list_pairs(table, 50)
    groups = group(table.bands[0], np.arange(table.n))
    assert thinned_keys(groups, 50).tolist() == [1] and thinned_keys(groups, 60).tolist() == []
    assert len(pairs) == len(set(pairs)) and all(a < b for a, b in pairs) and (60, 61) in pairs
    partners = {d: {x for pair in pairs if d in pair for x in pair} - {d} for d in range(n)}
    representatives = {d for d in range(n) if len(partners[d]) == n - 1}
    assert len(representatives) == 16
    for d in set(range(n)) - representatives:
        finer = set(range(d // 3 * 3, d // 3 * 3 + 3)) - {d}
        assert partners[d] == representatives | finer
    assert len(list_pairs(table, 60)) == n * (n - 1) // 2 + 1


def test_finer_buckets_that_are_large_too_are_compared_with_their_own_representatives(tmp_path):
    n = 80
    table = make_table(tmp_path, [1] * n, next_keys=[0] * n)
    pairs = list_pairs(table, 50)
    assert len(pairs) == len(set(pairs)) == sum(range(n - 16, n)) + sum(range(n - 32, n - 16))


def test_thinning_depends_on_content_and_not_on_the_order(tmp_path):
    n = 70
    order = np.random.default_rng(1).permutation(n)
    contents = [k % 60 for k in range(n)]  # ten documents have a sketch that another one has too
    next_keys = [k // 2 for k in contents]
    plain = list_pairs(make_table(tmp_path / "a", [1] * n, next_keys, contents), 40)
    moved = make_table(tmp_path / "b", [1] * n, [next_keys[i] for i in order], [contents[i] for i in order])
    shuffled = list_pairs(moved, 40)
    by_content = {tuple(sorted((contents[a], contents[b]))) for a, b in plain}
    assert by_content == {tuple(sorted((contents[order[a]], contents[order[b]]))) for a, b in shuffled}


def representatives_of(folder, contents: list[int]) -> list[int]:
    """The contents of the documents that are compared with all others of one thinned bucket."""
    pairs = list_pairs(make_table(folder, [1] * len(contents), signatures=contents), 40)
    partners = [len({x for pair in pairs if d in pair for x in pair} - {d}) for d in range(len(contents))]
    return [contents[d] for d in range(len(contents)) if partners[d] == len(contents) - 1]


def test_representatives_have_different_sketches(tmp_path):
    """Twenty documents of one sketch count as one: the others would get no representative of their kind."""
    plain = representatives_of(tmp_path / "plain", list(range(60)))
    crowded = representatives_of(tmp_path / "crowded", [plain[0]] * 20 + list(range(60)))
    assert len(plain) == 16 and sorted(crowded) == sorted(plain)
