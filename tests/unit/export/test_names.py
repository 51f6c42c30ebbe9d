"""Names go there and back, for every kind of block, and bring the digest with them."""

import pytest
from tests.support.exported import LLAMA, PARALLEL, QWEN3, circling_model

from picochat.checkpoint.tensors import weights_digest
from picochat.export.names import gguf_names, hf_names
from picochat.model.hf_names import names_to_hf


@pytest.mark.parametrize("shape", [PARALLEL, QWEN3, LLAMA])
def test_every_parameter_has_one_name(shape):
    model = circling_model(**shape)
    names = hf_names(model.config)
    state = model.state_dict()
    assert names.keys() == state.keys() and len(set(names.values())) == len(names)
    there = {names[name]: tensor for name, tensor in state.items()}
    back = {theirs: ours for ours, theirs in names.items()}
    assert weights_digest({back[name]: tensor for name, tensor in there.items()}) == weights_digest(state)


def test_sequential_names_are_those_that_an_import_reads():
    for shape in (QWEN3, LLAMA):
        config = circling_model(**shape).config
        assert hf_names(config) == names_to_hf(config)


def test_a_parallel_block_has_one_norm():
    names = set(hf_names(circling_model(**PARALLEL).config).values())
    assert "model.layers.0.input_layernorm.weight" in names
    assert not any("post_attention_layernorm" in name for name in names)


def test_gguf_names_are_those_of_the_package():
    gguf = pytest.importorskip("gguf")
    config = circling_model(**QWEN3).config
    architecture = gguf.MODEL_TENSORS[gguf.MODEL_ARCH.QWEN3]
    known = {gguf.TENSOR_NAMES[kind].format(bid=bid) + ".weight" for kind in architecture for bid in (0, 1)}
    assert set(gguf_names(config).values()) <= known
    assert gguf_names(config).keys() == circling_model(**QWEN3).state_dict().keys()
