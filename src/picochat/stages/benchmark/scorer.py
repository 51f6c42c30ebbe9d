"""The judged model as benchmarks ask it: on all ranks, each with whole weights; every rank knows every answer."""

from __future__ import annotations

from collections.abc import Sequence

from picochat.evals.tasks.asking import Forced, Written
from picochat.evals.tasks.encoding import Pair
from picochat.inference.forced import force_texts
from picochat.inference.sampling import SamplingParams, generate_batch
from picochat.inference.scoring import score_texts
from picochat.stages.subject import Subject


class ModelScorer:
    """A `Scorer` over a loaded model and its tokenizer."""

    def __init__(self, subject: Subject, reply_tokens: int, batch_size: int) -> None:
        self._model, self._autocast = subject.loaded.model, subject.loaded.autocast
        self._tokenizer, self._world = subject.tokenizer, subject.world
        self._batch_size, self.reply_tokens = batch_size, reply_tokens
        self.bos = subject.tokenizer.bos
        self.context_tokens = self._model.config.max_seq_len

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text)

    def logprobs(self, pairs: Sequence[Pair]) -> list[float]:
        return score_texts(self._model, pairs, autocast=self._autocast, world=self._world)

    def force(self, pairs: Sequence[Pair]) -> list[Forced]:
        found = force_texts(self._model, pairs, autocast=self._autocast, world=self._world)
        return [Forced(text.logprob, text.predicted) for text in found]

    def write(self, prompts: Sequence[list[int]]) -> list[Written]:
        """A reply ends where the model ends a document or a turn."""
        made = generate_batch(
            self._model,
            prompts,
            SamplingParams(max_new_tokens=self.reply_tokens),
            {self._tokenizer.eos, self._tokenizer.end},
            batch_size=self._batch_size,
            autocast=self._autocast,
            world=self._world,
        )
        return [Written(self._tokenizer.decode(reply.ids), reply.finished) for reply in made]
