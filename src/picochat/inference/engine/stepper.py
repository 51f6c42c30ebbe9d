"""One step of the engine: prompts are read piece by piece between the tokens of the answers that run.

    leave -> admit -> one chunk of one prompt -> one token for each running answer -> emit

Running answers hold the first slots without a gap, so a step computes no row in vain: when one ends, the last one moves
into its slot. The prompt that is being read lies beyond them.

Suffixes: T tokens, B rows, D dim, V vocab.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from picochat.core.clock import Clock
from picochat.inference.engine.desk import Desk
from picochat.inference.engine.job import Lane
from picochat.inference.engine.logprobs import score_tokens
from picochat.inference.engine.request import ScoredToken
from picochat.inference.engine.sampling import require_finite
from picochat.model.decode import SlotDecoder

SCORED_ROWS = 64
"""Rows of scores over the vocabulary that stand in memory at once while a prompt is scored."""


class Stepper:
    """The lanes that hold a slot, and the model that moves them on. Used by one thread."""

    def __init__(self, decoder: SlotDecoder, chunk_tokens: int, desk: Desk, clock: Clock) -> None:
        self._decoder, self._chunk_tokens, self._desk, self._clock = decoder, chunk_tokens, desk, clock
        self._running: list[Lane] = []
        """The index of a lane is its slot."""
        self._reading: Lane | None = None
        self._reading_slot = 0
        self._admitted: deque[Lane] = deque()
        self.prompt_tokens = self.generated_tokens = self.cancelled = self.steps = 0

    @property
    def idle(self) -> bool:
        """Whether no lane holds a slot."""
        return not (self._running or self._reading or self._admitted)

    def step(self) -> None:
        """Moves every lane on that can move. Never raises for what a model or a client does."""
        self._leave()
        self._admitted.extend(self._desk.take())
        self._read()
        self._decode()
        self.steps += 1

    def end_all(self, reason: str) -> None:
        """The engine closes: answers that have begun end as they are, the others fail with the reason."""
        held = [*self._running, *([self._reading] if self._reading else []), *self._admitted, *self._desk.take()]
        self._running, self._reading = [], None
        self._admitted.clear()
        waiting = self._desk.drop(lambda lane: True)
        for lane in [*held, *waiting]:
            if lane.made:
                lane.end_early()
            else:
                lane.fail(reason)
        for lane in held:
            self._release(lane)
        for lane in waiting:
            lane.job.count_left()

    def _leave(self) -> None:
        """Cancelled lanes and those whose time is over go, wherever they are."""
        now = self._clock.monotonic()

        def ended(lane: Lane) -> bool:
            return lane.job.cancelled or (lane.deadline is not None and now >= lane.deadline)

        for lane in self._desk.drop(ended):
            self._end(lane)
            lane.job.count_left()
        for lane in [lane for lane in self._admitted if ended(lane)]:
            self._admitted.remove(lane)
            self._end(lane)
            self._release(lane)
        if self._reading and ended(self._reading):
            self._end(self._reading)
            self._release(self._reading)
            self._reading = None
        for lane in self._running:
            if ended(lane):
                self._end(lane)
        self._drop_finished()

    def _end(self, lane: Lane) -> None:
        if lane.job.cancelled:
            self.cancelled += 1
            lane.cancel()
        else:
            lane.end_early()

    def _read(self) -> None:
        """One chunk of the prompt that is next."""
        if self._reading is None:
            if not self._admitted:
                return
            self._reading, self._reading_slot = self._admitted.popleft(), len(self._running)
        lane = self._reading
        try:
            self._read_chunk(lane)
        except Exception as err:
            lane.fail(err)
        if lane.finished:
            self._release(lane)
            self._reading = None
        elif lane.made:
            self._start_running(lane)

    def _read_chunk(self, lane: Lane) -> None:
        request, begin = lane.request, lane.filled
        chunk = request.prompt_ids[begin : begin + self._chunk_tokens]
        hidden_TD = self._decoder.read(self._reading_slot, chunk, begin)
        lane.filled += len(chunk)
        self.prompt_tokens += len(chunk)
        if request.prompt_logprobs is not None:
            self._score_prompt(lane, hidden_TD, begin, request.prompt_logprobs)
        if lane.filled < len(request.prompt_ids):
            return
        if request.max_tokens == 0:
            lane.end_early()
        else:
            self._take([lane], self._decoder.logits(hidden_TD[-1:]))

    def _score_prompt(self, lane: Lane, hidden_TD: Tensor, begin: int, tops: int) -> None:
        """Prompt tokens after the chunk's states: the first token of a prompt has nothing before it."""
        ids = lane.request.prompt_ids
        if begin == 0:
            lane.prompt_scores.append(ScoredToken(ids[0], None))
        targets = list(ids[begin + 1 : begin + 1 + len(hidden_TD)])
        for start in range(0, len(targets), SCORED_ROWS):
            part = targets[start : start + SCORED_ROWS]
            logits_TV = self._decoder.logits(hidden_TD[start : start + len(part)])
            lane.prompt_scores += score_tokens(logits_TV, part, tops)

    def _start_running(self, lane: Lane) -> None:
        slot = len(self._running)
        if slot != self._reading_slot:
            self._decoder.cache.move(self._reading_slot, slot, lane.filled)
        self._running.append(lane)
        self._reading = None

    def _decode(self) -> None:
        """One token for every running lane."""
        lanes = list(self._running)
        if not lanes:
            return
        try:
            logits_BV = self._decoder.step([lane.last_token for lane in lanes], [lane.filled for lane in lanes])
            for lane in lanes:
                lane.filled += 1
            self._take(lanes, logits_BV)
        except Exception as err:
            for lane in lanes:
                lane.fail(err)
        self._drop_finished()

    def _take(self, lanes: Sequence[Lane], logits_BV: Tensor) -> None:
        """Picks the next token of each lane and hands it over; a row that means nothing fails its own lane alone."""
        largest_B, likeliest_B = logits_BV.max(dim=1)
        largest, likeliest = largest_B.tolist(), likeliest_B.tolist()
        plain = all(lane.sampler.plain_greedy and lane.request.logprobs is None for lane in lanes)
        rows_BV = None if plain else logits_BV.float().cpu()
        for row, lane in enumerate(lanes):
            try:
                require_finite(largest[row])
                scored = ScoredToken(likeliest[row], None)
                if rows_BV is not None:
                    scored = self._pick(lane, rows_BV[row], likeliest[row])
                self.generated_tokens += 1
                lane.take(scored)
            except Exception as err:
                lane.fail(err)

    def _pick(self, lane: Lane, row_V: Tensor, likeliest: int) -> ScoredToken:
        token = likeliest if lane.sampler.plain_greedy else lane.sampler.pick(np.asarray(row_V))
        if lane.request.logprobs is None:
            return ScoredToken(token, None)
        [scored] = score_tokens(row_V.unsqueeze(0), [token], lane.request.logprobs)
        return scored

    def _drop_finished(self) -> None:
        for slot in range(len(self._running) - 1, -1, -1):
            if self._running[slot].finished:
                self._vacate(slot)

    def _vacate(self, slot: int) -> None:
        """Frees a slot; the last running lane moves into it."""
        ended, last = self._running[slot], self._running.pop()
        if slot < len(self._running):
            self._decoder.cache.move(len(self._running), slot, last.filled)
            self._running[slot] = last
        self._release(ended)

    def _release(self, lane: Lane) -> None:
        """The slot first: whoever waited for the job finds it free."""
        self._desk.release()
        lane.job.count_left()
