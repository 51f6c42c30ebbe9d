"""Which weights answer: the facts on which answers, metrics and start line agree; and the phase of the server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from picochat.judgement.served_verdict import ServedVerdict
from picochat.serving.protocol.errors import ApiError
from picochat.serving.worker import Engine
from picochat.tokenizer.codec import Codec

FINGERPRINT_DIGITS = 12


@dataclass(frozen=True)
class ServedModel:
    """One checkpoint under its name. `created` is in seconds since 1970; `run` is None where no run is known."""

    id: str
    created: int
    run: str | None
    stage: str
    step: int
    weights_digest: str
    verdict: ServedVerdict
    max_model_len: int
    codec: Codec

    @property
    def fingerprint(self) -> str:
        """OpenAI's `system_fingerprint`."""
        return f"pico-{self.weights_digest[:FINGERPRINT_DIGITS]}"

    @cached_property
    def longest_piece_bytes(self) -> int:
        """No id stands for more text than this."""
        return max(len(self.codec.piece(token)) for token in range(self.codec.vocab_size))

    def gate_fields(self) -> dict[str, str | None]:
        """The word of the gate, never without the profile that it speaks for and the reason."""
        return {
            "gate": self.verdict.word,
            "gate_profile": self.verdict.profile,
            "gate_reason": self.verdict.reason,
        }

    def model_object(self) -> dict[str, object]:
        """OpenAI's model, and what only a server of one checkpoint can tell."""
        return {
            "id": self.id,
            "object": "model",
            "created": self.created,
            "owned_by": "picochat",
            "max_model_len": self.max_model_len,
            "weights_digest": self.weights_digest,
            **self.gate_fields(),
            "run": self.run,
            "stage": self.stage,
            "step": self.step,
        }


class Service(NamedTuple):
    """A loaded model and the engine that runs it."""

    served: ServedModel
    engine: Engine


Phase = Literal["loading", "ready", "draining"]


class ServingState:
    """loading -> ready -> draining. The event loop and the loading thread see it; each change is one assignment."""

    def __init__(self) -> None:
        self.phase: Phase = "loading"
        self.service: Service | None = None

    def ready(self, service: Service) -> None:
        self.service = service
        if self.phase == "loading":
            self.phase = "ready"

    def drain(self) -> None:
        self.phase = "draining"

    @property
    def gate_word(self) -> str:
        return self.service.served.verdict.word if self.service else "loading"

    def require(self) -> Service:
        """The service. Raises `loading` or `draining`."""
        if self.phase == "draining":
            raise ApiError("draining", "the server is shutting down and takes no new requests")
        if self.phase == "loading" or self.service is None:
            raise ApiError("loading", "the model is still being loaded")
        return self.service
