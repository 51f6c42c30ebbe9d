"""The same random weights of about 30 M parameters in three programs, for `decode_speed.py`.

    build_ours(threads)     this package's engine
    build_hf(threads)       transformers' Qwen3ForCausalLM and its `generate`
    build_llama(threads)    llama.cpp in this process, from a float32 GGUF that is written here, with a float32 cache

Each gives a function from prompts to seconds: all prompts at once, NEW_TOKENS greedy tokens for each.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = {
    "vocab_size": 8192,
    "dim": 512,
    "n_layers": 10,
    "n_heads": 8,
    "n_kv_heads": 2,
    "head_dim": 64,
    "hidden_dim": 1344,
    "max_seq_len": 1024,
    "residual": "sequential",
}
SLOTS = 8
N_BYTES, N_SPECIAL = 256, 16
PROMPT_TOKENS, NEW_TOKENS = 16, 128
LLAMA_THREADS_HTTP = 16

Prompts = Sequence[list[int]]
Timed = Callable[[Prompts], float]


def build_prompts(count: int, seed: int, length: int = PROMPT_TOKENS) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, SHAPE["vocab_size"] - N_SPECIAL, (count, length)).tolist()


def build_model() -> Any:
    """The one set of weights."""
    import torch

    from picochat.model.config import ModelConfig
    from picochat.model.init import init_weights
    from picochat.model.transformer import Transformer

    model = Transformer(ModelConfig.model_validate(SHAPE))
    init_weights(model, torch.Generator().manual_seed(0))
    return model.eval().requires_grad_(False)


def vocabulary() -> list[str]:
    """Made-up pieces in the letters of byte-level BPE: bytes, then pairs of them, then special tokens."""
    from picochat.tokenizer.bpe import byte_of_character

    letters = sorted(byte_of_character())
    pairs = [a + b for a in letters for b in letters][: SHAPE["vocab_size"] - N_BYTES - N_SPECIAL]
    return [*letters, *pairs, *(f"<|{number}|>" for number in range(N_SPECIAL))]


class PairCodec:
    """The made-up vocabulary behind the engine's protocol; nothing is encoded."""

    def __init__(self) -> None:
        from picochat.tokenizer.bpe import byte_of_character

        byte_of = byte_of_character()
        words = vocabulary()
        ordinary = len(words) - N_SPECIAL
        self._pieces = [bytes(byte_of[c] for c in word) for word in words[:ordinary]]
        self.vocab_size, self.bos = len(words), None
        self.special_ids = self.end_ids = frozenset(range(ordinary, len(words)))

    def piece(self, token: int) -> bytes:
        return self._pieces[token]

    def encode(self, text: str) -> list[int]:
        raise NotImplementedError

    def render_chat(self, messages: Any) -> list[int]:
        raise NotImplementedError


def build_engine(threads: int | None, precision: str = "fp32", **settings: Any) -> Any:
    """A started engine around the weights."""
    from picochat.distributed.probe import set_threads
    from picochat.inference.engine.engine import Engine
    from picochat.inference.engine.settings import EngineSettings
    from picochat.inference.loader import LoadedModel, build_autocast

    set_threads(threads)
    autocast = build_autocast("cpu", precision)  # type: ignore[arg-type]
    loaded = LoadedModel(build_model(), None, "0" * 64, autocast)  # type: ignore[arg-type]
    engine = Engine(loaded, PairCodec(), EngineSettings(slots=SLOTS, **settings))
    engine.start()
    return engine


def run_engine(engine: Any, prompts: Prompts, new_tokens: int = NEW_TOKENS) -> tuple[float, float]:
    """(seconds until all answers are whole, seconds until the first token of the last one that began)."""
    from picochat.inference.engine.request import Request

    firsts: dict[int, float] = {}
    started = time.perf_counter()
    job = engine.submit(
        [Request(ids, new_tokens) for ids in prompts],
        lambda index, piece: firsts.setdefault(index, time.perf_counter() - started),
    )
    job.wait()
    return time.perf_counter() - started, max(firsts.values())


def build_ours(threads: int | None, precision: str = "fp32") -> tuple[Timed, Any]:
    engine = build_engine(threads, precision)
    return lambda prompts: run_engine(engine, prompts)[0], engine


