"""Work on several processes: jobs in, results out in the order of the jobs, whichever process did them.

    map_in_order(build, jobs, processes=4)     build() makes the worker's function, once a process

Results never depend on the number of processes; with one of them everything happens in this process. Workers end with
the process that started them, however it ends, and leave signals to it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from picochat.core.errors import PicochatError, refuse
from picochat.core.parent import follow_parent

Job = TypeVar("Job")
Result = TypeVar("Result")
JOBS_AHEAD = 2
"""Jobs that are handed out a process: one is worked on, one waits, so that results never pile up."""

_function: Callable[[Any], Any] | None = None
"""The function of this worker process; unused in the process that hands out the jobs."""


@dataclass(frozen=True)
class _Refusal:
    """A refusal on its way from a worker: exceptions with own arguments do not travel."""

    code: str
    detail: str
    why: str
    fix: str


def available_processes() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(
    build: Callable[[], Callable[[Job], Result]],
    jobs: Iterable[Job],
    *,
    processes: int = 1,
    stop_reason: Callable[[], str] = str,
) -> Iterator[Result]:
    """Yields the result of every job, in order. `build` is called once in every process that works.

    `build`, jobs and results travel between processes, so they are module-level functions (or partials of them) and
    plain values. `jobs` is read as it is needed. Raises the first refusal of a job; `workers.lost` when a process
    dies; `run.stopped` between two results when `stop_reason()` says something.
    """
    results = _map_here(build, jobs) if processes <= 1 else _map_there(build, jobs, processes)
    try:
        for result in results:
            yield result
            if reason := stop_reason():
                refuse("run.stopped", f"stopped between two pieces of work: {reason}", why=_KEPT)
    finally:
        results.close()


_KEPT = "finished pieces are kept, and a resume goes on with the next one"


def _map_here(build: Callable[[], Callable[[Job], Result]], jobs: Iterable[Job]) -> Generator[Result]:
    function = build()
    for job in jobs:
        yield function(job)


def _map_there(build: Callable[[], Callable[[Job], Result]], jobs: Iterable[Job], processes: int) -> Generator[Result]:
    # spawn: a fork of a process that runs threads (torch, a status thread) may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(build,))
    waiting: deque[Future[Any]] = deque()
    source, others, done = iter(jobs), set(multiprocessing.active_children()), False
    try:
        while True:
            while len(waiting) < processes * JOBS_AHEAD and (job := next(source, _NOTHING)) is not _NOTHING:
                waiting.append(pool.submit(_work, job))
            if not waiting:
                done = True
                return
            yield _unpack(waiting.popleft().result())
    except BrokenProcessPool:
        refuse("workers.lost", f"one of {processes} worker processes died without a word")
    finally:
        if not done:  # nobody wants the pieces that are being worked on, and a stop should not wait for them
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()
        pool.shutdown(wait=True, cancel_futures=True)


_NOTHING: Any = object()


def _begin(build: Callable[[], Callable[[Any], Any]]) -> None:
    global _function
    starter = multiprocessing.parent_process()
    follow_parent(signal.SIGKILL, starter.pid if starter else None)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    try:
        _function = build()
    except PicochatError as err:
        _function = partial(_repeat, _Refusal(err.code, err.detail, err.why, err.fix))


def _repeat(refusal: _Refusal, _: Any) -> _Refusal:
    return refusal


def _work(job: Any) -> Any:
    assert _function is not None
    try:
        return _function(job)
    except PicochatError as err:
        return _Refusal(err.code, err.detail, err.why, err.fix)


def _unpack(result: Any) -> Any:
    if isinstance(result, _Refusal):
        refuse(result.code, result.detail, why=result.why, fix=result.fix)
    return result
