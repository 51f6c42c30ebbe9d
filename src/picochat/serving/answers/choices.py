"""What became of one choice: its text, its tokens, why it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from picochat.inference.engine.request import Piece, ScoredToken
from picochat.serving.worker import Ticket


@dataclass
class Choice:
    """Grows piece by piece. `text` holds what may be shown; the tokens of a stop string are counted all the same."""

    text: str = ""
    tokens: list[ScoredToken] = field(default_factory=list)
    prompt: tuple[ScoredToken, ...] = ()
    finish: str | None = None

    def add(self, piece: Piece) -> None:
        self.text += piece.text
        self.tokens.extend(piece.tokens)
        self.prompt = self.prompt or piece.prompt
        self.finish = piece.finish or self.finish

    @property
    def mean_logprob(self) -> float:
        """What the best of several is chosen by; nothing drawn is the worst."""
        values = [scored.logprob for scored in self.tokens if scored.logprob is not None]
        return sum(values) / len(values) if values else float("-inf")


async def collect(ticket: Ticket, count: int) -> list[Choice]:
    """All choices, to their ends."""
    choices = [Choice() for _ in range(count)]
    async for index, piece in ticket.pieces():
        choices[index].add(piece)
    return choices
