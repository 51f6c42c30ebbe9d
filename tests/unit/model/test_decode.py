"""The decode step over slots against the plain forward without any cache."""

import pytest
import torch
from tests.support.engines import VOCAB_SIZE, build_telling_model

from picochat.model.decode import SlotDecoder
from picochat.model.kv_cache import KVCache
from picochat.model.sizing import kv_bytes_per_slot
from picochat.model.slot_cache import SlotCache

SHAPES = [
    {"residual": residual, "qk_norm": qk_norm, "tie_embeddings": tied}
    for residual in ("parallel", "sequential")
    for qk_norm in (True, False)
    for tied in (True, False)
]
TOLERANCE = 1e-4


def plain_logits(model, ids):
    with torch.no_grad():
        return model.logits(model(torch.tensor([ids])))[0]


@pytest.mark.parametrize("packed", [None, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_slots_of_unequal_length_equal_the_forward_without_a_cache(shape, packed):
    model = build_telling_model(1, **shape)
    rows = torch.randint(0, VOCAB_SIZE, (3, 24), generator=torch.Generator().manual_seed(2)).tolist()
    wanted = [plain_logits(model, row) for row in rows]
    decoder = SlotDecoder(model, SlotCache(model.config, 4), packed=packed)
    assert decoder.head.packed == (packed is None), "this machine packs"
    decoder.cache.keys.fill_(9.0)  # what another sequence left behind
    decoder.cache.values.fill_(9.0)
    starts = [3, 11, 6]
    for slot, start in enumerate(starts):
        for begin, end in ((0, start - 2), (start - 2, start)):
            states = decoder.read(slot, rows[slot][begin:end], begin)
            assert (decoder.logits(states) - wanted[slot][begin:end]).abs().max() < TOLERANCE
    for step in range(10):
        places = [start + step for start in starts]
        logits_BV = decoder.step([row[place] for row, place in zip(rows, places, strict=True)], places)
        for slot, place in enumerate(places):
            assert (logits_BV[slot] - wanted[slot][place]).abs().max() < TOLERANCE, (slot, step)
    # the wander must be real: neighbouring rows of scores are nothing like each other
    assert (wanted[0][1:] - wanted[0][:-1]).abs().amax(1).min() > 1


def test_chunks_equal_a_whole_prompt_and_the_plain_cache():
    model = build_telling_model(3, residual="sequential")
    ids = torch.randint(0, VOCAB_SIZE, (1, 40), generator=torch.Generator().manual_seed(4))
    cache = SlotCache(model.config, 2)
    with torch.no_grad():
        whole = model(ids, cache=KVCache(model.config, 1, 40))
        parts = [model(ids[:, at : at + 7], cache=cache.window(1, at)) for at in range(0, 40, 7)]
    assert (torch.cat(parts, dim=1) - whole).abs().max() < TOLERANCE
    assert not cache.keys[:, 0].any(), "the neighbour's slot was written"


def test_long_prompts_take_the_fused_attention_and_agree():
    model = build_telling_model(9, residual="sequential", max_seq_len=260)
    ids = torch.randint(0, VOCAB_SIZE, (255,), generator=torch.Generator().manual_seed(5)).tolist()
    wanted = plain_logits(model, ids)
    decoder = SlotDecoder(model, SlotCache(model.config, 2))
    states = [decoder.read(1, ids[at : at + 100], at) for at in (0, 100, 200)]
    assert (decoder.logits(torch.cat(states)) - wanted).abs().max() < TOLERANCE
    decoder.cache.move(1, 0, 254)
    decoder.read(1, ids[:40], 0)
    found_BV = decoder.step([ids[254], ids[40]], [254, 40])
    assert (found_BV - wanted[[254, 40]]).abs().max() < TOLERANCE


def test_a_moved_slot_goes_on_as_before():
    model = build_telling_model(5)
    ids = torch.randint(0, VOCAB_SIZE, (12,), generator=torch.Generator().manual_seed(6)).tolist()
    decoder = SlotDecoder(model, SlotCache(model.config, 3))
    with torch.no_grad():
        model(torch.tensor([ids[:11]]), cache=decoder.cache.window(2, 0))
    decoder.cache.move(2, 0, 11)
    assert (decoder.step([ids[11]], [11])[0] - plain_logits(model, ids)[11]).abs().max() < TOLERANCE


def test_joined_weights_are_the_models_own_and_keep_their_values():
    model = build_telling_model(7, residual="sequential", tie_embeddings=False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    decoder = SlotDecoder(model, SlotCache(model.config, 1), packed=False)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    layer = decoder.layers[0]
    assert layer.mlp_in is not None
    for joined, linear in ((layer.attn_in, model.blocks[0].attn.k), (layer.mlp_in, model.blocks[0].mlp.up)):
        assert linear.weight.untyped_storage().data_ptr() == joined.weight.untyped_storage().data_ptr()


def test_a_packed_decoder_leaves_the_model_alone():
    model = build_telling_model(7)
    places = [parameter.data_ptr() for parameter in model.parameters()]
    SlotDecoder(model, SlotCache(model.config, 1), packed=True)
    assert [parameter.data_ptr() for parameter in model.parameters()] == places


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_of_a_slot_is_as_computed(dtype):
    config = build_telling_model(0).config
    cache = SlotCache(config, 5, dtype=dtype)
    taken = cache.keys.untyped_storage().nbytes() + cache.values.untyped_storage().nbytes()
    assert taken == 5 * cache.bytes_per_slot
    assert cache.bytes_per_slot == kv_bytes_per_slot(config, dtype.itemsize) == 2 * 3 * 2 * 16 * 128 * dtype.itemsize


def test_the_step_in_bfloat16_stays_near():
    model = build_telling_model(8, n_layers=1)
    cache = SlotCache(model.config, 1, dtype=torch.bfloat16)
    decoder = SlotDecoder(model, cache, torch.bfloat16)
    assert model.blocks[0].attn.q.weight.dtype == torch.float32
    near, far = plain_logits(model, [5])[0], plain_logits(model, [6])[0]
    found = decoder.step([5], [0])[0].float()
    assert (found - near).norm() < 0.1 * (far - near).norm()
