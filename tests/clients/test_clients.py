"""Clients that are not installed for development: `make test-clients` fetches them; elsewhere these tests skip."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.npm import install_npm, run_node
from tests.support.served_run import MODEL, Process, serve, write_served_run

pytestmark = [
    pytest.mark.integration,
    # Warnings of other people's packages are their own.
    pytest.mark.filterwarnings("ignore"),
]
KEY = "any"
VERCEL = ("ai@6.0.326", "@ai-sdk/openai-compatible@2.0.92")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with serve(write_served_run(tmp_path_factory.mktemp("clients"))) as running:
        yield running


def test_langchain_chats(process: Process):
    module = pytest.importorskip("langchain_openai", reason="NOT RUN: langchain-openai is not installed")
    chat = module.ChatOpenAI(
        base_url=f"{process.url}/v1", api_key=KEY, model=MODEL, temperature=0.5, seed=3, max_tokens=8, max_retries=0
    )
    whole = chat.invoke("Spell cat.")
    assert whole.content and whole.usage_metadata["output_tokens"] <= 8
    chunks = list(chat.stream("Spell cat.", stream_usage=True))
    assert "".join(chunk.content for chunk in chunks) == whole.content
    assert sum((chunk.usage_metadata or {}).get("total_tokens", 0) for chunk in chunks) == sum(
        (whole.usage_metadata["input_tokens"], whole.usage_metadata["output_tokens"])
    )


def test_langchain_completes_prompts_as_a_list(process: Process):
    module = pytest.importorskip("langchain_openai", reason="NOT RUN: langchain-openai is not installed")
    model = module.OpenAI(
        base_url=f"{process.url}/v1", api_key=KEY, model=MODEL, temperature=0, max_tokens=6, max_retries=0
    )
    found = model.generate(["the cat", "the dog"])
    assert len(found.generations) == 2 and all(rows[0].text for rows in found.generations)
    assert found.llm_output["token_usage"]["completion_tokens"] <= 12
    assert "".join(model.stream("the cat")) == found.generations[0][0].text


def test_litellm(process: Process, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = pytest.importorskip("litellm", reason="NOT RUN: litellm is not installed")
    asked = {"api_base": f"{process.url}/v1", "api_key": KEY, "max_tokens": 8, "seed": 2, "num_retries": 0}
    messages = [{"role": "user", "content": "Spell cat."}]
    whole = litellm.completion(model=f"openai/{MODEL}", messages=messages, **asked)
    assert whole.choices[0].message.content and whole.usage.completion_tokens <= 8
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(litellm.completion(model=f"openai/{MODEL}", messages=messages, **asked, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    completed = litellm.text_completion(model=f"text-completion-openai/{MODEL}", prompt="the cat", **asked)
    assert completed.choices[0].text
    with pytest.raises(litellm.BadRequestError):
        litellm.completion(model=f"openai/{MODEL}", messages=messages, **asked | {"max_tokens": 5000})


def test_the_llm_program(process: Process, tmp_path: Path):
    pytest.importorskip("llm", reason="NOT RUN: llm is not installed")
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: pico\n  model_name: {MODEL}\n  api_base: {process.url}/v1\n"
    )
    env = {**os.environ, "LLM_USER_PATH": str(tmp_path), "LLM_LOAD_PLUGINS": ""}
    words = [sys.executable, "-m", "llm", "-m", "pico", "--key", KEY, "-o", "max_tokens", "8", "-o", "seed", "4"]
    said = [
        subprocess.run([*words, *more, "Spell cat."], env=env, capture_output=True, text=True, timeout=60, check=True)
        for more in ([], ["--no-stream"])
    ]
    assert said[0].stdout.strip() and said[0].stdout == said[1].stdout


def test_vercels_sdk(process: Process, tmp_path_factory: pytest.TempPathFactory):
    folder = install_npm(tmp_path_factory.mktemp("vercel"), *VERCEL)
    seen = run_node(folder, "vercel_client.mjs", f"{process.url}/v1", MODEL)
    assert seen["text"] and seen["streamed"] == seen["text"] and seen["completed"]
    assert seen["usage"][0] == seen["usage"][1] <= 8
    assert seen["refused"] == [400, False], "what will not change is not asked again"
