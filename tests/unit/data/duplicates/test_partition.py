import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.data.duplicates.partition import iter_groups

KEYS = st.lists(st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**63, 2**64 - 1])), max_size=60)


@given(keys=KEYS, at_once=st.integers(1, 70), at_least=st.sampled_from([1, 2]), stretch=st.integers(1, 20))
@settings(max_examples=60)
def test_groups_are_those_of_a_dictionary_however_few_entries_are_sorted_at_once(keys, at_once, at_least, stretch):
    expected = defaultdict(list)
    for number, key in enumerate(keys):
        expected[key].append(number)

    def entries():
        for first in range(0, len(keys), stretch):
            part = np.array(keys[first : first + stretch], np.uint64)
            yield part, np.arange(first, first + len(part))

    found, shares = {}, []
    with tempfile.TemporaryDirectory() as scratch:
        for groups, share in iter_groups(entries, len(keys), Path(scratch), at_least=at_least, at_once=at_once):
            shares.append(share)
            for first, last in zip(groups.starts[:-1], groups.starts[1:], strict=True):
                assert len(set(groups.keys[first:last].tolist())) == 1
                assert int(groups.keys[first]) not in found
                found[int(groups.keys[first])] = groups.documents[first:last].tolist()
    assert found == {key: numbers for key, numbers in expected.items() if len(numbers) >= at_least}
    assert shares == sorted(shares) and shares[-1] == 1


def test_evenly_spread_keys_come_in_parts_of_bounded_size(tmp_path):
    keys = np.random.default_rng(0).integers(0, 2**64, 20_000, dtype=np.uint64)
    parts = iter_groups(lambda: [(keys, np.arange(20_000))], 20_000, tmp_path, at_least=1, at_once=1000)
    sizes = [len(groups.documents) for groups, _ in parts]
    assert sum(sizes) == 20_000 and max(sizes) <= 1000
