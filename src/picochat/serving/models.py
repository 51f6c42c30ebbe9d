"""GET /healthz, /v1/models and /v1/models/{id}: which weights answer, and what the gate said of them."""

from __future__ import annotations

from typing import Any

from picochat.serving.protocol.errors import RETRY_AFTER_S, ApiError
from picochat.serving.served import ServedModel, ServingState


def health(state: ServingState) -> tuple[int, dict[str, Any], dict[str, str]]:
    """(status, document, headers). Needs no key and holds nothing that is secret."""
    if state.phase != "ready" or state.service is None:
        phase = "draining" if state.phase == "draining" else "loading"
        err = ApiError(phase, f"the server is {phase}")
        return 503, {"status": phase, **err.envelope()}, {"retry-after": str(RETRY_AFTER_S[phase])}
    served = state.service.served
    body = {"status": "ok", "model": served.id, "weights_digest": served.weights_digest, **served.gate_fields()}
    return 200, body, {}


def list_models(served: ServedModel) -> dict[str, Any]:
    return {"object": "list", "data": [served.model_object()]}


def show_model(served: ServedModel, asked: str) -> dict[str, Any]:
    """Raises `model_not_found`."""
    if asked != served.id:
        message = f"the model {asked[:200]!r} is not served here; this server serves {served.id!r}"
        raise ApiError("model_not_found", message, "model")
    return served.model_object()
