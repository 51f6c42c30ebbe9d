"""The parts of lm-eval that are used, imported when they are needed; importing it takes seconds and pulls in torch."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PACKAGE = "lm_eval"
EXTRA = "harness"


@dataclass(frozen=True)
class Library:
    """lm-eval: the base class of models, its windows over long texts, its tasks and its evaluator."""

    version: str
    base: Any
    rolling_windows: Callable[..., Any]
    disjoint: Callable[..., Any]
    task_manager: Callable[..., Any]
    evaluate: Callable[..., Any]


def load_library() -> Library:
    """Imports lm-eval, which must be installed. Its log is cut to errors: it warns of every delimiter."""
    logging.getLogger(PACKAGE).setLevel(logging.ERROR)
    names = ("api.model", "utils", "tasks", "evaluator")
    model, utils, tasks, evaluator = (importlib.import_module(f"{PACKAGE}.{name}") for name in names)
    return Library(
        importlib.metadata.version(PACKAGE),
        model.TemplateLM,
        utils.get_rolling_token_windows,
        utils.make_disjoint_window,
        tasks.TaskManager,
        evaluator.evaluate,
    )
