"""The one error type that a user may see, and the one way to raise it.

PicochatError            code, detail, why, fix -> three lines on the terminal, one exit code
  raised by refuse(code, ...)    every code stands in core/reasons.py
"""

from __future__ import annotations

from typing import NoReturn

from picochat.core.reasons import REASONS


class PicochatError(Exception):
    """A refusal with a registered reason code.

    `code` names the row of the registry, `detail` says what is wrong with both numbers,
    `why` and `fix` come from the registry unless the place that raises knows better.
    """

    def __init__(self, code: str, detail: str, why: str | None = None, fix: str | None = None) -> None:
        reason = REASONS[code]
        self.code = code
        self.detail = detail
        self.why = why if why is not None else reason.why
        self.fix = fix if fix is not None else reason.fix
        self.exit_code = reason.exit_code
        super().__init__(f"[{code}] {detail}")

    def lines(self) -> list[str]:
        """The message as printed: `error:`, `why:` when it helps, `fix:`."""
        rows = [("error", self.detail), ("why", self.why), ("fix", self.fix)]
        return [f"{label + ':':<7}{one_line(text)}" for label, text in rows if text]


def one_line(text: str) -> str:
    """The text with line breaks and control characters shown as escapes: a file's name cannot forge a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def refuse(code: str, detail: str, *, why: str | None = None, fix: str | None = None) -> NoReturn:
    """Raises a `PicochatError`. An unregistered code is a bug and raises KeyError."""
    raise PicochatError(code, detail, why, fix)
