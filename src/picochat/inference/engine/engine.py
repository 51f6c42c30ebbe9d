"""The engine: many requests, one model, one thread.

    submit -> Desk (queue) -> Stepper on the engine's thread -> the job's sink

A client never waits for ever: each request gets one piece with a finish reason, whatever becomes of the model, the
sink, the client or the engine itself.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import torch

from picochat.core.clock import Clock, SystemClock
from picochat.core.errors import refuse
from picochat.inference.engine.admission import require_answerable
from picochat.inference.engine.desk import Desk
from picochat.inference.engine.job import Job, Lane
from picochat.inference.engine.request import EngineStats, Request, Sink
from picochat.inference.engine.settings import CPU_CHUNK_TOKENS, GPU_CHUNK_TOKENS, EngineSettings
from picochat.inference.engine.stepper import Stepper
from picochat.inference.loader import LoadedModel
from picochat.model.decode import SlotDecoder
from picochat.model.slot_cache import SlotCache
from picochat.tokenizer.codec import Codec


class Engine:
    """Answers requests with one loaded model. A context manager: it starts on entering and closes on leaving."""

    def __init__(
        self,
        loaded: LoadedModel,
        codec: Codec,
        settings: EngineSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Takes the memory of all slots. Raises `engine.vocabulary` for a tokenizer with ids that the model lacks."""
        self.settings = settings or EngineSettings()
        self._config, self._codec = loaded.model.config, codec
        if codec.vocab_size > self._config.vocab_size:
            detail = f"the tokenizer has {codec.vocab_size:,} ids, the model has {self._config.vocab_size:,}"
            refuse("engine.vocabulary", detail)
        self._clock = clock or SystemClock()
        device = loaded.model.head_weight.device
        dtype = compute_dtype(loaded)
        cache_dtype = dtype if self.settings.cache_dtype == "auto" else getattr(torch, self.settings.cache_dtype)
        cache = SlotCache(self._config, self.settings.slots, dtype=cache_dtype, device=device)
        self.bytes_per_slot = cache.bytes_per_slot
        chunk = self.settings.prefill_chunk_tokens or (CPU_CHUNK_TOKENS if device.type == "cpu" else GPU_CHUNK_TOKENS)
        self._desk = Desk(self.settings.slots, self.settings.max_waiting_jobs)
        self._stepper = Stepper(SlotDecoder(loaded.model, cache, dtype), chunk, self._desk, self._clock)
        self._close_at = float("inf")
        self._thread = threading.Thread(target=self._run, name="picochat-engine", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Starts the engine's thread, once."""
        self._thread.start()

    def submit(self, requests: Sequence[Request], sink: Sink) -> Job:
        """Queues a job from any thread. Raises `engine.*` before anything is queued."""
        for request in requests:
            require_answerable(request, self._config)
        job, now = Job(requests, sink), self._clock.monotonic()
        deadlines = [None if r.deadline_s is None else now + r.deadline_s for r in job.requests]
        self._desk.put([Lane(job, index, self._codec, deadline) for index, deadline in enumerate(deadlines)])
        return job

    def cancel(self, job: Job) -> None:
        """From any thread: the slots of the job are free within one step, its sink hears `cancelled` and no more."""
        job.cancelled = True
        self._desk.wake()

    def stats(self) -> EngineStats:
        """Counters since the start, from any thread."""
        stepper = self._stepper
        return EngineStats(
            slots=self.settings.slots,
            busy_slots=self._desk.busy,
            waiting_jobs=self._desk.waiting_jobs,
            prompt_tokens=stepper.prompt_tokens,
            generated_tokens=stepper.generated_tokens,
            cancelled=stepper.cancelled,
            steps=stepper.steps,
        )

    def close(self, drain_s: float = 0.0) -> None:
        """Takes no more jobs, gives the ones it has up to `drain_s`, and ends the thread. May be called again.

        Then an answer that has begun ends with `length`, as at a deadline; a request without a token gets `error`, for
        an empty answer would be taken for one.
        """
        self._close_at = min(self._close_at, self._clock.monotonic() + drain_s)
        self._desk.close()
        if not self._thread.ident:
            self._stepper.end_all("the engine was closed before it was started")
        elif self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            while self._work_left():
                self._stepper.step()
            self._stepper.end_all("the engine was closed before this request began")
        finally:
            # Whatever ended the thread, nobody waits for it in vain and nobody new begins to.
            self._desk.close()
            self._stepper.end_all("the engine's thread ended")

    def _work_left(self) -> bool:
        """Waits for work; False once there is none to come, or no time for it."""
        if self._stepper.idle:
            self._desk.wait(lambda: False)
        if not self._desk.closed:
            return True
        drained = self._stepper.idle and not self._desk.busy and not self._desk.waiting_jobs
        return not drained and self._clock.monotonic() < self._close_at


def compute_dtype(loaded: LoadedModel) -> torch.dtype:
    """The dtype in which the model's products are computed: that of its autocast, or of its weights."""
    kind = loaded.model.head_weight.device.type
    with loaded.autocast():
        if torch.is_autocast_enabled(kind):
            return torch.get_autocast_dtype(kind)
    return loaded.model.head_weight.dtype
