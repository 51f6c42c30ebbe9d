"""How a server is started: which checkpoint and name, which keys, whose key."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from picochat.cli.api_key import KEY_VARIABLE, read_api_key, require_key_or_loopback
from picochat.cli.app import cli
from picochat.cli.serve_source import find_source, read_config
from picochat.core.errors import PicochatError
from picochat.core.redact import redact

KEY = "kEy-of-sixteen-letters"


def refused(work, *arguments) -> tuple[str, int]:
    with pytest.raises(PicochatError) as caught:
        work(*arguments)
    return caught.value.code, caught.value.exit_code


def write_run(root: Path, *stages: str) -> Path:
    for stage in stages:
        (root / stage / "checkpoint").mkdir(parents=True)
    (root / "run.json").write_text("{}")
    (root / "tokenizer.json").write_text("{}")
    return root


def test_the_chat_model_of_a_run_is_served_else_its_base_model(tmp_path: Path):
    root = write_run(tmp_path / "demo-1", "base", "sft")
    source = find_source(str(root), None, None)
    assert (source.name, source.run, source.root) == ("demo-1-sft", "demo-1", root)
    assert source.checkpoint == root / "sft" / "checkpoint" and source.run_digest
    assert find_source(str(write_run(tmp_path / "b", "base")), None, None).name == "b-base"


def test_the_run_of_a_checkpoint_lies_two_levels_up_however_it_is_named(tmp_path: Path, monkeypatch):
    root = write_run(tmp_path / "demo-1", "sft")
    monkeypatch.chdir(root / "sft")
    source = find_source(None, Path("checkpoint"), Path("../tokenizer.json"))
    assert (source.name, source.run, source.root) == ("demo-1-sft", "demo-1", root)
    (root / "run.json").unlink()
    assert find_source(None, Path("checkpoint"), Path("../tokenizer.json")).run is None


def test_one_model_is_named_in_one_way(tmp_path: Path):
    root = write_run(tmp_path / "demo-1", "sft")
    folder, tokenizer = root / "sft" / "checkpoint", root / "tokenizer.json"
    assert refused(find_source, None, folder, None) == ("usage.path", 2)
    assert refused(find_source, None, None, tokenizer) == ("usage.path", 2)
    assert refused(find_source, str(root), folder, tokenizer) == ("usage.path", 2)
    assert refused(find_source, None, folder / "none", tokenizer) == ("usage.path", 2)
    assert refused(find_source, None, folder, tokenizer / "none") == ("usage.path", 2)
    assert refused(find_source, str(tmp_path / "none"), None, None) == ("run.missing", 2)


def test_keys_of_other_parts_are_refused():
    assert read_config(("serve.slots=3", 'serve.allowed_hosts=["a.b"]')).slots == 3
    assert refused(read_config, ("base.lr=3",)) == ("config.key", 2)
    assert refused(read_config, ("serve=3",)) == ("config.key", 2)
    assert refused(read_config, ("serve.slots=0",)) == ("config.value", 2)


def test_a_key_comes_from_a_closed_file_or_the_environment(tmp_path: Path, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert read_api_key(None) is None
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert read_api_key(None) == KEY
    file = tmp_path / "key"
    file.write_text("another-key-of-a-file\n")
    file.chmod(0o600)
    assert read_api_key(file) == "another-key-of-a-file", "the file comes first"
    assert "another-key-of-a-file" not in redact("the key another-key-of-a-file leaks")


@pytest.mark.parametrize(
    "text", ["", "short", "a key with spaces in it", "kéy-of-sixteen-letters", f"{KEY}\n{KEY}", "x" * 600]
)
def test_what_is_no_key_is_refused(tmp_path: Path, monkeypatch, text: str):
    file = tmp_path / "key"
    file.write_text(text)
    file.chmod(0o600)
    assert refused(read_api_key, file) == ("serve.key_file", 2)
    monkeypatch.setenv(KEY_VARIABLE, text)
    assert refused(read_api_key, None) == ("serve.key_file", 2)


def test_a_file_that_others_can_read_holds_no_key(tmp_path: Path):
    file = tmp_path / "key"
    file.write_text(KEY)
    for mode in (0o644, 0o640, 0o604, 0o660):
        file.chmod(mode)
        assert refused(read_api_key, file) == ("serve.key_file", 2)
    assert refused(read_api_key, tmp_path / "none") == ("usage.path", 2)
    assert refused(read_api_key, tmp_path)[1] == 2


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.2", "pico.lan", "8.8.8.8"])
def test_other_addresses_than_this_machine_need_a_key(host: str):
    assert refused(require_key_or_loopback, host, None) == ("serve.key", 2)
    require_key_or_loopback(host, KEY)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.9"])
def test_this_machine_alone_needs_none(host: str):
    require_key_or_loopback(host, None)


def test_a_missing_package_is_named_with_its_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = CliRunner().invoke(cli, ["serve", "x"])
    assert isinstance(result.exception, PicochatError)
    assert (result.exception.code, result.exception.exit_code) == ("usage.extra", 2)
    assert result.exception.fix == "pip install 'picochat[serve]'"
