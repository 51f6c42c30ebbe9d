"""What a client of the engine may count on."""

import threading

import pytest
import torch
from tests.support.engines import VOCAB_SIZE, WAIT_S, Listener, answer, build_codec, build_engine, build_telling_model

from picochat.core.clock import ManualClock
from picochat.core.errors import PicochatError
from picochat.inference.engine.request import Request, Sampling
from picochat.inference.scoring import score_texts

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def model():
    return build_telling_model(11, residual="sequential")


@pytest.fixture(scope="module")
def codec():
    return build_codec()


@pytest.fixture
def engine(model, codec):
    with build_engine(model, codec, slots=4) as engine:
        yield engine


class Hold(Listener):
    """A sink that stops the engine's thread in its first piece until it is let go."""

    def __init__(self):
        super().__init__()
        self.reached, self.go = threading.Event(), threading.Event()

    def __call__(self, index, piece):
        super().__call__(index, piece)
        self.reached.set()
        assert self.go.wait(WAIT_S)


def hold(engine, max_tokens=100, requests=1):
    """(job, sink) of a job whose first piece is out while the engine waits."""
    sink = Hold()
    job = engine.submit([Request([3, 4], max_tokens)] * requests, sink)
    assert sink.reached.wait(WAIT_S)
    return job, sink


@torch.no_grad()
def plain_greedy(model, ids, count):
    ids = list(ids)
    for _ in range(count):
        ids.append(int(model.logits(model(torch.tensor([ids]))[:, -1]).argmax()))
    return ids[-count:]


def test_greedy_answers_are_those_of_the_plain_loop(engine, model):
    found = answer(engine, [Request([5, 6, 7], 40), Request([9], 40)])
    assert found.tokens(0) == plain_greedy(model, [5, 6, 7], 40)
    assert found.tokens(1) == plain_greedy(model, [9], 40)
    assert len(set(found.tokens(0))) > 20, "the model must wander"
    assert found.finish(0) == found.finish(1) == "length"


def test_pieces_join_to_the_text_of_the_tokens(engine, codec):
    found = answer(engine, [Request([7, 8], 60)])
    data = b"".join(codec.piece(token) for token in found.tokens() if token not in codec.special_ids)
    assert found.text() == data.decode("utf-8", "replace")
    assert len(found.pieces[0]) == 60 and "\ufffd" in found.text()


def test_an_end_token_ends_the_answer_and_is_counted(engine, model):
    wanted = plain_greedy(model, [5, 6, 7], 30)
    end = wanted[12]
    found = answer(engine, [Request([5, 6, 7], 30, end_ids=frozenset({end}))])
    assert found.tokens() == wanted[: wanted.index(end) + 1]
    assert found.finish() == "stop"


def test_a_special_token_that_ends_nothing_stays_visible_without_text(engine, model, codec):
    special = min(codec.special_ids)
    request = Request([5], 3, Sampling(logit_bias={special: 100.0}))
    found = answer(engine, [request])
    assert found.tokens() == [special] * 3 and found.text() == ""


def test_a_stop_string_cuts_the_text_and_its_tokens_count(engine):
    whole = answer(engine, [Request([5, 6, 7], 40)])
    text = whole.text()
    stop = text[10:13]
    found = answer(engine, [Request([5, 6, 7], 40, stop=("never there", stop))])
    assert found.text() == text[: text.index(stop)]
    assert found.finish() == "stop"
    made = len(found.tokens())
    shortest = next(n for n in range(41) if stop in "".join(piece.text for piece in whole.pieces[0][:n]))
    assert made == shortest < 40