def build_hf(threads: int | None) -> Timed:
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from picochat.distributed.probe import set_threads
    from picochat.model.hf_names import names_to_hf

    set_threads(threads)
    ours = build_model()
    config = Qwen3Config(
        vocab_size=SHAPE["vocab_size"],
        hidden_size=SHAPE["dim"],
        intermediate_size=SHAPE["hidden_dim"],
        num_hidden_layers=SHAPE["n_layers"],
        num_attention_heads=SHAPE["n_heads"],
        num_key_value_heads=SHAPE["n_kv_heads"],
        head_dim=SHAPE["head_dim"],
        max_position_embeddings=SHAPE["max_seq_len"],
        tie_word_embeddings=True,
        rms_norm_eps=ours.config.norm_eps,
        rope_theta=ours.config.rope_theta,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    model = Qwen3ForCausalLM(config).eval()
    names = names_to_hf(ours.config)
    model.load_state_dict({names[name]: value for name, value in ours.state_dict().items()}, strict=False)

    def run(prompts: Prompts) -> float:
        ids = torch.tensor(prompts)
        started = time.perf_counter()
        with torch.inference_mode():
            out = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW_TOKENS, do_sample=False, use_cache=True
            )
        assert out.shape[1] == ids.shape[1] + NEW_TOKENS
        return time.perf_counter() - started

    return run


def write_gguf(path: Path) -> None:
    """The weights as llama.cpp reads a Qwen3, all in float32."""
    from gguf import GGUFWriter, TokenType

    model, words = build_model(), vocabulary()
    c, ordinary = model.config, len(words) - N_SPECIAL
    writer = GGUFWriter(path, "qwen3")
    writer.add_context_length(c.max_seq_len)
    writer.add_embedding_length(c.dim)
    writer.add_block_count(c.n_layers)
    writer.add_feed_forward_length(c.hidden_dim)
    writer.add_head_count(c.n_heads)
    writer.add_head_count_kv(c.n_kv_heads)
    writer.add_key_length(c.head_dim)
    writer.add_value_length(c.head_dim)
    writer.add_rope_freq_base(c.rope_theta)
    writer.add_layer_norm_rms_eps(c.norm_eps)
    writer.add_vocab_size(c.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(words)
    writer.add_token_types([TokenType.NORMAL] * ordinary + [TokenType.CONTROL] * N_SPECIAL)
    writer.add_token_merges([f"{word[0]} {word[1]}" for word in words[N_BYTES:ordinary]])
    writer.add_eos_token_id(c.vocab_size - 1)
    block = {
        "attn_norm": "attn_norm",
        "attn.q": "attn_q",
        "attn.k": "attn_k",
        "attn.v": "attn_v",
        "attn.o": "attn_output",
        "attn.q_norm": "attn_q_norm",
        "attn.k_norm": "attn_k_norm",
        "mlp_norm": "ffn_norm",
        "mlp.gate": "ffn_gate",
        "mlp.up": "ffn_up",
        "mlp.down": "ffn_down",
    }
    names = {"embed.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}
    for layer in range(c.n_layers):
        names |= {f"blocks.{layer}.{a}.weight": f"blk.{layer}.{b}.weight" for a, b in block.items()}
    for name, tensor in model.state_dict().items():
        writer.add_tensor(names[name], tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def build_llama(threads: int | None, parallel: int) -> Timed:
    """llama.cpp with `parallel` sequences; requests of a round come from a thread each."""
    import os

    import xllamacpp

    path = Path(tempfile.mkdtemp()) / "model.gguf"
    write_gguf(path)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = SHAPE["max_seq_len"] * parallel
    params.n_parallel = parallel
    params.n_threads_http = LLAMA_THREADS_HTTP
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads or len(os.sched_getaffinity(0))
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.n_gpu_layers = 0
    server = xllamacpp.Server(params)

    def ask(ids: list[int]) -> None:
        answer = server.handle_completions(
            {"prompt": ids, "max_tokens": NEW_TOKENS, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
        )
        made = answer["usage"]["completion_tokens"]
        assert made == NEW_TOKENS, answer

    def run(prompts: Prompts) -> float:
        workers = [threading.Thread(target=ask, args=(ids,)) for ids in prompts]
        started = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return time.perf_counter() - started

    return run
