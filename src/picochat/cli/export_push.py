"""picochat export push: consent, the gate's word and whole files first; then the upload."""

from __future__ import annotations

import os
import sys

import click

from picochat.artifacts import layout
from picochat.artifacts.export_record import ExportRecord, inspect_export
from picochat.artifacts.store import RunStore
from picochat.core.errors import refuse
from picochat.distributed.env import default_environment
from picochat.export.push import TOKEN_VARIABLE, upload_export
from picochat.judgement.served_verdict import read_served_verdict

APPROVED = "approved"
ENDPOINT_VARIABLE = "HF_ENDPOINT"


def push_export(store: RunStore, kind: str, repo: str, *, confirmed: bool, allow_unapproved: bool) -> str:
    """The address of the repository.

    Raises `export.missing`, `artifact.changed`, `export.not_approved`, `export.not_confirmed` or `export.upload`.
    """
    folder = store.path(layout.export_dir(kind))
    record = _require_whole(store, kind)
    gate = read_served_verdict(store.root, record.weights_digest)
    if gate.word != APPROVED and not allow_unapproved:
        refuse("export.not_approved", f"weights {record.weights_digest[:12]}: {gate.word}: {gate.reason}")
    if not confirmed:
        _ask(f"Upload {folder} ({gate.word}) to {repo}?")
    default_environment({"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"})
    message = f"Weights {record.weights_digest[:16]}, gate {gate.word}"
    token, endpoint = (os.environ.get(name) or None for name in (TOKEN_VARIABLE, ENDPOINT_VARIABLE))
    return upload_export(folder, repo, message, token=token, endpoint=endpoint)


def _require_whole(store: RunStore, kind: str) -> ExportRecord:
    folder = store.path(layout.export_dir(kind))
    if not folder.is_dir():
        refuse("export.missing", f"{folder} does not exist", fix=f"picochat export {kind} {store.root}")
    found = inspect_export(folder)
    faults = [*found.problems, *((name, "is not listed in its record") for name in found.extra)]
    if found.record is None or faults:
        name, problem = faults[0]
        refuse("artifact.changed", f"{folder / name}: {problem}", fix=f"picochat export {kind} {store.root}")
    return found.record


def _ask(question: str) -> None:
    """A yes on a terminal. Without a terminal nobody is asked."""
    if not sys.stdin.isatty() or not click.confirm(question, default=False, err=True):
        refuse("export.not_confirmed", "the upload was not confirmed")
