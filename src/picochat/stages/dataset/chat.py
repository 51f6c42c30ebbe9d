"""The chat and eval rows of a dataset: generated skills, the pack's own files, or both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from picochat.core.errors import refuse
from picochat.data.contamination.compare import TrainRows
from picochat.data.conversations import ConversationRow, EvalRow, PairRow, read_chat_rows, read_eval_rows
from picochat.data.duplicates.forms import comparison_form
from picochat.data.pack import LoadedPack, Split
from picochat.data.skills.config import SkillsConfig
from picochat.data.skills.disjoint import check_disjoint
from picochat.data.skills.generate import generate_skills
from picochat.data.split import chat_side

TrainRow = PairRow | ConversationRow


@dataclass
class ChatSets:
    """Rows to train on, held-out rows of the same families, and independent questions."""

    train: list[TrainRow] = field(default_factory=list)
    heldout: list[EvalRow] = field(default_factory=list)
    eval: list[EvalRow] = field(default_factory=list)
    mixed: int = 0
    """Rows of the pack with a held-out template or entity but not all of them held out: in no set."""
    disjoint_violations: int = 0
    violation_samples: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The `chat` part of the corpus manifest."""
        return {
            "rows": len(self.train),
            "rows_by_category": dict(sorted(Counter(row.category for row in self.train).items())),
            "heldout_rows": len(self.heldout),
            "heldout_rows_by_category": dict(sorted(Counter(row.category for row in self.heldout).items())),
            "eval_rows": len(self.eval),
            "eval_rows_by_category": dict(sorted(Counter(row.category for row in self.eval).items())),
            "mixed_rows": self.mixed,
            "disjoint_violations": self.disjoint_violations,
            "disjoint_samples": self.violation_samples,
        }


def build_chat(loaded: LoadedPack, skills: SkillsConfig | None, split: Split, train_texts: Iterable[str]) -> ChatSets:
    """The three sets; generated rows take words from the train side. Raises `chat.*`, `eval.row` or `skills.*`."""
    sets = ChatSets()
    if skills is not None:
        _add_skills(sets, skills, loaded, train_texts)
    for file in loaded.pack.chat:
        path = loaded.resolve(file.path)
        if file.side == "heldout":
            sets.heldout.extend(read_eval_rows(path))
        elif file.side == "train":
            sets.train.extend(read_chat_rows(path))
        else:
            _add_pack_rows(sets, read_chat_rows(path), split)
    for file in loaded.pack.eval:
        sets.eval.extend(read_eval_rows(loaded.resolve(file.path)))
    if any(file.side != "by_hash" for file in loaded.pack.chat):
        _count_shared(sets)
    _require_distinct_ids(sets.heldout)
    _require_distinct_ids(sets.eval)
    return sets


def _add_skills(sets: ChatSets, config: SkillsConfig, loaded: LoadedPack, train_texts: Iterable[str]) -> None:
    rows = generate_skills(config, loaded.pack.identity, train_texts)
    violations = check_disjoint(rows)
    sets.train.extend(rows.to_pairs())
    sets.heldout.extend(rows.to_eval_rows("heldout"))
    sets.eval.extend(rows.to_eval_rows("eval"))
    sets.disjoint_violations = len(violations)
    sets.violation_samples = [str(violation) for violation in violations[:20]]


def _count_shared(sets: ChatSets) -> None:
    """Where a pack says itself which side its rows are on, what the rows name is held against it."""
    known = TrainRows()
    for row in sets.train:
        known.add(row)
    questions = [*sets.heldout, *sets.eval]
    hits = known.compare(questions)
    sets.disjoint_violations += len(hits)
    sets.violation_samples += [
        f"{questions[hit.heldout].id}: {hit.rule} of row {hit.row}: {hit.value or 'the same text'}" for hit in hits[:20]
    ]


def _add_pack_rows(sets: ChatSets, rows: Sequence[TrainRow], split: Split) -> None:
    for row in rows:
        prompt = comparison_form("\n".join(message.content for message in row.to_messages()[:-1]))
        side = chat_side(prompt, row.template, row.entities, split.salt, split.val_fraction)
        if side == "train":
            sets.train.append(row)
        elif side == "heldout":
            sets.heldout.append(_as_question(row, len(sets.heldout)))
        else:
            sets.mixed += 1


def _as_question(row: TrainRow, number: int) -> EvalRow:
    """A held-out row as a question whose only right answer is the row's own."""
    *prompt, answer = row.to_messages()
    return EvalRow(
        id=f"pack-heldout-{number:06d}",
        messages=prompt,
        rule="exact",
        expected=[answer.content],
        category=row.category,
        template=row.template,
        entities=row.entities,
        source=row.source,
    )


def _require_distinct_ids(rows: list[EvalRow]) -> None:
    seen = Counter(row.id for row in rows)
    twice = [row_id for row_id, count in seen.items() if count > 1]
    if twice:
        refuse(
            "eval.row",
            f"{len(twice):,} ids stand twice in one set, the first is {twice[0]!r}",
            fix="give each row its own id, or leave the generated rows out: --set data.generate_skills=false",
        )
