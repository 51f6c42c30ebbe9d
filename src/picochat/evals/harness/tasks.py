"""Rows as lm-eval reads them: a task's configuration in lm-eval's own form, and its documents in a local file.

    items -> HarnessTask -> write_task -> <folder>/<name>.yaml, <folder>/<name>.jsonl

Prompts and options are put together by lm-eval's templates from the published fields, not from our prompt: a mistake
in either shows as a difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picochat.core.jsonio import jsonl_bytes, pretty_json
from picochat.evals.harness.compare import CHOICE_METRICS, Kind
from picochat.evals.tasks.blimp import BlimpItem

PREFIX = "picochat_"
"""Before a task's name, so that it is none of lm-eval's own tasks."""
ROLLING_METRICS = ("word_perplexity", "byte_perplexity", "bits_per_byte")


@dataclass(frozen=True)
class ChoiceItem:
    """A prompt, which may be empty, and what may follow it; `answer` is the index of the right option."""

    id: str
    prompt: str
    options: tuple[str, ...]
    answer: int
    delimiter: str = ""
    """Stands between prompt and option."""


@dataclass(frozen=True)
class TextItem:
    """A whole document."""

    id: str
    text: str


@dataclass(frozen=True)
class HarnessTask:
    """Items as we score them, and the documents from which lm-eval makes its requests, in the same order."""

    name: str
    kind: Kind
    items: tuple[ChoiceItem, ...] | tuple[TextItem, ...]
    documents: tuple[Mapping[str, Any], ...]
    config: Mapping[str, Any]
    """In lm-eval's form, without the place of the documents."""

    def kept(self, wanted: Sequence[bool]) -> HarnessTask:
        """The task with some of its items, one flag each."""
        items: Any = tuple(item for item, keep in zip(self.items, wanted, strict=True) if keep)
        documents = tuple(doc for doc, keep in zip(self.documents, wanted, strict=True) if keep)
        return HarnessTask(self.name, self.kind, items, documents, self.config)


def build_blimp_task(pairs: Sequence[BlimpItem]) -> HarnessTask:
    """Minimal pairs. lm-eval puts a space before each sentence unless its delimiter is empty; we score none."""
    config = _config("blimp", "multiple_choice", CHOICE_METRICS) | {
        "doc_to_text": "",
        "doc_to_target": 0,
        "doc_to_choice": "{{[sentence_good, sentence_bad]}}",
        "target_delimiter": "",
    }
    return HarnessTask(
        "blimp",
        "choice",
        tuple(ChoiceItem(pair.id, "", (pair.good, pair.bad), 0) for pair in pairs),
        tuple({"id": pair.id, "sentence_good": pair.good, "sentence_bad": pair.bad} for pair in pairs),
        config,
    )


def build_arc_task(rows: Sequence[Mapping[str, Any]]) -> HarnessTask:
    """Rows `id, question, choices {text, label}, answerKey`; an option follows "Answer:" and a space."""
    config = _config("arc", "multiple_choice", CHOICE_METRICS) | {
        "doc_to_text": "Question: {{question}}\nAnswer:",
        "doc_to_target": "{{choices.label.index(answerKey)}}",
        "doc_to_choice": "{{choices.text}}",
        "target_delimiter": " ",
    }
    items = tuple(
        ChoiceItem(
            row["id"],
            f"Question: {row['question']}\nAnswer:",
            tuple(row["choices"]["text"]),
            row["choices"]["label"].index(row["answerKey"]),
            " ",
        )
        for row in rows
    )
    return HarnessTask("arc", "choice", items, tuple(rows), config)


def build_text_task(texts: Sequence[TextItem]) -> HarnessTask:
    """Whole documents. The target is a field by name: a template would read a text in brackets as a list."""
    config = _config("text", "loglikelihood_rolling", ROLLING_METRICS) | {"doc_to_text": "", "doc_to_target": "text"}
    return HarnessTask(
        "text", "text", tuple(texts), tuple({"id": item.id, "text": item.text} for item in texts), config
    )


def write_task(task: HarnessTask, folder: Path) -> str:
    """Writes the documents and the task file, in JSON, which is YAML too. Returns the name that lm-eval knows it by."""
    data = folder / f"{task.name}.jsonl"
    data.write_bytes(jsonl_bytes(list(task.documents)))
    place = {"data_files": {"test": str(data)}, "cache_dir": str(folder / "cache")}
    (folder / f"{task.name}.yaml").write_bytes(pretty_json({**task.config, "dataset_kwargs": place}))
    return str(task.config["task"])


def _config(name: str, output_type: str, metrics: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    return {
        "task": PREFIX + name,
        "dataset_path": "json",
        "output_type": output_type,
        "test_split": "test",
        "num_fewshot": 0,
        "metric_list": [{"metric": metric} for metric in metrics],
        "metadata": {"version": 1.0},
    }
