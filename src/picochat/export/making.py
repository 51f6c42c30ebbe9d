"""Making an export and proving it, in a folder that nobody sees yet. The verdict is not given here.

make_hf     the folder of transformers     -> body of parity.json
make_gguf   a file of each type            -> body of parity.json, with what each rounding costs
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import refuse
from picochat.export import huggingface
from picochat.export.gguf_writer import F32, read_gguf_weights, rounded_model, write_gguf
from picochat.export.held_out import bits_per_byte, read_held_out, rounding_cost
from picochat.export.parity import gguf_proof, hf_proof
from picochat.export.parity.paths import walk
from picochat.export.parity.proof import prove
from picochat.export.parity.report import Comparison, to_json
from picochat.export.source import ExportSource
from picochat.export.targets import GGUF, HF, Target, judge_target
from picochat.model.config import ModelConfig
from picochat.tokenizer.special import N_SPECIAL

Say = Callable[[str], None]
VLLM_NOT_RUN = Comparison.not_run("vllm.float32", "an opt-in job with an environment of its own: make test-vllm")


def require_target(config: ModelConfig, name: str) -> Target:
    """What `name` makes of this model. Raises `export.target` with the option that stands in the way."""
    target = judge_target(config, name)
    if not target.possible:
        fix = 'train with --set model.residual="sequential" and the other options as they were'
        if name == GGUF and judge_target(config, HF).possible:
            fix = f"picochat export hf RUN, or {fix.partition(' and ')[0]}"
        refuse("export.target", f"{name}: {target.reason} ({target.option})", fix=fix)
    return target


def make_hf(source: ExportSource, candidate: Path, say: Say) -> dict[str, Any]:
    """Writes the folder and compares it with transformers, where that is installed."""
    say("writing the folder")
    tok, data = source.tokenizer, source.tokenizer_data
    huggingface.write_hf_folder(candidate, source.model, tok, data)
    say("proving it with transformers" if hf_proof.is_installed() else hf_proof.NOT_INSTALLED)
    subjects = prove(
        source.model,
        tok,
        candidate,
        candidate.parent / "stand-in",
        lambda folder, model: huggingface.write_hf_folder(folder, model, tok, data),
        lambda folder, model: huggingface.read_hf_weights(folder, model.config),
        lambda folder: hf_proof.open_transformers(folder, tok),
    )
    missing = [VLLM_NOT_RUN]
    if not hf_proof.is_installed():
        missing += [Comparison.not_run(name, hf_proof.NOT_INSTALLED) for name in hf_proof.NAMES]
    return to_json(subjects, missing)


def make_gguf(
    source: ExportSource, store: RunStore, types: tuple[str, ...], candidate: Path, say: Say
) -> dict[str, Any]:
    """Writes a file of each type. The layout is proved on an F32 file, whether that one was asked for or not."""
    model, tok, data = source.model, source.tokenizer, source.tokenizer_data
    name = layout.gguf_file(F32)
    proved = candidate if F32 in types else candidate.parent / "float32"
    proved.mkdir(exist_ok=True)
    say("writing F32, in which the layout is proved")
    write_gguf(proved / name, F32, model, tok, data, source.name)
    say("proving it with llama.cpp" if gguf_proof.is_installed() else gguf_proof.NOT_INSTALLED)
    subjects = prove(
        model,
        tok,
        proved,
        candidate.parent / "stand-in",
        lambda folder, other: write_gguf(folder / name, F32, other, tok, data, source.name),
        lambda folder, other: read_gguf_weights(folder / name, other.config),
        lambda folder: gguf_proof.open_llama(folder / name, tok),
    )
    missing = []
    if not gguf_proof.is_installed():
        missing = [Comparison.not_run(entry, gguf_proof.NOT_INSTALLED) for entry in gguf_proof.NAMES]
    body = to_json(subjects, missing)
    body["rounding"] = [_round(source, store, kind, candidate, say) for kind in types if kind != F32]
    return body


def _round(source: ExportSource, store: RunStore, kind: str, candidate: Path, say: Say) -> dict[str, Any]:
    """One file of fewer bits: written, loaded by llama.cpp where it is there, and its cost in bits a byte."""
    say(f"writing and measuring {kind}")
    tok, path = source.tokenizer, candidate / layout.gguf_file(kind)
    write_gguf(path, kind, source.model, tok, source.tokenizer_data, source.name)
    rounded = rounded_model(source.model, kind)
    paths = walk(rounded, tok.vocab_size - N_SPECIAL, tok.bos)
    loaded = gguf_proof.measure_type(kind, path, rounded, paths, tok)
    text = read_held_out(store)
    cost = text and rounding_cost(kind, bits_per_byte(source.model, tok, text), rounded, tok, text).to_json()
    reason = "" if cost else "the run holds no held-out text"
    return {"kind": kind, "cost": cost, "text_sha256": text and text.sha256, "reason": reason, "llama": vars(loaded)}
