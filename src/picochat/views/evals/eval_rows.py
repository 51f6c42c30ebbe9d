"""One stored row of an evaluation, a benchmark or a search for memorised text, in the one form that a page shows.

    line of rows.jsonl -> facets_of (what it is found by) and show_row (what is seen)

Nothing is judged again here: verdicts are those that were stored. A row of a form that nobody knows shows its id alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from picochat.core.errors import PicochatError
from picochat.core.hashing import digest_of
from picochat.views.evals.artifact_state import objects
from picochat.views.evals.shown import LIST_CHARS, WHOLE_CHARS, shown, shown_list
from picochat.views.reading import number_of, value_at

Row = Mapping[str, Any]
Shown = dict[str, Any]
Decode = Callable[[list[int]], str]
FLAGS = ("echo", "repetition", "unfinished", "unsupported", "refused")
"""Faults of a reply; the last one is a harmless request that was refused."""
BENIGN, REFUSED = "benign", "refused"
PASS, FAIL = "pass", "fail"
BENIGN_TWINS = " (benign)"
CATEGORY_CHARS = 200
"""A longer name is one of a hostile or broken row; it is found by its beginning."""
_ROLES = ("system", "user", "assistant", "tool")
_SCORED_PAIR = ("good", "bad")


class Facets(NamedTuple):
    """What a row is filtered by."""

    id: str
    verdict: str | None
    category: str
    flags: tuple[str, ...]
    question: str
    """Digest of what was asked, so that two runs are compared on the same question alone."""


def facets_of(row: Row) -> Facets:
    """Of any stored row."""
    asked = [row.get(key) for key in ("user", "messages", "prompt", "question", "options", "good", "bad", "rule")]
    asked += [row.get(key) for key in ("model", "kind", "side", "document", "number", "continuation")]
    question = digest_of([str(part) for part in asked])
    return Facets(id_of(row), verdict_of(row), category_of(row)[:CATEGORY_CHARS], _flags(row), question)


def id_of(row: Row) -> str:
    """Its id; a row of memorisation has none and is named by what it is about."""
    if "id" in row or "item" in row:
        return str(row.get("id", row.get("item")))
    named = (row.get(key) for key in ("model", "kind", "side", "document", "number"))
    return "/".join(str(part) for part in named if part is not None)


def verdict_of(row: Row) -> str | None:
    """Pass or fail as stored. A passage that the model continues exactly is a fail: it knows it by heart."""
    if isinstance(row.get("passed"), bool):
        return PASS if row["passed"] else FAIL
    if row.get("kind") == "passage" and "wanted" in row:
        return FAIL if row.get("reply") == row["wanted"] else PASS
    verdict = row.get("verdict")
    return verdict if verdict in (PASS, FAIL) else None


def category_of(row: Row) -> str:
    """Category, paradigm or group; benign twins stand apart from their category. Of a hit: what stands where."""
    if "against" in row and "set" in row:
        return f"{row['set']} in {row['against']}"
    if row.get("rule") == BENIGN:
        return f"{row.get('category')}{BENIGN_TWINS}"
    if "model" in row and "kind" in row:
        return f"{row['model']}: {row['kind']}"
    return next((str(row[key]) for key in ("category", "paradigm", "group") if row.get(key) is not None), "")


def _flags(row: Row) -> tuple[str, ...]:
    faults = [flag for flag in FLAGS if flag != REFUSED and row.get(flag) is True]
    return (*faults, REFUSED) if row.get("rule") == BENIGN and row.get("reason") == REFUSED else tuple(faults)


def text_of(row: Row) -> str:
    """What a search looks through: id, question, expected and reply."""
    parts = [id_of(row), row.get("reply"), row.get("text"), row.get("reason"), row.get("category")]
    parts += [row.get(key) for key in ("user", "prompt", "question", "good", "bad", "answer", "continuation")]
    parts += [entry.get("content") for entry in objects(row.get("messages"))]
    parts += [*_list(row.get("expected")), *_list(row.get("options"))]
    return "\n".join(part for part in parts if isinstance(part, str)).casefold()


def show_row(row: Row, place: int, *, whole: bool = False, decode: Decode | None = None) -> Shown:
    """The row with its place in the file. `decode` turns token ids into text where a row holds nothing else."""
    limit = WHOLE_CHARS if whole else LIST_CHARS
    facets = facets_of(row)
    return {
        "place": place,
        "id": shown(facets.id, 200),
        "category": shown(facets.category, 200),
        "verdict": facets.verdict,
        "flags": list(facets.flags),
        "level": shown(row["level"], 200) if row.get("level") is not None else None,
        "rule": shown(row.get("rule") or row.get("kind") or ("pair" if "good" in row else ""), 80),
        "reason": shown(_reason(row), 200),
        "prompt": _prompt(row, limit),
        "expected": _expected(row, limit, decode),
        "avoid": shown_list([*_list(row.get("forbidden")), *_list(row.get("distractors"))], limit),
        "options": _options(row, limit),
        "reply": _reply(row, limit, decode),
        "facts": _facts(row),
        "cut": not whole and _is_long(row),
    }


def _reason(row: Row) -> str:
    if row.get("kind") == "passage":
        return "continued exactly: known by heart" if verdict_of(row) == FAIL else "not continued exactly"
    if row.get("kind") == "sample" and "copied_words" in row:
        return f"longest copy of a training document: {row['copied_words']} words"
    if row.get("fits") is False:
        return "did not fit into the context"
    return row["reason"] if isinstance(row.get("reason"), str) else ""


def _prompt(row: Row, limit: int) -> list[dict[str, str]]:
    """Turns in their order; a text without roles is one turn of nobody."""
    if messages := objects(row.get("messages")):
        roles = [role if (role := entry.get("role")) in _ROLES else "" for entry in messages]
        return [
            {"role": role, "text": shown(entry.get("content"), limit)}
            for role, entry in zip(roles, messages[:40], strict=False)
        ]
    if isinstance(row.get("user"), str):
        return [{"role": "user", "text": shown(row["user"], limit)}]
    text = next((row[key] for key in ("prompt", "question") if isinstance(row.get(key), str)), "")
    if text or "good" not in row:
        return [{"role": "", "text": shown(text, limit)}] if text else []
    return [{"role": "", "text": "which of the two sentences is likelier?"}]


def _expected(row: Row, limit: int, decode: Decode | None) -> list[str]:
    if row.get("kind") == "passage" or ("wanted" in row and "continuation" not in row):
        return [_ids(row.get("wanted"), limit, decode)]
    if row.get("kind") == "cloze" or row.get("kind") == "schema":
        return [shown(row.get("continuation"), limit)]
    if isinstance(row.get("answer"), str):
        return [shown(row["answer"], limit)]
    expected = row.get("expected")
    return [shown(expected, limit)] if isinstance(expected, str) else shown_list(expected, limit)


def _reply(row: Row, limit: int, decode: Decode | None) -> str | None:
    """None where nothing was written: options are scored, not answered."""
    if row.get("kind") == "cloze":
        return _ids(row.get("predicted"), limit, decode)
    reply = row.get("reply", row.get("text"))
    if isinstance(reply, list):
        return _ids(reply, limit, decode)
    if not isinstance(reply, str) or (not reply and _options(row, limit)):
        return None
    return shown(reply, limit)


def _ids(ids: Any, limit: int, decode: Decode | None) -> str:
    """Token ids as text where the tokenizer of the run is known, else as numbers."""
    numbers = [value for value in _list(ids) if isinstance(value, int) and not isinstance(value, bool)]
    if decode is not None:
        try:
            return shown(decode(numbers), limit)
        except PicochatError:
            pass  # another tokenizer than the one that the row was made with
    return shown("tokens " + " ".join(map(str, numbers)), limit) if numbers else ""


def _options(row: Row, limit: int) -> list[Shown]:
    """Options with their log-likelihoods: `right` is the expected one, `chosen` the likeliest by the raw sum."""
    if "good" in row and "bad" in row:
        texts, right = [row[side] for side in _SCORED_PAIR], 0
        raw = [number_of(row.get(f"{side}_logprob")) for side in _SCORED_PAIR]
        per_byte: list[float | int | None] = [None, None]
    else:
        texts, right = _list(row.get("options")), _right(row)
        found = objects(row.get("option_scores")) or objects(row.get("scores"))
        raw = [number_of(value_at(entry, "raw")) for entry in found]
        per_byte = [number_of(value_at(entry, "per_byte")) for entry in found]
    raw = raw if len(raw) == len(texts) else [None] * len(texts)
    per_byte = per_byte if len(per_byte) == len(texts) else [None] * len(texts)
    known = [value for value in raw if value is not None]
    best = max(known) if len(known) == len(texts) and known else None
    return [
        {"text": shown(text, limit), "raw": score, "per_byte": byte, "right": place == right}
        | {"chosen": None if best is None else score == best}
        for place, (text, score, byte) in enumerate(zip(texts, raw, per_byte, strict=True))
    ][:40]


def _right(row: Row) -> int | None:
    answer, options = row.get("answer"), _list(row.get("options"))
    if isinstance(answer, int) and not isinstance(answer, bool):
        return answer
    return options.index(answer) if answer in options else None


_FACTS = ("template", "source", "field", "shots", "side", "document", "copied_words", "copies", "logprob")
_MORE_FACTS = ("nats", "tokens", "words", "normalised", "max_words", "answerable")


def _facts(row: Row) -> list[list[str]]:
    """What else is known of it, as [name, value]."""
    named = [key for key in (*_FACTS, *_MORE_FACTS) if isinstance(row.get(key), str | int | float)]
    facts = [[key.replace("_", " "), shown(row[key], 300)] for key in named if row[key] != ""]
    entities = shown_list(row.get("entities"), 100, 12)
    return [*facts, ["entities", ", ".join(entities)]] if entities else facts


def _is_long(row: Row) -> bool:
    """Whether a field is longer than a list shows."""
    texts = [row.get(key) for key in ("user", "prompt", "question", "reply", "text", "good", "bad", "continuation")]
    texts += [entry.get("content") for entry in objects(row.get("messages"))]
    texts += [*_list(row.get("expected")), *_list(row.get("options"))]
    return any(isinstance(text, str) and len(text) > LIST_CHARS for text in texts)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
