"""Jobs that are shared out over ranks: here the ranks speak one after the other, first all into the room, then out."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.distributed.world import SoloWorld, share_out


class Said(Exception):
    """Ends the first pass, in which a rank has told what it did."""


class Rank(SoloWorld):
    def __init__(self, rank: int, size: int, answer: list[bytes] | None = None) -> None:
        super().__init__(rank=rank, size=size)
        self.answer, self.said = answer, b""

    def gather_bytes(self, data: bytes) -> list[bytes]:
        self.said = data
        if self.answer is None:
            raise Said
        assert self.answer[self.rank] == data, "the second pass does what the first did"
        return self.answer


def run_ranks(size: int, jobs: list[int], work: Callable[[int], bytes]) -> list[list[bytes]]:
    """What each rank gets in the end."""
    first = [Rank(rank, size) for rank in range(size)]
    for world in first:
        with pytest.raises(Said):
            share_out(world, jobs, work)
    answer = [world.said for world in first]
    return [share_out(Rank(rank, size, answer), jobs, work) for rank in range(size)]


LENGTHS: dict[str, Callable[[int], bytes]] = {
    "equal": lambda job: bytes([job]) * 4,
    "growing": lambda job: bytes([job]) * job,
    "shrinking": lambda job: bytes([job]) * (9 - job),
    "all empty": lambda job: b"",
    "every second empty": lambda job: bytes([job]) * (job % 2 * 3),
    "numbers that look like sizes": lambda job: (8).to_bytes(8, "little") * (job % 3),
}


@pytest.mark.parametrize("name", sorted(LENGTHS))
@pytest.mark.parametrize("size", [2, 3, 5])
def test_every_rank_gets_all_results_in_the_order_of_the_jobs(size, name):
    work = LENGTHS[name]
    for count in range(8):
        jobs = list(range(1, count + 1))
        assert run_ranks(size, jobs, work) == [[work(job) for job in jobs]] * size, count


@pytest.mark.parametrize("size", [2, 3, 5])
@settings(max_examples=60)
@given(results=st.lists(st.binary(max_size=20), max_size=7))
def test_any_results_arrive_as_they_were_made(size, results):
    assert run_ranks(size, list(range(len(results))), results.__getitem__) == [results] * size


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("count", range(8))
def test_every_job_is_done_once_by_the_rank_whose_turn_it_is(size, count):
    done: list[tuple[int, int]] = []
    for rank in range(size):

        def work(job: int, rank: int = rank) -> bytes:
            done.append((job, rank))
            return b"x"

        world = Rank(rank, size)
        if size == 1:
            share_out(world, range(count), work)
        else:
            with pytest.raises(Said):
                share_out(world, range(count), work)
    assert sorted(done) == [(job, job % size) for job in range(count)]


@pytest.mark.parametrize("name", sorted(LENGTHS))
def test_one_process_does_all_jobs_and_says_nothing(name):
    for count in range(8):
        jobs = list(range(1, count + 1))
        world = Rank(0, 1)
        assert share_out(world, jobs, LENGTHS[name]) == [LENGTHS[name](job) for job in jobs]
        assert world.said == b""