def test_logprobs_are_of_the_models_own_distribution(engine, model):
    sampling = Sampling(temperature=0.7, top_k=5, presence_penalty=1.0, seed=4)
    found = answer(engine, [Request([5, 6], 12, sampling, logprobs=3), Request([5, 6], 12, logprobs=1)])
    for index in (0, 1):
        ids = [5, 6, *found.tokens(index)]
        with torch.no_grad():
            wanted = torch.log_softmax(model.logits(model(torch.tensor([ids])))[0], dim=1)
        for place, scored in enumerate(found.scored(index), start=1):
            assert scored.logprob == pytest.approx(float(wanted[place, scored.token]), abs=TOLERANCE)
            assert [token for token, _ in scored.top] == wanted[place].topk(len(scored.top)).indices.tolist()
    assert all(s.logprob == s.top[0][1] and s.token == s.top[0][0] for s in found.scored(1)), "greedy is the largest"


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_prompt_logprobs_equal_the_scorer(model, codec, chunk):
    ids = torch.randint(0, VOCAB_SIZE, (90,), generator=torch.Generator().manual_seed(1)).tolist()
    with build_engine(model, codec, slots=2, prefill_chunk_tokens=chunk) as engine:
        found = answer(engine, [Request(ids, 0, prompt_logprobs=2), Request(ids, 5, prompt_logprobs=0)])
    [scored] = [piece.prompt for piece in found.pieces[0]]
    assert [s.token for s in scored] == ids and scored[0].logprob is None
    for place in (1, 2, 40, 89):
        [wanted] = score_texts(model, [(ids[:place], ids[place : place + 1])])
        assert scored[place].logprob == pytest.approx(wanted, abs=TOLERANCE)
    assert sum(s.logprob for s in scored[1:]) == pytest.approx(score_texts(model, [(ids[:1], ids[1:])])[0], abs=1e-3)
    assert all(max(value for _, value in s.top) >= s.logprob and len(s.top) == 2 for s in scored[1:])
    assert found.finish(0) == "length" and found.tokens(0) == []
    assert [s.token for s in found.pieces[1][0].prompt] == ids and not any(p.prompt for p in found.pieces[1][1:])
    assert len(found.tokens(1)) == 5


def test_other_traffic_changes_no_draw(engine):
    request = Request([5, 6], 25, Sampling(temperature=1.0, seed=3))
    alone = answer(engine, [request]).tokens()
    others = [Request([index], 30 - index, Sampling(temperature=1.0, seed=index)) for index in range(7)]
    assert answer(engine, [*others[:3], request, *others[3:]]).tokens(3) == alone
    assert answer(engine, [Request([5, 6], 25, Sampling(temperature=1.0, seed=4))]).tokens() != alone


def test_cancelling_frees_the_slots_within_a_step_and_says_so_once(engine):
    job, sink = hold(engine, requests=9)
    assert engine.stats().busy_slots == 4 and engine.stats().waiting_jobs == 1
    steps = engine.stats().steps
    engine.cancel(job)
    sink.go.set()
    assert job.wait(WAIT_S)
    # the step that was under way, and the one that saw the word
    assert engine.stats().steps - steps <= 2
    answer(engine, [Request([1], 2)])
    assert engine.stats().busy_slots == 0
    assert [sink.finish(index) for index in range(9)] == ["cancelled"] * 9
    assert len(sink.pieces[0]) <= 3 and engine.stats().cancelled == 9


