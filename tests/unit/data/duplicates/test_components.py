import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from picochat.data.duplicates.components import Components

N = 12
LINKS = st.lists(st.lists(st.tuples(st.integers(0, N - 1), st.integers(0, N - 1)), max_size=6), max_size=5)


@given(LINKS)
def test_roots_are_the_smallest_members_of_connected_components(batches):
    components = Components(np.empty(N, np.int64), at_once=5)
    label = list(range(N))
    for batch in batches:
        a, b = (np.array([link[side] for link in batch], np.int64) for side in (0, 1))
        components.union(a, b)
        for one, other in batch:
            low, high = sorted((label[one], label[other]))
            label = [low if x == high else x for x in label]
        assert components.find(np.arange(N)).tolist() == label
    components.flatten()
    assert components.parent.tolist() == label


def test_a_long_chain_in_the_worst_order():
    n = 5000
    components = Components(np.empty(n, np.int64))
    for number in range(n - 1, 0, -1):
        components.union(np.array([number - 1]), np.array([number]))
    assert (components.find(np.arange(n)) == 0).all()
