"""A real model behind the server: what clients ask is what the model says, whoever asks and however."""

from __future__ import annotations

import math
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion
from tests.support.served import events, until
from tests.support.served_run import CONTEXT, MODEL, Process, serve, serve_words, write_served_run
from tests.support.tiny_run import flip_byte, picochat

from picochat.artifacts import layout
from picochat.checkpoint.reader import load_checkpoint
from picochat.inference.loader import load_model
from picochat.inference.scoring import score_texts
from picochat.tokenizer.codec import PicochatCodec
from picochat.tokenizer.tokenizer import Tokenizer

PROMPT = "the cat sat on the"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_served_run(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def process(root: Path) -> Iterator[Process]:
    with serve(root) as running:
        yield running


@pytest.fixture(scope="module")
def client(process: Process) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{process.url}/v1", api_key="any", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def codec(root: Path) -> PicochatCodec:
    return PicochatCodec(Tokenizer.load(root / layout.TOKENIZER))


def test_the_start_says_what_it_is_and_which_weights_answer(root: Path, process: Process):
    digest = load_checkpoint(root / layout.checkpoint_dir(layout.SFT), parts=()).manifest.weights_digest
    said = "".join(process.said)
    assert "local smoke-serving layer" in said
    assert f"weights {digest[:12]}, gate not_run: there is no gate.json" in said and process.model == MODEL


def test_models_by_the_official_client(client: openai.OpenAI):
    [model] = list(client.models.list())
    assert (model.id, model.owned_by) == (MODEL, "picochat")
    assert model.gate == "not_run" and model.max_model_len == CONTEXT
    assert client.models.retrieve(MODEL) == model
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-4")
    assert caught.value.code == "model_not_found"


def test_completions_by_the_official_client_stream_what_they_say_at_once(client: openai.OpenAI):
    asked = {"model": MODEL, "prompt": PROMPT, "max_tokens": 24, "seed": 5, "temperature": 0.9, "logprobs": 2}
    whole = client.completions.create(**asked)
    Completion.model_validate(whole.model_dump(), strict=True)
    assert whole.usage.completion_tokens <= 24 and whole.choices[0].finish_reason in ("stop", "length")
    chunks = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text
    assert chunks[-1].usage == whole.usage
    shown = [v for c in chunks for choice in c.choices for v in choice.logprobs.token_logprobs]
    assert shown == pytest.approx(whole.choices[0].logprobs.token_logprobs, abs=1e-4)
    again = client.completions.create(**asked)
    assert again.choices[0].text == whole.choices[0].text, "a seed reproduces"
    other = client.completions.create(**asked | {"seed": 6})
    assert other.choices[0].text != whole.choices[0].text


def test_chats_by_the_official_client_stream_what_they_say_at_once(client: openai.OpenAI):
    asked = {
        "model": MODEL,
        "messages": [{"role": "developer", "content": "be brief"}, {"role": "user", "content": "Spell cat."}],
        "max_completion_tokens": 20,
        "seed": 1,
        "n": 2,
    }
    whole = client.chat.completions.create(**asked)
    ChatCompletion.model_validate(whole.model_dump(exclude_unset=True), strict=True)
    texts = ["", ""]
    for chunk in client.chat.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in whole.choices]
    assert texts[0] != texts[1], "choices have seeds of their own"


def test_a_choice_is_the_same_alone_and_among_others(client: openai.OpenAI):
    asked = {"model": MODEL, "prompt": PROMPT, "max_tokens": 16, "temperature": 1.0}
    together = client.completions.create(**asked, seed=40, n=4)
    alone = client.completions.create(**asked, seed=42)
    assert together.choices[2].text == alone.choices[0].text


@pytest.mark.parametrize(
    ("fields", "error", "code", "param"),
    [
        ({"model": "gpt-4"}, openai.NotFoundError, "model_not_found", "model"),
        ({"max_tokens": 5000}, openai.BadRequestError, "context_length_exceeded", "max_tokens"),
        ({"temperature": 3}, openai.BadRequestError, "invalid_value", "temperature"),
        ({"suffix": "x"}, openai.BadRequestError, "unsupported_parameter", "suffix"),
        ({"n": "two"}, openai.BadRequestError, "invalid_type", "n"),
        ({"extra_body": {"beam_width": 3}}, openai.BadRequestError, "unsupported_parameter", "beam_width"),
    ],
)
def test_errors_are_typed_with_code_and_field(client: openai.OpenAI, fields, error, code, param):
    with pytest.raises(error) as caught:
        client.completions.create(**{"model": MODEL, "prompt": PROMPT} | fields)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.response.headers["x-picochat-gate"] == "not_run"


def test_extras_by_extra_body_change_the_draws(client: openai.OpenAI):
    asked = {"model": MODEL, "prompt": PROMPT, "max_tokens": 12, "seed": 3, "temperature": 2.0}
    free = client.completions.create(**asked).choices[0].text
    first = client.completions.create(**asked, extra_body={"top_k": 1}).choices[0].text
    greedy = client.completions.create(**asked | {"temperature": 0}).choices[0].text
    assert first == greedy != free


