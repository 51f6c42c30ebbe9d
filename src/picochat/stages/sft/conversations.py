"""Chat rows to training rows: rendered, chosen by category, packed whole; what is left out is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from picochat.core.errors import refuse
from picochat.data.conversations import ConversationRow, PairRow, read_chat_rows
from picochat.data.order import SampleOrder
from picochat.data.rows import CONVERSATION_BASE, PackedRows
from picochat.tokenizer.chat import Rendered, render
from picochat.tokenizer.tokenizer import Tokenizer

ChatRow = PairRow | ConversationRow


@dataclass(frozen=True)
class ChatData:
    """Packed conversations and their counts."""

    rows: PackedRows
    by_category: dict[str, int]
    conversations: int
    too_long: int
    duplicate_prompts_frac: float
    supervised_targets: int
    conversation_tokens: int

    @property
    def padding_frac(self) -> float:
        """Share of the rows' places that hold no conversation."""
        return 1.0 - self.conversation_tokens / (len(self.rows) * self.rows.row_tokens)


def load_chat(path: Path, tok: Tokenizer, row_tokens: int, exponent: float, seed: int) -> ChatData:
    """Reads, renders, balances and packs the chat rows of a run. Raises `chat.*`."""
    rows = read_chat_rows(path)
    rendered = [render(row.to_messages(), tok) for row in rows]
    fitting = [i for i, item in enumerate(rendered) if len(item.ids) - 1 <= row_tokens and item.supervised_tokens]
    if not fitting:
        refuse(
            "chat.empty",
            f"none of the {len(rows):,} conversations of {path} fits into {row_tokens:,} tokens",
            fix="raise sft.loop.seq_len",
        )
    chosen = balance([rows[i].category for i in fitting], exponent, seed)
    numbers = [fitting[i] for i in chosen]
    items: list[Rendered] = [rendered[i] for i in numbers]
    packed = PackedRows(
        [(item.ids, item.mask) for item in items], [CONVERSATION_BASE + i for i in numbers], row_tokens, tok.pad
    )
    return ChatData(
        rows=packed,
        by_category=dict(sorted(Counter(rows[i].category for i in numbers).items())),
        conversations=len(numbers),
        too_long=len(rows) - len(fitting),
        duplicate_prompts_frac=_duplicate_prompts([rows[i] for i in numbers]),
        supervised_targets=sum(item.supervised_tokens for item in items),
        conversation_tokens=sum(len(item.ids) - 1 for item in items),
    )


def balance(categories: Sequence[str], exponent: float, seed: int) -> list[int]:
    """Row numbers of one epoch, as many as there are rows, each category in proportion to its size ** `exponent`.

    A category that is to be drawn less often gives a keyed choice of its rows, one that is to be drawn more often
    repeats some. With exponent 1 every row stands once, in order.
    """
    if exponent == 1.0:
        return list(range(len(categories)))
    members: dict[str, list[int]] = {}
    for number, category in enumerate(categories):
        members.setdefault(category, []).append(number)
    weights = {category: len(rows) ** exponent for category, rows in members.items()}
    total = sum(weights.values())
    chosen: list[int] = []
    for category, rows in sorted(members.items()):
        share = max(1, round(len(categories) * weights[category] / total))
        picks = SampleOrder(len(rows), seed).samples_at(np.arange(share, dtype=np.int64))
        chosen += [rows[i] for i in picks]
    return sorted(chosen)


def _duplicate_prompts(rows: Sequence[ChatRow]) -> float:
    """Share of rows whose prompt was seen in an earlier row."""
    prompts = {tuple((m.role, m.content) for m in row.to_messages()[:-1]) for row in rows}
    return 1.0 - len(prompts) / len(rows)
