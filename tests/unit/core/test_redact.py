import logging

import pytest

from picochat.core import redact as redaction
from picochat.core.log import LOGGER, close_log, open_log
from picochat.core.redact import MASK, mask_secrets, redact, redact_tree, register_secrets, secret_shapes

CANARY = "canary-value-1234"


@pytest.fixture(autouse=True)
def no_known_secrets(monkeypatch):
    monkeypatch.setattr(redaction, "_known", set())


def test_values_of_secret_variables_are_masked_and_others_are_not():
    register_secrets([("HUB_TOKEN", CANARY), ("HOME", "/var/somebody"), ("MY_API_KEY", "short"), ("api_key", "k" * 9)])
    assert redact(f"a {CANARY} b {'k' * 9} /var/somebody short") == f"a {MASK} b {MASK} /var/somebody short"


def test_a_secret_that_contains_another_leaves_nothing_behind():
    pairs = [(f"T{i}_TOKEN", "secret-prefix" + "x" * i) for i in range(40)]
    register_secrets(pairs)
    for _, value in pairs:
        assert redact(f"<{value}>") == f"<{MASK}>"


@pytest.mark.parametrize(
    "text",
    [
        "hf_" + "A1" * 15,
        "sk-" + "a" * 24,
        "ghp_" + "b" * 36,
        "github_pat_" + "c" * 44,
        "AKIA" + "Z" * 16,
        "xoxb-" + "1" * 12,
        "-----BEGIN RSA PRIVATE KEY-----",
    ],
)
def test_key_like_shapes_are_masked(text):
    assert redact(f"x {text} y") == f"x {MASK} y"
    assert secret_shapes(f"{text} and {text}") == 2


def test_ordinary_text_stays():
    text = "hf_short sk-no the task-list AKIA and a PRIVATE KEY"
    assert redact(text) == text


@pytest.mark.parametrize("word", ["task-", "disk-", "mask-"])
def test_a_name_whose_word_ends_like_the_start_of_a_key_stays(word):
    for name in (word + "a" * 20, word + "with-a-rather-long-name-indeed", word + "a_b-" * 12):
        for text in (name, f"runs/{name}/base", f'"{name}"', f"a-{name}", f"a_{name}"):
            assert redact(text) == text and secret_shapes(text) == 0


@pytest.mark.parametrize(
    "before", ["", " ", "/", "=", ":", '"', "'", "(", "-", "_", "\n", "\\n", "%3D", "\x1b[31m", "\t", "\x00", ",", "é "]
)
def test_a_key_at_the_start_of_a_word_is_masked(before):
    for key in ("sk-" + "a" * 20, "sk-proj-" + "A1_" * 9, "hf_" + "A1" * 15, "AKIA" + "Z" * 16):
        assert redact(before + key) == before + MASK and secret_shapes(before + key) == 1


def test_every_string_of_a_tree_is_masked():
    register_secrets([("A_SECRET", CANARY)])
    tree = {CANARY: [1, None, (f"a{CANARY}", True)], "b": {"c": CANARY, "d": 1.5}}
    assert redact_tree(tree) == {MASK: [1, None, [f"a{MASK}", True]], "b": {"c": MASK, "d": 1.5}}


def test_logs_are_masked_tracebacks_included(tmp_path):
    register_secrets([("A_PASSWORD", CANARY)])
    handler = open_log(tmp_path / "log")
    try:
        LOGGER.info("said %s", CANARY)
        try:
            raise RuntimeError(CANARY)
        except RuntimeError:
            LOGGER.error("failed", exc_info=True)
    finally:
        close_log(handler)
    text = (tmp_path / "log").read_text()
    assert CANARY not in text
    assert text.count(MASK) >= 2 and "RuntimeError" in text
    assert handler not in logging.getLogger("picochat").handlers


BODY = "\n".join("MIIEpAIBAAKCAQEA7v9x" + "Qx7+/k" * 7 for _ in range(20))


@pytest.mark.parametrize("end", ["\n-----END RSA PRIVATE KEY-----", ""])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_of_a_private_key_nothing_is_left(end: str, newline: str):
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}{end}".replace("\n", newline)
    assert mask_secrets(f"before\n{key}\nafter the key") == f"before\n{MASK}\nafter the key"
    assert secret_shapes(key) == 1
