"""One generated row, readable both as training pair and as eval row."""

from dataclasses import dataclass, field
from typing import Literal

from picochat.data.conversations import EvalRow, PairRow

Split = Literal["train", "heldout", "eval"]
Rule = Literal["exact", "numeric", "word", "option", "refuse", "benign"]


@dataclass(frozen=True, slots=True)
class SkillRow:
    """A prompt, its right answer, how it is scored, and the wording and entities it was made from.

    `core`, `prefix` and `suffix` are wordings with their {slots} still open. An entity is `type:value`:
    `word:`, `pair:` (two operands, low first), `number:`, `act:` (verb+object), `name:` or `model:`.
    """

    split: Split
    category: str
    kind: str
    template: str
    core: str
    prefix: str
    suffix: str
    user: str
    assistant: str
    entities: tuple[str, ...]
    level: str
    rule: Rule
    expected: tuple[str, ...] = ()
    distractors: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    answer: str | None = None

    def to_pair(self, row_id: str | None = None) -> PairRow:
        """The row as one supervised exchange."""
        return PairRow(
            user=self.user,
            assistant=self.assistant,
            category=self.category,
            template=self.template,
            entities=list(self.entities),
            id=row_id,
            source=f"skills.{self.split}",
        )

    def to_eval(self, row_id: str) -> EvalRow:
        """The row as a question with its rule; SFT rows are scored the same way for fit."""
        return EvalRow(
            id=row_id,
            user=self.user,
            rule=self.rule,
            expected=list(self.expected),
            distractors=list(self.distractors),
            forbidden=list(self.forbidden),
            options=list(self.options),
            answer=self.answer,
            category=self.category,
            template=self.template,
            entities=list(self.entities),
            level=self.level,
            source=f"skills.{self.split}",
        )


@dataclass(frozen=True, slots=True)
class SkillRows:
    """The three sets: trained on, held out of the same families, and independent questions."""

    sft: list[SkillRow] = field(default_factory=list)
    heldout: list[SkillRow] = field(default_factory=list)
    eval: list[SkillRow] = field(default_factory=list)

    def to_pairs(self) -> list[PairRow]:
        """SFT rows in order, with ids `sft-000000` and on."""
        return [row.to_pair(f"sft-{index:06d}") for index, row in enumerate(self.sft)]

    def to_eval_rows(self, split: Split) -> list[EvalRow]:
        """The rows of a split as questions, with ids `<skill>-<split>-0000` and on."""
        rows = {"train": self.sft, "heldout": self.heldout, "eval": self.eval}[split]
        return [row.to_eval(f"{row.category}-{split}-{index:04d}") for index, row in enumerate(rows)]
