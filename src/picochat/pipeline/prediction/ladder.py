"""Trains the rungs of a ladder one after the other and writes what they came to. Finished rungs are verified and kept.

LADDER/data/       a run with the text and the tokenizer, unless they were given
LADDER/n1-d3/      a run a rung: size 1, length 3, trained by the base stage like any other run
LADDER/n1-d3-s1/   the same with another seed
LADDER/ladder.json written last, once
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from picochat.artifacts import layout
from picochat.artifacts.code_record import code_record, environment_record
from picochat.artifacts.ladder_record import LadderRecord, Rung
from picochat.artifacts.reports import Manifest, self_digest
from picochat.artifacts.schema import require_schema, schema_tag
from picochat.artifacts.store import RunLock, RunStore
from picochat.core import fs
from picochat.core.clock import utc_now
from picochat.core.errors import refuse
from picochat.core.hashing import digest_of, sha256_file
from picochat.core.jsonio import read_json
from picochat.evals.scaling.requirements import require_ladder
from picochat.pipeline.config import Resolved, RunConfig
from picochat.pipeline.prediction.config import LadderConfig
from picochat.pipeline.prediction.plan import PlannedRung, TextPaths, plan_ladder
from picochat.pipeline.prediction.rules import rules_of
from picochat.pipeline.runner import open_run

DATA_STAGES = ("dataset", "tokenizer")
RUNG_STAGES = ("shards", "base")
TEXT_KINDS = ("corpus", "corpus_documents", "tokenizer")
Train = Callable[[RunStore, RunConfig, tuple[str, ...], str], None]
"""Runs stages of a run that may be finished or interrupted; the last argument says what for."""


def build_ladder(
    root: Path, profile: str, resolved: Resolved, ladder: LadderConfig, text: TextPaths | None, train: Train
) -> LadderRecord:
    """Trains what is not trained yet, and writes ladder.json. Raises what the stages raise, `ladder.*` and `run.*`."""
    fs.make_dir(root)
    with RunLock(root):
        text = text or _build_text(root, profile, resolved, train)
        planned = plan_ladder(root, profile, resolved.config, ladder, text)
        rungs = [
            _train_rung(root, profile, rung, number, len(planned), train) for number, rung in enumerate(planned, 1)
        ]
        require_ladder(rungs)
        if (root / layout.LADDER).is_file():
            return _require_same(load_ladder(root), rungs)
        return _write(root, profile, planned[0].resolved.config, ladder, rungs)


def load_ladder(root: Path) -> LadderRecord:
    """ladder.json, checked. Raises `artifact.missing`, `artifact.schema` or `artifact.changed`."""
    path = root / layout.LADDER
    if not path.is_file():
        refuse("artifact.missing", f"{path} does not exist", fix=f"picochat predict ladder PROFILE --out-dir {root}")
    document = require_schema(read_json(path), "ladder", str(path))
    if document.get("self_digest") != self_digest(document):
        refuse("artifact.changed", f"{path} was changed after it was written: it has another self_digest")
    return LadderRecord.from_json(document, str(path))


def require_rungs(root: Path, record: LadderRecord) -> None:
    """Every rung's run says what ladder.json says of it, and its files have their digests. Raises `artifact.*`."""
    for rung in record.rungs:
        found = read_rung(RunStore(root / rung.name), rung.name, rung.purpose, rung.branch_step)
        if found != rung:
            refuse("artifact.changed", f"{root / rung.name} is not the training that {layout.LADDER} names")


def read_rung(store: RunStore, name: str, purpose: Literal["fit", "seed"], branch_step: int | None) -> Rung:
    """A finished training as a rung, after its files were hashed again. Raises `artifact.*` or `ladder.losses`."""
    path = layout.report_path(layout.BASE)
    report = store.require_outputs(path, "base_report")
    if not report["training"]["completed"]:
        refuse("ladder.losses", f"{store.root} ended before its last step")
    refs = Manifest.from_json(report["manifest"], path).inputs
    run = store.read(layout.RUN)
    config = RunConfig.from_dict(run["config"], str(store.path(layout.RUN)))
    found = report["validation"]
    return Rung(
        name=name,
        purpose=purpose,
        parameters=report["model"]["parameters"],
        tokens=report["training"]["tokens_seen"],
        seed=config.seed,
        loss=found["loss"],
        loss_se=found["loss_se"],
        bpb=found["bpb"],
        bpb_se=found["bpb_se"],
        steps=report["training"]["steps"],
        branch_step=branch_step,
        inputs={ref.kind: ref.sha256 for ref in refs if ref.kind in TEXT_KINDS},
        rules=digest_of(rules_of(config)),
        weights_digest=report["weights_digest"],
        run_digest=store.run_digest(),
        report_sha256=sha256_file(store.path(path)),
    )


def _build_text(root: Path, profile: str, resolved: Resolved, train: Train) -> TextPaths:
    store = open_run(root / layout.LADDER_DATA, profile, resolved, resume=True)
    train(store, resolved.config, DATA_STAGES, "text and tokenizer of all rungs")
    return TextPaths(store.path(layout.CORPUS), store.path(layout.TOKENIZER))


def _train_rung(root: Path, profile: str, rung: PlannedRung, number: int, count: int, train: Train) -> Rung:
    store = open_run(root / rung.name, profile, rung.resolved, resume=True)
    title = f"rung {number} of {count}, {rung.name}: {rung.parameters:,} parameters, {rung.tokens:,} tokens"
    train(store, rung.resolved.config, RUNG_STAGES, title)
    purpose: Literal["fit", "seed"] = "seed" if rung.purpose == "seed" else "fit"
    return read_rung(store, rung.name, purpose, rung.branch_step)


def _require_same(record: LadderRecord, rungs: list[Rung]) -> LadderRecord:
    """A finished ladder is evidence: what its runs say now is what was written."""
    if list(record.rungs) != rungs:
        refuse("artifact.changed", f"the rungs are not those that {layout.LADDER} names", fix="make a new ladder")
    return record


def _write(root: Path, profile: str, config: RunConfig, ladder: LadderConfig, rungs: list[Rung]) -> LadderRecord:
    document: dict[str, Any] = {
        "schema": schema_tag("ladder").to_json(),
        "profile": profile,
        "made_at": utc_now(),
        "rungs": [rung.to_json() for rung in rungs],
        "rules": rules_of(config),
        "settings": ladder.as_dict(),
        "code": code_record().to_json(),
        "environment": environment_record(),
    }
    record = LadderRecord.from_json(document | {"self_digest": self_digest(document)}, layout.LADDER)
    fs.write_json(root / layout.LADDER, record.to_json())
    return record
