"""How verify says what it found: one check result a broken link, naming the file."""

from __future__ import annotations

from picochat.artifacts.checks import CheckResult, Evidence, Verdict
from picochat.judgement.registry import VERIFY_CHECKS


def finding(
    check: str,
    artifact: str,
    measured: str,
    expected: str = "",
    *,
    verdict: Verdict = "block",
    pointer: str = "",
    inputs: tuple[str, ...] = (),
) -> CheckResult:
    """A result of verify about one artifact; `measured` says what was found, `expected` what was recorded."""
    facts = VERIFY_CHECKS[check]
    return CheckResult(
        id=check,
        verdict=verdict,
        measured=measured,
        threshold=expected or None,
        direction="==" if expected else "",
        required=verdict == "block",
        why=facts.why,
        fix=facts.fix,
        evidence=(Evidence(artifact=artifact, pointer=pointer),),
        inputs=inputs,
    )


def short(digest: str) -> str:
    """The beginning of a digest, enough for a person to compare."""
    return f"sha256 {digest[:12]}"
