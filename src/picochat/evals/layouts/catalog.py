"""The benchmarks by name, each with the module that knows its layout. BLiMP, of pairs, has its own reader and rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from picochat.core.errors import refuse
from picochat.evals.layouts.arc import read_arc_challenge, read_arc_easy
from picochat.evals.layouts.core import read_core
from picochat.evals.layouts.files import Options
from picochat.evals.layouts.gsm8k import read_gsm8k
from picochat.evals.layouts.hellaswag import read_hellaswag
from picochat.evals.layouts.lambada import read_lambada
from picochat.evals.layouts.mmlu import read_mmlu
from picochat.evals.layouts.piqa import read_piqa
from picochat.evals.layouts.winogrande import read_winogrande
from picochat.evals.tasks.items import TaskData

LAYOUTS: dict[str, Callable[[Path, Options], TaskData]] = {
    "arc_easy": read_arc_easy,
    "arc_challenge": read_arc_challenge,
    "mmlu": read_mmlu,
    "hellaswag": read_hellaswag,
    "piqa": read_piqa,
    "winogrande": read_winogrande,
    "lambada": read_lambada,
    "gsm8k": read_gsm8k,
    "core": read_core,
}
WITH_EXAMPLES = frozenset({"arc_easy", "arc_challenge", "mmlu", "hellaswag", "piqa", "gsm8k"})
"""Benchmarks whose number of examples may be chosen; CORE's are those of its bundle, the others have none."""


def read_items(name: str, root: Path, options: Options | None = None) -> TaskData:
    """The items of a benchmark from its local files. Raises `benchmark.*` or `usage.extra`."""
    options = options or Options()
    require_options(name, options)
    return LAYOUTS[name](root, options)


def require_options(name: str, options: Options) -> None:
    """Raises `config.value` for an option that a benchmark does not have."""
    if options.shots is not None and name not in WITH_EXAMPLES:
        refuse("config.value", f"{name} has a fixed number of examples: shots can be set of {_listed(WITH_EXAMPLES)}")
    if options.answer_base is not None and name != "mmlu":
        refuse("config.value", f"{name} has answers that need no answer_base: it can be set of mmlu")


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
