"""GET /metrics: what the server did, in the text format of Prometheus, from a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from picochat.serving.served import Service

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FIRST_TOKEN_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
NEXT_TOKEN_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
GAUGES = (
    ("picochat_slots", "slots", "Answers that can be generated at once"),
    ("picochat_busy_slots", "busy_slots", "Answers that are generated now"),
    ("picochat_waiting_requests", "waiting_jobs", "Requests that wait for a slot"),
)
COUNTERS = (
    ("picochat_engine_steps", "steps", "Steps of the engine"),
    ("picochat_cancelled", "cancelled", "Answers that were cancelled before their end"),
)


class Metrics:
    """Counts of one server. Prompts are counted once a request, answers with every token that was drawn."""

    def __init__(self, service: Callable[[], Service | None]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        own = self._registry
        names = ["route", "status"]
        self._requests = Counter("picochat_requests", "Requests by route and status", names, registry=own)
        self._prompt = Counter("picochat_prompt_tokens", "Tokens of prompts", registry=own)
        self._completion = Counter("picochat_completion_tokens", "Tokens of answers", registry=own)
        self._first = Histogram(
            "picochat_time_to_first_token_seconds",
            "From the request to its first token",
            buckets=FIRST_TOKEN_S,
            registry=own,
        )
        self._next = Histogram(
            "picochat_time_between_tokens_seconds",
            "Between two tokens of an answer",
            buckets=NEXT_TOKEN_S,
            registry=own,
        )
        self._registry.register(_EngineCollector(service))

    def request(self, route: str, status: int) -> None:
        self._requests.labels(route, str(status)).inc()

    def tokens(self, prompt: int, completion: int) -> None:
        self._prompt.inc(prompt)
        self._completion.inc(completion)

    def first_token(self, seconds: float) -> None:
        self._first.observe(seconds)

    def next_token(self, seconds: float) -> None:
        self._next.observe(seconds)

    def render(self) -> bytes:
        return generate_latest(self._registry)


class _EngineCollector:
    """Asks the engine when somebody reads; before the model is loaded there is nothing to tell."""

    def __init__(self, service: Callable[[], Service | None]) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        service = self._service()
        if service is None:
            return
        stats, served = service.engine.stats(), service.served
        for name, field, text in GAUGES:
            yield GaugeMetricFamily(name, text, value=getattr(stats, field))
        for name, field, text in COUNTERS:
            yield CounterMetricFamily(name, text, value=getattr(stats, field))
        weights = GaugeMetricFamily("picochat_weights_info", "Which weights answer", labels=["digest", "gate"])
        weights.add_metric([served.weights_digest, served.verdict.word], 1)
        yield weights
        gate = GaugeMetricFamily("picochat_gate_info", "What the gate says of them", labels=["gate", "profile"])
        gate.add_metric([served.verdict.word, served.verdict.profile or ""], 1)
        yield gate
