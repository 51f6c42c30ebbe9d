"""The compatibility table of a run: what its model's shape allows, and what the exports that lie there have proved."""

from __future__ import annotations

import importlib.util
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.export_record import inspect_export
from picochat.artifacts.store import RunStore
from picochat.checkpoint.reader import load_checkpoint
from picochat.core.errors import PicochatError
from picochat.core.jsonio import read_json
from picochat.export.source import STAGE, read_model_config
from picochat.export.targets import GGUF, HF, VLLM, Target, judge_targets
from picochat.judgement.export_parity import judge_parity

NOTHING = "–"
NOT_RUN = "not_run"


def check_targets(store: RunStore) -> list[dict[str, Any]]:
    """A row a runtime. Raises `checkpoint.*`; reads and hashes, and writes nothing."""
    folder = store.path(layout.checkpoint_dir(STAGE))
    digest = load_checkpoint(folder, run_digest=store.run_digest(), parts=()).manifest.weights_digest
    return [_row(store, target, digest) for target in judge_targets(read_model_config(store))]


def _row(store: RunStore, target: Target, digest: str) -> dict[str, Any]:
    proof, why = (NOTHING, "") if not target.possible else _proof(store, target.name, digest)
    reason = f"{target.reason} ({target.option})" if target.option else target.reason
    return {
        "target": target.name,
        "result": target.result,
        "proof": proof,
        "reason": "; ".join(filter(None, [reason, why])),
    }


def _proof(store: RunStore, name: str, digest: str) -> tuple[str, str]:
    """(word, reason) from the export that lies in the run."""
    if name == VLLM:
        missing = "" if importlib.util.find_spec("vllm") else "vllm is not installed: "
        return NOT_RUN, f"{missing}opt-in job, make test-vllm"
    assert name in (HF, GGUF)
    folder = store.path(layout.export_dir(name))
    if not folder.is_dir():
        return NOT_RUN, f"picochat export {name} RUN makes and proves it"
    found = inspect_export(folder)
    if found.record is None or found.problems:
        file, problem = found.problems[0]
        return NOT_RUN, f"the export there is damaged: {file}: {problem}"
    if found.record.weights_digest != digest:
        return NOT_RUN, "the export there is of other weights"
    try:
        judged = judge_parity(name, read_json(folder / layout.PARITY))
    except (PicochatError, KeyError, TypeError, IndexError) as err:
        return NOT_RUN, f"its proof cannot be read: {err}"
    if judged.verdict == "pass":
        return f"passed, {judged.measured:.1e}" if judged.measured else "passed, 0.0", ""
    return NOT_RUN if judged.verdict == "not_run" else "failed", judged.fix
