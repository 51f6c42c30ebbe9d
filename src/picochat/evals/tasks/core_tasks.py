"""The 22 tasks of the CORE bundle (Li et al. 2024, DataComp-LM): type, shots, items, and two sets of baselines.

A task's baseline is the accuracy, in per cent, that counts as 0. Two versions of the bundle's metadata are about, which
differ in three tasks; a score means nothing without saying which of them it was centred by.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from picochat.evals.tasks.items import Kind

Version = Literal["v1", "v2"]
VERSIONS: tuple[Version, ...] = ("v1", "v2")
HEADLINE: Version = "v1"


class CoreTask(NamedTuple):
    """What the table says about a task."""

    kind: Kind
    shots: int
    items: int
    v1: float
    v2: float

    def baseline(self, version: Version) -> float:
        """The baseline as a fraction."""
        return 0.01 * (self.v1 if version == "v1" else self.v2)


def _task(kind: Kind, shots: int, items: int, baseline: float, second: float | None = None) -> CoreTask:
    return CoreTask(kind, shots, items, baseline, baseline if second is None else second)


CORE_TASKS: dict[str, CoreTask] = {
    "hellaswag_zeroshot": _task("choice", 0, 10_042, 25),
    "jeopardy": _task("cloze", 10, 2_117, 0),
    "bigbench_qa_wikidata": _task("cloze", 10, 20_321, 0),
    "arc_easy": _task("choice", 10, 2_376, 25),
    "arc_challenge": _task("choice", 10, 1_172, 25),
    "copa": _task("choice", 0, 100, 50),
    "commonsense_qa": _task("choice", 10, 1_221, 20, 40.3),
    "piqa": _task("choice", 10, 1_838, 50),
    "openbook_qa": _task("choice", 0, 500, 25),
    "lambada_openai": _task("cloze", 0, 5_153, 0),
    "hellaswag": _task("choice", 10, 10_042, 25),
    "winograd": _task("schema", 0, 273, 50),
    "winogrande": _task("schema", 0, 1_267, 50),
    "bigbench_dyck_languages": _task("cloze", 10, 1_000, 0),
    "agi_eval_lsat_ar": _task("choice", 3, 230, 20, 25),
    "bigbench_cs_algorithms": _task("cloze", 10, 1_320, 0),
    "bigbench_operators": _task("cloze", 10, 210, 0),
    "bigbench_repeat_copy_logic": _task("cloze", 10, 32, 0),
    "squad": _task("cloze", 10, 10_570, 0),
    "coqa": _task("cloze", 0, 7_983, 0),
    "boolq": _task("choice", 10, 3_270, 62),
    "bigbench_language_identification": _task("choice", 10, 10_000, 9.1, 25),
}
