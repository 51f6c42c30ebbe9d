"""What a set of generated rows holds, counted: skills, levels, templates, entities, and the letters that are right."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from picochat.data.skills.config import SKILLS
from picochat.data.skills.rows import SkillRow


def describe_set(rows: Sequence[SkillRow]) -> dict[str, Any]:
    """The counts of one set, a skill at a time; a skill without rows is left out."""
    by_skill = {skill: [row for row in rows if row.category == skill] for skill in SKILLS}
    return {
        "rows": len(rows),
        "skills": {skill: _describe_skill(found) for skill, found in by_skill.items() if found},
        "choice_key": choice_key(rows),
    }


def _describe_skill(rows: Sequence[SkillRow]) -> dict[str, Any]:
    entities: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for entity in row.entities:
            kind, value = entity.split(":", 1)
            entities[kind].add(value)
    return {
        "rows": len(rows),
        "prompts": len({row.user for row in rows}),
        "rules": _count(row.rule for row in rows),
        "kinds": _count(row.kind for row in rows),
        "levels": _count(row.level for row in rows),
        "templates": _count(row.template for row in rows),
        "entities": {kind: len(values) for kind, values in sorted(entities.items())},
    }


def choice_key(rows: Iterable[SkillRow]) -> dict[str, Any]:
    """How often each letter is right at each number of options, and the largest distance from an equal share."""
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.answer is not None:
            counts[len(row.options)][row.answer[-1]] += 1
    shares = [
        abs(found[option] / found.total() - 1 / size) for size, found in counts.items() for option in "ABCDE"[:size]
    ]
    return {
        "options": {str(size): dict(sorted(found.items())) for size, found in sorted(counts.items())},
        "max_deviation": round(max(shares, default=0.0), 6),
    }


def shared_prompts(sides: Sequence[Sequence[SkillRow]]) -> int:
    """Prompts that stand in more than one set."""
    seen = Counter(prompt for side in sides for prompt in {row.user for row in side})
    return sum(count > 1 for count in seen.values())


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
