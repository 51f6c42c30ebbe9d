"""Random generators: captured and restored to the bit, or refused as a whole."""

import random

import numpy as np
import pytest
import torch

from picochat.checkpoint.rng import capture_rng, restore_rng, seed_rng
from picochat.checkpoint.tensors import weights_digest
from picochat.core.errors import PicochatError


@pytest.fixture(autouse=True)
def untouched():
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


def draw(private) -> list:
    return [
        random.random(), random.gauss(0, 1), np.random.random(), np.random.standard_normal(), torch.rand(3).tolist(),
        torch.rand(2, generator=private["batches"]).tolist(), private["shuffle"].sample(range(99), 5),
    ]  # fmt: skip


@pytest.mark.parametrize("normals_before", [0, 1, 2])
def test_every_generator_goes_on_where_it_was(normals_before):
    private = {"batches": torch.Generator().manual_seed(5), "shuffle": random.Random(6)}
    for _ in range(normals_before):  # an odd number leaves a second normal waiting in python and numpy
        random.gauss(0, 1), np.random.standard_normal(), private["shuffle"].gauss(0, 1)
    saved = capture_rng(private)
    first = [draw(private) for _ in range(3)]
    fresh = {"batches": torch.Generator(), "shuffle": random.Random()}
    restore_rng(saved, fresh)
    assert [draw(fresh) for _ in range(3)] == first


def test_a_captured_state_does_not_move_on():
    private = {"g": torch.Generator().manual_seed(1)}
    saved = capture_rng(private)
    before = {name: state.clone() for name, state in saved.items()}
    torch.rand(9, generator=private["g"])
    restore_rng(saved, private)
    torch.rand(9, generator=private["g"])
    assert all(torch.equal(saved[name], before[name]) for name in saved)


def test_all_ranks_lie_side_by_side():
    own = [torch.Generator().manual_seed(rank) for rank in range(2)]
    saved = capture_rng({"g": own[0]}) | capture_rng({"g": own[1]}, rank=1)
    expected = torch.rand(4, generator=own[1])
    fresh = torch.Generator()
    restore_rng(saved, {"g": fresh}, rank=1)
    assert torch.equal(torch.rand(4, generator=fresh), expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("rank0.python"), lambda s: s.pop("rank0.private.g"),
        lambda s: s.update({"rank0.private.other": s["rank0.torch"]}), lambda s: s.clear(),
        lambda s: s.update({"rank0.python": s["rank0.numpy"]}),
        lambda s: s.update({"rank0.numpy": s["rank0.python"][:9]}),
        lambda s: s.update({"rank0.torch": s["rank0.torch"][:9]}),
    ],
)  # fmt: skip
def test_another_set_of_generators_is_refused(change):
    saved = capture_rng({"g": torch.Generator()})
    change(saved)
    with pytest.raises(PicochatError) as caught:
        restore_rng(saved, {"g": torch.Generator()})
    assert (caught.value.code, caught.value.exit_code) == ("checkpoint.rng", 4)


def test_a_seed_sets_every_generator_whatever_was_drawn_before():
    """Two processes start with different generators; without this no two trainings would write the same ledger."""
    seen = []
    for draws in (0, 3):
        random.seed()
        for _ in range(draws):
            random.random()
            np.random.rand()
            torch.rand(1)
        seed_rng(7)
        seen.append(weights_digest(capture_rng()))
    assert seen[0] == seen[1]
    seed_rng(8)
    assert weights_digest(capture_rng()) != seen[0]
