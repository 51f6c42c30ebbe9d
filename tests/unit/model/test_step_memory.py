"""Peak memory by part: published figures of 1.12 B parameters, figures counted on fake tensors, and laws."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.model.config import ModelConfig
from picochat.model.sizing import GIB, count_parameters, needed_bytes
from picochat.model.step_memory import (
    StepShape,
    kept_bytes,
    logits_bytes,
    mask_bytes,
    optimizer_bytes,
    step_memory,
)

H200_1B = ModelConfig(vocab_size=32768, dim=2048, n_layers=24, n_heads=16, n_kv_heads=4, max_seq_len=2048)
SMALL = ModelConfig(vocab_size=2048, dim=256, n_layers=3, n_heads=4, n_kv_heads=1, max_seq_len=512)
PLAIN = 10**6
"""A chunk that holds every token: the loss is not chunked."""

# (rows, recomputed, gradients held, slices, several micro-batches, tokens of a chunk, GiB counted on fake tensors)
COUNTED = [
    (8, True, True, 1, False, 8192, 26.45),
    (16, True, True, 1, False, 8192, 29.83),
    (32, True, True, 1, False, 8192, 36.58),
    (8, False, True, 1, False, 8192, 57.44),
    (8, True, False, 1, False, PLAIN, 23.31),
    (16, True, False, 1, False, PLAIN, 31.74),
    (32, True, False, 1, False, PLAIN, 48.62),
    (8, False, False, 1, False, 8192, 53.27),
    (8, True, False, 8, False, 8192, 7.57),
    (16, True, False, 8, False, 8192, 9.32),
    (32, True, False, 8, False, 8192, 14.25),
    (16, True, False, 8, True, 8192, 13.50),
    (8, True, False, 8, False, PLAIN, 8.57),
    (16, True, False, 8, False, PLAIN, 15.32),
    (32, True, False, 8, False, PLAIN, 28.82),
]


@pytest.mark.parametrize(("rows", "recomputed", "held", "slices", "several", "chunk", "gib"), COUNTED)
def test_the_billion_is_within_three_percent_of_its_count(rows, recomputed, held, slices, several, chunk, gib):
    shape = StepShape(
        rows,
        2048,
        chunk_tokens=chunk,
        checkpoint_blocks=recomputed,
        gradients_held=held,
        slices=slices,
        accumulates=several,
    )
    assert step_memory(H200_1B, shape).total / GIB == pytest.approx(gib, rel=0.03)


@pytest.mark.parametrize(("rows", "gib"), [(8, 8.5), (16, 16.4), (32, 32.0)])
def test_slices_are_near_the_figures_of_another_implementation(rows, gib):
    """Eight slices, recomputed blocks and an unchunked loss; there too the residual stream is bf16."""
    shape = StepShape(rows, 2048, chunk_tokens=PLAIN, checkpoint_blocks=True, slices=8)
    assert step_memory(H200_1B, shape).total / GIB == pytest.approx(gib, rel=0.12)


@pytest.mark.parametrize(
    ("rows", "recomputed", "chunk", "gib"),
    [(8, True, PLAIN, 20.5), (16, True, PLAIN, 28.3), (32, True, PLAIN, 43.9), (8, False, 8192, 53.1)],
)
def test_a_replica_is_near_them_but_for_its_float32_stream(rows, recomputed, chunk, gib):
    """Two bytes a feature, layer and token more where block inputs are kept; kept activations are much alike."""
    shape = StepShape(rows, 2048, chunk_tokens=chunk, checkpoint_blocks=recomputed)
    wider = 2 * H200_1B.n_layers * H200_1B.dim * shape.tokens if recomputed else 0
    assert (step_memory(H200_1B, shape).total - wider) / GIB == pytest.approx(gib, rel=0.07)


def test_slices_hold_two_gathered_blocks_and_the_gradients_of_a_third():
    """17 M parameters in 6 blocks, one row: next to such blocks activations are small. 73.6 MiB were counted."""
    wide = ModelConfig(vocab_size=2048, dim=512, n_layers=6, n_heads=8, n_kv_heads=2, max_seq_len=512)
    found = step_memory(wide, StepShape(1, 512, chunk_tokens=512, checkpoint_blocks=True, slices=8, on_cpu=True))
    assert found.total / 2**20 == pytest.approx(73.6, rel=0.03)


def test_needed_adds_eight_percent_and_one_and_a_half_gib():
    assert needed_bytes(100 * GIB) == round(109.5 * GIB)


def test_parts_add_up_and_static_ones_are_exact():
    found = step_memory(H200_1B, StepShape(16, 2048, checkpoint_blocks=True, gradients_held=True))
    n = count_parameters(H200_1B).total
    assert (found.weights, found.gradients, found.optimizer) == (4 * n, 4 * n, 8 * n)
    assert found.total == sum(found[1:])
    assert found.phase == "first backward"
    assert step_memory(H200_1B, StepShape(16, 2048, chunk_tokens=8192, checkpoint_blocks=True)).phase == "loss"


def test_muon_keeps_one_moment_of_a_blocks_matrices_and_an_average_costs_a_copy():
    parts = count_parameters(SMALL)
    assert optimizer_bytes(SMALL, "adamw") == 8 * parts.total
    assert optimizer_bytes(SMALL, "muon") == 8 * parts.total - 4 * (parts.attention + parts.mlp)
    plain, averaged = (step_memory(SMALL, StepShape(4, 512, ema=ema)) for ema in (False, True))
    assert averaged.optimizer - plain.optimizer == 4 * parts.total


def test_what_a_block_keeps_by_hand():
    """256 features, 4 heads and 1 kv head of 64, a width of 704: norm, casts for five products, heads, MLP."""
    dim, heads, kv, hidden = 256, 256, 64, 704
    assert SMALL.hidden_dim == hidden
    attention = 4 * (heads + kv) + 2 * (2 * heads + 2 * kv) + 4 * 4
    assert kept_bytes(SMALL, StepShape(1, 512)) == 4 * dim + 5 * 2 * dim + attention + 8 * hidden
    compiled = kept_bytes(SMALL, StepShape(1, 512, compiled=True))
    assert kept_bytes(SMALL, StepShape(1, 512)) - compiled == 4 * 2 * dim
    products = kept_bytes(SMALL, StepShape(1, 128, masked=True)) - kept_bytes(SMALL, StepShape(1, 512))
    assert products == 6 * 4 * 128 - 4 * 4
    assert mask_bytes(StepShape(2, 512, masked=True)) == 6 * 2 * 512 * 512
    assert mask_bytes(StepShape(2, 128, masked=True)) == 4 * 2 * 128 * 128
    assert mask_bytes(StepShape(2, 512)) == 0


def test_chunks_bound_the_logits():
    plain, chunked = (logits_bytes(H200_1B, StepShape(8, 2048, chunk_tokens=chunk)) for chunk in (PLAIN, 1024))
    assert plain > 4 * chunked
    assert logits_bytes(H200_1B, StepShape(32, 2048, chunk_tokens=1024)) == chunked


shapes = st.builds(
    StepShape,
    micro_batch_size=st.integers(1, 64),
    seq_len=st.sampled_from([64, 128, 512, 2048]),
    precision=st.sampled_from(["bf16", "fp32"]),
    masked=st.booleans(),
    chunk_tokens=st.sampled_from([256, 1024, 8192]),
    checkpoint_blocks=st.booleans(),
    compiled=st.booleans(),
    gradients_held=st.booleans(),
    slices=st.sampled_from([1, 2, 8]),
    accumulates=st.booleans(),
    optimizer=st.sampled_from(["adamw", "muon"]),
)


@given(shapes)
def test_more_rows_never_need_less_and_recomputing_or_slices_never_more(shape):
    def total(**changes) -> int:
        return step_memory(H200_1B, dataclasses.replace(shape, **changes)).total

    assert total(micro_batch_size=shape.micro_batch_size + 1) > 0
    assert total(micro_batch_size=shape.micro_batch_size + 1) >= total()
    assert total(checkpoint_blocks=True) <= total(checkpoint_blocks=False) + kept_bytes(H200_1B, shape) * shape.tokens
    assert total(gradients_held=True) >= total(gradients_held=False)
    assert min(step_memory(H200_1B, shape)[1:]) >= 0
