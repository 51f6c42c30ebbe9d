"""picochat generate and chat: one engine behind both, and commands inside a conversation."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.chat_run import chat_run
from tests.support.engines import answer, build_engine, build_telling_model

from picochat.artifacts import layout
from picochat.checkpoint.writer import CheckpointFacts, save_checkpoint
from picochat.cli.chat_commands import find_command
from picochat.cli.commands.chat import chat
from picochat.cli.commands.generate import generate
from picochat.cli.speaker import visible
from picochat.core.errors import PicochatError
from picochat.data.conversations import read_chat_rows
from picochat.inference.engine.request import Piece, Request, Sampling
from picochat.tokenizer.codec import PicochatCodec
from picochat.tokenizer.tokenizer import Tokenizer

BASE_SEED, SFT_SEED = 31, 32


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("runs") / "talker"
    base = build_telling_model(BASE_SEED)
    with chat_run(root, build_telling_model(SFT_SEED)) as context:
        save_checkpoint(
            context.store.path(layout.BASE),
            facts=CheckpointFacts("base", 1, 1, {}, context.store.run_digest()),
            weights=base.state_dict(),
            model_config=base.config.as_dict(),
            train_state={},
        )
    return root


@pytest.fixture(scope="module")
def codec(root):
    return PicochatCodec(Tokenizer.load(root / layout.TOKENIZER))


def call(command, *argv, stdin=""):
    return CliRunner().invoke(command, [str(part) for part in argv], input=stdin)


def expected(codec, seed, ids, limit, **more):
    """What the engine says, as a server would ask it."""
    with build_engine(build_telling_model(seed), codec, slots=8) as engine:
        return answer(engine, [Request(ids, limit, end_ids=codec.end_ids, **more)]).text()


class Said:
    role, weight = "user", 1.0

    def __init__(self, content):
        self.content = content


def test_generate_says_what_the_engine_says(root, codec):
    ids = [codec.bos, *codec.encode("the cat")]
    done = call(generate, root, "-p", "the cat", "--max-new-tokens", 20)
    assert done.exit_code == 0, done.output
    assert done.stdout == "the cat" + expected(codec, BASE_SEED, ids, 20) + "\n"
    first = done.stderr.splitlines()[0]
    assert first.startswith("talker base, ") and "parameters, context 128" in first and "not_run" in first
    assert "tokens/s, mean probability 0." in done.stderr.splitlines()[-1]


def test_options_reach_the_engine(root, codec):
    ids = [codec.bos, *codec.encode("a")]
    flags = ["--temperature", 0.9, "--top-k", 50, "--top-p", 0.9, "--min-p", 0.01, "--repetition-penalty", 1.3]
    sampling = Sampling(0.9, top_k=50, top_p=0.9, min_p=0.01, repetition_penalty=1.3, seed=5)
    whole = expected(codec, BASE_SEED, ids, 30, sampling=sampling)
    body = json.loads(call(generate, root, "-p", "a", "--json", "--max-new-tokens", 30, "--seed", 5, *flags).stdout)
    assert body["text"] == whole and body["tokens"] == 30 and body["finish"] == "length"
    assert 0 < body["mean_probability"] < 1 and body["tokens_per_s"] > 0
    stop = whole[8:10]
    argv = ["--max-new-tokens", 30, "--seed", 5, *flags, "--stop", "%%%", "--stop", stop]
    body = json.loads(call(generate, root, "-p", "a", "--json", *argv).stdout)
    assert body["text"] == whole[: whole.index(stop)] and body["finish"] == "stop"


def test_a_prompt_longer_than_the_context_keeps_its_end(root, codec):
    text = "the cat sat on the mat and " * 40
    body = json.loads(call(generate, root, "-p", "-", "--json", "--max-new-tokens", 9, stdin=text).stdout)
    ids = [codec.bos, *codec.encode(text)[-118:]]
    assert len(ids) == 119 and body["text"] == expected(codec, BASE_SEED, ids, 9)


def test_one_question_is_asked_with_the_chat_template(root, codec):
    ids = codec.render_chat([Said("Who are you?")])
    wanted = expected(codec, SFT_SEED, ids, 12)
    assert call(chat, root, "-p", "Who are you?", "--max-new-tokens", 12).stdout == wanted + "\n"
    body = json.loads(call(chat, root, "--prompt", "Who are you?", "--max-new-tokens", 12, "--json").stdout)
    assert body["text"] == wanted and body["model"].startswith("talker sft, ")


def test_a_conversation_remembers_and_forgets(root, codec):
    lines = "the cat\n/undo\nthe dog\n/history\n/reset\n/history\n/quit\nnever\n"
    done = call(chat, root, "--max-new-tokens", 6, stdin=lines)
    assert done.exit_code == 0, done.output
    first, second = (expected(codec, SFT_SEED, codec.render_chat([Said(t)]), 6) for t in ("the cat", "the dog"))
    assert done.stdout == f"{first}\n{second}\n"
    assert "user: the dog" in done.stderr and "user: the cat" not in done.stderr
    assert "nothing was said yet" in done.stderr
    assert "\n> " not in done.stderr, "nobody is prompted who is no terminal"


def test_both_models_answer_side_by_side_and_either_alone(root, codec):
    done = call(
        chat, root, "--max-new-tokens", 6, stdin="/both\nthe cat\n/reset\n/base\nthe cat\n/sft\n/reset\nthe cat\n"
    )
    ids = codec.render_chat([Said("the cat")])
    base, sft = expected(codec, BASE_SEED, ids, 6), expected(codec, SFT_SEED, ids, 6)
    assert base != sft and done.stdout == f"{base}\n{sft}\n{base}\n{sft}\n"
    assert "talker base, " in done.stderr and "base:\n" in done.stderr


def test_sampling_can_be_changed_between_answers(root, codec):
    done = call(
        chat, root, "--max-new-tokens", 9, stdin="/temp 1.1\n/topk 30\n/seed 8\nthe cat\n/probs\n/reset\nthe cat\n"
    )
    sampling = Sampling(1.1, top_k=30, seed=8)
    wanted = expected(codec, SFT_SEED, codec.render_chat([Said("the cat")]), 9, sampling=sampling)
    assert done.stdout == f"{wanted}\n{wanted}\n"
    shown = done.stderr.splitlines()[-1]
    assert shown.count("'") >= 18 and all(
        0 <= float(part) <= 1 for part in shown.split(" ") if part[:2] in ("0.", "1.")
    )


def test_the_oldest_exchanges_go_with_a_notice(root):
    done = call(chat, root, "--max-new-tokens", 30, stdin="the cat sat\n" * 5 + "/history\n")
    assert done.exit_code == 0, done.output
    assert "the context of 128 tokens is full: the oldest 2 messages are left out" in done.stderr
    assert done.stderr.count("user: the cat sat") == 5, "the history itself stays whole"


def test_a_saved_conversation_is_a_chat_row_and_no_file_is_replaced(root, tmp_path):
    path = tmp_path / "talk.jsonl"
    lines = f"/save {path}\nthe cat\n/save {path}\n/save {path}\n/save {tmp_path / 'no' / 'x'}\n/save {tmp_path}\n"
    done = call(chat, root, "--max-new-tokens", 6, stdin=lines)
    assert done.exit_code == 0, done.output
    [row] = read_chat_rows(path)
    assert [m.role for m in row.to_messages()] == ["user", "assistant"]
    assert "no answer was given yet" in done.stderr and "there is no folder" in done.stderr
    assert done.stderr.count(" exists") == 2


def test_what_cannot_be_asked_leaves_the_conversation_as_it_was(root):
    lines = (
        "the cat " * 300
        + "\n/what\n/tmp 3\n/temp hot\n/temp\n/temp nan\n/topk -1\n/seed 1.5\n/quit now\nthe dog\n/history\n"
    )
    done = call(chat, root, "--max-new-tokens", 6, stdin=lines)
    assert done.exit_code == 0, done.output
    for words in ("the context has 128", "no command /what", "did you mean /temp?", "/temp 'hot'", "/temp ''"):
        assert words in done.stderr
    assert "/quit takes no value" in done.stderr and "user: the dog" in done.stderr
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("line", ["/temp nan", "/temp inf", "/temp -1", "/topk 1e3", "/seed", "/save", "/", "/ temp"])
def test_values_that_mean_nothing_are_refused(line):
    with pytest.raises(PicochatError) as caught:
        find_command(line)
    assert caught.value.code == "chat.command"


def test_a_missing_base_model_is_told_and_the_chat_goes_on(root, tmp_path):
    with chat_run(tmp_path / "run", build_telling_model(SFT_SEED)):
        pass
    done = call(chat, tmp_path / "run", "--max-new-tokens", 4, stdin="/base\n/both\nthe cat\n")
    assert done.exit_code == 0, done.output
    assert done.stderr.count("error:") == 2 and done.stdout.count("\n") == 1


def test_a_checkpoint_with_its_tokenizer_speaks_and_finds_its_base(root, codec):
    paths = ["--checkpoint", root / "sft" / "checkpoint", "--tokenizer", root / layout.TOKENIZER]
    done = call(chat, *paths, "--max-new-tokens", 6, stdin="/base\nthe cat\n")
    assert done.stdout == expected(codec, BASE_SEED, codec.render_chat([Said("the cat")]), 6) + "\n"
    assert done.stderr.startswith("talker sft, ")


@pytest.mark.parametrize(
    ("command", "argv", "code"),
    [
        (generate, ["-p", "a", "--temperature", "nan"], "engine.request"),
        (generate, ["-p", "a", "--stop", ""], "engine.request"),
        (generate, ["-p", "a", "--checkpoint", "nowhere"], "usage.path"),
        (generate, ["-p", "a\udcff"], "text.surrogate"),
        (chat, ["--json"], "usage.path"),
        (chat, ["-p", "the cat " * 300], "prompt.too_long"),
        (chat, ["-p", "a", "--device", "cuda:99"], "device.missing"),
    ],
)
def test_bad_input_is_refused_by_name(root, command, argv, code):
    done = call(command, root, *argv)
    assert isinstance(done.exception, PicochatError) and done.exception.code == code


def test_ctrl_c_stops_the_answer_and_not_the_program(root, monkeypatch):
    from picochat.cli import conversation

    real, pressed = conversation.show_text, []

    def interrupting(text):
        real(text)
        if not pressed and len(text.strip()) > 0:
            pressed.append(text)
            raise KeyboardInterrupt

    monkeypatch.setattr(conversation, "show_text", interrupting)
    done = call(chat, root, "--max-new-tokens", 100, stdin="the cat\nthe dog\n")
    assert done.exit_code == 0 and pressed
    summaries = [line for line in done.stderr.splitlines() if "mean probability" in line]
    assert len(summaries) == 2 and summaries[0].endswith(", stopped") and not summaries[1].endswith("stopped")
    assert int(summaries[0].split()[0]) < 100


def test_a_model_cannot_steer_a_terminal():
    assert visible("a\x1b[31mb\tc\n\x07\x9b\u65e5\U0001f600") == "a\\x1b[31mb\tc\n\\x07\\x9b\u65e5\U0001f600"


def test_an_engine_that_fails_is_a_bug_and_no_silence(root, monkeypatch):
    def fail(self, requests, sink):
        sink(0, Piece(finish="error", error="out of memory"))

    monkeypatch.setattr("picochat.inference.engine.engine.Engine.submit", fail)
    done = call(generate, root, "-p", "a")
    assert isinstance(done.exception, RuntimeError) and "out of memory" in str(done.exception)
