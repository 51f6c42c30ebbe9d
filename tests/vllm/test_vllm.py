"""Exports in vLLM, natively and through its Transformers backend: greedy tokens and log-probabilities.

Opt-in: vLLM brings an environment of its own. In any other one this skips, and says so.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

vllm = pytest.importorskip("vllm", reason="NOT RUN: vllm is not installed")

from tests.support.exported import PARALLEL, QWEN3, TOK, telling_model, write_hf  # noqa: E402

from picochat.export.parity.compare import TOP, Top, compare_tops  # noqa: E402
from picochat.export.parity.controls import build_controls  # noqa: E402
from picochat.export.parity.paths import path_logits, walk  # noqa: E402

BOUND = 1e-4
HEAD_DIM = 64
"""The width that is proved; 128 is claimed only after a proof of its own."""


def load(folder: Path, **more: Any) -> Any:
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    return vllm.LLM(str(folder), dtype="float32", enforce_eager=True, max_logprobs=TOP, **more)


@pytest.mark.parametrize("kind", ["native", "backend"])
def test_tokens_and_log_probabilities_are_ours(kind: str, tmp_path: Path) -> None:
    shape = {"dim": 128, "n_heads": 2, "n_kv_heads": 1, "head_dim": HEAD_DIM}
    model = telling_model(**shape, **(QWEN3 if kind == "native" else PARALLEL))
    write_hf(tmp_path, model)
    engine = load(tmp_path, **({} if kind == "native" else {"trust_remote_code": True, "model_impl": "transformers"}))
    paths = walk(model, TOK.vocab_size - 16, TOK.bos)
    params = vllm.SamplingParams(temperature=0, max_tokens=len(paths[0].tokens), logprobs=TOP, ignore_eos=True)
    answers = engine.generate([{"prompt_token_ids": path.prompt} for path in paths], params)
    found = [answer.outputs[0] for answer in answers]
    assert [list(answer.token_ids) for answer in found] == [path.tokens for path in paths]
    tops = [_top(answer.logprobs) for answer in found]
    assert compare_tops([path_logits(model, path) for path in paths], tops, BOUND).within(BOUND)
    for name, wrong in build_controls(model):
        assert not compare_tops([path_logits(wrong, path) for path in paths], tops, BOUND).within(BOUND), name


def _top(steps: list[dict[int, Any]]) -> Top:
    ranked = [sorted(step.items(), key=lambda item: -item[1].logprob)[:TOP] for step in steps]
    ids = torch.tensor([[token for token, _ in step] for step in ranked])
    return Top(ids, torch.tensor([[entry.logprob for _, entry in step] for step in ranked], dtype=torch.float64))