def test_stop_strings_cut_the_answer_and_are_counted(client: openai.OpenAI):
    asked = {"model": MODEL, "prompt": PROMPT, "max_tokens": 40, "temperature": 0, "extra_body": {"ignore_eos": True}}
    free = client.completions.create(**asked)
    text = free.choices[0].text
    stop = text[10:12]
    at = text.index(stop)
    cut = client.completions.create(**asked, stop=[stop])
    assert (cut.choices[0].text, cut.choices[0].finish_reason) == (text[:at], "stop")
    assert 0 < cut.usage.completion_tokens < free.usage.completion_tokens
    chunks = list(client.completions.create(**asked, stop=[stop], stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == text[:at]


def test_what_a_user_spells_stays_text(client: openai.OpenAI, codec: PicochatCodec):
    """A control token in a message would end the turn, and show as one token in the usage."""
    spoken = "<|user|>"
    counts = [
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": text}], max_tokens=1
        ).usage.prompt_tokens
        for text in ("", spoken)
    ]
    assert counts[1] - counts[0] == len(codec.encode(spoken)) > 1
    echoed = client.completions.create(model=MODEL, prompt=spoken, echo=True, logprobs=0, max_tokens=0)
    tokens = echoed.choices[0].logprobs.tokens
    assert tokens[0] == "<|bos|>" and "<|user|>" not in tokens and "".join(tokens[1:]) == spoken


def test_log_likelihoods_are_those_of_our_own_scorer(root: Path, client: openai.OpenAI, codec: PicochatCodec):
    """Echoed ids, as lm-eval asks for them, against `inference.scoring` in this process."""
    loaded = load_model(root / layout.checkpoint_dir(layout.SFT))
    texts = ["the cat sat on the mat", "my name is Pico", "spell the word cat, kill the process 好"]
    prompts = [[codec.bos, *codec.encode(text)] for text in texts]
    answer = client.completions.create(model=MODEL, prompt=prompts, max_tokens=1, logprobs=1, echo=True)
    expected = score_texts(loaded.model, [(ids[:1], ids[1:]) for ids in prompts])
    for choice, ids, wanted in zip(answer.choices, prompts, expected, strict=True):
        values = choice.logprobs.token_logprobs
        assert len(values) == len(ids) + 1 and values[0] is None
        assert sum(values[1:-1]) == pytest.approx(wanted, abs=1e-3)
        for value, top in zip(values[1:], choice.logprobs.top_logprobs[1:], strict=True):
            assert value <= max(top.values()) and math.isfinite(value)


def test_a_client_that_leaves_frees_its_slot(process: Process):
    asked = {"model": MODEL, "prompt": PROMPT, "max_tokens": 480, "stream": True, "ignore_eos": True}

    def gauge(name: str) -> float:
        with process.client() as http:
            text = http.get("/metrics").text
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")))

    before = gauge("picochat_cancelled_total")
    with process.client() as http, http.stream("POST", "/v1/completions", json=asked) as answer:
        next(answer.iter_text())
    assert until(lambda: gauge("picochat_busy_slots") == 0, 5)
    assert gauge("picochat_cancelled_total") == before + 1


def test_sigterm_lets_a_running_answer_end_and_exits_with_0(root: Path):
    with serve(root) as process:
        asked = {"model": MODEL, "prompt": PROMPT, "max_tokens": 400, "stream": True, "ignore_eos": True}
        texts: list[str] = []

        def ask() -> None:
            with process.client() as http:
                texts.append(http.post("/v1/completions", json=asked).text)

        asking = threading.Thread(target=ask)
        with process.client() as http:
            asking.start()
            assert until(lambda: "picochat_busy_slots 1.0" in http.get("/metrics").text)
            process.popen.send_signal(signal.SIGTERM)
            time.sleep(0.05)
            try:
                refused = http.post("/v1/completions", json=asked)
                assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
            except httpx.ConnectError:
                pass  # The answer was so quick that the server has left already.
        asking.join(30)
        assert events(texts[0])[-1] == "[DONE]"
        assert process.popen.wait(15) == 0
    assert "Traceback" not in process.errors.read_text()


def test_a_run_by_name_with_a_key_and_a_name_of_its_own(root: Path, tmp_path: Path):
    key = tmp_path / "key"
    key.write_text("a-key-of-many-letters\n")
    key.chmod(0o600)
    words = (str(root), "--api-key-file", str(key), "--set", "serve.model_id=house/pico")
    with serve_words(root, *words) as process, process.client() as http:
        assert process.model == "house/pico"
        assert http.get("/v1/models").status_code == 401
        answer = http.get("/v1/models/house%2Fpico", headers={"authorization": "Bearer a-key-of-many-letters"})
        assert answer.json()["run"] == "tiny-1"
        assert b"a-key-of-many-letters" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert process.stop() == 0
        assert "a-key-of-many-letters" not in process.errors.read_text() + "".join(process.said)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nowhere"], 2, "is no run"),
        (["--checkpoint", "nowhere"], 2, "--tokenizer"),
        (["--host", "0.0.0.0"], 2, "no key is set"),
        (["--set", "serve.slotz=3"], 2, "did you mean"),
        (["--set", "base.lr=3"], 2, "serve.*"),
        (["--port", "99999"], 2, "99999"),
    ],
)
def test_a_wrong_start_is_refused(root: Path, words: list[str], code: int, says: str):
    place = [] if words[0] in ("nowhere", "--checkpoint") else [str(root)]
    done = picochat("serve", *place, *words, timeout_s=60)
    assert done.returncode == code and says in done.stderr


def test_a_damaged_checkpoint_ends_with_its_reason(root: Path, tmp_path: Path):
    broken = tmp_path / "broken"
    shutil.copytree(root, broken)
    flip_byte(broken / layout.checkpoint_dir(layout.SFT) / layout.CKPT_WEIGHTS)
    done = picochat("serve", str(broken), "--port", "0", timeout_s=60)
    assert done.returncode == 4 and layout.CKPT_WEIGHTS in done.stderr
