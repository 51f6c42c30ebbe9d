"""Pages of a run taken apart, and made content for them.

Page.of(html)           elements, attributes and text of a page
content(), more()       what summary.json and judgement.handover give when nothing is known
hostile_documents()     both, with hostile text wherever an artifact holds text
"""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "br"}
HOSTILE = "<script>alert(1)</script>\"' onload=x & `|` # [a](http://x.y) \u202eturned\x1b[31m \ud800 --> ]]>"


class Page(HTMLParser):
    """Every element with its attributes, and the text; an element that is not closed in order is an error."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.inside: dict[str, list[str]] = {}

    @classmethod
    def of(cls, text: str) -> Page:
        page = cls()
        page.feed(text)
        page.close()
        assert page.open == [], page.open
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)
        if self.open:
            self.inside.setdefault(self.open[-1], []).append(data)

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.elements}

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def headings(self) -> list[tuple[str, str]]:
        """(level, text) in the order of the page."""
        levels = [name for name, _ in self.elements if name in ("h1", "h2", "h3")]
        texts = {level: iter(self.inside.get(level, [])) for level in ("h1", "h2", "h3")}
        return [(level, next(texts[level])) for level in levels]


def require_harmless(page: Page) -> None:
    """No script, no handler, no address that is fetched, no style from elsewhere."""
    assert not page.names & {"script", "iframe", "object", "embed", "link", "img", "form", "base", "a", "foreignobject"}
    for name, attributes in page.elements:
        for key, value in attributes.items():
            assert not key.startswith("on"), (name, key)
            assert key not in ("src", "href", "xlink:href", "style", "srcset", "action"), (name, key)
            assert "javascript:" not in (value or "")
    assert "url(" not in "".join(page.inside["style"]) and "@import" not in "".join(page.inside["style"])


def content(**changes: Any) -> dict[str, Any]:
    """What summary.json holds of a run of which nothing is known."""
    numbers = ("planned_steps", "steps", "tokens_seen", "skipped_steps", "duration_s", "tokens_per_s", "bpb", "bpb_se")
    facts = {
        "run": None,
        "corpus": dict.fromkeys(("documents", "bytes", "train_documents", "val_documents")),
        "tokenizer": dict.fromkeys(("vocab_size", "bytes_per_token")),
        "parameters": None,
        "base": dict.fromkeys(numbers),
        "sft": dict.fromkeys(numbers),
        "baselines": {},
        "forgetting": {"before_bpb": None, "after_bpb": None},
        "rates": {},
        "contamination": {"scanned": False, "problem": "", "sets": {}},
        "benchmarks": [],
    }
    known: dict[str, Any] = {
        "facts": facts | changes.pop("facts", {}),
        "not_run": [],
        "checks": [],
        "verdict": "blocked",
        "profile": "research",
        "profile_version": 1,
        "weights_digest": None,
        "not_judged": [],
        "failpoints": [],
        "shown": [],
    }
    return known | changes


def curves(**changes: Any) -> dict[str, Any]:
    known = {key: [] for key in ("loss", "bpb", "lr", "val_loss", "val_bpb")}
    return known | {"steps_a_point": None, "skipped": None, "problem": "missing"} | changes


def training(**changes: Any) -> dict[str, Any]:
    """A training of which nothing is known."""
    known: dict[str, Any] = {
        "present": False,
        "curves": curves(),
        "samples": [],
        "model": {},
        "optim": {},
        "rules": {},
        "tokens_per_step": None,
        "numbers": dict.fromkeys(
            ("planned_tokens", "tokens_seen", "unique_tokens", "epochs", "targets_seen", "tokens_per_s")
        ),
        "exposure": [],
        "resumes": None,
        "machine": {},
        "environment": {},
        "code": None,
        "peak_rss_bytes": None,
        "documents": None,
        "data_mode": None,
    }
    return known | changes


def source(**changes: Any) -> dict[str, Any]:
    known = {"id": "texts", "path": "texts", "licence": "unknown", "revision": "unknown", "sha256": "0" * 64}
    known |= {"read": 10, "kept": 8, "weight": 1.0, "emails": 0, "secrets": 0, "dropped": 2}
    return known | {"documents_are": "given", "hub_dataset": None} | changes


def more(**changes: Any) -> dict[str, Any]:
    """What judgement.handover gives when nothing is known."""
    data = {
        "pack": None,
        "description": None,
        "languages": [],
        "sources": [],
        "dropped": None,
        "counts": {},
        "val_fraction": None,
        "salt": None,
        "warnings": [],
    }
    known: dict[str, Any] = {
        "trainings": {"base": training(), "sft": training()},
        "data": data | changes.pop("data", {}),
        "tokenizer": dict.fromkeys(("vocab_size", "bytes_per_token", "train_tokens", "val_tokens")),
        "chat": dict.fromkeys(("rows", "heldout_rows", "eval_rows", "disjoint_violations")),
        "run": None,
        "lineage": [],
    }
    return known | changes


CHECK: dict[str, Any] = {
    "id": "sft.fit",
    "verdict": "warn",
    "measured": 0.7234,
    "threshold": 0.7,
    "direction": ">=",
    "unit": "fraction",
    "n": 1200,
    "interval": [0.69, 0.75],
    "required": True,
    "why": "the reason",
    "fix": "the cure",
    "evidence": [],
    "inputs": [],
}


def hostile_documents() -> tuple[dict[str, Any], dict[str, Any]]:
    """Hostile text wherever an artifact holds text."""
    check = CHECK | {"id": HOSTILE, "why": HOSTILE, "fix": HOSTILE, "measured": HOSTILE}
    rate = {"k": 1, "n": 2, "rate": 0.5, "interval": [0.1, 0.9]}
    benchmark = {"name": HOSTILE, "problem": HOSTILE, "n": 1, "rate": 0.5, "interval": [0, 1]}
    benchmark |= {"adjusted": 0.1, "adjusted_interval": [0, 1], "chance": 0.5, "partial": True}
    counts = {"items": 1, "dirty": 1, "clean": 0, "uncheckable": 0, "problem": HOSTILE, "scores": {}}
    facts = {
        "run": {"name": HOSTILE, "profile": HOSTILE, "created_at": HOSTILE},
        "baselines": {HOSTILE: 1.0},
        "rates": {HOSTILE: {"eval": rate}},
        "benchmarks": [benchmark],
        "contamination": {"scanned": True, "problem": "", "sets": {HOSTILE: counts}},
    }
    shown = content(
        facts=facts, verdict=HOSTILE, profile=HOSTILE, weights_digest=HOSTILE, checks=[check], shown=[check],
        not_run=[HOSTILE], not_judged=[HOSTILE], failpoints=[HOSTILE],
    )  # fmt: skip
    code = {"version": HOSTILE, "git_commit": HOSTILE, "git_dirty": True, "package_digest": HOSTILE}
    sample = {"step": 1, "prompt": HOSTILE, "text": HOSTILE, "cut": True}
    one = training(
        present=True, samples=[sample], model={HOSTILE: HOSTILE}, optim={HOSTILE: HOSTILE}, rules={HOSTILE: HOSTILE},
        machine={HOSTILE: HOSTILE}, environment={HOSTILE: [HOSTILE]}, code=code, curves=curves(problem=HOSTILE),
        exposure=[{"source": HOSTILE, "unique_tokens": 1, "passes": 1.0}],
    )  # fmt: skip
    origin = source(id=HOSTILE, licence=HOSTILE, revision=HOSTILE, sha256=HOSTILE, hub_dataset=HOSTILE)
    data = {"pack": HOSTILE, "description": HOSTILE, "languages": [HOSTILE], "sources": [origin], "salt": HOSTILE}
    data |= {"dropped": [[HOSTILE, 1]], "counts": {HOSTILE: 1}, "warnings": [HOSTILE]}
    file = {"path": HOSTILE, "sha256": HOSTILE, "external": True, "written_by": HOSTILE, "read_by": [HOSTILE]}
    run = {"digest": HOSTILE, "seed": 1, "code": code}
    beside = more(trainings={"base": one, "sft": one}, data=data, lineage=[file], run=run)
    return shown, beside
