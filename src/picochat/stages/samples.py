"""What the model writes to a few fixed prompts while it trains: events, and samples.jsonl."""

from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.core.jsonio import iter_jsonl, jsonl_bytes
from picochat.inference.sampling import Generated, SamplingParams, generate_batch
from picochat.inference.scoring import Autocast
from picochat.stages.assignment import Assignment
from picochat.stages.contract import StageContext

MAX_NEW_TOKENS = 64


class SampleWriter:
    """Greedy continuations of an assignment's prompts; a resume keeps the earlier ones."""

    def __init__(self, ctx: StageContext, work: Assignment, autocast: Autocast) -> None:
        self._ctx, self._work, self._autocast = ctx, work, autocast
        self._name = f"{work.stage}/{layout.SAMPLES}"
        path = ctx.store.path(self._name)
        self._rows: list[dict[str, Any]] = (
            list(iter_jsonl(path, torn_tail=True)) if ctx.resume and path.exists() else []
        )

    def answer(self) -> list[Generated]:
        """The model's replies to every prompt."""
        work, tok = self._work, self._work.tokenizer
        params = SamplingParams(max_new_tokens=min(MAX_NEW_TOKENS, work.model.config.max_seq_len // 2))
        prompts = [ids for _, ids in work.prompts]
        return generate_batch(work.model, prompts, params, {tok.eos, tok.end}, autocast=self._autocast)

    def write(self, step: int, replies: list[Generated]) -> None:
        """Writes all rows so far; those of this step or a later one are being repeated."""
        work, tok = self._work, self._work.tokenizer
        self._rows = [row for row in self._rows if row["step"] < step]
        for (shown, _), reply in zip(work.prompts, replies, strict=True):
            row = {"step": step, "prompt": shown, "text": tok.decode(reply.ids), "finished": reply.finished}
            self._rows.append(row)
            self._ctx.events.emit("sample", work.stage, **row)
        self._ctx.store.write(self._name, jsonl_bytes(self._rows))
