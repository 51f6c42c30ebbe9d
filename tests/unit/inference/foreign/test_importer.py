"""A folder of others becomes a model of ours that says the same, or nothing at all is left of the attempt."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.foreign_models import (
    CHATML,
    model_config,
    model_shapes,
    random_weights,
    safetensors_bytes,
    tokenizer_config,
    tokenizer_document,
    write_model,
)
from tests.unit.tokenizer.foreign.test_codec import Turn

from picochat.artifacts import layout
from picochat.artifacts.import_record import load_import
from picochat.core.errors import PicochatError
from picochat.inference.foreign.config import ForeignConfig
from picochat.inference.foreign.importer import import_model
from picochat.inference.loader import load_model
from picochat.judgement.imported import verify_import
from picochat.judgement.served_verdict import read_served_verdict
from picochat.tokenizer.foreign.codec import ForeignCodec

CARD = b"---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\nlicense: none of this\n"


def take(source: Path, out: Path, **settings):
    return import_model(source, out, ForeignConfig(**settings))


def refused(source: Path, out: Path, **settings) -> PicochatError:
    """The refusal, after which nothing of the attempt lies on disk."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(PicochatError) as caught:
        take(source, out, **settings)
    assert sorted(out.parent.iterdir()) == before
    return caught.value


def test_everything_that_a_model_needs_is_there(tmp_path):
    source = write_model(tmp_path / "model", README_md=CARD, generation_config_json={"eos_token_id": 262})
    (source / "LICENSE").write_bytes(b"free\n")
    record = take(source, tmp_path / "out")
    out = tmp_path / "out"
    assert load_import(out) == record
    assert (record.name, record.licence, record.licence_from) == ("model", "apache-2.0", "card")
    assert {file.name for file in record.files} == {p.name for p in source.iterdir()}
    for name in ("config.json", "tokenizer_config.json", "generation_config.json", "README.md", "LICENSE"):
        assert (out / layout.IMPORT_SOURCE / name).read_bytes() == (source / name).read_bytes()
    assert (out / layout.TOKENIZER).read_bytes() == (source / "tokenizer.json").read_bytes()
    assert (out / layout.CHAT_TEMPLATE).read_text() == CHATML
    loaded = load_model(out / layout.checkpoint_dir(layout.IMPORTED), run_digest=record.source_digest)
    assert loaded.weights_digest == record.weights_digest
    assert sum(p.numel() for p in loaded.model.parameters()) == record.parameters
    weights = random_weights(model_shapes(model_config()))
    assert torch.equal(loaded.model.embed.weight, torch.from_numpy(weights["model.embed_tokens.weight"]))
    assert record.tensors == len(weights) and record.saved_dtypes == {"F32": len(weights)}
    assert read_served_verdict(out, loaded.weights_digest).word == "not_run"
    codec = ForeignCodec.load(out)
    assert codec.end_ids == {262} and len(codec.render_chat([Turn("user", "hi")])) > 8


def test_settings(tmp_path):
    source = write_model(tmp_path / "model", README_md=CARD)
    record = take(source, tmp_path / "out", max_seq_len=32, chat_template=False, licence="mine")
    assert record.model["max_seq_len"] == 32 and record.trained_context == 64
    assert (record.licence, record.licence_from) == ("mine", "given")
    assert record.tokenizer.chat_template is None and not (tmp_path / "out" / layout.CHAT_TEMPLATE).exists()
    assert "context cut to 32 of the 64" in record.notes[0] and "cannot be talked to" in record.notes[-1]


def test_a_template_of_its_own_file_comes_first(tmp_path):
    other = CHATML.replace("assistant", "model")
    take(write_model(tmp_path / "model", chat_template_jinja=other.encode()), tmp_path / "out")
    assert (tmp_path / "out" / layout.CHAT_TEMPLATE).read_text() == other


