"""Jobs that are shared out over ranks: here the ranks speak one after the other, first all into the room, then out."""

import contextlib
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


def run_ranks(size: int, jobs: list[int], work: Callable[[int], bytes], **how: bool) -> list[list[bytes]]:
    """What each rank gets in the end."""
    first = [Rank(rank, size) for rank in range(size)]
    for world in first:
        with pytest.raises(Said):
            share_out(world, jobs, work, **how)
    answer = [world.said for world in first]
    return [share_out(Rank(rank, size, answer), jobs, work, **how) for rank in range(size)]


def done_by(rank: int, size: int, count: int, **how: bool) -> list[int]:
    """The jobs that a rank does, in its order."""
    done: list[int] = []

    def work(job: int) -> bytes:
        done.append(job)
        return b"x"

    with contextlib.suppress(Said):
        share_out(Rank(rank, size), range(count), work, **how)
    return done


LENGTHS: dict[str, Callable[[int], bytes]] = {
    "equal": lambda job: bytes([job]) * 4,
    "growing": lambda job: bytes([job]) * job,
    "shrinking": lambda job: bytes([job]) * (9 - job),
    "all empty": lambda job: b"",
    "every second empty": lambda job: bytes([job]) * (job % 2 * 3),
    "numbers that look like sizes": lambda job: (8).to_bytes(8, "little") * (job % 3),
}


@pytest.mark.parametrize("in_step", [False, True], ids=["freely", "in step"])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_every_rank_gets_all_results_in_the_order_of_the_jobs(size, in_step):
    for name, work in LENGTHS.items():
        for count in range(8):
            jobs = list(range(1, count + 1))
            expected = [[work(job) for job in jobs]] * size
            assert run_ranks(size, jobs, work, in_step=in_step) == expected, (name, count)


@pytest.mark.parametrize("size", [2, 3, 5])
@settings(max_examples=60)
@given(results=st.lists(st.binary(max_size=20), max_size=7))
def test_any_results_arrive_as_they_were_made(size, results):
    assert run_ranks(size, list(range(len(results))), results.__getitem__) == [results] * size


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_every_job_is_done_once_by_the_rank_whose_turn_it_is(size):
    for count in range(8):
        for rank in range(size):
            assert done_by(rank, size, count) == list(range(rank, count, size)), (rank, count)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_in_step_every_rank_works_equally_often_also_with_fewer_jobs_than_ranks(size):
    for count in range(12):
        done = [done_by(rank, size, count, in_step=True) for rank in range(size)]
        assert {len(jobs) for jobs in done} == {-(-count // size)}, count
        for rank, jobs in enumerate(done):
            mine = list(range(rank, count, size))
            assert jobs[: len(mine)] == mine, "its own jobs come first"
            assert all(0 <= job < count for job in jobs), "what it does besides is a job as well"


def test_one_process_does_all_jobs_and_says_nothing():
    for name, work in LENGTHS.items():
        for count in range(8):
            jobs = list(range(1, count + 1))
            for in_step in (False, True):
                world = Rank(0, 1)
                assert share_out(world, jobs, work, in_step=in_step) == [work(job) for job in jobs], name
                assert world.said == b""
