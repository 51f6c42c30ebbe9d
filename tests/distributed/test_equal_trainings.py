"""DDP on two ranks is one process that accumulates twice as long: gradients, weights, losses and documents.

Of eight cells, which are all values of three settings, the short form takes four in which any two settings meet in
all of their values. `deep` takes all, and all again compiled.
"""

import itertools
from pathlib import Path
from typing import Any

import pytest
from tests.support.launched import run_module

TOLERANCE = 2e-6
"""Of float32 sums in another order, in units of a tensor's largest element; eight steps of AdamW multiply it."""
WEIGHTS_TOLERANCE = 1e-5
ONE_SIDED = 0.3


def run_cells(folder: Path, cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return run_module(folder, "tests.support.cells", cells)


def cell(**chosen: Any) -> dict[str, Any]:
    return {
        "strategy": "ddp",
        "static_graph": True,
        "accumulation": 1,
        "checkpoint_blocks": False,
        "compile": False,
    } | chosen


def pairwise(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Four of the eight cells of a product of three settings: an even number of them has its second value."""
    return [row for number, row in enumerate(cells) if number.bit_count() % 2 == 0]


EAGER = [
    cell(static_graph=static, accumulation=count, checkpoint_blocks=blocks)
    for static, count, blocks in itertools.product((True, False), (1, 4), (True, False))
]
COMPILED = [row | {"compile": True} for row in EAGER]


def differences(found: dict[str, Any], weights: float = WEIGHTS_TOLERANCE) -> list[str]:
    """What is not as in one process."""
    limits = {"losses": 1e-6, "weights": weights, "shift": ONE_SIDED}
    names = [name for name, limit in limits.items() if not found[name] <= limit]
    names += ["gradients"] if not max(found["gradients"][:4]) <= TOLERANCE else []
    return names + [name for name in ("documents", "targets") if not found[name]]


REPLICAS = [*pairwise(EAGER), cell(optimizer="muon", accumulation=4), cell(compile=True, accumulation=4)]
BREACHES = ["gradients", "last micro-batch", "scale", "targets", "loss", "documents", "slices"]
Results = list[dict[str, Any]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Results]:
    """The results of REPLICAS and of BREACHES, in one launch."""
    broken = [cell(accumulation=4, breach=name, static_graph=False) for name in BREACHES]
    results = run_cells(tmp_path_factory.mktemp("cells"), [*REPLICAS, *broken])
    return results[: len(REPLICAS)], results[len(REPLICAS) :]


def test_two_ranks_are_one_process(found: tuple[Results, Results]):
    assert {str(row): differences(result) for row, result in zip(REPLICAS, found[0], strict=True)} == {
        str(row): [] for row in REPLICAS
    }


@pytest.mark.deep
@pytest.mark.parametrize("cells", [EAGER, COMPILED], ids=["eager", "compiled"])
def test_two_ranks_are_one_process_in_every_cell_of_all(cells, tmp_path):
    found = run_cells(tmp_path, cells)
    assert [differences(result) for result in found] == [[] for _ in cells]


def test_every_synchronisation_that_is_taken_away_shows(found: tuple[Results, Results]):
    seen = {name: differences(result) for name, result in zip(BREACHES, found[1], strict=True)}
    assert all(seen.values()), seen
    assert "gradients" in seen["gradients"] and "gradients" in seen["last micro-batch"]
    assert seen["loss"] == ["losses"] and seen["documents"] == ["documents"]


FSDP = [
    cell(strategy="fsdp", accumulation=count, checkpoint_blocks=blocks, optimizer=optimizer)
    for count, blocks, optimizer in itertools.product((1, 4), (True, False), ("adamw", "muon"))
]
FSDP_COMPILED = cell(strategy="fsdp", accumulation=4, checkpoint_blocks=True, compile=True)


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param([*pairwise(FSDP), FSDP_COMPILED], id="every pair"),
        pytest.param(FSDP, id="all", marks=pytest.mark.deep),
    ],
)
def test_slices_on_two_ranks_are_replicas_on_two_ranks(cells, tmp_path):
    """FSDP beside DDP: losses and weights within 1e-6, gradients to rounding."""
    broken = [cell(strategy="fsdp", breach="scale"), cell(strategy="fsdp", breach="targets")]
    found = run_cells(tmp_path, [*cells, *broken])
    assert [differences(result, weights=1e-6) for result in found[: len(cells)]] == [[] for _ in cells]
    assert all(differences(result) for result in found[len(cells) :])
