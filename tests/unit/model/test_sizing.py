import pytest
import torch

from picochat.model import sizing
from picochat.model.config import ModelConfig
from picochat.model.transformer import Transformer

TINY = ModelConfig(
    vocab_size=512, dim=128, n_layers=4, n_heads=2, n_kv_heads=1, head_dim=64, hidden_dim=320, max_seq_len=256
)
H100_100M = ModelConfig(
    vocab_size=8192, dim=768, n_layers=16, n_heads=12, n_kv_heads=4, hidden_dim=2048, max_seq_len=512
)
H200_1B = ModelConfig(vocab_size=32768, dim=2048, n_layers=24, n_heads=16, n_kv_heads=4, max_seq_len=2048)
ODD_1B = ModelConfig(
    vocab_size=32768, dim=2048, n_layers=24, n_heads=16, n_kv_heads=4, hidden_dim=5461, max_seq_len=2048
)
SEQUENTIAL = TINY.model_copy(update={"residual": "sequential", "tie_embeddings": False})
LLAMA = SEQUENTIAL.model_copy(update={"qk_norm": False})


def built_parameters(config: ModelConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in Transformer(config).parameters())


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (TINY, 754_816),
        (H200_1B, 1_120_985_088),
        (ODD_1B, 1_124_081_664),
        (H100_100M, None),
        (SEQUENTIAL, None),
        (LLAMA, None),
    ],
)
def test_count_equals_the_built_model(config, expected):
    count = sizing.count_parameters(config).total
    assert count == built_parameters(config)
    assert expected is None or count == expected


def test_100m_is_107_million():
    assert round(sizing.count_parameters(H100_100M).total / 1e6) == 107


def test_block_parameters_equal_a_built_block():
    with torch.device("meta"):
        block = Transformer(SEQUENTIAL).blocks[0]
    assert sizing.block_parameters(SEQUENTIAL) == sum(p.numel() for p in block.parameters())


def test_flops_of_the_1b_model():
    assert sizing.flops_per_token(H200_1B, 0) == pytest.approx(6.726e9, rel=1e-3)
    assert sizing.flops_per_token(H200_1B, 2048) == pytest.approx(7.934e9, rel=1e-3)
    full, half = sizing.flops_per_token(H200_1B, 2048), sizing.flops_per_token(H200_1B, 2048, causal=True)
    assert full - half == half - sizing.flops_per_token(H200_1B, 0)


@pytest.mark.parametrize(("micro_batch_size", "gib"), [(8, 20.4), (16, 28.3), (32, 44.1)])
def test_peak_with_recomputed_blocks(micro_batch_size, gib):
    peak = sizing.peak_bytes(H200_1B, micro_batch_size, 2048, checkpoint_blocks=True)
    assert peak / sizing.GIB == pytest.approx(gib, abs=0.06)


def test_chunked_loss_lowers_the_peak():
    plain = sizing.peak_bytes(H200_1B, 8, 2048, checkpoint_blocks=False)
    chunked = sizing.peak_bytes(H200_1B, 8, 2048, checkpoint_blocks=False, chunk_tokens=1024)
    assert plain - chunked == round(12.8 * (8 * 2048 - 1024) * 32768)
    assert chunked / sizing.GIB == pytest.approx(53.1, rel=0.15)
    assert sizing.peak_bytes(H200_1B, 8, 2048, checkpoint_blocks=False, compiled=True) < plain


def test_static_memory():
    n = sizing.count_parameters(H200_1B).total
    assert sizing.static_bytes_ddp(H200_1B) == 16 * n
    assert sizing.static_bytes_ddp(H200_1B, fused=False) == 20 * n
    assert sizing.static_bytes_fsdp(H200_1B, 8) < sizing.static_bytes_ddp(H200_1B) / 4
    assert sizing.needed_bytes(10 * sizing.GIB) == round(12.3 * sizing.GIB)