def test_the_queue_is_bounded_and_a_refused_job_leaves_nothing(model, codec):
    with build_engine(model, codec, slots=2, max_waiting_jobs=2) as engine:
        _, first = hold(engine)
        jobs = [engine.submit([Request([1], 3)], Listener()) for _ in range(3)]
        assert engine.stats()[1:3] == (2, 2)
        with pytest.raises(PicochatError) as caught:
            engine.submit([Request([1], 3)], Listener())
        assert caught.value.code == "engine.queue_full" and "2 more requests" in caught.value.detail
        assert engine.stats()[1:3] == (2, 2)
        first.go.set()
        assert all(job.wait(WAIT_S) for job in jobs)
        answer(engine, [Request([1], 3)])


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (Request([], 5), "engine.request", "0 tokens"),
        (Request([1], 0), "engine.request", "max_tokens is 0"),
        (Request([1], -1), "engine.request", "max_tokens is -1"),
        (Request([1] * 100, 29), "engine.context", "128 tokens, the prompt has 100 and the answer may have 29"),
        (Request([1, VOCAB_SIZE], 5), "engine.token", f"id {VOCAB_SIZE} in the prompt"),
        (Request([-1], 5), "engine.token", "id -1"),
        (Request([1], 5, Sampling(logit_bias={999: 1.0})), "engine.token", "id 999 in logit_bias"),
        (Request([1], 5, Sampling(temperature=float("nan"))), "engine.request", "temperature is nan"),
        (Request([1], 5, Sampling(top_p=1.5)), "engine.request", "top_p"),
        (Request([1], 5, Sampling(repetition_penalty=0)), "engine.request", "repetition_penalty"),
        (Request([1], 5, stop=("a", "")), "engine.request", "stop string is empty"),
        (Request([1], 5, logprobs=-1), "engine.request", "logprobs is -1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_answered_is_refused_before_it_takes_a_slot(engine, request_, code, words):
    sink = Listener()
    with pytest.raises(PicochatError) as caught:
        engine.submit([Request([1], 5), request_], sink)
    assert caught.value.code == code and words in caught.value.detail
    assert engine.stats().busy_slots == engine.stats().waiting_jobs == 0 and not sink.pieces


def test_an_answer_may_fill_the_context_to_its_last_token(engine, model):
    ids = torch.randint(0, VOCAB_SIZE, (120,), generator=torch.Generator().manual_seed(3)).tolist()
    assert answer(engine, [Request(ids, 8)]).tokens() == plain_greedy(model, ids, 8)
    assert answer(engine, [Request([*ids, *ids[:8]], 0, prompt_logprobs=0)]).finish() == "length"


def test_a_deadline_ends_an_answer_with_what_was_made(model, codec):
    clock = ManualClock()
    with build_engine(model, codec, clock=clock, slots=1) as engine:
        job, sink = Hold(), None
        sink = Hold()
        job = engine.submit([Request([3, 4], 100, deadline_s=5.0)], sink)
        waiting = Listener()
        late = engine.submit([Request([3, 4], 100, deadline_s=4.0)], waiting)
        assert sink.reached.wait(WAIT_S)
        clock.now = 6.0
        sink.go.set()
        assert job.wait(WAIT_S) and late.wait(WAIT_S)
        assert sink.finish() == waiting.finish() == "length"
        assert 1 <= len(sink.tokens()) <= 3 and not waiting.tokens()
        assert answer(engine, [Request([3], 4, deadline_s=60.0)]).tokens(), "time that is left ends nothing"


def test_a_sink_that_raises_is_told_the_end_once_and_harms_nobody(engine, model):
    calls = []

    def broken(index, piece):
        calls.append((index, piece.finish))
        if index == 0:
            raise OSError("the client is gone")

    job = engine.submit([Request([5], 20), Request([6], 20)], broken)
    assert job.wait(WAIT_S)
    assert [finish for index, finish in calls if index == 0] == [None, "error"]
    assert [finish for index, finish in calls if index == 1] == [None] * 19 + ["length"]
    assert answer(engine, [Request([9], 10)]).tokens() == plain_greedy(model, [9], 10)
    assert engine.stats().busy_slots == 0


def test_a_sink_that_raises_on_the_last_piece_is_not_called_again(engine):
    calls = []

    def broken(index, piece):
        calls.append(piece.finish)
        if piece.finish:
            raise OSError("the client is gone")

    assert engine.submit([Request([5], 3)], broken).wait(WAIT_S)
    assert calls == [None, None, "length"]


@pytest.mark.parametrize("when", ["prompt", "token"])
def test_a_model_that_fails_fails_its_requests_and_the_engine_goes_on(model, codec, monkeypatch, when):
    with build_engine(model, codec, slots=2) as engine:
        stepper = engine._stepper
        owner, name = (stepper, "_read_chunk") if when == "prompt" else (stepper._decoder, "step")

        def fail(*_):
            raise RuntimeError("out of memory")

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, fail)
            found = answer(engine, [Request([5], 9)] * 5)
        assert [found.finish(index) for index in range(5)] == ["error"] * 5
        assert all(pieces[-1].error == "RuntimeError: out of memory" for pieces in found.pieces.values())
        assert engine.stats().busy_slots == 0
        assert answer(engine, [Request([9], 10)]).tokens() == plain_greedy(model, [9], 10)


