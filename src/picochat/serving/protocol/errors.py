"""Every error that a client may see, in OpenAI's envelope: {"error": {message, type, param, code}}.

No other module spells a type, a code or the envelope. Clients repeat 408, 429 and 5xx by themselves, so a refusal that
would not change is none of these.
"""

from __future__ import annotations

from typing import Any

INVALID = "invalid_request_error"
AUTHENTICATION = "authentication_error"
PERMISSION = "permission_error"
RATE = "rate_limit_error"
SERVER = "server_error"

RETRY_LATER_S = 2
LOADING_S = 5

CODES: dict[str, tuple[int, str]] = {
    "invalid_json": (400, INVALID),
    "invalid_type": (400, INVALID),
    "invalid_value": (400, INVALID),
    "unsupported_parameter": (400, INVALID),
    "context_length_exceeded": (400, INVALID),
    "invalid_api_key": (401, AUTHENTICATION),
    "origin_not_allowed": (403, PERMISSION),
    "model_not_found": (404, INVALID),
    "unknown_url": (404, INVALID),
    "method_not_allowed": (405, INVALID),
    "request_timeout": (408, INVALID),
    "request_too_large": (413, INVALID),
    "unsupported_media_type": (415, INVALID),
    "host_not_allowed": (421, INVALID),
    "headers_too_large": (431, INVALID),
    "queue_full": (429, RATE),
    "internal_error": (500, SERVER),
    "loading": (503, SERVER),
    "draining": (503, SERVER),
}
"""Status and type of each code."""

RETRY_AFTER_S = {"queue_full": RETRY_LATER_S, "loading": LOADING_S, "draining": LOADING_S}


class ApiError(Exception):
    """A refusal with a code of `CODES`. `param` names the field, `headers` go out beside the envelope."""

    def __init__(self, code: str, message: str, param: str | None = None, **headers: str) -> None:
        super().__init__(f"[{code}] {message}")
        self.status, self.type = CODES[code]
        self.code = code
        self.message = message
        self.param = param
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if code in RETRY_AFTER_S:
            self.headers["retry-after"] = str(RETRY_AFTER_S[code])

    def envelope(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


def unsupported(param: str, why: str = "is not supported by this server") -> ApiError:
    """A field that could change the text and is not acted on."""
    return ApiError("unsupported_parameter", f"{param} {why}", param)


def invalid_value(param: str, message: str) -> ApiError:
    return ApiError("invalid_value", f"{param}: {message}", param)


def invalid_type(param: str, message: str) -> ApiError:
    return ApiError("invalid_type", f"{param}: {message}", param)


def context_exceeded(context: int, prompt: int, answer: int, param: str, at_least: bool = False) -> ApiError:
    """All three numbers, in tokens; `at_least` where the prompt was too long to be worth counting."""
    message = (
        f"the context of this model holds {context:,} tokens: {'at least ' if at_least else ''}{prompt:,} of the "
        f"prompt and {answer:,} of the answer are {prompt + answer:,}"
    )
    return ApiError("context_length_exceeded", message, param)


def internal_error(request_id: str) -> ApiError:
    """Nothing but the id under which the log tells more."""
    return ApiError("internal_error", f"internal error, request id {request_id}")