@pytest.mark.parametrize(
    ("parts", "code", "exit_code"),
    [
        ({"config_json": None}, "foreign.file", 4),
        ({"config_json": b"[]"}, "json.invalid", 4),
        ({"config_json": b'{"a": NaN}'}, "json.invalid", 4),
        ({"config_json": b" " * ((16 << 20) + 1)}, "foreign.file", 4),
        ({"config_json": model_config(attention_bias=True)}, "foreign.unsupported", 4),
        ({"config_json": model_config(num_key_value_heads=3)}, "foreign.config", 4),
        ({"config_json": model_config(hidden_size=32)}, "foreign.shape", 4),
        ({"config_json": model_config(tie_word_embeddings=False)}, "foreign.names", 4),
        ({"config_json": model_config(vocab_size=5000)}, "foreign.vocab", 4),
        ({"config_json": model_config(eos_token_id=[1, "x"])}, "foreign.tokenizer", 4),
        ({"tokenizer_json": None}, "foreign.file", 4),
        ({"tokenizer_json": b"{}"}, "foreign.tokenizer", 4),
        ({"tokenizer_json": tokenizer_document(model={"type": "Unigram", "vocab": {}})}, "foreign.tokenizer", 4),
        ({"tokenizer_config_json": tokenizer_config(chat_template="{{ ().__class__.x }}")}, "chat.template", 4),
        ({"model_safetensors": None}, "foreign.file", 4),
        ({"model_safetensors": b"x" * 100}, "foreign.tensors", 4),
        ({"model_safetensors": None, "pytorch_model_bin": b"x"}, "foreign.pickle", 4),
    ],
)
def test_a_hostile_folder_leaves_nothing(tmp_path, parts, code, exit_code):
    """Each refused with its own code, and the folder of the model is never begun or is gone again."""
    error = refused(write_model(tmp_path / "model", **parts), tmp_path / "out")
    assert (error.code, error.exit_code) == (code, exit_code), error.detail


def test_a_taken_folder_is_left_alone(tmp_path):
    source = write_model(tmp_path / "model")
    (tmp_path / "out").mkdir()
    take(source, tmp_path / "out")  # an empty folder is as good as none
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    error = refused(source, tmp_path / "out")
    assert (error.code, error.exit_code) == ("foreign.out_dir", 2)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before
    (tmp_path / "file").write_text("x")
    assert refused(source, tmp_path / "file").code == "foreign.out_dir"
    assert refused(tmp_path / "nothing", tmp_path / "new").code == "usage.path"


def test_a_disk_that_is_full_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("picochat.core.publish.free_bytes", lambda path: 1000)
    error = refused(write_model(tmp_path / "model"), tmp_path / "out")
    assert (error.code, error.exit_code) == ("disk.full", 5)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    take(write_model(root / "model"), root / "out")
    return root / "out"


def test_verify_of_a_whole_import(made):
    (result,) = verify_import(made)
    assert (result.id, result.verdict) == ("verify.chain", "pass")
    assert result.n == sum(path.is_file() and path.name != ".lock" for path in made.rglob("*"))


NAMES = [
    "import.json",
    "tokenizer.json",
    "chat_template.jinja",
    "source/config.json",
    "imported/checkpoint/model.safetensors",
    "imported/checkpoint/MANIFEST.json",
]