def test_a_row_that_means_nothing_fails_alone(model, codec, monkeypatch):
    with build_engine(model, codec, slots=3) as engine:
        step = engine._stepper._decoder.step

        def poisoned(tokens, positions):
            logits_BV = step(tokens, positions).clone()
            logits_BV[[row for row, place in enumerate(positions) if place == 60], 3] = float("nan")
            return logits_BV

        monkeypatch.setattr(engine._stepper._decoder, "step", poisoned)
        found = answer(engine, [Request([5] * 50, 20), Request([6], 20), Request([7] * 55, 20)])
    assert [found.finish(index) for index in range(3)] == ["error", "length", "error"]
    assert found.tokens(1) == plain_greedy(model, [6], 20)


def test_a_thread_that_dies_leaves_nobody_waiting(model, codec, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with build_engine(model, codec, slots=2, max_waiting_jobs=9) as engine:

        def broken():
            raise SystemExit

        job, sink = hold(engine, requests=5)
        monkeypatch.setattr(engine._stepper, "_decode", broken)
        sink.go.set()
        assert job.wait(WAIT_S)
        assert [sink.finish(index) for index in range(2, 5)] == ["error"] * 3
        with pytest.raises(PicochatError) as caught:
            engine.submit([Request([5], 9)], Listener())
        assert caught.value.code == "engine.closed"


def test_closing_ends_what_has_begun_and_fails_what_has_not(model, codec):
    engine = build_engine(model, codec, slots=1)
    engine.start()
    job, sink = hold(engine, requests=3)
    closer = threading.Thread(target=engine.close)
    closer.start()
    while not engine._desk.closed:
        pass
    with pytest.raises(PicochatError) as caught:
        engine.submit([Request([5], 9)], Listener())
    assert caught.value.code == "engine.closed"
    sink.go.set()
    closer.join(WAIT_S)
    assert job.done and not closer.is_alive()
    assert [sink.finish(index) for index in range(3)] == ["length", "error", "error"]
    engine.close()


def test_closing_with_time_lets_everything_finish(model, codec):
    engine = build_engine(model, codec, slots=2)
    engine.start()
    sink = Listener()
    job = engine.submit([Request([index], 9) for index in range(6)], sink)
    engine.close(drain_s=WAIT_S)
    assert job.done
    assert [len(sink.tokens(index)) for index in range(6)] == [9] * 6


def test_closing_an_engine_that_never_started_fails_its_requests(model, codec):
    engine, sink = build_engine(model, codec), Listener()
    job = engine.submit([Request([5], 9)], sink)
    engine.close()
    assert job.done and sink.finish() == "error"


def test_a_slot_is_used_again_without_a_trace(model, codec):
    requests = [Request([index, index + 1], 20 + index % 7) for index in range(12)]
    with build_engine(model, codec, slots=1) as engine:
        found = answer(engine, requests)
    for index, request in enumerate(requests):
        assert found.tokens(index) == plain_greedy(model, request.prompt_ids, request.max_tokens), index


def test_counters_count(engine):
    answer(engine, [Request([1, 2, 3], 5), Request([4], 0, prompt_logprobs=1)])
    stats = engine.stats()
    assert (stats.slots, stats.prompt_tokens, stats.generated_tokens, stats.cancelled) == (4, 4, 5, 0)


def test_a_job_of_nothing_is_done_at_once(engine):
    assert engine.submit([], Listener()).done


def test_a_tokenizer_of_another_model_is_refused(codec):
    small = build_telling_model(0)
    small.config = small.config.model_copy(update={"vocab_size": 200})
    with pytest.raises(PicochatError) as caught:
        build_engine(small, codec)
    assert caught.value.code == "engine.vocabulary" and "288 ids, the model has 200" in caught.value.detail


def test_the_cache_may_be_smaller_than_the_weights(model, codec):
    with build_engine(model, codec, slots=2, cache_dtype="bfloat16") as engine:
        assert len(answer(engine, [Request([5], 10), Request([6] * 70, 10)]).tokens(1)) == 10
        full = build_engine(model, codec, slots=1)
        assert engine.bytes_per_slot * 2 == full.bytes_per_slot
        full.close()
