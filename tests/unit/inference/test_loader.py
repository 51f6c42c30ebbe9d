import shutil

import pytest
import torch
from tests.support.chat_run import build_model, chat_run
from tests.support.checkpoints import resign

from picochat.artifacts import layout
from picochat.checkpoint import verify
from picochat.core.errors import PicochatError
from picochat.core.jsonio import pretty_json, read_json
from picochat.inference.loader import build_autocast, load_model


@pytest.fixture
def folder(tmp_path):
    with chat_run(tmp_path / "run") as ctx:
        yield ctx.store.path("sft/checkpoint")


def refused(folder, **options):
    with pytest.raises(PicochatError) as err:
        load_model(folder, **options)
    return err.value


@torch.no_grad()
def test_the_loaded_model_is_the_saved_one(folder):
    model = build_model()
    loaded = load_model(folder)
    tokens = torch.arange(20).reshape(2, 10)
    assert torch.equal(loaded.model.logits(loaded.model(tokens)), model.logits(model(tokens)))
    assert loaded.weights_digest == loaded.manifest.weights_digest
    assert loaded.manifest.stage == "sft"
    assert not loaded.model.training and not any(p.requires_grad for p in loaded.model.parameters())


def test_it_never_falls_back_to_the_previous_checkpoint(folder, monkeypatch):
    monkeypatch.setattr(verify, "RETRY_DELAY_S", 0)
    shutil.copytree(folder, folder.with_name("checkpoint.previous"))
    data = bytearray((folder / layout.CKPT_WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / layout.CKPT_WEIGHTS).write_bytes(data)
    assert refused(folder).code == "checkpoint.hash"
    shutil.rmtree(folder)
    assert refused(folder).code == "checkpoint.missing"
    assert not folder.exists()


def test_a_configuration_of_another_model_is_refused(folder):
    path = folder / layout.CKPT_MODEL_CONFIG
    path.write_bytes(pretty_json(read_json(path) | {"vocab_size": 300}))
    resign(folder)
    assert refused(folder).code == "checkpoint.tensor_shape"


def test_a_checkpoint_of_another_run_is_refused(folder):
    assert refused(folder, run_digest="f" * 64).code == "checkpoint.other_run"


def test_precision_is_the_dtype_of_matrix_products():
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with build_autocast("cpu", precision)():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is dtype