@pytest.mark.parametrize("name", NAMES)
def test_verify_names_a_changed_and_a_missing_file(made, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    assert any(r.verdict == "block" and name in r.evidence[0].artifact for r in verify_import(copy))
    (copy / name).unlink()
    assert any(r.verdict == "block" and name in r.evidence[0].artifact for r in verify_import(copy))


def test_verify_warns_of_a_file_that_is_not_listed(made, tmp_path):
    shutil.copytree(made, tmp_path / "copy")
    (tmp_path / "copy" / "extra.txt").write_text("x")
    assert [(r.id, r.verdict) for r in verify_import(tmp_path / "copy")][1:] == [("verify.unlisted", "warn")]


@pytest.mark.parametrize("name", ["tokenizer.json", "chat_template.jinja"])
def test_a_codec_of_changed_files_is_refused(made, tmp_path, name):
    shutil.copytree(made, tmp_path / "copy")
    (tmp_path / "copy" / name).write_bytes((made / name).read_bytes() + b" ")
    with pytest.raises(PicochatError) as caught:
        ForeignCodec.load(tmp_path / "copy")
    assert (caught.value.code, caught.value.exit_code) == ("artifact.changed", 4)


def test_a_checkpoint_of_another_import_is_refused(made, tmp_path):
    weights = random_weights(model_shapes(model_config()), seed=1)
    other = write_model(tmp_path / "model", model_safetensors=safetensors_bytes(weights))
    take(other, tmp_path / "out")
    folder = layout.checkpoint_dir(layout.IMPORTED)
    shutil.rmtree(tmp_path / "out" / folder)
    shutil.copytree(made / folder, tmp_path / "out" / folder)
    with pytest.raises(PicochatError) as caught:
        load_model(tmp_path / "out" / folder, run_digest=load_import(tmp_path / "out").source_digest)
    assert caught.value.code == "checkpoint.other_run"
    assert any(r.id == "verify.checkpoint" and r.verdict == "block" for r in verify_import(tmp_path / "out"))


def test_the_command_line(made, tmp_path):
    from click.testing import CliRunner

    from picochat.cli.app import cli

    source = write_model(tmp_path / "model")
    out = str(tmp_path / "out")
    done = CliRunner().invoke(cli, ["import", "hf", str(source), "--out-dir", out, "--json", "--set", "max_seq_len=32"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["model"]["max_seq_len"] == 32
    done = CliRunner().invoke(cli, ["generate", out, "--prompt", "the", "--max-new-tokens", "3", "--json"])
    assert done.exit_code == 0, done.output
    assert "not_run" in json.loads(done.stdout)["model"] and json.loads(done.stdout)["tokens"] == 3
    done = CliRunner().invoke(cli, ["chat", out, "--prompt", "the", "--max-new-tokens", "3", "--json"])
    assert done.exit_code == 0, done.output
    paths = ["--checkpoint", f"{out}/imported/checkpoint", "--tokenizer", f"{out}/tokenizer.json"]
    again = CliRunner().invoke(cli, ["chat", *paths, "--prompt", "the", "--max-new-tokens", "3", "--json"])
    assert json.loads(again.stdout)["text"] == json.loads(done.stdout)["text"]
    assert CliRunner().invoke(cli, ["verify", out]).exit_code == 0
    (tmp_path / "out" / "tokenizer.json").write_bytes(b"{}")
    assert CliRunner().invoke(cli, ["verify", out]).exit_code == 4


def test_scores_of_ids(made):
    """What benchmarks rest on: likelihoods of continuations, with the model's own ids."""
    from picochat.inference.scoring import score_texts

    loaded, codec = load_model(made / layout.checkpoint_dir(layout.IMPORTED)), ForeignCodec.load(made)
    prompt, rest = codec.encode("the cat"), codec.encode(" in the hat")
    (score,) = score_texts(loaded.model, [(prompt, rest)])
    logits = loaded.model.logits(loaded.model(torch.tensor([prompt + rest])))[0].log_softmax(-1)
    wanted = sum(float(logits[len(prompt) - 1 + place, token]) for place, token in enumerate(rest))
    assert np.isclose(score, wanted, atol=1e-4)


def test_a_server_finds_an_imported_model(made, monkeypatch):
    from picochat.cli.serve_source import find_source

    source = find_source(str(made), None, None)
    assert (source.name, source.run) == ("out-imported", None)
    assert source.run_digest == load_import(made).source_digest
    monkeypatch.setenv("PICOCHAT_RUNS", str(made.parent))
    assert find_source("out", None, None) == source
    with pytest.raises(PicochatError) as caught:
        find_source(str(made / "source"), None, None)
    assert caught.value.code == "run.missing"
