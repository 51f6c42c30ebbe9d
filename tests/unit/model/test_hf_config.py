"""config.json of others: read in both generations of keys, refused by name for whatever is not computed here."""

import pytest
from tests.support.foreign_models import model_config

from picochat.core.errors import PicochatError
from picochat.model.hf_config import config_from_hf, is_rotary_table

QWEN3 = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 8}
MISTRAL = {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": None}


def read(max_seq_len: int = 1000, **changes):
    document = {key: value for key, value in model_config(**changes).items() if value != "absent"}
    return config_from_hf(document, "config.json", max_seq_len)


def test_a_llama_is_a_sequential_model_without_query_and_key_norm():
    model = read(rope_theta=5e5)
    assert model.config.as_dict() == {
        "vocab_size": 265,
        "dim": 16,
        "n_layers": 2,
        "n_heads": 4,
        "n_kv_heads": 2,
        "head_dim": 4,
        "hidden_dim": 32,
        "max_seq_len": 64,
        "rope_theta": 500000.0,
        "norm_eps": 1e-6,
        "residual": "sequential",
        "qk_norm": False,
        "tie_embeddings": True,
    }


def test_a_qwen3_has_query_and_key_norm_and_its_own_head_width():
    model = read(**QWEN3, use_sliding_window=False, sliding_window=4096, layer_types=["full_attention"] * 2)
    assert model.config.qk_norm and model.config.head_dim == 8


def test_a_mistral_is_a_llama_when_it_says_that_it_has_no_window():
    assert read(**MISTRAL).config == read().config


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_theta": 7e3},
        {"rope_theta": "absent", "rope_parameters": {"rope_theta": 7e3, "rope_type": "default"}},
        {"rope_theta": 7000, "rope_scaling": None},
        {"rope_theta": 7e3, "rope_parameters": {"rope_theta": 7e3, "rope_type": "default"}},
        {"rope_theta": 7e3, "rope_scaling": {"type": "default"}},
    ],
)
def test_both_generations_of_rotary_keys(rope):
    assert read(**rope).config.rope_theta == 7e3


def test_what_the_class_takes_where_nothing_is_said():
    model = read(rope_theta="absent", num_key_value_heads="absent", tie_word_embeddings="absent")
    assert (model.config.rope_theta, model.config.n_kv_heads, model.config.tie_embeddings) == (10_000.0, 4, False)


def test_the_context_is_bounded_and_the_trained_one_is_told():
    model = read(max_seq_len=16, max_position_embeddings=131072)
    assert (model.config.max_seq_len, model.trained_context) == (16, 131072)


def test_keys_that_say_nothing_of_the_network_are_listed():
    assert read(is_llama_config=True, use_cache=True, torch_dtype="bfloat16").ignored == ("is_llama_config",)


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": ["MixtralForCausalLM"]},
        {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}},
        {"rope_parameters": {"full_attention": {"rope_theta": 1e4}}},
        {"rope_scaling": "linear"},
        {"attention_bias": True},
        {"mlp_bias": True},
        {"hidden_act": "gelu"},
        {"partial_rotary_factor": 0.5},
        {"quantization_config": {"quant_method": "gptq"}},
        {"num_local_experts": 8},
        {"final_logit_softcapping": 30.0},
        {"residual_multiplier": 0.2},
        {"auto_map": {"AutoModel": "modeling.Model"}},
        {"sliding_window": 4096},
        {"layer_types": ["full_attention", "sliding_attention"]},
        {**QWEN3, "use_sliding_window": True, "sliding_window": 4096},
        {**MISTRAL, "sliding_window": "absent"},
        {**MISTRAL, "sliding_window": 4096},
    ],
)
def test_what_is_not_computed_here_is_refused_by_its_name(changes):
    with pytest.raises(PicochatError) as caught:
        read(**changes)
    assert (caught.value.code, caught.value.exit_code) == ("foreign.unsupported", 4)
    named = [key for key in changes if key not in ("architectures", "model_type", "head_dim")] or list(changes)
    assert any(key in caught.value.detail or "MixtralForCausalLM" in caught.value.detail for key in named)


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": []},
        {"architectures": "LlamaForCausalLM"},
        {"model_type": "qwen3"},
        {"num_hidden_layers": 10**9},
        {"vocab_size": "265"},
        {"hidden_size": 0},
        {"hidden_size": 18},
        {"rms_norm_eps": "absent"},
        {"hidden_act": "absent"},
        {"max_position_embeddings": True},
        {"rope_theta": 1e4, "rope_parameters": {"rope_theta": 2e4}},
        {"tie_word_embeddings": "yes"},
        {**QWEN3, "head_dim": None},
        {"num_key_value_heads": 3},
        {"head_dim": 5},
    ],
)
def test_what_is_missing_or_no_number_is_refused(changes):
    with pytest.raises(PicochatError) as caught:
        read(**changes)
    assert (caught.value.code, caught.value.exit_code) == ("foreign.config", 4)


def test_rotary_tables_of_old_files_are_known_by_name():
    assert is_rotary_table("model.layers.11.self_attn.rotary_emb.inv_freq")
    assert not is_rotary_table("model.layers.11.self_attn.q_proj.weight")
