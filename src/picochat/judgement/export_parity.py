"""The check `export.parity`: whether what was exported is the model, from the numbers of parity.json alone."""

from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult, Evidence, Verdict
from picochat.judgement.check_facts import CheckFacts

CHECK = "export.parity"
EXPORT_CHECKS: dict[str, CheckFacts] = {
    CHECK: CheckFacts(
        "distance of the exported model from ours",
        "a file that loads and answers wrongly is worse than none",
        "picochat export check RUN shows what each runtime can load; report a failed proof with its parity.json",
        "",
        "<=",
    )
}
"""What an export is judged by; a gate knows nothing of it."""
LEADING = {"hf": "transformers.float32", "gguf": "llama.cpp.f32"}
"""By kind: the comparison whose number is shown."""


def judge_parity(kind: str, body: dict[str, Any]) -> CheckResult:
    """pass, block, or not_run where the program that reads the export was not there to compare with.

    Block: a comparison out of its bound, other tensors than the source's, or a proof that is void because no subject
    of it tells: all of them run in circles, or a planted mistake went unnoticed.
    """
    subjects = body["subjects"]
    ran = [entry for subject in subjects for entry in subject["comparisons"]]
    ran += [entry["llama"] for entry in body.get("rounding", ())]
    leading = [entry for entry in ran if entry["name"] == LEADING[kind]]
    verdict, words = _verdict(subjects, ran, leading)
    facts = EXPORT_CHECKS[CHECK]
    worst = max((entry["largest"] for entry in leading if entry["largest"] is not None), default=None)
    return CheckResult(
        id=CHECK,
        verdict=verdict,
        measured=words if worst is None or verdict != "pass" else worst,
        threshold=leading[0]["bound"] if leading else None,
        direction="<=" if leading else "",
        unit=leading[0]["unit"] if leading else "",
        n=sum(entry["tokens"] or 0 for entry in leading) or None,
        required=verdict == "block",
        why=facts.why,
        fix=facts.fix if verdict == "block" else words if verdict == "not_run" else "",
        evidence=(Evidence(artifact=f"{layout.export_dir(kind)}/{layout.PARITY}", pointer="/subjects"),),
    )


def _verdict(
    subjects: list[dict[str, Any]], ran: list[dict[str, Any]], leading: list[dict[str, Any]]
) -> tuple[Verdict, str]:
    """The word, and what led to it."""
    if any(subject["digest_equal"] is False for subject in subjects):
        return "block", "the file's tensors do not give the weights digest of their source"
    if failed := next((entry for entry in ran if entry["state"] == "failed"), None):
        return "block", f"{failed['name']}: {failed['reason'] or failed['largest']}"
    if not leading:
        return "not_run", "no program was there to compare with"
    if not any(subject["tells"] for subject in subjects):
        return "block", f"void: {_why_void(subjects[-1])}"
    return "pass", ""


def _why_void(subject: dict[str, Any]) -> str:
    unseen = [control["name"] for control in subject["controls"] if not control["seen"]]
    if unseen:
        return f"the planted mistake {unseen[0]} was not noticed"
    return f"{subject['distinct_tokens']} different tokens in {subject['steps']}, {subject['needed']} are needed"
