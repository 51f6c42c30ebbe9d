"""What the corpus was made of, judged on what was trained: sources, documents, what was removed and what is left."""

from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.data.shards.manifest import ShardsBody, boundary_faults, is_long
from picochat.judgement.documents import Document, value_at
from picochat.judgement.rules.case import Case, Outcome, Rule, count_faults, not_run, within

UNKNOWN = "unknown"


def judge_documents(case: Case) -> Outcome:
    """Kept documents of both sides."""
    return within(case, _manifest(case).number("counts", "documents"), (layout.CORPUS_MANIFEST, "/counts/documents"))


def judge_granularity(case: Case) -> Outcome:
    """One row is one document: rows of an import, documents read, and documents kept and dropped, are one number."""
    sources = _sources(case)
    if not sources:
        return not_run((layout.CORPUS_MANIFEST, "/sources"), n=0)
    faults = [place for place, source in enumerate(sources) if not _balanced(source)]
    places = tuple((layout.CORPUS_MANIFEST, f"/sources/{place}") for place in faults)
    names = [str(place) for place in faults]
    return count_faults(names, *(places or ((layout.CORPUS_MANIFEST, "/sources"),)), n=len(sources))


def judge_boundaries(case: Case) -> Outcome:
    """Documents are given, not guessed; and a long training reads shards in which each document is marked."""
    sources = _sources(case)
    if not sources:
        return not_run((layout.CORPUS_MANIFEST, "/sources"), n=0)
    faults = [
        (layout.CORPUS_MANIFEST, f"/sources/{place}/documents_are")
        for place, source in enumerate(sources)
        if source.get("documents_are") != "given"
    ]
    shards = case.evidence.documents.get(layout.SHARDS_MANIFEST)
    if shards is not None and _is_long(case) and not _is_marked(shards):
        faults.append((layout.SHARDS_MANIFEST, "/boundary_tokens"))
    return count_faults([pointer for _, pointer in faults], *(faults or [(layout.CORPUS_MANIFEST, "/sources")]))


def judge_exact_left(case: Case) -> Outcome:
    """Documents whose comparison form stands earlier in the corpus, as it was read back."""
    return within(case, _manifest(case).number("checks", "exact_left"), (layout.CORPUS_MANIFEST, "/checks/exact_left"))


def judge_near_left(case: Case) -> Outcome:
    """Of a sample of documents, the share with a near copy anywhere in the corpus."""
    manifest, place = _manifest(case), (layout.CORPUS_MANIFEST, "/checks/audit_near")
    near, audited = manifest.number("checks", "audit_near"), manifest.number("checks", "audited")
    if near is None or not audited:
        return not_run(place, n=0)
    return within(case, near / audited, place, n=int(audited))


def removed_rule(reason: str) -> Rule:
    """A rule for the share of the documents that were read and dropped for a reason."""

    def judge(case: Case) -> Outcome:
        read = sum(source["read"] for source in _sources(case) if isinstance(source.get("read"), int))
        dropped = _manifest(case).value("dropped", "by_reason")
        place = (layout.CORPUS_MANIFEST, f"/dropped/by_reason/{reason}")
        if not read or not isinstance(dropped, dict):
            return not_run(place, n=0)
        return within(case, dropped.get(reason, 0) / read, place, n=read)

    return judge


def known_rule(key: str) -> Rule:
    """A rule for the number of sources whose licence or revision is unknown."""

    def judge(case: Case) -> Outcome:
        sources = _sources(case)
        if not sources:
            return not_run((layout.CORPUS_MANIFEST, "/sources"), n=0)
        unknown = [place for place, source in enumerate(sources) if _is_unknown(source.get(key))]
        places = [(layout.CORPUS_MANIFEST, f"/sources/{place}/{key}") for place in unknown]
        return count_faults([str(place) for place in unknown], *(places or [(layout.CORPUS_MANIFEST, "/sources")]))

    return judge


def _is_unknown(value: Any) -> bool:
    return str(value or "").strip().lower() in ("", UNKNOWN)


def _manifest(case: Case) -> Document:
    return case.evidence.documents[layout.CORPUS_MANIFEST]


def _sources(case: Case) -> list[dict[str, Any]]:
    sources = _manifest(case).value("sources")
    return [source for source in sources if isinstance(source, dict)] if isinstance(sources, list) else []


def _balanced(source: dict[str, Any]) -> bool:
    """Whether nothing was bundled and nothing lost, from the rows of an import to the documents of the corpus."""
    imported, read = source.get("import"), source.get("read")
    dropped = value_at(source, "dropped")
    if not isinstance(read, int) or not isinstance(dropped, dict):
        return False
    if read != source.get("kept", 0) + sum(dropped.values()):
        return False
    if not isinstance(imported, dict):
        return imported is None
    rows, documents, lost = (imported.get(key) for key in ("rows_read", "documents", "dropped"))
    if not isinstance(documents, int) or not isinstance(lost, dict):
        return False
    return documents == read and rows == documents + sum(lost.values())


def _is_long(case: Case) -> bool:
    base = case.evidence.report(layout.BASE)
    steps = base.number("training", "planned_steps")
    return is_long(int(steps or 0), int(case.evidence.parameters or 0))


def _is_marked(shards: Document) -> bool:
    """Whether the manifest says that documents are marked, and its shards hold as many marks as documents."""
    fields = {key: shards.body[key] for key in ShardsBody.model_fields if key in shards.body}
    try:
        return not boundary_faults(ShardsBody.from_json(fields, layout.SHARDS_MANIFEST))
    except PicochatError:
        return False
