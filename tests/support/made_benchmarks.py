"""Small benchmarks in their published layouts, and models with known answers.

write_NAME(folder, n)     n items whose right option holds the word "right", the others "wrong"
FakeScorer(value)         a model whose log-likelihood of a continuation is `value(prompt text, continuation text)`
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from picochat.evals.tasks.asking import Forced, Written
from picochat.evals.tasks.encoding import Pair

RIGHT, WRONG = "right", "wrong"
Rows = list[dict[str, Any]]


def write_jsonl(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def options(number: int, answer: int, count: int) -> list[str]:
    """Texts of one length a place, so that neither bytes nor order say which is right."""
    return [f"{RIGHT if place == answer else WRONG} {number} {place}" for place in range(count)]


def arc_rows(n: int, nested: bool = True, labels: str = "ABCD") -> Rows:
    rows = []
    for number in range(n):
        texts = options(number, number % len(labels), len(labels))
        key = labels[number % len(labels)]
        if nested:
            choices = [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)]
            question = {"stem": f"Which one is it, {number}?", "choices": choices}
            rows.append({"id": f"q{number}", "question": question, "answerKey": key})
        else:
            choices = {"text": texts, "label": list(labels)}
            rows.append(
                {"id": f"q{number}", "question": f"Which one is it, {number}?", "choices": choices, "answerKey": key}
            )
    return rows


def write_arc(folder: Path, n: int = 8, name: str = "ARC-Easy-Test", **layout: Any) -> Path:
    write_jsonl(folder / f"{name}.jsonl", arc_rows(n, **layout))
    return folder


def mmlu_rows(n: int, subject: str = "abstract_algebra", base: int = 0) -> Rows:
    return [
        {
            "question": f"What is it, {number}?",
            "subject": subject,
            "choices": options(number, number % 4, 4),
            "answer": number % 4 + base,
        }
        for number in range(n)
    ]


def csv_line(*cells: str) -> str:
    return ",".join(f'"{cell}"' for cell in cells) + "\n"


def write_mmlu_csv(
    folder: Path, n: int = 8, subjects: Sequence[str] = ("abstract_algebra",), dev: int = 5, head: str = ""
) -> Path:
    for subject in subjects:
        for split, count in (("test", n), ("dev", dev)):
            lines = [
                csv_line(row["question"], *row["choices"], "ABCD"[row["answer"]]) for row in mmlu_rows(count, subject)
            ]
            if lines:
                path = folder / split / f"{subject}_{split}.csv"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text((head if split == "test" else "") + "".join(lines))
    return folder


def write_mmlu(folder: Path, n: int = 8, base: int = 0, dev: int = 5) -> Path:
    write_jsonl(folder / "test.jsonl", mmlu_rows(n, base=base))
    if dev:
        write_jsonl(folder / "dev.jsonl", mmlu_rows(dev, base=base))
    return folder


def write_hellaswag(folder: Path, n: int = 8, label: Callable[[int], Any] = lambda number: number % 4) -> Path:
    rows = [
        {
            "ctx_a": f"A man stands there {number} [title] times.",
            "ctx_b": "he then",
            "activity_label": "Standing",
            "endings": options(number, number % 4, 4),
            "label": label(number),
        }
        for number in range(n)
    ]
    write_jsonl(folder / "hellaswag_val.jsonl", rows)
    return folder


def write_piqa(folder: Path, n: int = 8, labels: Sequence[Any] | None = None) -> Path:
    rows = []
    for number in range(n):
        first, second = options(number, number % 2, 2)
        rows.append({"goal": f"Do it {number} times.", "sol1": first, "sol2": second})
    write_jsonl(folder / "valid.jsonl", rows)
    found = [number % 2 for number in range(n)] if labels is None else labels
    (folder / "valid-labels.lst").write_text("".join(f"{label}\n" for label in found))
    return folder


def write_winogrande(folder: Path, n: int = 8, answer: Callable[[int], Any] = lambda n: str(n % 2 + 1)) -> Path:
    rows = []
    for number in range(n):
        first, second = options(number, number % 2, 2)
        sentence = f"The cup did not fit because _ was too big, {number}."
        rows.append({"sentence": sentence, "option1": first, "option2": second, "answer": answer(number)})
    write_jsonl(folder / "dev.jsonl", rows)
    return folder


def write_lambada(folder: Path, n: int = 8) -> Path:
    rows = [{"text": f"He said it {number} times, and the last word was {RIGHT}"} for number in range(n)]
    write_jsonl(folder / "lambada_test.jsonl", rows)
    return folder


def write_gsm8k(folder: Path, n: int = 8, train: int = 5) -> Path:
    def rows(count: int) -> Rows:
        return [
            {"question": f"What is {k} plus 1000?", "answer": f"{k} + 1000 = <<{k}+1000={k + 1000}>>\n#### 1,{k:03d}"}
            for k in range(count)
        ]

    write_jsonl(folder / "test.jsonl", rows(n))
    if train:
        write_jsonl(folder / "train.jsonl", rows(train))
    return folder


CORE_YAML = r"""icl_tasks:
-
  label: arc_easy
  dataset_uri: world_knowledge/arc_easy.jsonl
  num_fewshot: [10]
  icl_task_type: multiple_choice
  continuation_delimiter: "\nAnswer: "
