"""Multiple choice from local files in the two published layouts of ARC, given back in the second:

question {stem, choices [{text, label}]}, answerKey     question, choices {text [], label []}, answerKey
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picochat.evals.tasks.base import BenchmarkFile, digest_file, list_jsonl, read_rows, refuse_row, required_text

NAME = "arc"


def read_arc(source: Path) -> tuple[list[list[dict[str, Any]]], list[BenchmarkFile]]:
    """The rows of each JSONL file of a folder, or of one file. Raises `benchmark.*`."""
    rows, files = [], []
    for path in [source] if source.is_file() else list_jsonl(source, NAME):
        data = path.read_bytes()
        rows.append([_read_row(row, path, number) for number, row in read_rows(data, path)])
        files.append(digest_file(data, path, len(rows[-1]), {}, NAME))
    return rows, files


def _read_row(row: dict[str, Any], path: Path, number: int) -> dict[str, Any]:
    nested = row.get("question")
    if isinstance(nested, dict):
        row = {**row, "question": nested.get("stem"), "choices": nested.get("choices")}
    question, key = (required_text(row, name, path, number) for name in ("question", "answerKey"))
    texts, labels = _options(row.get("choices"))
    clean = all(isinstance(value, str) and value.strip() for value in (*texts, *labels))
    if not clean or len(texts) < 2 or len(texts) != len(labels) or len(set(labels)) != len(labels):
        refuse_row(path, number, f"choices are {texts!r} with labels {labels!r}")
    if key not in labels:
        refuse_row(path, number, f"answerKey {key!r} is none of the labels {labels!r}")
    name = f"{path.stem}/{number}"
    return {"id": name, "question": question, "choices": {"text": texts, "label": labels}, "answerKey": key}


def _options(choices: Any) -> tuple[list[Any], list[Any]]:
    if isinstance(choices, list):
        entries = [choice if isinstance(choice, dict) else {} for choice in choices]
        return [entry.get("text") for entry in entries], [entry.get("label") for entry in entries]
    texts, labels = (choices.get(key) if isinstance(choices, dict) else None for key in ("text", "label"))
    return (texts, labels) if isinstance(texts, list) and isinstance(labels, list) else ([], [])
