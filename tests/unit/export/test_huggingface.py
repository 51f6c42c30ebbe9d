"""The Hugging Face folder: its files, its keys for two generations, weights that come back to the bit."""

import json
import struct

import pytest
import torch
from tests.support.exported import LLAMA, PARALLEL, QWEN3, TOK, circling_model, write_hf

from picochat.artifacts import layout
from picochat.checkpoint.exported import read_exported, write_exported
from picochat.checkpoint.tensors import weights_digest
from picochat.core.errors import PicochatError
from picochat.export.huggingface import TEMPLATES, hf_config, read_hf_weights

KINDS = {"qwen3": QWEN3, "llama": LLAMA, "picochat": PARALLEL}


@pytest.mark.parametrize("kind", KINDS)
def test_the_folder_holds_what_a_loader_asks_for(kind, tmp_path):
    model = circling_model(**KINDS[kind])
    write_hf(tmp_path, model)
    names = {path.name for path in tmp_path.iterdir()}
    code = {layout.HF_CONFIG_CODE, layout.HF_MODEL_CODE}
    assert names >= {"model.safetensors", "config.json", "generation_config.json", "tokenizer.json"}
    assert (names & code) == (code if kind == "picochat" else set())
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == kind and ("auto_map" in config) == (kind == "picochat")
    assert config["dtype"] == config["torch_dtype"] == "float32"
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == model.config.rope_theta
    assert config["head_dim"] == model.config.head_dim and config["tie_word_embeddings"] is True
    assert config["attention_bias"] is False and config["use_sliding_window"] is False
    assert json.loads((tmp_path / "generation_config.json").read_text())["eos_token_id"] == [TOK.eos, TOK.end]
    assert weights_digest(read_hf_weights(tmp_path, model.config)) == weights_digest(model.state_dict())


def test_the_custom_code_lists_all_three_classes_and_knows_nothing_of_this_package():
    found = hf_config(circling_model(**PARALLEL).config, TOK)["auto_map"]
    assert set(found) == {"AutoConfig", "AutoModel", "AutoModelForCausalLM"}
    for name in (layout.HF_CONFIG_CODE, layout.HF_MODEL_CODE):
        source = (TEMPLATES / name).read_text()
        assert "import picochat" not in source and "from picochat" not in source
        assert len(source.splitlines()) < 75
    assert "**kwargs" in source and "_supports_attention_backend = True" in source


def test_the_file_says_that_it_is_torch_s_and_the_peer_library_reads_it(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    state = {"b": torch.arange(6.0).view(2, 3), "a": torch.ones(3, dtype=torch.bfloat16)}
    write_exported(tmp_path / "x", state)
    data = (tmp_path / "x").read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    assert header["__metadata__"] == {"format": "pt"}
    theirs, ours = safetensors.load_file(tmp_path / "x"), read_exported(tmp_path / "x")
    assert theirs.keys() == ours.keys() == state.keys()
    assert all(torch.equal(theirs[name], state[name]) and torch.equal(ours[name], state[name]) for name in state)


@pytest.mark.parametrize("damage", ["cut", "empty", "metadata", "header", "missing"])
def test_a_damaged_file_of_weights_is_refused(damage, tmp_path):
    path = tmp_path / "x"
    write_exported(path, {"a": torch.ones(5)})
    data = path.read_bytes()
    spoilt = {
        "cut": data[:-3],
        "empty": b"",
        "metadata": data.replace(b'"pt"', b'"tf"'),
        "header": data[:8] + b"[" + data[9:],
    }
    path.write_bytes(spoilt[damage]) if damage in spoilt else path.unlink()
    with pytest.raises(PicochatError) as caught:
        read_exported(path)
    assert caught.value.code == ("artifact.missing" if damage == "missing" else "checkpoint.tensors")
