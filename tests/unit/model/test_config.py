import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from picochat.core.errors import PicochatError
from picochat.model.config import ModelConfig, derive_hidden_dim

SHAPE = {"vocab_size": 64, "dim": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "max_seq_len": 16}


def test_widths_are_derived_where_absent_or_zero():
    assert ModelConfig(**SHAPE).head_dim == 8
    assert ModelConfig(**SHAPE | {"dim": 2048, "n_heads": 16, "hidden_dim": 0}).hidden_dim == 5440
    assert ModelConfig(**SHAPE | {"head_dim": 64, "hidden_dim": 100}).as_dict()["head_dim"] == 64


def test_round_trip_keeps_every_value():
    config = ModelConfig(**SHAPE | {"qk_norm": False, "residual": "sequential"})
    assert ModelConfig.from_dict(config.as_dict()) == config


@given(st.integers(1, 8192))
def test_hidden_dim_is_the_nearest_multiple_of_64(dim):
    width = derive_hidden_dim(dim)
    assert width % 64 == 0 and width > 0
    assert width == 64 or abs(width - 8 * dim / 3) <= 32


@pytest.mark.parametrize(
    ("change", "cure"),
    [
        ({"n_heads": 3}, "model.head_dim"),
        ({"n_kv_heads": 3}, "model.n_kv_heads"),
        ({"head_dim": 7}, "8"),
    ],
)
def test_conflicts_say_their_cure(change, cure):
    with pytest.raises(PicochatError) as error:
        ModelConfig(**SHAPE | change)
    assert error.value.code == "config.conflict"
    assert cure in error.value.fix


@pytest.mark.parametrize("key", ["vocab_size", "dim", "n_layers", "n_heads", "n_kv_heads", "max_seq_len"])
def test_sizes_must_be_positive(key):
    with pytest.raises(ValidationError):
        ModelConfig(**SHAPE | {key: 0})
    with pytest.raises(ValidationError):
        ModelConfig(**SHAPE | {key: -4})
