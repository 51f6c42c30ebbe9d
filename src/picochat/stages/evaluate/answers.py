"""Replies of a model to eval rows: generated text, or log-likelihoods where the rule compares options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from picochat.data.conversations import EvalRow, Message
from picochat.distributed.world import World
from picochat.evals.rows import OptionScore, Reply
from picochat.evals.scoring import build_record, score_row
from picochat.inference.loader import LoadedModel
from picochat.inference.sampling import SamplingParams, generate_batch
from picochat.inference.scoring import Item, score_texts
from picochat.tokenizer.chat import render
from picochat.tokenizer.tokenizer import Tokenizer

SCORED_RULES = ("option", "pair")


class Answerer:
    """Asks one model, greedily; `batch_size` replies are made together."""

    def __init__(
        self,
        loaded: LoadedModel,
        tokenizer: Tokenizer,
        batch_size: int,
        max_new_tokens: int,
        world: World | None = None,
    ) -> None:
        self._loaded, self._tokenizer, self._batch_size, self._world = loaded, tokenizer, batch_size, world
        self._params = SamplingParams(max_new_tokens=max_new_tokens)

    def records(
        self, rows: Sequence[EvalRow], on_progress: Callable[[int], None] | None = None
    ) -> list[dict[str, Any]]:
        """One line of rows.jsonl for every row, in order: the row, its reply and the verdict."""
        scored = [row for row in rows if row.rule in SCORED_RULES]
        asked = [row for row in rows if row.rule not in SCORED_RULES]
        replies = iter(self.generate(asked, on_progress))
        scores = iter(self.score_options(scored))
        records = []
        for row in rows:
            reply = next(scores) if row.rule in SCORED_RULES else next(replies)
            records.append(build_record(row.model_dump(mode="json"), reply, score_row(row, reply)))
        return records

    def generate(self, rows: Sequence[EvalRow], on_progress: Callable[[int], None] | None = None) -> list[Reply]:
        """A reply ends at `<|end|>`; other control tokens in it stay visible by their names."""
        tok = self._tokenizer
        generated = generate_batch(
            self._loaded.model,
            [render(row.to_messages(), tok, add_generation_prompt=True).ids for row in rows],
            self._params,
            {tok.end},
            batch_size=self._batch_size,
            autocast=self._loaded.autocast,
            on_progress=on_progress,
            world=self._world,
        )
        return [Reply(tok.decode(reply.ids), reply.finished) for reply in generated]

    def score_options(self, rows: Sequence[EvalRow]) -> list[Reply]:
        """Each option as a whole reply with its `<|end|>`, so that no option wins by being the beginning of another.

        A row with an option that does not fit into the context has no scores, and fails.
        """
        context = self._loaded.model.config.max_seq_len
        items = [[self._option_item(row, option) for option in row.options] for row in rows]
        fits = [all(len(prompt) + len(rest) - 1 <= context for prompt, rest in group) for group in items]
        flat = [item for group, fit in zip(items, fits, strict=True) if fit for item in group]
        scores = iter(score_texts(self._loaded.model, flat, autocast=self._loaded.autocast, world=self._world))
        return [
            Reply("", option_scores=[_option_score(next(scores), option) for option in row.options] if fit else None)
            for row, fit in zip(rows, fits, strict=True)
        ]

    def _option_item(self, row: EvalRow, option: str) -> Item:
        """Context and continuation are encoded together; the continuation begins where the ids first differ."""
        messages = row.to_messages()
        context = render(messages, self._tokenizer, add_generation_prompt=True).ids
        whole = render([*messages, Message(role="assistant", content=option)], self._tokenizer).ids
        begin = next(
            (i for i, pair in enumerate(zip(context, whole, strict=False)) if pair[0] != pair[1]), len(context)
        )
        return whole[:begin], whole[begin:]


def _option_score(logprob: float, option: str) -> OptionScore:
    return OptionScore(raw=logprob, per_byte=logprob / len(option.encode()))
