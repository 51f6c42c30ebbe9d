"""The token reaches the hub and nothing else: no file, no error, no other host, no argv."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.data.imports.made import TOKEN, Naps, import_hub, parquet_bytes, refused, rows_of

from picochat.data.imports.config import ImportConfig
from picochat.data.imports.hub import Hub

ROOT = Path(__file__).parents[4]
FILES = {"train-0.jsonl": rows_of("a", 20), "train-1.parquet": parquet_bytes("b", 20)}
PROGRAM = (
    "import click\n"
    "from picochat.cli.app import cli\n"
    "from picochat.cli.commands.data_import import import_source\n"
    "from picochat.cli.__main__ import main\n"
    "group = click.Group('data', commands={'import': import_source})\n"
    "cli.get_command = lambda ctx, name: group\n"
    "main()\n"
)


def files_with(word: str, folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


def test_the_token_is_sent_to_the_hub_and_to_no_other_host(hub, tmp_path):
    hub.token = TOKEN
    hub.commit(FILES)
    import_hub(hub, tmp_path / "out", token=TOKEN)
    sent = {request.host: request.headers.get("authorization") for request in hub.requests}
    assert sent == {"hub": f"Bearer {TOKEN}", "storage": None}
    assert files_with(TOKEN, tmp_path) == []


def test_without_a_token_none_is_sent_not_even_one_that_lies_on_this_machine(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.commit(FILES)
    import_hub(hub, tmp_path / "out")
    assert [request for request in hub.requests if "authorization" in request.headers] == []


@pytest.mark.parametrize("fault", [("status", 500), ("status", (401, "RepoNotFound")), ("reset", None), ("wrong", b"")])
def test_no_error_shows_the_token_or_a_signed_address(hub, tmp_path, fault):
    hub.token = TOKEN
    hub.commit(FILES)
    hub.fail("/api/" if fault[0] == "wrong" else "storage:" if fault[0] == "reset" else "hub:", *fault)
    with pytest.raises(Exception) as caught:
        import_hub(hub, tmp_path / "out", Naps(), token=TOKEN)
    said = "\n".join(caught.value.lines()) + repr(caught.value)
    assert TOKEN not in said and "SIGNATURE" not in said
    assert files_with(TOKEN, tmp_path) == []


def test_an_address_with_a_password_is_refused_without_showing_it():
    with refused("config.value", 2, "no user name", "HF_TOKEN") as found:
        ImportConfig.from_dict({"source": "hf:a/b", "text": "t", "split": "s", "endpoint": "https://me:Pa55word@hub"})
    assert "Pa55word" not in "".join(found[0].lines())


def test_a_hub_does_not_show_its_token():
    assert TOKEN not in repr(Hub("https://hub", TOKEN))


def run_command(hub, folder, *more, **environment):
    variables = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "data", "import", "hf:org/data", "--out-dir", str(folder), *more],
        env={**variables, "PYTHONPATH": str(ROOT / "src"), "NO_PROXY": "127.0.0.1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_takes_the_token_from_the_environment_and_shows_it_nowhere(hub, tmp_path):
    hub.token = TOKEN
    commit = hub.commit(FILES, card={"license": "mit"})
    at = ["--text", "t", "--split", "train", "--set", f"endpoint={hub.url}"]
    done = run_command(hub, tmp_path / "out", *at, "--json", HF_TOKEN=TOKEN, HF_HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)
    assert (manifest["source"]["revision"], manifest["documents"]) == (commit, 40)
    assert TOKEN not in done.stdout + done.stderr
    assert files_with(TOKEN, tmp_path) == []
    agents = {request.headers["user-agent"] for request in hub.requests}
    assert all("picochat/" in agent and "torch" not in agent for agent in agents)
    assert {path for path in (request.path for request in hub.requests) if "agent" in path} == set()


def test_a_token_on_the_command_line_is_refused_without_showing_it():
    with refused("config.key", 2, "unknown key 'token'") as found:
        ImportConfig.from_dict({"source": "hf:a/b", "text": "t", "split": "s", "token": TOKEN})
    assert TOKEN not in "".join(found[0].lines())
