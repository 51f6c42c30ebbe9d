"""A GGUF file in llama.cpp, in this process: xllamacpp, F32 cache, no flash attention, no GPU.

Suffixes: N tokens of a continuation, K likeliest tokens.
"""

from __future__ import annotations

import importlib.util
import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from picochat.core.extras import require_extra
from picochat.export.parity.compare import TOP, Top
from picochat.export.parity.paths import GreedyPath
from picochat.export.parity.report import Comparison
from picochat.export.parity.texts import CONVERSATIONS, TEXTS, expected_chat, expected_text
from picochat.tokenizer.tokenizer import Tokenizer

NEED = "comparing an export with llama.cpp needs it"
_FORCED = "a"
"""Every step is made to say this token, because a step that ends within a character of several bytes is answered
without log-probabilities. They are those of the model in any case: the bias stands behind them."""
_BIAS = 1e4


class LlamaError(Exception):
    """llama.cpp did not load the file, or answered nothing that can be compared."""


def is_installed() -> bool:
    return importlib.util.find_spec("xllamacpp") is not None


class LlamaPeer:
    """One loaded file. It listens on a port of its own on 127.0.0.1 for as long as it lives."""

    def __init__(self, file: Path, slots: int, context: int) -> None:
        """Room for `context` tokens of each of `slots` texts. Raises `LlamaError`."""
        library = require_extra("xllamacpp", NEED, "dev")
        params = library.CommonParams()
        params.model.path = str(file)
        params.n_parallel, params.n_ctx, params.n_gpu_layers = slots, slots * context, 0
        params.cache_type_k = params.cache_type_v = library.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = library.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.verbosity, params.cache_ram_mib = -1, 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = torch.get_num_threads()
        params.warmup = params.fit_params = params.ctx_shift = params.ui = False
        params.hostnames, params.port = ["127.0.0.1"], 0
        try:
            self._server = library.Server(params)
        except (RuntimeError, ValueError, OSError) as err:
            raise LlamaError(f"llama.cpp does not load {file.name}: {err}") from err

    def tops(self, paths: Sequence[GreedyPath], tok: Tokenizer) -> list[Top]:
        """The ten likeliest tokens at every step of each path. Raises `LlamaError`."""
        forced = tok.encode(_FORCED)[0]
        steps = [self._step([[*p.prompt, *p.tokens[:n]] for p in paths], forced) for n in range(len(paths[0].tokens))]
        return [
            Top(
                torch.tensor([[entry["id"] for entry in step[number]] for step in steps]),
                torch.tensor([[entry["logprob"] for entry in step[number]] for step in steps], dtype=torch.float64),
            )
            for number in range(len(paths))
        ]

    def _step(self, texts: list[list[int]], forced: int) -> list[list[dict[str, Any]]]:
        """The likeliest next tokens of each text, with log-probabilities."""
        asked = {
            "n_predict": 1,
            "temperature": 0,
            "n_probs": TOP,
            "cache_prompt": True,
            "logit_bias": [[forced, _BIAS]],
        }
        answer = self._server.handle_completions({"prompt": texts, **asked})
        choices = sorted(answer.get("choices", ()), key=lambda choice: choice["index"])
        found = [(choice.get("logprobs") or {}).get("content") or [] for choice in choices]
        if len(found) != len(texts) or not all(found):
            raise LlamaError(f"llama.cpp answered {len(texts)} texts with {json.dumps(answer)[:200]}")
        tops = [content[-1]["top_logprobs"] for content in found]
        if any(len(top) != TOP for top in tops):
            raise LlamaError(f"llama.cpp named {len(tops[0])} tokens of a step, {TOP} were asked for")
        return tops

    def compare_tokenizer(self, tok: Tokenizer) -> Comparison:
        """Whether texts, with the BOS that the file asks for, and conversations give our ids."""
        pairs = [(expected_text(tok, text), self._tokenize(text, parse=False), text) for text in TEXTS]
        for turns in CONVERSATIONS:
            messages = [{"role": turn.role, "content": turn.content} for turn in turns]
            rendered = self._post("/apply-template", {"messages": messages})["prompt"]
            pairs.append((expected_chat(tok, turns), self._tokenize(rendered, parse=True), turns[0].content))
        equal = [mine == other for mine, other, _ in pairs]
        wrong = next((text for same, (_, _, text) in zip(equal, pairs, strict=True) if not same), "")
        return Comparison.of_counts("llama.cpp.tokens", "texts", sum(equal), len(pairs), repr(wrong) if wrong else "")

    def _tokenize(self, text: str, *, parse: bool) -> list[int]:
        return self._post("/tokenize", {"content": text, "add_special": True, "parse_special": parse})["tokens"]

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(body).encode()
        request = urllib.request.Request(
            self._server.listening_address + path, data=data, headers={"content-type": "application/json"}
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
                return json.load(response)
        except (OSError, ValueError) as err:
            raise LlamaError(f"llama.cpp did not answer {path}: {err}") from err