-
  label: winograd
  dataset_uri: language_understanding/winograd_wsc.jsonl
  num_fewshot: [0]
  icl_task_type: schema
-
  label: jeopardy
  dataset_uri: world_knowledge/jeopardy_all.jsonl
  num_fewshot: [10]
  icl_task_type: language_modeling
  continuation_delimiter: "\nAnswer: "
-
  label: agi_eval_lsat_ar
  dataset_uri: symbolic_problem_solving/agi_eval_lsat_ar.jsonl
  num_fewshot: [3]
  icl_task_type: multiple_choice
"""
CORE_BASELINES = {"arc_easy": 25, "winograd": 50, "jeopardy": 0, "agi_eval_lsat_ar": 20, "copa": 50}


def write_core(folder: Path, n: int = 12, yaml: str = CORE_YAML, baselines: dict[str, Any] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "core.yaml").write_text(yaml)
    lines = [f"{name},some,{value}" for name, value in (baselines or CORE_BASELINES).items()]
    (folder / "eval_meta_data.csv").write_text("\n".join(["Eval Task,Task Category,Random baseline", *lines]) + "\n")
    data = folder / "eval_data"
    for path in ("world_knowledge/arc_easy", "symbolic_problem_solving/agi_eval_lsat_ar"):
        rows = [
            {"query": f"Question: which, {k}?", "choices": options(k, k % 4, 4), "gold": k % 4, "category": "x"}
            for k in range(n)
        ]
        write_jsonl(data / f"{path}.jsonl", rows)
    schema = [
        {"context_options": options(k, k % 2, 2), "continuation": f"is too big, {k}.", "gold": k % 2} for k in range(n)
    ]
    write_jsonl(data / "language_understanding/winograd_wsc.jsonl", schema)
    cloze = [{"context": f" CATEGORY {k}: who? ", "continuation": RIGHT} for k in range(n)]
    write_jsonl(data / "world_knowledge/jeopardy_all.jsonl", cloze)
    return folder


WRITERS: dict[str, Callable[..., Path]] = {
    "arc_easy": write_arc,
    "arc_challenge": lambda folder, n=8: write_arc(folder, n, name="ARC-Challenge-Test", nested=False),
    "mmlu": write_mmlu,
    "hellaswag": write_hellaswag,
    "piqa": write_piqa,
    "winogrande": write_winogrande,
    "lambada": write_lambada,
    "gsm8k": write_gsm8k,
    "core": write_core,
}

Value = Callable[[str, str], float]


def knows(prompt: str, continuation: str) -> float:
    """Likes every text in which the right option stands last."""
    whole = prompt + continuation
    return -1.0 if whole.rfind(RIGHT) > whole.rfind(WRONG) else -50.0


class FakeScorer:
    """Bytes are its ids. `says` is what it writes, and what it expects wherever it is led along a continuation."""

    bos = 256
    reply_tokens = 40

    def __init__(self, value: Value = knows, says: Callable[[str], str] = lambda prompt: RIGHT, context: int = 100_000):
        self.value, self.says, self.context_tokens = value, says, context
        self.seen: list[tuple[str, str]] = []
        """Every (prompt, continuation) that it was asked, as texts."""

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def logprobs(self, pairs: Sequence[Pair]) -> list[float]:
        return [self.value(*self._note(pair)) for pair in pairs]

    def force(self, pairs: Sequence[Pair]) -> list[Forced]:
        found = []
        for pair in pairs:
            prompt, continuation = self._note(pair)
            said = list(f" {self.says(prompt)}".encode())[-len(pair[1]) :] if continuation else []
            found.append(Forced(self.value(prompt, continuation), said))
        return found

    def write(self, prompts: Sequence[list[int]]) -> list[Written]:
        return [Written(self.says(self._note((prompt, []))[0]), True) for prompt in prompts]

    def _note(self, pair: Pair) -> tuple[str, str]:
        prompt, continuation = pair
        assert prompt[0] == self.bos and self.bos not in prompt[1:]
        assert len(prompt) + len(continuation) - 1 <= self.context_tokens
        texts = bytes(prompt[1:]).decode(errors="replace"), bytes(continuation).decode(errors="replace")
        self.seen.append(texts)
        return texts


def coin(seed: int = 0) -> Value:
    """A model that guesses."""
    rng = random.Random(seed)
    return lambda prompt, continuation: -rng.random()
