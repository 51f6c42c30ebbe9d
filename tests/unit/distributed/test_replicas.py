"""Whether two replicas hold the same bits: laws of the checksum, and whom the comparison names."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from picochat.core import failpoints
from picochat.core.errors import PicochatError
from picochat.distributed import replicas
from picochat.distributed.replicas import checksum, checksums, flip_bit, require_equal_replicas
from picochat.distributed.world import SoloWorld

DTYPES = [torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.float64]
MOST = 12
"""Elements of a drawn tensor."""


def of_bytes(data: bytes, dtype: torch.dtype, count: int) -> torch.Tensor:
    """`count` elements of any bits: NaN of every kind, both zeros, the smallest and the largest."""
    return torch.frombuffer(bytearray(data[: count * dtype.itemsize]), dtype=dtype)


def to_bytes(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def some_bits() -> st.SearchStrategy[bytes]:
    return st.binary(min_size=8 * MOST, max_size=8 * MOST)


# --- the checksum


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@settings(max_examples=25)
@given(some_bits(), st.integers(1, MOST), st.data())
def test_any_single_flipped_bit_changes_the_checksum(dtype, data, count, draw):
    before = checksum(of_bytes(data, dtype, count))
    place = draw.draw(st.integers(0, count - 1))
    for bit in range(8 * dtype.itemsize):
        flipped = bytearray(data)
        flipped[place * dtype.itemsize + bit // 8] ^= 1 << bit % 8
        assert checksum(of_bytes(flipped, dtype, count)) != before, (place, bit)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@settings(max_examples=50)
@given(some_bits(), st.integers(2, MOST), st.integers(0, MOST), st.integers(1, MOST - 1))
@example((b"\x00" * 8 + b"\x00" * 7 + b"\x80") * 6, 2, 0, 1)  # 0.0 and -0.0
@example((b"\x01" * 7 + b"\x00" + b"\x01" * 7 + b"\x80") * 6, 2, 0, 1)  # a number and its negative
def test_two_different_elements_that_change_places_change_the_checksum(dtype, data, count, first, distance):
    if dtype.itemsize < 8:
        data = b"".join(data[at + 8 - dtype.itemsize : at + 8] for at in range(0, len(data), 8))
    tensor = of_bytes(data, dtype, count)
    i, j = first % count, (first + distance) % count
    swapped = tensor.clone()
    swapped[i], swapped[j] = tensor[j].clone(), tensor[i].clone()
    assert (checksum(swapped) == checksum(tensor)) == (to_bytes(swapped) == to_bytes(tensor))


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64], ids=str)
@settings(max_examples=50)
@given(st.lists(st.integers(-(2**20), 2**20), min_size=2, max_size=MOST, unique=True))
def test_small_numbers_of_64_bits_that_change_places_change_the_checksum(dtype, values):
    tensor = torch.tensor(values, dtype=dtype) + (0.1 if dtype.is_floating_point else 0)
    for i in range(1, len(values)):
        swapped = tensor.clone()
        swapped[0], swapped[i] = tensor[i].clone(), tensor[0].clone()
        assert checksum(swapped) != checksum(tensor)


def test_sums_that_a_plain_product_with_the_place_would_give_alike_differ():
    one, other = torch.tensor([1, 0, 0, 0, 1]), torch.tensor([0, 0, 2, 0, 0])
    assert checksum(one) != checksum(other)
    assert checksum(one.to(torch.int32)) != checksum(other.to(torch.int32))


@settings(max_examples=100)
@given(st.lists(st.integers(-3, 3), min_size=6, max_size=6), st.lists(st.integers(-3, 3), min_size=6, max_size=6))
@example([0, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0])
@example([0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1])
def test_small_numbers_have_one_checksum_only_when_they_are_equal(one, other):
    for dtype in (torch.int64, torch.int32, torch.int16):
        alike = checksum(torch.tensor(one, dtype=dtype)) == checksum(torch.tensor(other, dtype=dtype))
        assert alike == (one == other)


def test_a_word_and_its_complement_differ_at_every_place():
    for place in range(4):
        one = torch.zeros(4)
        one[place] = 1.0
        other = one.view(torch.int32).clone()
        other[place] ^= -1
        assert checksum(one) != checksum(other.view(torch.float32)), place


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.float32, torch.bfloat16], ids=str)
def test_a_single_element_may_lie_anywhere(dtype):
    tensor = torch.arange(1, 13).reshape(3, 4).to(dtype)
    alone = checksum(torch.tensor([2], dtype=dtype))
    for piece in (tensor[:1, 1:2].t(), tensor[:, 1][:1], tensor[0, 1], torch.as_strided(tensor, (1,), (3,), 1)):
        assert torch.equal(checksum(piece), alone)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@settings(max_examples=25)
@given(some_bits(), st.integers(1, MOST))
def test_equal_bits_give_equal_checksums_however_they_lie(dtype, data, count):
    tensor = of_bytes(data, dtype, count)
    found = checksum(tensor)
    assert found.shape == () and found.dtype == torch.int64
    spread = torch.stack([tensor, tensor.flip(0)], 1)[:, 0]
    behind = torch.cat([tensor.flip(0), tensor])[count:]
    assert not spread.is_contiguous() or count == 1
    assert all(torch.equal(checksum(other), found) for other in (tensor.clone(), spread, behind, tensor[None]))


def test_a_transposed_tensor_has_the_checksum_of_its_own_order():
    tensor = torch.arange(6.0).reshape(2, 3)
    assert checksum(tensor.t()) == checksum(tensor.t().contiguous()) != checksum(tensor)


def test_a_parameter_of_no_dimension_and_an_empty_tensor_have_a_checksum():
    assert checksum(torch.nn.Parameter(torch.ones(3))) == checksum(torch.ones(3))
    assert not checksum(torch.nn.Parameter(torch.ones(3))).requires_grad
    assert checksum(torch.tensor(2.0)) == checksum(torch.tensor([2.0])) != checksum(torch.tensor(3.0))
    assert checksum(torch.empty(0)) == 0


def test_what_compares_as_equal_or_unequal_counts_by_its_bits_alone():
    assert checksum(torch.tensor([0.0])) != checksum(torch.tensor([-0.0]))
    assert checksum(torch.tensor([float("nan")])) == checksum(torch.tensor([float("nan")]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_tensor_of_many_pieces_has_the_checksum_of_one_piece(monkeypatch, dtype):
    data = bytes(torch.randint(256, (800,), generator=torch.Generator().manual_seed(0)).tolist())
    tensor = of_bytes(data, dtype, 100)
    whole = checksum(tensor)
    for words in (1, 2, 7, 10, 99, 100, 199):
        monkeypatch.setattr(replicas, "CHUNK_WORDS", words)
        assert checksum(tensor) == whole, words


def test_checksums_stand_in_the_order_of_the_names():
    a, b = torch.tensor([1.0]), torch.tensor([2.0])
    found = checksums({"b": b, "a": a})
    assert found.tolist() == [int(checksum(a)), int(checksum(b))]
    assert torch.equal(found, checksums({"a": a, "b": b})) and found.dtype == torch.int64
    assert checksums({}).shape == (0,)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_flipped_bit_is_one_bit(dtype):
    for shape in ((1,), (5,), (2, 3)):
        tensor = torch.ones(shape, dtype=dtype)
        before = to_bytes(tensor.view(-1))
        flip_bit(tensor)
        changed = [a ^ b for a, b in zip(before, to_bytes(tensor.view(-1)), strict=True)]
        assert sum(byte.bit_count() for byte in changed) == 1
        assert any(changed[-dtype.itemsize :]), "it is one of the last element's"
        flip_bit(tensor)
        assert to_bytes(tensor.view(-1)) == before


# --- the comparison


class Table(SoloWorld):
    """A rank of several whose checksums were prepared."""

    def __init__(self, rank: int, rows: list[dict[str, torch.Tensor]]) -> None:
        super().__init__(rank=rank, size=len(rows))
        self.rows = [checksums(row) for row in rows]

    def gather(self, values: torch.Tensor) -> torch.Tensor:
        self.rows[self.rank] = values
        return torch.stack(self.rows)


def replica(**changes: float) -> dict[str, torch.Tensor]:
    values = {"weights/a": 1.0, "weights/b": 2.0, "optimizer/c": 3.0} | {
        name.replace("__", "/"): value for name, value in changes.items()
    }
    return {name: torch.full((3,), value) for name, value in values.items()}


def refused(rows: list[dict[str, torch.Tensor]], step: int = 1234) -> str:
    """What every rank says alike."""
    details = set()
    for rank, row in enumerate(rows):
        with pytest.raises(PicochatError) as caught:
            require_equal_replicas(Table(rank, rows), row, step)
        assert (caught.value.code, caught.value.exit_code) == ("launch.replicas", 5)
        details.add(caught.value.detail)
    assert len(details) == 1
    return details.pop()


@pytest.mark.parametrize("size", [2, 3, 5])
def test_equal_replicas_pass(size):
    rows = [replica() for _ in range(size)]
    for rank in range(size):
        require_equal_replicas(Table(rank, rows), rows[rank], 1)


@pytest.mark.parametrize("odd", [0, 1, 2])
def test_of_three_ranks_the_odd_one_is_named_with_tensor_and_step(odd):
    rows = [replica(weights__a=1.5) if rank == odd else replica() for rank in range(3)]
    assert refused(rows) == (
        f"step 1,234: rank {odd} holds other bits than the others, first in weights/a; nothing is saved"
    )


@pytest.mark.parametrize("odd", [0, 1])
def test_of_two_ranks_either_may_be_wrong_and_both_are_named(odd):
    rows = [replica(optimizer__c=0.0) if rank == odd else replica() for rank in range(2)]
    assert refused(rows) == (
        "step 1,234: rank 1 holds other bits than rank 0 (their numbers do not tell which of them is wrong), "
        "first in optimizer/c; nothing is saved"
    )


@pytest.mark.parametrize("wrong", [(0, 1), (2, 3), (1, 2)])
def test_of_four_ranks_two_against_two_are_undecided(wrong):
    rows = [replica(weights__a=1.5) if rank in wrong else replica() for rank in range(4)]
    odd = " and ".join(f"rank {rank}" for rank in range(1, 4) if (rank in wrong) != (0 in wrong))
    assert refused(rows) == (
        f"step 1,234: {odd} holds other bits than rank 0 (their numbers do not tell which of them is wrong), "
        "first in weights/a; nothing is saved"
    )


def test_the_first_tensor_that_differs_is_named_in_the_order_of_the_names():
    rows = [replica(), replica(weights__b=0.0, weights__a=0.0), replica()]
    assert "first in weights/a;" in refused(rows)
    rows = [replica(), replica(weights__b=0.0), replica(optimizer__c=0.0)]
    detail = refused(rows)
    assert "first in optimizer/c;" in detail and "rank 2 holds" in detail and "rank 1" not in detail


def test_several_odd_ranks_are_all_named():
    rows = [replica(weights__a=float(rank)) if rank in (1, 4) else replica() for rank in range(5)]
    assert "rank 1 and rank 4 holds" in refused(
        [replica(weights__a=9.0) if r in (1, 4) else replica() for r in range(5)]
    )
    rows[1]["weights/a"] += 7
    assert "rank 1 and rank 4 holds" in refused(rows)


def test_one_process_compares_nothing(monkeypatch):
    def fail(*_: object) -> None:
        raise AssertionError("it was compared")

    world = SoloWorld()
    monkeypatch.setattr(world, "gather", fail)
    monkeypatch.setattr(replicas, "checksums", fail)
    require_equal_replicas(world, replica(), 1)


def test_no_tensors_are_equal():
    require_equal_replicas(Table(0, [{}, {}]), {}, 1)


def test_a_bit_that_was_flipped_on_purpose_is_found_on_its_rank():
    rows = [replica() for _ in range(3)]
    failpoints.arm("replica.weights:flip_bit@2")
    try:
        require_equal_replicas(Table(2, rows), rows[2], 1)
        with pytest.raises(PicochatError, match="step 2: rank 2 holds .* first in weights/b;"):
            require_equal_replicas(Table(2, rows), rows[2], 2)
    finally:
        failpoints.disarm()
    assert rows[2]["weights/b"].tolist() != [2.0, 2.0, 2.0]
